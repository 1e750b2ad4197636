/**
 * Stops containers: preStop hook, SIGTERM, and SIGKILL when the grace period is over. A stop is under way in the
 * background; a later one with less time takes its place.
 */
import type { Pod } from '../api.ts';
import { STOP_GRACE_SECONDS_MIN } from '../limits.ts';
import { Announcer } from './announce.ts';
import type { PodContext } from './context.ts';
import { runHook } from './hooks.ts';
import { type ContainerRecord, findContainer, newContainerRecord, type PodRecord } from './record.ts';
import type { Action } from './step.ts';

type StopAction = Extract<Action, { type: 'stopContainer' }>;
type PreStopAction = Extract<Action, { type: 'runPreStop' }>;

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
    const abort = this.#begin(id);
    run(async () => {
      try {
        const startedAt = context.clock.now();
        if (known.preStop === undefined) await this.#preStop(pod, { name, id, graceSeconds, known }, abort.signal);
        if (this.#stops.get(id) !== abort || this.#isClosed) return;
        const left = Math.ceil(graceSeconds - (context.clock.now() - startedAt) / 1000);
        await context.runtime.stopContainer(id, Math.max(STOP_GRACE_SECONDS_MIN, left));
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

  /** Begins the hook of a container whose turn to end has not come. */
  runPreStop(pod: Pod, { container: name, id, graceSeconds }: PreStopAction): void {
    const known = this.#knownOrNew(id);
    const abort = this.#begin(id);
    // In this turn of the worker: it must not find that nothing has begun.
    const hook = this.#preStop(pod, { name, id, graceSeconds, known }, abort.signal);
    this.#options.run(async () => {
      await hook;
      if (this.#stops.get(id) === abort) this.#stops.delete(id);
    });
  }

  /** Ends hooks; what the runtime was asked already goes on. */
  close(): void {
    this.#isClosed = true;
    for (const abort of this.#stops.values()) abort.abort();
  }

  /** Takes the place of what was under way with the container. */
  #begin(id: string): AbortController {
    this.#stops.get(id)?.abort();
    const abort = new AbortController();
    this.#stops.set(id, abort);
    return abort;
  }

  /** Runs the hook within the grace period. Never rejects. */
  async #preStop(
    pod: Pod,
    { name, id, graceSeconds, known }: { name: string; id: string; graceSeconds: number; known: ContainerRecord },
    signal: AbortSignal,
  ): Promise<void> {
    const container = findContainer(pod, name);
    const hook = container?.lifecycle?.preStop;
    known.preStop = hook && graceSeconds > 0 ? 'running' : 'done';
    if (!container || !hook || graceSeconds === 0) return;
    const { context, record } = this.#options;
    const { clock, runtime, recorder } = context;
    const target = { runtime, clock, containerId: id, container, host: record.address ?? '' };
    const trouble = await runHook(target, hook, { timeoutMs: graceSeconds * 1000, signal });
    known.preStop = 'done';
    if (trouble !== undefined && !signal.aborted)
      new Announcer(recorder, pod).tell('Warning', 'FailedPreStopHook', 'PreStopHook failed', name);
  }

  #knownOrNew(id: string): ContainerRecord {
    const { containers } = this.#options.record;
    const known = containers.get(id) ?? newContainerRecord({ hasPostStart: false, hasStartupProbe: false });
    containers.set(id, known);
    return known;
  }
}
