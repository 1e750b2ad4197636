/**
 * Stops containers: preStop hook, SIGTERM, and SIGKILL when the grace period is over. A stop is under way in the
 * background; a later one with less time takes its place.
 */
import type { Container, EphemeralContainer, Pod } from '../api.ts';
import { STOP_GRACE_SECONDS_MIN } from '../limits.ts';
import { Announcer } from './announce.ts';
import type { PodContext } from './context.ts';
import { runHook } from './hooks.ts';
import { type ContainerRecord, findContainer, newContainerRecord, type PodRecord } from './record.ts';
import type { Action } from './step.ts';

type StopAction = Extract<Action, { type: 'stopContainer' }>;

export interface StopperOptions {
  readonly context: PodContext;
  readonly record: PodRecord;
  /** Runs work in the background; what it throws goes into the record. */
  readonly run: (work: () => Promise<void>) => void;
}

export class Stopper {
  readonly #options: StopperOptions;
  /** Stops under way by container id: aborting one ends its preStop hook. */
  readonly #stops = new Map<string, AbortController>();
  #isClosed = false;

  constructor(options: StopperOptions) {
    this.#options = options;
  }

  /** Begins to stop; the record says so from now on. */
  stop(pod: Pod, { container: name, id, graceSeconds, reason }: StopAction): void {
    const { context, run } = this.#options;
    const known = this.#knownOrNew(id);
    const isFirst = known.stop === undefined;
    known.stop = { reason, deadline: context.clock.now() + graceSeconds * 1000 };
    if (isFirst) new Announcer(context.recorder, pod).killing(name, reason);
    this.#stops.get(id)?.abort();
    const abort = new AbortController();
    this.#stops.set(id, abort);
    const container = isFirst ? findContainer(pod, name) : undefined;
    run(async () => {
      try {
        const usedMs = container ? await this.#preStop(pod, { container, id, graceSeconds, signal: abort.signal }) : 0;
        if (this.#stops.get(id) !== abort || this.#isClosed) return;
        const floor = usedMs > 0 ? STOP_GRACE_SECONDS_MIN : 0;
        await context.runtime.stopContainer(id, Math.max(floor, Math.ceil(graceSeconds - usedMs / 1000)));
        await context.view.refreshPod(pod.metadata?.uid ?? '');
      } catch (error) {
        // The step finds it running and not being stopped, and begins again after a while.
        known.stop = undefined;
        throw error;
      } finally {
        if (this.#stops.get(id) === abort) this.#stops.delete(id);
      }
    });
  }

  /** Ends hooks; what the runtime was asked already goes on. */
  close(): void {
    this.#isClosed = true;
    for (const abort of this.#stops.values()) abort.abort();
  }

  /** Runs the preStop hook within the grace period; gives how long it took. */
  async #preStop(
    pod: Pod,
    at: { container: Container | EphemeralContainer; id: string; graceSeconds: number; signal: AbortSignal },
  ): Promise<number> {
    const hook = at.container.lifecycle?.preStop;
    if (!hook || at.graceSeconds === 0) return 0;
    const { context, record } = this.#options;
    const { clock, runtime, recorder } = context;
    const startedAt = clock.now();
    const target = { runtime, clock, containerId: at.id, container: at.container, host: record.address ?? '' };
    const trouble = await runHook(target, hook, { timeoutMs: at.graceSeconds * 1000, signal: at.signal });
    if (trouble !== undefined && !at.signal.aborted)
      new Announcer(recorder, pod).tell('Warning', 'FailedPreStopHook', 'PreStopHook failed', at.container.name);
    return clock.now() - startedAt;
  }

  #knownOrNew(id: string): ContainerRecord {
    const { containers } = this.#options.record;
    const known = containers.get(id) ?? newContainerRecord({ hasPostStart: false, hasStartupProbe: false });
    containers.set(id, known);
    return known;
  }
}
