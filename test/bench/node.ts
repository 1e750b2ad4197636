/**
 * A node on this machine: how fast pods start, what a full node costs, and what services and names cost. Traffic stays on
 * links that the clusters make, and each cluster is taken away with all it made.
 */
import { run } from '../helpers/run.ts';
import { type BenchRuntime, NODE, withBenchCluster } from './node/bench-cluster.ts';
import { benchDensity } from './node/density.ts';
import { PodWatch } from './node/pod-watch.ts';
import { benchServices } from './node/services.ts';
import { benchStarts } from './node/starts.ts';
import { benchTraffic } from './node/traffic.ts';

export interface NodeBenchOptions {
  readonly runtimes: readonly string[];
  readonly only: readonly string[];
  readonly starts: number;
  readonly atOnce: number;
  readonly pods: number;
  readonly windowMs: number;
  readonly services: number;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly print: (line: string) => void;
}

export const NODE_PARTS = ['starts', 'density', 'traffic', 'services'] as const;

export async function benchNode(options: NodeBenchOptions): Promise<void> {
  const { runtimes, only, print } = options;
  if (process.getuid?.() !== 0) return print('skipped: pods need root');
  const wants = (part: (typeof NODE_PARTS)[number]) => only.includes(part);
  const hasDocker = (await run('docker', ['version'])).code === 0;
  for (const runtime of runtimes as readonly BenchRuntime[]) {
    if (!wants('starts') && !wants('density')) break;
    print(`\nPods on ${runtime}`);
    if (runtime === 'docker' && !hasDocker) {
      print('skipped: it needs a Docker engine');
      continue;
    }
    await withBenchCluster({ runtime, print }, async ({ cluster, client }) => {
      const pods = await PodWatch.open(client);
      try {
        const { starts, atOnce, pods: count, windowMs } = options;
        if (wants('starts')) await benchStarts({ pods, runtime, starts, atOnce, hasDocker, print });
        if (wants('density')) await benchDensity({ cluster, pods, count, windowMs, print });
      } finally {
        await pods.close();
      }
    });
  }
  if (!wants('traffic') && !wants('services')) return;
  // Every runtime leaves the network to the agent: one stands for all.
  for (const nftables of [true, false]) {
    print(`\nServices, ${nftables ? 'nftables' : 'userspace forwarder'}`);
    await withBenchCluster({ runtime: 'native', nftables, print }, async ({ cluster, client, isInPlace }) => {
      const pods = await PodWatch.open(client);
      try {
        const { rounds, secondsEach, services: count } = options;
        if (wants('traffic')) await benchTraffic({ client, pods, rounds, secondsEach, print });
        const agentPid = await cluster.pidOf(NODE);
        if (wants('services')) await benchServices({ client, pods, count, agentPid, isInPlace, print });
      } finally {
        await pods.close();
      }
    });
  }
}
