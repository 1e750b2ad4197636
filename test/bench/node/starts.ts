/** From bound to running, pods one after another and many at once, beside `docker run` of the same image. */
import { run } from '../../helpers/run.ts';
import { type Figures, row, type Sample, summarize } from '../measure.ts';
import { IMAGE } from './bench-cluster.ts';
import type { PodWatch } from './pod-watch.ts';

export interface StartOptions {
  readonly pods: PodWatch;
  readonly runtime: string;
  /** How many one after another, and how many at once. */
  readonly starts: number;
  readonly atOnce: number;
  /** Whether an engine is there to compare with. */
  readonly hasDocker: boolean;
  readonly print: (line: string) => void;
}

const COMMAND = ['sleep', '3600'];
/** What is forgotten of the peer goes by itself. */
const PEER_COMMAND = ['sleep', '600'];
/** The first start reads what later ones find in memory; it is not counted. */
const WARM_UPS = 2;

/** Prints a line for each way of starting, and the same of the engine. */
export async function benchStarts(options: StartOptions): Promise<void> {
  const { starts, atOnce, runtime, hasDocker, print } = options;
  for (const [what, count, together] of [
    ['one after another', starts, 1],
    [`${atOnce} at once`, atOnce, atOnce],
  ] as const) {
    const ours = await inGroups(count, together, names => startPods(options, names));
    print(row(`pod on ${runtime}, ${what}`, ours));
    if (!hasDocker) continue;
    const peer = await inGroups(count, together, startContainers);
    print(row(`docker run, ${what}`, peer));
    print(
      `  bound to running is ${ratio(ours.p50Ms, peer.p50Ms)} of docker run in the middle, ${ratio(ours.p99Ms, peer.p99Ms)} at p99`,
    );
  }
}

const ratio = (ours: number, theirs: number) => (ours / theirs).toFixed(2);

/** Starts `count` in groups of `together`; what a group takes is what all of it took. */
async function inGroups(
  count: number,
  together: number,
  start: (names: readonly string[]) => Promise<readonly number[]>,
): Promise<Figures> {
  const names = (from: number, size: number) => Array.from({ length: size }, (_, index) => `start-${from + index}`);
  await start(names(0, WARM_UPS));
  const samples: Sample[] = [];
  for (let done = 0; done < count; done += together) {
    const startedMs = performance.now();
    const latenciesMs = Float64Array.from(await start(names(WARM_UPS + done, Math.min(together, count - done))));
    samples.push({ latenciesMs, elapsedMs: performance.now() - startedMs, longestGapMs: 0, failures: 0 });
  }
  const elapsedMs = samples.reduce((sum, sample) => sum + sample.elapsedMs, 0);
  return { ...summarize(samples), perSecond: (count * 1_000) / elapsedMs };
}

async function startPods({ pods }: StartOptions, names: readonly string[]): Promise<readonly number[]> {
  const containers = [{ name: 'c', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: COMMAND }];
  try {
    await Promise.all(names.map(name => pods.create(name, { containers })));
    return await Promise.all(names.map(name => pods.running(name)));
  } finally {
    await pods.delete(names);
  }
}

async function startContainers(names: readonly string[]): Promise<readonly number[]> {
  const full = names.map(name => `raftsman-bench-${process.pid}-${name}`);
  try {
    return await Promise.all(
      full.map(async name => {
        const startedMs = performance.now();
        const { code, stderr } = await run('docker', ['run', '-d', '--rm', '--name', name, IMAGE, ...PEER_COMMAND]);
        if (code !== 0) throw new Error(`docker run: ${stderr}`);
        return performance.now() - startedMs;
      }),
    );
  } finally {
    await run('docker', ['rm', '--force', ...full]);
  }
}
