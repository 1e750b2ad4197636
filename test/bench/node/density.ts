/** A node full of pods that do nothing: what its agent and its supervisor hold and use. */
import { join } from 'node:path';
import type { TestCluster } from '../../helpers/cluster.ts';
import { IMAGE, NODE } from './bench-cluster.ts';
import type { PodWatch } from './pod-watch.ts';
import { findProcess, useOf } from './processes.ts';

export interface DensityOptions {
  readonly cluster: TestCluster;
  readonly pods: PodWatch;
  readonly count: number;
  /** How long the processors are watched. */
  readonly windowMs: number;
  readonly print: (line: string) => void;
}

/** Until what the starts have left to do is done: status writes, the first refresh of volumes, garbage. */
const SETTLE_MS = 10_000;

export async function benchDensity(options: DensityOptions): Promise<void> {
  const { pods, count, print } = options;
  await watched('no pods', options);
  const containers = [{ name: 'c', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', '3600'] }];
  const names = Array.from({ length: count }, (_, index) => `full-${index}`);
  const startedMs = performance.now();
  await Promise.all(names.map(name => pods.create(name, { containers })));
  await Promise.all(names.map(name => pods.running(name)));
  print(`${count} pods ran ${((performance.now() - startedMs) / 1_000).toFixed(1)} s after the first was asked for`);
  try {
    await watched(`${count} pods`, options);
  } finally {
    await pods.delete(names);
  }
}

async function watched(what: string, { cluster, windowMs, print }: DensityOptions): Promise<void> {
  await pause(SETTLE_MS);
  const folder = join(cluster.directory, NODE);
  const pids = {
    agent: await cluster.pidOf(NODE),
    supervisor: await findProcess(['supervisor/main', folder]),
  };
  const before = await looked(pids);
  await pause(windowMs);
  for (const [name, pid, from] of before) {
    const now = await useOf(pid);
    const share = ((now.processorSeconds - from.processorSeconds) * 100_000) / windowMs;
    print(
      `${name} with ${what}`.padEnd(34) +
        `${(now.residentBytes / 1e6).toFixed(0)} MB resident`.padStart(16) +
        `${share.toFixed(1)} % of a core over ${windowMs / 1_000} s`.padStart(34),
    );
  }
}

async function looked(pids: Readonly<Record<string, number | undefined>>) {
  const known = Object.entries(pids).flatMap(([name, pid]) => (pid === undefined ? [] : [[name, pid] as const]));
  return await Promise.all(known.map(async ([name, pid]) => [name, pid, await useOf(pid)] as const));
}

const pause = (delayMs: number) => new Promise<void>(resolve => setTimeout(resolve, delayMs));
