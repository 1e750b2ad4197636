/** The clusters that `bench -- node` starts: one master, one node, an image of busybox; and what is left of them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HttpsTransport } from '../../../control/client/https.ts';
import { RestClient } from '../../../control/client/rest.ts';
import { systemClock } from '../../../control/client/system-clock.ts';
import { readKubeconfigCredentials } from '../../../control/pki/kubeconfig.ts';
import { clusterIdOf } from '../../../node/membership/membership.ts';
import { networkNames } from '../../../node/network/names.ts';
import { busyboxEntries, imageOf, savedImage, tarOf } from '../../../node/testing/image-archive.ts';
import { newCluster, type TestCluster } from '../../helpers/cluster.ts';
import { mustRun, run } from '../../helpers/run.ts';
import { isReached } from './services.ts';

export const IMAGE = 'raftsman-bench/busybox:1';
export const NODE = 'node-1';
export type BenchRuntime = 'docker' | 'native';

export interface BenchCluster {
  readonly cluster: TestCluster;
  readonly client: RestClient;
  /** Whether the node's proxy leads from this address and port to somewhere. */
  isInPlace(address: string, port: number): Promise<boolean>;
}
export interface BenchClusterOptions {
  readonly runtime: BenchRuntime;
  /** Without it the machine seems to have no `nft`, so that the node takes the forwarder. */
  readonly nftables?: boolean;
  readonly print: (line: string) => void;
}

/** Where the cluster alone sees a program that fails in place of `nft`: the mount is its own and ends with it. */
const WITHOUT_NFTABLES = ['unshare', '--mount', 'sh', '-c', 'mount --bind /bin/false /usr/sbin/nft && exec "$@"', 'sh'];
const LEFT_MAX = 5;

/** Runs `action` with a cluster of its own and takes it away. Throws if something of it is left on the machine. */
export async function withBenchCluster(
  options: BenchClusterOptions,
  action: (bench: BenchCluster) => Promise<void>,
): Promise<void> {
  const { runtime, nftables = true, print } = options;
  const cluster = await newCluster({
    masters: 1,
    nodes: 1,
    runtime,
    ...(!nftables && { through: WITHOUT_NFTABLES }),
  });
  let mark: string | undefined;
  try {
    await giveImage(cluster, runtime);
    await cluster.start();
    mark = await networkMark(cluster);
    const { authority, certificate, key } = await readKubeconfigCredentials(cluster.kubeconfig);
    const transport = new HttpsTransport({
      servers: [`https://127.0.0.1:${cluster.port}`],
      clock: systemClock,
      random: () => Math.random(),
      tls: { ca: authority, cert: certificate, key },
    });
    try {
      const client = new RestClient({ transport, clock: systemClock, userAgent: 'bench' });
      const map = ['ip', `raftsman-svc-${mark}`, 'service-ips'];
      // `nft get element` would read all sets of the table, also those in rules: ten times as long.
      const isInMap = async (address: string, port: number) =>
        (await run('nft', ['list', 'map', ...map])).stdout.includes(`${address} . tcp . ${port} `);
      // The forwarder makes its range the machine's own, so a port that is not served yet refuses.
      await action({ cluster, client, isInPlace: nftables ? isInMap : isReached });
    } finally {
      await transport.close();
    }
  } finally {
    await cluster.stop();
    const left = await leftOf(cluster, mark);
    await cluster.remove();
    await run('docker', ['rmi', IMAGE]);
    for (const line of left.slice(0, LEFT_MAX)) print(`LEFT BEHIND: ${line}`);
    if (left.length > 0) process.exitCode = 1;
  }
}

/** The same bytes for both: an engine loads them, the native runtime finds them in the agent's folder. */
async function giveImage(cluster: TestCluster, runtime: BenchRuntime): Promise<void> {
  const layer = await tarOf(busyboxEntries());
  const archive = await savedImage(IMAGE, imageOf([layer], { Cmd: ['sh'], Env: ['PATH=/bin'] }));
  const folder = join(cluster.directory, NODE, 'images');
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'busybox.tar');
  await writeFile(file, archive);
  // Of another runtime the engine is only the peer.
  await (runtime === 'docker' ? mustRun : run)('docker', ['load', '--input', file]);
}

/** What the names of the node's links and tables have in them, taken while they are there. */
async function networkMark(cluster: TestCluster): Promise<string> {
  const authority = await readFile(join(cluster.directory, NODE, 'pki', 'ca.crt'), 'utf8');
  return networkNames(clusterIdOf(authority), NODE).bridge.replace(/^rsm/, '');
}

async function leftOf(cluster: TestCluster, mark: string | undefined): Promise<readonly string[]> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').filter(line => line.includes(cluster.directory));
  const named = async (command: string, args: readonly string[]) =>
    (await run(command, args)).stdout.split('\n').filter(line => mark !== undefined && line.includes(mark));
  return [
    ...(await cluster.processes()),
    ...mounts,
    ...(await named('ip', ['-o', 'link'])),
    ...(await named('nft', ['list', 'tables'])),
  ];
}
