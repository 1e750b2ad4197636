/**
 * `npm run bench [-- store scale api pod memory scheduler control]`: figures for the README, each with the machine it
 * was taken on. Run it alone;
 * without arguments it does everything. For `store`: `--rounds N`, `--seconds N` a measurement, `--clients 1,64`,
 * `--systems raftsman,etcd`; for `scale`: `--keys N` and the last two; for `api`: `--seconds N` a measurement;
 * for `control`: `--nodes N`, `--pods N`, `--masters 1,3`.
 */
import { cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { type ClusterOptions, newCluster, type TestCluster } from '../helpers/cluster.ts';
import { findKubectls } from '../helpers/machine.ts';
import { run } from '../helpers/run.ts';
import { benchApi } from './api.ts';
import { benchControl } from './control.ts';
import { benchMemory, benchPod } from './pod.ts';
import { benchScale } from './scale.ts';
import { benchScheduler } from './scheduler.ts';
import { benchStore } from './store.ts';

const PARTS = ['store', 'scale', 'api', 'pod', 'memory', 'scheduler', 'control'];
const IDLE_MS = 10_000;
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
  },
});
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
if (wants('pod')) {
  print('\nA pod');
  const kubectl = findKubectls().at(-1);
  const docker = (await run('docker', ['version'])).code === 0;
  if (!kubectl || !docker) print(`skipped: it needs ${kubectl ? 'a Docker engine' : 'kubectl'}`);
  else await withCluster({ runtime: 'docker' }, cluster => benchPod(cluster, kubectl.path, print));
}
