/** What the server counts, for Prometheus: names and labels are CoreDNS', so that its dashboards show it. */

import type { Metric } from '../metrics/text.ts';

/** Upper bounds of the buckets of latencies, in seconds. */
const BUCKETS_SECONDS = [0.001, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096];
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export class Measures {
  readonly #responses = new Map<string, number>();
  readonly #requests = new Map<string, number>();
  readonly #buckets = BUCKETS_SECONDS.map(() => 0);
  #count = 0;
  #seconds = 0;
  #cacheHits = 0;
  #cacheMisses = 0;
  #failures = 0;

  /** A question was answered. `rcode` is what the header says. */
  answered(answer: { readonly proto: 'udp' | 'tcp'; readonly rcode: number; readonly tookMs: number }): void {
    const { proto, rcode, tookMs } = answer;
    add(this.#requests, proto);
    add(this.#responses, RCODES[rcode] ?? `RCODE${rcode}`);
    this.#count += 1;
    this.#seconds += tookMs / 1_000;
    for (const [index, bound] of BUCKETS_SECONDS.entries())
      if (tookMs / 1_000 <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
  }

  /** A name that is not the cluster's was looked up in the cache. */
  cached(isHit: boolean): void {
    if (isHit) this.#cacheHits += 1;
    else this.#cacheMisses += 1;
  }

  /** A resolver did not answer. */
  resolverFailed(): void {
    this.#failures += 1;
  }

  list(): Metric[] {
    const counter = (name: string, help: string, samples: Metric['samples']): Metric => ({
      name,
      help,
      type: 'counter',
      samples,
    });
    const each = (counts: ReadonlyMap<string, number>, label: string) =>
      [...counts].map(([value, count]) => ({ labels: { [label]: value }, value: count }));
    const duration = 'coredns_dns_request_duration_seconds';
    const buckets = [
      ...BUCKETS_SECONDS.map((bound, index) => ({ labels: { le: String(bound) }, value: this.#buckets[index] ?? 0 })),
      { labels: { le: '+Inf' }, value: this.#count },
    ];
    return [
      counter('coredns_dns_requests_total', 'Questions by protocol.', each(this.#requests, 'proto')),
      counter('coredns_dns_responses_total', 'Answers by code.', each(this.#responses, 'rcode')),
      counter(`${duration}_bucket`, 'Answers that took up to so many seconds.', buckets),
      counter(`${duration}_sum`, 'Seconds that answers took in all.', [{ value: this.#seconds }]),
      counter(`${duration}_count`, 'Answers.', [{ value: this.#count }]),
      counter('coredns_cache_hits_total', 'Other names that were found in the cache.', [{ value: this.#cacheHits }]),
      counter('coredns_cache_misses_total', 'Other names that had to be asked for.', [{ value: this.#cacheMisses }]),
      counter('coredns_forward_failures_total', 'Questions that a resolver did not answer.', [
        { value: this.#failures },
      ]),
    ];
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
