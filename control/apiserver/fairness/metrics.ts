/** What priority and fairness counts, under kube-apiserver's names. Counted in plain maps and handed over when somebody asks. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Refusal, SeatScheduler } from './scheduler.ts';

const PREFIX = 'apiserver_flowcontrol_';
const BUCKETS = [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

export class FlowMetrics {
  readonly #dispatched = new Map<string, number>();
  readonly #rejected: Counter;
  readonly #waits: Histogram;

  constructor(registry: Registry, scheduler: SeatScheduler) {
    const labelNames = ['priority_level', 'flow_schema'];
    const registers = [registry];
    this.#rejected = new Counter({
      name: `${PREFIX}rejected_requests_total`,
      help: 'Requests that were turned away, by reason.',
      labelNames: [...labelNames, 'reason'],
      registers,
    });
    this.#waits = new Histogram({
      name: `${PREFIX}request_wait_duration_seconds`,
      help: 'How long requests waited that had to.',
      labelNames,
      buckets: BUCKETS,
      registers,
    });
    const counts = this.#dispatched;
    new Counter({
      name: `${PREFIX}dispatched_requests_total`,
      help: 'Requests that were served.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [key, count] of counts) {
          const [priority_level = '', flow_schema = ''] = key.split(' ');
          this.inc({ priority_level, flow_schema }, count);
        }
      },
    });
    const gauges: readonly (readonly [string, string, (level: LevelFigures) => number])[] = [
      ['current_inqueue_requests', 'Requests that wait.', ({ waiting }) => waiting],
      ['current_executing_requests', 'Requests that are being served.', ({ executing }) => executing],
      ['current_executing_seats', 'Seats in use.', ({ inUse }) => inUse],
      ['nominal_limit_seats', 'Seats of the level’s own.', ({ nominal }) => nominal],
      ['lower_limit_seats', 'Seats that the level never lends.', ({ guaranteed }) => guaranteed],
      ['upper_limit_seats', 'Seats that the level may have with what it borrows.', ({ max }) => max],
    ];
    for (const [name, help, read] of gauges) {
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: ['priority_level'],
        registers,
        collect() {
          this.reset();
          for (const [priority_level, level] of scheduler.levels) this.set({ priority_level }, read(level));
        },
      });
    }
  }

  dispatched(level: string, schema: string): void {
    const key = `${level} ${schema}`;
    this.#dispatched.set(key, (this.#dispatched.get(key) ?? 0) + 1);
  }

  rejected(level: string, schema: string, reason: Refusal): void {
    this.#rejected.inc({ priority_level: level, flow_schema: schema, reason });
  }

  waited(level: string, schema: string, waitedMs: number): void {
    this.#waits.observe({ priority_level: level, flow_schema: schema }, waitedMs / 1000);
  }
}

interface LevelFigures {
  readonly waiting: number;
  readonly executing: number;
  readonly inUse: number;
  readonly nominal: number;
  readonly guaranteed: number;
  readonly max: number;
}
