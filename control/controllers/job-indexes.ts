/** Sets of completion indexes, and the short form in which a Job's status holds them: `0-2,5`. Pure. */
import type { Pod } from '../api/generated/types.ts';

export const INDEX_ANNOTATION = 'batch.kubernetes.io/job-completion-index';

/** The index of a pod of an indexed Job; undefined if it has none or one beyond the end. */
export function completionIndex(pod: Pod, completions: number): number | undefined {
  const text = pod.metadata?.annotations?.[INDEX_ANNOTATION] ?? pod.metadata?.labels?.[INDEX_ANNOTATION];
  const index = text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  return index !== undefined && index < completions ? index : undefined;
}

export function formatIndexes(indexes: Iterable<number>): string {
  const runs: [number, number][] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && index <= last[1] + 1) last[1] = index;
    else runs.push([index, index]);
  }
  return runs
    .map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`))
    .join(',');
}

/**
 * The runs of the short form, first and last index of each, without what is from `completions` on. There may be two
 * thousand million indexes in a few characters: where only runs are needed, they are not counted out.
 */
export function* indexRuns(
  text: string | undefined,
  completions = Number.POSITIVE_INFINITY,
): Generator<[number, number]> {
  for (const part of (text ?? '').split(',').filter(Boolean)) {
    const [from = 0, to = from] = part.split('-').map(Number);
    const last = Math.min(to, completions - 1);
    if (from <= last) yield [from, last];
  }
}

/** Reads the short form; indexes from `completions` on are left out. */
export function parseIndexes(text: string | undefined, completions?: number): Set<number> {
  const indexes = new Set<number>();
  for (const [from, to] of indexRuns(text, completions)) {
    for (let index = from; index <= to; index++) indexes.add(index);
  }
  return indexes;
}
