/** Closed-loop load and what is said of it: rates and percentiles, over all operations of a run. */

export interface Figures {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly failures: number;
}

/** Latencies of one driver over one time; those of several drivers can be put together. */
export interface Sample {
  readonly latenciesMs: Float64Array;
  readonly elapsedMs: number;
  /** The longest time in which nothing was answered. */
  readonly longestGapMs: number;
  readonly failures: number;
}

/**
 * Keeps `concurrency` operations under way until `total` were started; each resolves or counts as a failure. A tenth of
 * them warm up first and are not counted.
 */
export async function closedLoop(options: {
  readonly concurrency: number;
  readonly total: number;
  readonly operation: (sequence: number) => Promise<void>;
}): Promise<Figures> {
  const { concurrency, total, operation } = options;
  const warmUp = Math.max(1, Math.floor(total / 10));
  await drive({ concurrency, operation, mayStart: sequence => sequence < warmUp });
  const first = total;
  const sample = await drive({ concurrency, operation: i => operation(first + i), mayStart: i => i < total });
  return summarize([sample]);
}

/** The same for a time instead of a number; warming up takes a quarter of it and is not counted. */
export async function timedLoop(options: {
  readonly concurrency: number;
  readonly forMs: number;
  /** Numbers of operations begin here. */
  readonly first: number;
  readonly operation: (sequence: number) => Promise<void>;
}): Promise<Sample & { readonly next: number }> {
  const { concurrency, forMs, operation } = options;
  let next = options.first;
  const run = async (ms: number) => {
    const endAt = performance.now() + ms;
    return await drive({ concurrency, operation: () => operation(next++), mayStart: () => performance.now() < endAt });
  };
  await run(forMs / 4);
  return { ...(await run(forMs)), next };
}

async function drive(options: {
  readonly concurrency: number;
  readonly operation: (sequence: number) => Promise<void>;
  readonly mayStart: (sequence: number) => boolean;
}): Promise<Sample> {
  const { concurrency, operation, mayStart } = options;
  const latencies: number[] = [];
  let next = 0;
  let failures = 0;
  const startedAt = performance.now();
  let answeredAt = startedAt;
  let longestGapMs = 0;
  const worker = async () => {
    while (mayStart(next)) {
      const sequence = next++;
      const at = performance.now();
      try {
        await operation(sequence);
        const now = performance.now();
        latencies.push(now - at);
        longestGapMs = Math.max(longestGapMs, now - answeredAt);
        answeredAt = now;
      } catch {
        failures++;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsedMs = performance.now() - startedAt;
  return { latenciesMs: Float64Array.from(latencies), elapsedMs, longestGapMs, failures };
}

/** Puts together what several drivers measured at the same time. */
export function summarize(samples: readonly Sample[]): Figures {
  const count = samples.reduce((sum, sample) => sum + sample.latenciesMs.length, 0);
  const latencies = new Float64Array(count);
  let offset = 0;
  for (const { latenciesMs } of samples) {
    latencies.set(latenciesMs, offset);
    offset += latenciesMs.length;
  }
  latencies.sort();
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  const perSecond = samples.reduce(
    (sum, { latenciesMs, elapsedMs }) => sum + latenciesMs.length / (elapsedMs / 1000),
    0,
  );
  return {
    operations: count,
    perSecond,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: latencies.at(-1) ?? Number.NaN,
    failures: samples.reduce((sum, { failures }) => sum + failures, 0),
  };
}

/** One line of a table. */
export function row(name: string, figures: Figures): string {
  const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`.padStart(9);
  const failed = figures.failures ? `  ${figures.failures} FAILED` : '';
  return `${name.padEnd(34)} ${Math.round(figures.perSecond).toLocaleString('en').padStart(9)}/s  p50 ${ms(figures.p50Ms)}  p99 ${ms(figures.p99Ms)}  max ${ms(figures.maxMs)}${failed}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.filter(value => !Number.isNaN(value)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
