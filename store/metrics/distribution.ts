/**
 * A histogram that costs a few nanoseconds to add to: prom-client's own validates and hashes labels at each observation,
 * which is too much for what happens thousands of times a second. Read out through prom-client by `exposition.ts`.
 */

/** Upper bounds in seconds: 1 ms doubling to 8 s, as etcd's disk histograms have. */
export const DISK_BOUNDS_SECONDS = doubling(0.001, 14);
/** From 0.1 ms, for what stays in memory or in one network. */
export const FAST_BOUNDS_SECONDS = doubling(0.0001, 16);
/** Up to almost an hour, for transfers. */
export const TRANSFER_BOUNDS_SECONDS = doubling(0.1, 16);

export class Distribution {
  readonly bounds: readonly number[];
  /** One for each bound, and one for what is above them all. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let slot = 0;
    // Most values are small, so this beats a binary search.
    while (slot < this.bounds.length && value > (this.bounds[slot] ?? 0)) slot++;
    this.counts[slot] = (this.counts[slot] ?? 0) + 1;
    this.sum += value;
  }

  observeMs(durationMs: number): void {
    this.observe(durationMs / 1000);
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

function doubling(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, step) => Number((first * 2 ** step).toPrecision(12)));
}
