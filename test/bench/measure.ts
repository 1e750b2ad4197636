/** Closed-loop load and what is said of it: rates and percentiles, over all operations of a run. */

export interface Figures {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
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
  await drive(options, 0, Math.max(1, Math.floor(options.total / 10)));
  const startedAt = performance.now();
  const { latencies, failures } = await drive(options, options.total, options.total);
  return summarize(latencies, { elapsedMs: performance.now() - startedAt, failures });
}

async function drive(
  { concurrency, operation }: { readonly concurrency: number; readonly operation: (sequence: number) => Promise<void> },
  offset: number,
  count: number,
): Promise<{ readonly latencies: number[]; readonly failures: number }> {
  const latencies: number[] = [];
  let next = 0;
  let failures = 0;
  const worker = async () => {
    while (next < count) {
      const sequence = offset + next++;
      const at = performance.now();
      try {
        await operation(sequence);
        latencies.push(performance.now() - at);
      } catch {
        failures++;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker));
  return { latencies, failures };
}

function summarize(
  latencies: number[],
  { elapsedMs, failures }: { readonly elapsedMs: number; readonly failures: number },
): Figures {
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    operations: latencies.length,
    perSecond: latencies.length / (elapsedMs / 1000),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: latencies.at(-1) ?? Number.NaN,
    failures,
  };
}

/** One line of a table. */
export function row(name: string, figures: Figures): string {
  const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`.padStart(9);
  const failed = figures.failures ? `  ${figures.failures} FAILED` : '';
  return `${name.padEnd(34)} ${Math.round(figures.perSecond).toLocaleString('en').padStart(9)}/s  p50 ${ms(figures.p50Ms)}  p99 ${ms(figures.p99Ms)}  max ${ms(figures.maxMs)}${failed}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
