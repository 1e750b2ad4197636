/**
 * What a Deployment may make of the sizes of its ReplicaSets, looked at with each change of one. Only who gives a set its size
 * is judged here: a set that has it may replace each of its pods at any time, whatever else still stands.
 */
import type { Deployment, Pod, ReplicaSet } from '../../control/api/generated/types.ts';
import { DESIRED_REPLICAS } from '../../control/controllers/deployment-util.ts';
import { UNSEEN_WRITE_MS_MAX } from '../../control/controllers/limits.ts';
import { isActive, isFinished, isReady, uidOf } from './facts.ts';
import type { Readiness } from './readiness.ts';
import type { Recent } from './recent.ts';
import type { Shown } from './shown.ts';
import { controllerUid, type View } from './view.ts';

export interface RolloutJudgeOptions {
  readonly view: View;
  readonly now: () => number;
  /** How far behind a cache may be at most. */
  readonly lagMs: number;
  /** By a deployment's UID: `most` and `least` pods that it asked for, and whether it was `paused`. */
  readonly recent: Recent;
  readonly readiness: Readiness;
  /** What the leader's caches show. */
  readonly shown: () => Shown;
}

export class RolloutJudge {
  readonly #options: RolloutJudgeOptions;
  /** When sets got their size, by UID. */
  readonly #sizedMs = new Map<string, number>();

  constructor(options: RolloutJudgeOptions) {
    this.#options = options;
  }

  /** What is wrong with a ReplicaSet's new size, in words; undefined if nothing is. */
  find(before: ReplicaSet | undefined, after: ReplicaSet): string | undefined {
    const uid = controllerUid(after);
    const [old, wanted] = [sizeOf(before), sizeOf(after)];
    if (before === undefined || wanted !== old) this.#sizedMs.set(uidOf(after), this.#options.now());
    if (uid === undefined || wanted === old) return undefined;
    const deployment = this.#options.view.list<Deployment>('deployments').find(other => uidOf(other) === uid);
    if (wanted > old) return this.#findSurplus(uid, after) ?? this.#findCoexistence(deployment, before, after);
    return this.#findLack({ uid, deployment, before, after });
  }

  /** More pods than the wanted number and its surge. */
  #findSurplus(uid: string, set: ReplicaSet): string | undefined {
    const { view, recent } = this.#options;
    const sets = view.ownedBy<ReplicaSet>('replicasets', uid);
    const total = sets.reduce((sum, other) => sum + (other === set ? sizeOf(set) : this.#sizeAtLeast(other)), 0);
    const most = recent.most(`${uid} most`) ?? 0;
    return total > most ? `the ${nameOf(set)} asks for ${total} pods where ${most} are the most` : undefined;
  }

  /** Who has sized a set waits until its cache shows that, but not for ever; Kubernetes does not wait at all. */
  #sizeAtLeast(set: ReplicaSet): number {
    const { now, shown } = this.#options;
    const isUnforgotten = now() - (this.#sizedMs.get(uidOf(set)) ?? 0) < UNSEEN_WRITE_MS_MAX;
    return isUnforgotten ? sizeOf(set) : Math.min(sizeOf(set), shown().sizeAtLeast(uidOf(set)));
  }

  /** Fewer pods that may be available than there have to be. */
  #findLack({ uid, deployment, before, after }: Resizing): string | undefined {
    const { view, recent, shown } = this.#options;
    // One that is scaled in the middle of a rollout takes from all its sets by their share, as Kubernetes does, without
    // asking how many of whose pods are available.
    if (scaleOf(before) !== scaleOf(after)) return undefined;
    const sets = view.ownedBy<ReplicaSet>('replicasets', uid);
    const least = recent.least(`${uid} least`) ?? 0;
    // What the sets do not say yet passes for broken, and goes first.
    const certain = (set: ReplicaSet) =>
      Math.min(this.#available(set, deployment?.spec?.minReadySeconds ?? 0), shown().availableAtLeast(uidOf(set)));
    const hopeful = sets.reduce((sum, set) => sum + Math.min(sizeOf(set), this.#hopeful(set)), 0);
    const formerly = sets.reduce((sum, set) => sum + Math.min(sizeOf(set === after ? before : set), certain(set)), 0);
    return hopeful < Math.min(least, formerly)
      ? `the ${nameOf(after)} keeps ${hopeful} pods that may be available, of ${formerly}, where ${least} are the least`
      : undefined;
  }

  /**
   * A deployment of type Recreate that begins a set while it can see pods of another (k/k rolloutRecreate, oldPodsRunning).
   * Its cache may be behind, and then both kinds of pods stand side by side, in Kubernetes too.
   */
  #findCoexistence(
    deployment: Deployment | undefined,
    before: ReplicaSet | undefined,
    after: ReplicaSet,
  ): string | undefined {
    const { view, recent } = this.#options;
    if (deployment?.spec?.strategy?.type !== 'Recreate') return undefined;
    // Who is scaled, or scaled while paused, gets its size at once, whatever stands (k/k sync, scale).
    const isScaled = sizeOf(before) > 0 && scaleOf(before) !== scaleOf(after);
    if (isScaled || recent.most(`${uidOf(deployment)} paused`) === 1) return undefined;
    const seen = view
      .ownedBy<ReplicaSet>('replicasets', uidOf(deployment))
      .filter(other => uidOf(other) !== uidOf(after) && this.#isSeen(other))
      .flatMap(other => view.ownedBy<Pod>('pods', uidOf(other)))
      .find(pod => !isFinished(pod) && this.#isSeen(pod));
    return seen
      ? `the ${nameOf(after)}, of type Recreate, began it beside pod ${seen.metadata?.name}, which it could see`
      : undefined;
  }

  /** Whether the deployment's controller has to know of a pod or a set. */
  #isSeen(object: Pod | ReplicaSet): boolean {
    const { now, lagMs, shown } = this.#options;
    const isOld = now() - Date.parse(object.metadata?.creationTimestamp ?? '') > lagMs;
    return isOld || shown().hasSeen(uidOf(object));
  }

  /** Pods of a set that are available, whatever is known of them. */
  #available(set: ReplicaSet, minReadySeconds: number): number {
    const { view, now } = this.#options;
    const sinceMs = ({ status }: Pod) =>
      Date.parse(status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '');
    return view
      .ownedBy<Pod>('pods', uidOf(set))
      .filter(pod => isActive(pod) && isReady(pod) && now() - sinceMs(pod) >= minReadySeconds * 1000).length;
  }

  /** Pods of a set that anybody may believe to be available: its status is all that a rollout looks at, and may be old. */
  #hopeful(set: ReplicaSet): number {
    const { view, now, readiness } = this.#options;
    const present = view.ownedBy<Pod>('pods', uidOf(set)).filter(pod => isActive(pod) && readiness.was(pod, now()));
    const believed = readiness.mostAtOnce(pod => controllerUid(pod) === uidOf(set), now());
    return Math.max(present.length, believed);
  }
}

interface Resizing {
  readonly uid: string;
  readonly deployment: Deployment | undefined;
  readonly before: ReplicaSet | undefined;
  readonly after: ReplicaSet;
}

const sizeOf = (set: ReplicaSet | undefined): number => set?.spec?.replicas ?? 0;

/** The wanted number for which the deployment gave the set its size. */
const scaleOf = (set: ReplicaSet | undefined) => set?.metadata?.annotations?.[DESIRED_REPLICAS];

const nameOf = ({ metadata }: ReplicaSet) => `deployment of ${metadata?.name}`;
