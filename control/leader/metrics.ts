/**
 * What scheduler and controllers count, under the names that Prometheus knows from kube-scheduler and
 * kube-controller-manager (k/k pkg/scheduler/metrics, component-base/metrics/prometheus/workqueue).
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ControllerMetrics } from '../client/controller.ts';
import type { SchedulerMetrics } from '../scheduler/scheduler.ts';

/** From a millisecond to half a minute: most reconciliations take a few. */
const WORK_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];
/** As kube-scheduler has them: powers of two from a millisecond. */
const ATTEMPT_BUCKETS = Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power);
/** States of waiting pods, and what kube-scheduler calls their queues. */
const QUEUES = { active: 'active', backOff: 'backoff', unschedulable: 'unschedulable' } as const;

export interface LeaderMetricsOptions {
  /** What is in use of the thread's heap. */
  readonly heapBytes: () => number;
  /** How late its event loop came in one of a hundred turns since it was last asked, in milliseconds. */
  readonly loopDelayMs: () => number;
}
export interface LeaderMetrics {
  readonly controllers: ControllerMetrics;
  readonly scheduler: SchedulerMetrics;
  /** All of it in Prometheus' text form. */
  text(): Promise<string>;
}

export function leaderMetrics({ heapBytes, loopDelayMs }: LeaderMetricsOptions): LeaderMetrics {
  const registry = new Registry();
  new Gauge({
    name: 'raftsman_leader_heap_bytes',
    help: 'What is in use of the JavaScript heap of the thread of scheduler and controllers.',
    registers: [registry],
    collect() {
      this.set(heapBytes());
    },
  });
  new Gauge({
    name: 'raftsman_leader_event_loop_delay_p99_seconds',
    help: 'How late the event loop of that thread came in one of a hundred turns, since this was last asked.',
    registers: [registry],
    collect() {
      this.set(loopDelayMs() / 1000);
    },
  });
  return {
    controllers: controllerMetrics(registry),
    scheduler: schedulerMetrics(registry),
    text: () => registry.metrics(),
  };
}

function controllerMetrics(registry: Registry): ControllerMetrics {
  const queues = new Map<string, { readonly length: number }>();
  new Gauge({
    name: 'workqueue_depth',
    help: 'Keys that wait for a worker, by controller.',
    labelNames: ['name'],
    registers: [registry],
    collect() {
      for (const [name, { length }] of queues) this.set({ name }, length);
    },
  });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Reconciliations that failed and come again.',
    labelNames: ['name'],
    registers: [registry],
  });
  const work = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long a reconciliation took, its requests included.',
    labelNames: ['name'],
    buckets: WORK_BUCKETS,
    registers: [registry],
  });
  return {
    started: (name, queue) => void queues.set(name, queue),
    reconciled({ controller: name, durationMs, failed }) {
      work.observe({ name }, durationMs / 1000);
      if (failed) retries.inc({ name });
    },
  };
}

function schedulerMetrics(registry: Registry): SchedulerMetrics {
  let waiting: Parameters<SchedulerMetrics['started']>[0] | undefined;
  new Gauge({
    name: 'scheduler_pending_pods',
    help: 'Pods that wait for a node, by queue.',
    labelNames: ['queue'],
    registers: [registry],
    collect() {
      for (const [state, queue] of Object.entries(QUEUES)) {
        this.set({ queue }, waiting?.count(state as keyof typeof QUEUES) ?? 0);
      }
    },
  });
  const labelNames = ['result', 'profile'];
  const attempts = new Counter({
    name: 'scheduler_schedule_attempts_total',
    help: 'Decisions about pods, by what came of them.',
    labelNames,
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'scheduler_scheduling_attempt_duration_seconds',
    help: 'How long a decision took, without the binding that follows it.',
    labelNames,
    buckets: ATTEMPT_BUCKETS,
    registers: [registry],
  });
  return {
    started(queue) {
      waiting = queue;
    },
    decided({ placed, profile, durationMs }) {
      const labels = { result: placed ? 'scheduled' : 'unschedulable', profile };
      attempts.inc(labels);
      durations.observe(labels, durationMs / 1000);
    },
  };
}
