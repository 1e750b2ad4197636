/** `npm run bench [-- store scale api pod memory scheduler control node]`: figures for the README; {@link HELP} has the rest. */
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { type ClusterOptions, newCluster, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls } from '../helpers/machine.ts';
import { run } from '../helpers/run.ts';
import { benchApi } from './api.ts';
import { benchControl } from './control.ts';
import { benchNode, NODE_PARTS } from './node.ts';
import { benchMemory, benchPod } from './pod.ts';
import { benchScale } from './scale.ts';
import { benchScheduler } from './scheduler.ts';
import { benchStore } from './store.ts';

const PARTS = ['store', 'scale', 'api', 'pod', 'memory', 'scheduler', 'control', 'node'];
const IDLE_MS = 10_000;
const HELP = `Usage: npm run bench -- [PART…] [options]

Figures with the machine that they were taken on. Run it alone; without a part it does everything.

  store      the store beside etcd      --rounds 5 --seconds 4 (a measurement) --clients 1,64 --systems raftsman,etcd
  scale      the store with many keys   --keys 1000000 --seconds 4 --systems raftsman,etcd
  api        the API server under wrk   --seconds 4
  pod        kubectl create to running beside docker run
  memory     an idle cluster
  scheduler  its decisions alone
  control    hollow nodes               --nodes 1000 --pods 30000 --masters 1,3
  node       a real node, as root       --runtime docker,native --only starts,density,traffic,services
             pods one after another, and at once beside docker run      --starts 30 --at-once 50
             a full node: memory, and processor time over a while       --full 110 --window 30
             through a ClusterIP and straight, DNS: rounds of a second  --node-rounds 3
             services, then one more                                    --services 1000
`;
const { values: flags, positionals: chosen } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    keys: { type: 'string', default: '1000000' },
    clients: { type: 'string' },
    systems: { type: 'string' },
    nodes: { type: 'string', default: '1000' },
    pods: { type: 'string', default: '30000' },
    masters: { type: 'string', default: '1,3' },
    runtime: { type: 'string', default: 'docker,native' },
    only: { type: 'string', default: NODE_PARTS.join(',') },
    starts: { type: 'string', default: '30' },
    'at-once': { type: 'string', default: '50' },
    full: { type: 'string', default: '110' },
    window: { type: 'string', default: '30' },
    services: { type: 'string', default: '1000' },
    'node-rounds': { type: 'string', default: '3' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
const unknown = chosen.filter(part => !PARTS.includes(part));
if (unknown.length > 0) {
  console.error(`error: ${unknown.join(', ')}: the parts are ${PARTS.join(', ')}`);
  process.exit(2);
}
const wants = (part: string) => chosen.length === 0 || chosen.includes(part);
const print = (line: string) => console.log(line);

print(
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
);

/** Words separated by commas; ends the program over one that is not among these. */
function oneOf(flag: string, text: string, words: readonly string[]): readonly string[] {
  const list = text.split(',');
  const strange = list.filter(word => !words.includes(word));
  return strange.length === 0 ? list : refuse(`${flag} ${strange.join(',')}: it takes ${words.join(', ')}`);
}
function wholeNumber(flag: string, text: string, max: number): number {
  const number = Number(text);
  const isFit = /^\d+$/.test(text) && number >= 1 && number <= max;
  return isFit ? number : refuse(`${flag} takes a whole number from 1 to ${max}`);
}
function refuse(problem: string): never {
  console.error(`error: ${problem}`);
  process.exit(2);
}

async function withCluster(options: ClusterOptions, action: (cluster: TestCluster) => Promise<void>): Promise<void> {
  const cluster = await newCluster(options);
  try {
    const took = await cluster.start();
    print(
      `raftsman up: ${options.masters ?? 3} masters, ${options.nodes ?? 2} nodes Ready after ${(took / 1000).toFixed(1)} s`,
    );
    await action(cluster);
  } finally {
    await cluster.remove();
  }
}

if (wants('store')) {
  print('\nThe store: three members on loopback');
  await benchStore({
    rounds: Number(flags.rounds),
    forMs: Number(flags.seconds) * 1000,
    ...(flags.clients !== undefined && { clients: flags.clients.split(',').map(Number) }),
    ...(flags.systems !== undefined && { systems: flags.systems.split(',') }),
    print,
  });
}
if (wants('scale')) {
  print('\nThe store with many keys');
  await benchScale({
    keys: Number(flags.keys),
    forMs: Number(flags.seconds) * 1000,
    ...(flags.systems !== undefined && { systems: flags.systems.split(',') }),
    print,
  });
}
if (wants('scheduler')) {
  print('\nThe scheduler’s decisions alone');
  benchScheduler({ nodes: [1000, 5000], pods: 5000, print });
}
if (wants('memory')) {
  print('\nAn idle cluster of three masters and two nodes');
  await withCluster({}, async cluster => {
    await new Promise(resolve => setTimeout(resolve, IDLE_MS));
    await benchMemory(cluster, ['master-1', 'master-2', 'master-3', 'node-1', 'node-2'], print);
  });
}
if (wants('api')) {
  for (const masters of [1, 3]) {
    print(`\nThe API: ${masters === 1 ? 'one master' : 'three masters'}`);
    const seconds = Number(flags.seconds);
    await withCluster({ masters, nodes: 0 }, cluster => benchApi({ cluster, masters, seconds, print }));
  }
}
if (wants('control')) {
  const [nodes, pods] = [Number(flags.nodes), Number(flags.pods)];
  for (const masters of flags.masters.split(',').map(Number)) {
    print(`\nThe control plane: ${masters === 1 ? 'one master' : `${masters} masters`}, ${nodes} nodes, ${pods} pods`);
    await withCluster({ masters, nodes: 0 }, cluster => benchControl({ cluster, masters, nodes, pods, print }));
  }
}
if (wants('node')) {
  await benchNode({
    runtimes: oneOf('--runtime', flags.runtime, ['docker', 'native']),
    only: oneOf('--only', flags.only, NODE_PARTS),
    starts: wholeNumber('--starts', flags.starts, 1_000),
    atOnce: wholeNumber('--at-once', flags['at-once'], 100),
    pods: wholeNumber('--full', flags.full, 110),
    windowMs: wholeNumber('--window', flags.window, 600) * 1_000,
    services: wholeNumber('--services', flags.services, 5_000),
    rounds: wholeNumber('--node-rounds', flags['node-rounds'], 20),
    secondsEach: 1,
    print,
  });
}
if (wants('pod')) {
  print('\nA pod');
  const kubectl = findKubectls().at(-1);
  const docker = (await run('docker', ['version'])).code === 0;
  if (!kubectl || !docker) print(`skipped: it needs ${kubectl ? 'a Docker engine' : 'kubectl'}`);
  else await withCluster({ runtime: 'docker' }, cluster => benchPod(cluster, kubectl.path, print));
}
