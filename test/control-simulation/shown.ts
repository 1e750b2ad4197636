/** What a leader's caches of pods and ReplicaSets show: it decides by them, however far they are behind. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { ReplicaSet } from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import type { Informers } from '../../control/client/informers.ts';
import { uidOf } from './facts.ts';
import { Recent } from './recent.ts';
import { controllerUid } from './view.ts';

/**
 * What a cache has shown for so long, whoever writes now has seen: a reconciliation reads it and then writes, which a client
 * tries again up to five times, a second apart (RETRY_AFTER_ATTEMPTS_MAX). By what it has shown since, it may have decided.
 */
const DECISION_MS = 10_000;

export class Shown {
  readonly #now: () => number;
  /** Since when an object is shown under the controller that it has, by UID. */
  readonly #sinceMs = new Map<string, number>();
  /** Of sets, by UID: their size, and how many of their pods they say are `available`. */
  readonly #recent: Recent;

  constructor(now: () => number) {
    this.#now = now;
    this.#recent = new Recent(DECISION_MS, now);
  }

  /** Follows the caches of a leader, whose controllers have asked for them before. */
  follow(informers: Informers): void {
    for (const kind of [kinds.pods, kinds.replicasets]) {
      const informer = informers.for<KubernetesObject>(kind);
      informer.addHandler({
        // Nothing is decided before all that there is has been listed once.
        added: object => this.note(object, informer.hasSynced ? undefined : object),
        updated: (object, old) => this.note(object, old),
        deleted: object => this.forget(object),
      });
    }
  }

  /** The caches show this from now on, and what it was before; the same if nobody went by them before. */
  note(object: KubernetesObject, old?: KubernetesObject): void {
    const uid = uidOf(object);
    const isSame = old && uidOf(old) === uid && controllerUid(old) === controllerUid(object);
    if (!isSame || !this.#sinceMs.has(uid)) this.#sinceMs.set(uid, this.#now());
    const { spec, status } = object as ReplicaSet;
    if (spec?.replicas === undefined) return;
    if (!old) this.#set(uid, 0, 0);
    this.#set(uid, spec.replicas, status?.availableReplicas ?? 0);
  }

  forget(object: KubernetesObject): void {
    this.#sinceMs.delete(uidOf(object));
    this.#set(uidOf(object), 0, 0);
  }

  /** Whether the leader has to know of an object. */
  hasSeen(uid: string): boolean {
    const sinceMs = this.#sinceMs.get(uid);
    return sinceMs !== undefined && this.#now() - sinceMs >= DECISION_MS;
  }

  /** The smallest size of a set that the leader may go by. */
  sizeAtLeast(uid: string): number {
    return this.#recent.least(`${uid} size`) ?? 0;
  }

  /** The fewest available pods of a set that the leader may go by. */
  availableAtLeast(uid: string): number {
    return this.#recent.least(`${uid} available`) ?? 0;
  }

  #set(uid: string, size: number, available: number): void {
    this.#recent.set(`${uid} size`, size);
    this.#recent.set(`${uid} available`, available);
  }
}
