/** The short form of completion indexes, `0-2,5`, as it is checked (k/k pkg/apis/batch/validation). */
import { goQuote } from './errors.ts';

export interface CheckedIndexes {
  /** How many there are; 0 where the text is wrong. */
  readonly count: number;
  /** What is wrong, in the words of Kubernetes. */
  readonly why?: string;
}

type Interval = readonly [from: number, to: number];

/** Indexes are below `completions` and grow. */
export function checkIndexes(text: string | undefined, completions: number): CheckedIndexes {
  if (!text) return { count: 0 };
  let count = 0;
  let last: number | undefined;
  for (const part of text.split(',')) {
    const interval = readInterval(part, completions);
    if (typeof interval === 'string') return { count: 0, why: interval };
    const [from, to] = interval;
    if (last !== undefined && last >= from) return { count: 0, why: notIncreasing(last, from) };
    count += to - from + 1;
    last = to;
  }
  return { count };
}

/** The first index that both have; undefined if there is none, as far as they can be read. Both grow. */
export function overlapOf(left: string, right: string, completions: number): number | undefined {
  const [a, b] = [left, right].map(text =>
    text
      .split(',')
      .map(part => readInterval(part, completions))
      .filter(interval => typeof interval !== 'string'),
  ) as [Interval[], Interval[]];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x, y] = [a[i] as Interval, b[j] as Interval];
    if (x[0] <= y[1] && y[0] <= x[1]) return Math.max(x[0], y[0]);
    if (x[0] <= y[0]) i++;
    else j++;
  }
  return undefined;
}

const notIncreasing = (previous: number, current: number) =>
  `non-increasing order, previous: ${previous}, current: ${current}`;

/** An interval, or what is wrong with it. */
function readInterval(part: string, completions: number): Interval | string {
  const limits = part.split('-');
  if (limits.length > 2) {
    return `the fragment ${goQuote(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  }
  const numbers: number[] = [];
  for (const limit of limits) {
    const shown = goQuote(limit);
    if (!/^\+?\d+$/.test(limit)) return `cannot convert string to integer for index: ${shown}`;
    if (Number(limit) >= completions) return `too large index: ${shown}`;
    numbers.push(Number(limit));
  }
  const [from = 0, to] = numbers;
  if (to === undefined) return [from, from];
  return from >= to ? notIncreasing(from, to) : [from, to];
}
