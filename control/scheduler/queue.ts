/**
 * Pods that wait for a node: active ones are tried now, highest priority first; pods that failed wait out a back-off; pods that
 * no node would take sleep until something happens that may help them, or a while has passed.
 */
import type { Pod } from '../api/generated/types.ts';
import type { Clock } from '../client/clock.ts';
import {
  BACKOFF_MS_MAX,
  BACKOFF_MS_MIN,
  BACKOFF_POP_PODS_MAX,
  QUEUE_PODS_MAX,
  UNSCHEDULABLE_MS_MAX,
} from './limits.ts';
import { OrderedHeap } from './ordered-heap.ts';
import { describePod, type PodInfo } from './pod-info.ts';

export type WaitingState = 'active' | 'backOff' | 'unschedulable' | 'inFlight';

interface Waiting {
  pod: Pod;
  /** Made when it is first asked for. */
  info: PodInfo | undefined;
  attempts: number;
  /** When it came, or came back: who waits longer comes first. */
  sinceMs: number;
  /** Tells apart who came at the same time. */
  readonly sequence: number;
  /** Not before this time, whatever happens. */
  notBeforeMs: number;
  state: WaitingState;
  /** Plugins that refused it. */
  refusedBy: ReadonlySet<string>;
  /** Its victims are being evicted: it is not to be tried before all have been asked to go. */
  isHeld: boolean;
  /** Something that may help happened while it was held. */
  isStale: boolean;
  cancel: (() => void) | undefined;
}

export interface TakenPod {
  readonly pod: Pod;
  /** 1 at the first try. */
  readonly attempt: number;
}

export interface QueueOptions {
  readonly clock: Clock;
  readonly backoffMsMin?: number;
  readonly backoffMsMax?: number;
  readonly podsMax?: number;
}

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #backoff: { readonly minMs: number; readonly maxMs: number };
  readonly #podsMax: number;
  readonly #pods = new Map<string, Waiting>();
  /** UIDs of unschedulable pods by the plugins that refused them. */
  readonly #refused = new Map<string, Set<string>>();
  /** UIDs of pods that wait out a back-off though something may have helped them. */
  readonly #early = new Set<string>();
  /** Active pods, and some that have left meanwhile. */
  readonly #active = new OrderedHeap<Waiting>(comesBefore);
  #sequence = 0;
  #taker: ((pod: TakenPod | undefined) => void) | undefined;
  #isShutDown = false;

  constructor({ clock, backoffMsMin, backoffMsMax, podsMax }: QueueOptions) {
    this.#clock = clock;
    this.#backoff = { minMs: backoffMsMin ?? BACKOFF_MS_MIN, maxMs: backoffMsMax ?? BACKOFF_MS_MAX };
    this.#podsMax = podsMax ?? QUEUE_PODS_MAX;
  }

  get size(): number {
    return this.#pods.size;
  }

  has(uid: string): boolean {
    return this.#pods.has(uid);
  }

  /** True if a pod sleeps that {@link wake} could wake: if none does, nobody need find out what an event may help. */
  get hasSleepers(): boolean {
    return this.#refused.size > 0;
  }

  count(state: WaitingState): number {
    let count = 0;
    for (const waiting of this.#pods.values()) if (waiting.state === state) count++;
    return count;
  }

  /** A pod without a node was seen, for the first time or changed. False if there is no room for it. */
  put(pod: Pod): boolean {
    const uid = uidOf(pod);
    const known = this.#pods.get(uid);
    if (known) {
      known.pod = pod;
      known.info = undefined;
      return true;
    }
    if (this.#pods.size >= this.#podsMax) return false;
    const waiting: Waiting = {
      pod,
      info: undefined,
      attempts: 0,
      sinceMs: this.#clock.now(),
      sequence: this.#sequence++,
      notBeforeMs: 0,
      state: 'backOff',
      refusedBy: NOBODY,
      isHeld: false,
      isStale: false,
      cancel: undefined,
    };
    this.#pods.set(uid, waiting);
    this.#activate(uid, waiting);
    return true;
  }

  /** The pod has a node, is leaving, or is gone. */
  remove(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (!waiting) return;
    this.#leave(uid, waiting);
    this.#pods.delete(uid);
    if (this.#active.size > 2 * this.#pods.size + LEFT_OVER_MAX) {
      this.#active.keep(each => each.state === 'active' && this.#isHere(each));
    }
  }

  /** How many entries the list of active pods has, those of pods that have left included. */
  get activeEntries(): number {
    return this.#active.size;
  }

  /** The next pod to try; undefined after {@link shutDown}. One taker at a time. It stays until {@link remove} or a return. */
  take(): Promise<TakenPod | undefined> {
    if (this.#isShutDown) return Promise.resolve(undefined);
    const next = this.#pop() ?? this.#popEarly();
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
    waiting.sinceMs = this.#clock.now();
    waiting.notBeforeMs = this.#clock.now() + this.#backoffMs(waiting.attempts);
    waiting.state = 'unschedulable';
    waiting.cancel = this.#clock.setTimeout(() => this.#activate(uid, waiting), UNSCHEDULABLE_MS_MAX);
    for (const plugin of refusedBy) {
      const uids = this.#refused.get(plugin) ?? new Set<string>();
      uids.add(uid);
      this.#refused.set(plugin, uids);
    }
  }

  /** Something failed that has nothing to do with the cluster's room: tried again after its back-off. */
  putFailed(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (!waiting) return;
    waiting.sinceMs = this.#clock.now();
    waiting.notBeforeMs = this.#clock.now() + this.#backoffMs(waiting.attempts);
    this.#backOff(uid, waiting, { mayBeEarly: false });
  }

  /** Does not try the pod again before {@link release}. */
  hold(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (waiting) waiting.isHeld = true;
  }

  /** `isFailed`: what it was held for did not happen, so it is tried as soon as may be. */
  release(uid: string, isFailed: boolean): void {
    const waiting = this.#pods.get(uid);
    if (!waiting?.isHeld) return;
    waiting.isHeld = false;
    if (waiting.state === 'unschedulable' && (waiting.isStale || isFailed)) {
      this.#backOff(uid, waiting, { mayBeEarly: !isFailed });
    }
    waiting.isStale = false;
  }

  /** Wakes the sleeping pods that the plugin refused and that `mayHelp` picks. */
  wake(plugin: string, mayHelp: (pod: PodInfo) => boolean): void {
    const uids = this.#refused.get(plugin);
    if (!uids || uids.size === 0) return;
    for (const uid of [...uids]) {
      const waiting = this.#pods.get(uid);
      if (!waiting) continue;
      waiting.info ??= describePod(waiting.pod);
      if (mayHelp(waiting.info)) this.#wake(uid, waiting);
    }
  }

  /** Wakes one pod if it sleeps. */
  wakeOne(uid: string): void {
    const waiting = this.#pods.get(uid);
    if (waiting?.state === 'unschedulable') this.#wake(uid, waiting);
  }

  /** Plugins that refused the pod, if it sleeps. */
  refusedBy(uid: string): ReadonlySet<string> {
    const waiting = this.#pods.get(uid);
    return waiting?.state === 'unschedulable' ? waiting.refusedBy : NOBODY;
  }

  shutDown(): void {
    this.#isShutDown = true;
    for (const { cancel } of this.#pods.values()) cancel?.();
    this.#pods.clear();
    this.#taker?.(undefined);
    this.#taker = undefined;
  }

  #wake(uid: string, waiting: Waiting): void {
    if (waiting.isHeld) waiting.isStale = true;
    else this.#backOff(uid, waiting, { mayBeEarly: true });
  }

  #backOff(uid: string, waiting: Waiting, { mayBeEarly }: { readonly mayBeEarly: boolean }): void {
    this.#leave(uid, waiting);
    const delayMs = waiting.notBeforeMs - this.#clock.now();
    const isEarly = mayBeEarly && this.#taker !== undefined && this.#early.size < BACKOFF_POP_PODS_MAX;
    if (delayMs <= 0 || isEarly) {
      this.#activate(uid, waiting);
      return;
    }
    waiting.state = 'backOff';
    if (mayBeEarly) this.#early.add(uid);
    waiting.cancel = this.#clock.setTimeout(() => this.#activate(uid, waiting), delayMs);
  }

  /** Takes the pod out of wherever it waits, the active ones apart. */
  #leave(uid: string, waiting: Waiting): void {
    waiting.cancel?.();
    waiting.cancel = undefined;
    this.#early.delete(uid);
    for (const plugin of waiting.refusedBy) {
      const uids = this.#refused.get(plugin);
      uids?.delete(uid);
      if (uids?.size === 0) this.#refused.delete(plugin);
    }
  }

  #activate(uid: string, waiting: Waiting): void {
    if (this.#isShutDown) return;
    this.#leave(uid, waiting);
    waiting.state = 'active';
    this.#active.push(waiting);
    const taker = this.#taker;
    if (!taker) return;
    this.#taker = undefined;
    taker(this.#pop());
  }

  #isHere(waiting: Waiting): boolean {
    return this.#pods.get(uidOf(waiting.pod)) === waiting;
  }

  #pop(): TakenPod | undefined {
    let waiting = this.#active.pop();
    while (waiting && !this.#isHere(waiting)) waiting = this.#active.pop();
    if (!waiting) return undefined;
    waiting.state = 'inFlight';
    waiting.isHeld = false;
    waiting.isStale = false;
    waiting.attempts++;
    return { pod: waiting.pod, attempt: waiting.attempts };
  }

  /** An idle scheduler need not wait for back-offs to end (KEP-5142): of those, the highest priority, then the first due. */
  #popEarly(): TakenPod | undefined {
    if (this.#early.size > BACKOFF_POP_PODS_MAX) return undefined;
    let chosen: { readonly uid: string; readonly waiting: Waiting } | undefined;
    for (const uid of this.#early) {
      const waiting = this.#pods.get(uid);
      if (waiting && (!chosen || isDueBefore(waiting, chosen.waiting))) chosen = { uid, waiting };
    }
    if (!chosen) return undefined;
    this.#activate(chosen.uid, chosen.waiting);
    return this.#pop();
  }

  #backoffMs(attempts: number): number {
    const { minMs, maxMs } = this.#backoff;
    return Math.min(minMs * 2 ** Math.max(0, Math.min(attempts, 20) - 1), maxMs);
  }
}

/** Entries of pods that have left, beyond as many as there are pods. */
const LEFT_OVER_MAX = 1_000;
const NOBODY: ReadonlySet<string> = new Set();
const uidOf = (pod: Pod) => pod.metadata?.uid ?? '';
const priorityOf = (pod: Pod) => pod.spec?.priority ?? 0;

/** By priority, then by how long they have waited (k/k PrioritySort). */
function comesBefore(a: Waiting, b: Waiting): boolean {
  const difference = priorityOf(a.pod) - priorityOf(b.pod) || b.sinceMs - a.sinceMs || b.sequence - a.sequence;
  return difference > 0;
}

function isDueBefore(a: Waiting, b: Waiting): boolean {
  const difference = priorityOf(a.pod) - priorityOf(b.pod);
  return difference > 0 || (difference === 0 && a.notBeforeMs < b.notBeforeMs);
}
