/**
 * Pods that wait for a node: active ones are tried now, highest priority first; pods that failed wait out a back-off; pods that
 * no node would take sleep until something happens that may help them, or a while has passed.
 */
import type { Pod } from '../api/generated/types.ts';
import type { Clock } from '../client/clock.ts';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, UNSCHEDULABLE_MS_MAX } from './limits.ts';

interface Waiting {
  pod: Pod;
  attempts: number;
  /** Not before this time, whatever happens. */
  notBeforeMs: number;
  state: 'active' | 'backOff' | 'unschedulable' | 'inFlight';
  /** Plugins that refused it. */
  refusedBy: ReadonlySet<string>;
  /** Something that may help happened while it was being tried. */
  isStale: boolean;
  cancel: (() => void) | undefined;
}

export interface TakenPod {
  readonly pod: Pod;
  /** 1 at the first try. */
  readonly attempt: number;
}

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #pods = new Map<string, Waiting>();
  /** UIDs of pods that are unschedulable or in flight: all that {@link wake} has to look at. */
  readonly #wakeable = new Set<string>();
  /** UIDs of active pods by priority, in order of arrival. */
  readonly #active = new Map<number, Set<string>>();
  #taker: ((pod: TakenPod | undefined) => void) | undefined;
  #isShutDown = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#pods.size;
  }

  count(state: Waiting['state']): number {
    return [...this.#pods.values()].filter(waiting => waiting.state === state).length;
  }

  /** A pod without a node was seen, for the first time or changed. A change of its spec is worth another try. */
  put(pod: Pod): void {
    const uid = uidOf(pod);
    const known = this.#pods.get(uid);
    if (!known) {
      const waiting: Waiting = {
        pod,
        attempts: 0,
        notBeforeMs: 0,
        state: 'backOff',
        refusedBy: new Set(),
        isStale: false,
        cancel: undefined,
      };
      this.#pods.set(uid, waiting);
      this.#activate(uid, waiting);
      return;
    }
    const isChanged = isDifferent(known.pod, pod);
    known.pod = pod;
    if (isChanged) this.#wake(uid, known);
  }

  /** The pod has a node, is leaving, or is gone. */
  remove(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (!waiting) return;
    waiting.cancel?.();
    this.#active.get(priorityOf(waiting.pod))?.delete(uid);
    this.#pods.delete(uid);
    this.#wakeable.delete(uid);
  }

  /** The next pod to try; undefined after {@link shutDown}. One taker at a time. It stays until {@link remove} or a return. */
  take(): Promise<TakenPod | undefined> {
    if (this.#isShutDown) return Promise.resolve(undefined);
    const next = this.#pop();
    if (next) return Promise.resolve(next);
    return new Promise(resolve => {
      this.#taker = resolve;
    });
  }

  /** No node would take it: sleeps until {@link wake} says that one of these plugins may change its mind. */
  putUnschedulable(uid: string, refusedBy: ReadonlySet<string>): void {
    const waiting = this.#pods.get(uid);
    if (!waiting) return;
    waiting.refusedBy = refusedBy;
    waiting.notBeforeMs = this.#clock.now() + backoffMs(waiting.attempts);
    if (waiting.isStale) {
      this.#backOff(uid, waiting);
      return;
    }
    waiting.state = 'unschedulable';
    waiting.cancel = this.#clock.setTimeout(() => this.#activate(uid, waiting), UNSCHEDULABLE_MS_MAX);
  }

  /** Something failed that has nothing to do with the cluster's room: tried again after its back-off. */
  putFailed(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (!waiting) return;
    waiting.notBeforeMs = this.#clock.now() + backoffMs(waiting.attempts);
    this.#backOff(uid, waiting);
  }

  /** Wakes the sleeping pods that `mayHelp` picks by the plugins that refused them. */
  wake(mayHelp: (refusedBy: ReadonlySet<string>, pod: Pod) => boolean): void {
    for (const uid of [...this.#wakeable]) {
      const waiting = this.#pods.get(uid);
      if (waiting && (waiting.state === 'inFlight' || mayHelp(waiting.refusedBy, waiting.pod)))
        this.#wake(uid, waiting);
    }
  }

  shutDown(): void {
    this.#isShutDown = true;
    for (const { cancel } of this.#pods.values()) cancel?.();
    this.#pods.clear();
    this.#taker?.(undefined);
    this.#taker = undefined;
  }

  #wake(uid: string, waiting: Waiting): void {
    if (waiting.state === 'inFlight') waiting.isStale = true;
    else if (waiting.state === 'unschedulable') this.#backOff(uid, waiting);
  }

  #backOff(uid: string, waiting: Waiting): void {
    waiting.cancel?.();
    this.#wakeable.delete(uid);
    const delayMs = waiting.notBeforeMs - this.#clock.now();
    if (delayMs <= 0) {
      this.#activate(uid, waiting);
      return;
    }
    waiting.state = 'backOff';
    waiting.cancel = this.#clock.setTimeout(() => this.#activate(uid, waiting), delayMs);
  }

  #activate(uid: string, waiting: Waiting): void {
    if (this.#isShutDown) return;
    waiting.cancel?.();
    waiting.cancel = undefined;
    waiting.state = 'active';
    this.#wakeable.delete(uid);
    const priority = priorityOf(waiting.pod);
    const set = this.#active.get(priority);
    if (set) set.add(uid);
    else this.#active.set(priority, new Set([uid]));
    const taker = this.#taker;
    if (!taker) return;
    this.#taker = undefined;
    taker(this.#pop());
  }

  #pop(): TakenPod | undefined {
    let highest: number | undefined;
    for (const [priority, uids] of this.#active) {
      if (uids.size === 0) this.#active.delete(priority);
      else if (highest === undefined || priority > highest) highest = priority;
    }
    if (highest === undefined) return undefined;
    const uids = this.#active.get(highest);
    const uid = uids?.values().next().value;
    const waiting = uid === undefined ? undefined : this.#pods.get(uid);
    if (uid === undefined || !waiting) return undefined;
    uids?.delete(uid);
    waiting.state = 'inFlight';
    this.#wakeable.add(uid);
    waiting.isStale = false;
    waiting.attempts++;
    return { pod: waiting.pod, attempt: waiting.attempts };
  }
}

const uidOf = (pod: Pod) => pod.metadata?.uid ?? '';
const priorityOf = (pod: Pod) => pod.spec?.priority ?? 0;
const backoffMs = (attempts: number) =>
  Math.min(BACKOFF_MS_MIN * 2 ** Math.max(0, Math.min(attempts, 20) - 1), BACKOFF_MS_MAX);

/** Status writes, our own conditions above all, are no reason to try again. */
function isDifferent(old: Pod, pod: Pod): boolean {
  return (
    old.metadata?.generation !== pod.metadata?.generation ||
    JSON.stringify([old.metadata?.labels, old.spec]) !== JSON.stringify([pod.metadata?.labels, pod.spec])
  );
}
