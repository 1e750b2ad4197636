/**
 * Where the node's pods get their addresses from: the API says it. It is written down, so that an agent that starts while no
 * master answers can run what it knows of. The range of a node stays the same while its object lives.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { aborted, type Clock, sleep } from './clock.ts';
import { POD_RANGE_WAIT_MS } from './limits.ts';

export interface PodRangeOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  /** Resolves when the API has said it. */
  readonly said: Promise<string>;
}

/** The range as the API says it, or, where it says nothing for a while, as it was last time; undefined once aborted. */
export async function learnPodRange(options: PodRangeOptions, signal: AbortSignal): Promise<string | undefined> {
  const { dataDir, clock, said } = options;
  const file = join(dataDir, 'pod-cidr');
  const noted = await readFile(file, 'utf8').catch(() => undefined);
  const waiting = new AbortController();
  const either = AbortSignal.any([signal, waiting.signal]);
  const otherwise = noted === undefined ? aborted(either) : sleep(clock, POD_RANGE_WAIT_MS, either);
  const range = await Promise.race([said, otherwise.then(() => noted)]);
  waiting.abort();
  if (signal.aborted || range === undefined) return undefined;
  if (range !== noted) {
    await writeFile(`${file}.new`, range);
    await rename(`${file}.new`, file);
  }
  return range;
}
