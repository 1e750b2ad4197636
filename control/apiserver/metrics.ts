/** What the server counts about itself, in Prometheus' form under kube-apiserver's names. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { KindDeclaration } from '../api/kind.ts';
import type { Exchange } from './types.ts';

const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 8, 15, 30, 60];

export class Metrics {
  readonly registry: Registry;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #watches: Gauge;
  readonly #fenced: Counter;

  /** @param registry where other parts of the process may count too */
  constructor(registry = new Registry()) {
    this.registry = registry;
    this.#requests = new Counter({
      name: 'apiserver_request_total',
      help: 'Requests by verb, resource and answer.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'code'],
      registers: [registry],
    });
    this.#durations = new Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'From a request to the head of its answer.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource'],
      buckets: BUCKETS,
      registers: [registry],
    });
    this.#fenced = new Counter({
      name: 'raftsman_fenced_writes_total',
      help: 'Writes of scheduler and controllers that were refused because their leadership had passed.',
      registers: [registry],
    });
    this.#watches = new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches that are open.',
      labelNames: ['verb', 'group', 'version', 'resource'],
      registers: [registry],
    });
  }

  /** Counts a write of scheduler or controllers that came after their leadership had passed. */
  fenced(): void {
    this.#fenced.inc();
  }

  /** Counts an answered request. Unknown resources share one label, so that clients cannot make series at will. */
  observe({ info }: Exchange, status: number, durationMs: number): void {
    const isKnown = info.isResource && status !== 404 && status !== 403 && status !== 401;
    const labels = {
      verb: info.verb.toUpperCase(),
      group: isKnown ? info.group : '',
      version: isKnown ? info.version : '',
      resource: isKnown ? info.resource : '',
      subresource: isKnown ? info.subresource : '',
    };
    this.#requests.inc({ ...labels, code: String(status) });
    this.#durations.observe(labels, durationMs / 1000);
  }

  watchOpened({ group, version, plural }: KindDeclaration): void {
    this.#watches.inc({ verb: 'WATCH', group, version, resource: plural });
  }

  watchClosed({ group, version, plural }: KindDeclaration): void {
    this.#watches.dec({ verb: 'WATCH', group, version, resource: plural });
  }
}
