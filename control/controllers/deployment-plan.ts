/**
 * What a Deployment needs next. One call plans one step: create the ReplicaSet of a new template, or resize ReplicaSets within
 * the bounds of surge and unavailability, or remove old ones; the status is part of the answer. Running it on its own result
 * plans nothing. The steps follow k/k pkg/controller/deployment. Pure.
 */

import { deployments as deploymentsKind } from '../api/generated/kinds.ts';
import type { Deployment, DeploymentStatus, ReplicaSet } from '../api/generated/types.ts';
import { wantsRollback } from './deployment-rollback.ts';
import {
  condition,
  hasProgressDeadline,
  isComplete,
  nextDeadlineMs,
  pauseCondition,
  planDeploymentStatus,
  planRolloutStatus,
  setCondition,
} from './deployment-status.ts';
import {
  byAge,
  DESIRED_REPLICAS,
  desiredReplicas,
  HASH_LABEL,
  hasTemplate,
  inheritedAnnotations,
  isRolling,
  MAX_REPLICAS,
  REVISION,
  REVISION_HISTORY,
  replicasOf,
  revisionOf,
  rollingBounds,
  sizeAnnotations,
  sizeIn,
  withPastRevision,
} from './deployment-util.ts';
import { controllerReference } from './owners.ts';
import { templateHash } from './template-hash.ts';

export interface DeploymentState {
  readonly deployment: Deployment;
  /** Those that it controls. */
  readonly sets: readonly ReplicaSet[];
  /** A pod of an old ReplicaSet still runs or is still leaving; only asked when recreating. */
  readonly hasOldPods: boolean;
  readonly nowMs: number;
}

export interface SetUpdate {
  readonly old: ReplicaSet;
  readonly next: ReplicaSet;
}

export interface DeploymentPlan {
  readonly create: ReplicaSet | undefined;
  /** In the order in which they are to be made, and only after a creation that succeeded. */
  readonly updates: readonly SetUpdate[];
  readonly remove: readonly ReplicaSet[];
  /** The Deployment's revision annotation, if it has to change. */
  readonly revision: string | undefined;
  readonly status: DeploymentStatus;
  readonly afterMs: number | undefined;
}

export function planDeployment(state: DeploymentState): DeploymentPlan {
  return new Planner(state).plan();
}

/** The state of one planning: ReplicaSets are replaced in it as they are resized. */
class Planner {
  readonly #deployment: Deployment;
  readonly #hasOldPods: boolean;
  readonly #nowMs: number;
  readonly #originals: ReadonlyMap<string, ReplicaSet>;
  /** By UID, as they will be. The order of changes is the order of insertion into `#changed`. */
  readonly #sets: Map<string, ReplicaSet>;
  readonly #changed = new Set<string>();
  readonly #newUid: string | undefined;
  readonly #desired: number;

  constructor({ deployment, sets, hasOldPods, nowMs }: DeploymentState) {
    this.#deployment = deployment;
    this.#hasOldPods = hasOldPods;
    this.#nowMs = nowMs;
    this.#desired = desiredReplicas(deployment);
    this.#originals = new Map(sets.toSorted(byAge).map(set => [uidOf(set), set]));
    this.#sets = new Map(this.#originals);
    const current = [...this.#sets.values()].find(set => hasTemplate(set, deployment.spec?.template));
    this.#newUid = current && uidOf(current);
  }

  plan(): DeploymentPlan {
    if (this.#deployment.metadata?.deletionTimestamp) return this.#answer({ isRollout: false });
    this.#refreshNewSet();
    if (this.#deployment.spec?.paused || this.#isScalingEvent()) {
      this.#scale();
      // A rollback that waits may be to any of the history.
      const isTidied = this.#deployment.spec?.paused === true && !wantsRollback(this.#deployment);
      return this.#answer({ isRollout: false, remove: isTidied ? this.#planCleanup() : [] });
    }
    return isRolling(this.#deployment) ? this.#planRolling() : this.#planRecreate();
  }

  get #new(): ReplicaSet | undefined {
    return this.#newUid === undefined ? undefined : this.#sets.get(this.#newUid);
  }

  /** Oldest first. */
  get #old(): ReplicaSet[] {
    return [...this.#sets.values()].filter(set => uidOf(set) !== this.#newUid);
  }

  #planRolling(): DeploymentPlan {
    if (!this.#new) {
      const create = this.#newReplicaSet();
      this.#shrinkOld(create);
      return this.#answer({ isRollout: true, create });
    }
    if (!this.#growNew()) this.#shrinkOld(this.#new);
    return this.#answer({ isRollout: true, remove: this.#planCleanupIfComplete() });
  }

  #planRecreate(): DeploymentPlan {
    const old = this.#old.filter(set => replicasOf(set) > 0);
    for (const set of old) this.#resize(set, 0);
    // Either may be ahead of the other: the cache of pods, or what the old ReplicaSets say (k/k oldPodsRunning).
    const isCounted = this.#old.some(({ status }) => (status?.replicas ?? 0) > 0);
    if (old.length > 0 || isCounted || this.#hasOldPods) return this.#answer({ isRollout: true });
    if (!this.#new) return this.#answer({ isRollout: true, create: this.#newReplicaSet() });
    this.#resize(this.#new, this.#desired);
    return this.#answer({ isRollout: true, remove: this.#planCleanupIfComplete() });
  }

  /** Brings the new ReplicaSet's annotations and minReadySeconds up to date: an undo makes an old one the newest. */
  #refreshNewSet(): void {
    const set = this.#new;
    if (!set) return;
    const annotations = { ...set.metadata?.annotations, ...inheritedAnnotations(this.#deployment) };
    const revision = this.#nextRevision();
    const known = revisionOf(set);
    if (known < revision) {
      annotations[REVISION] = String(revision);
      if (known > 0n) annotations[REVISION_HISTORY] = withPastRevision(annotations[REVISION_HISTORY], known);
    }
    this.#replace(set, { annotations, minReadySeconds: this.#deployment.spec?.minReadySeconds });
  }

  #nextRevision(): bigint {
    return this.#old.map(revisionOf).reduce((highest, each) => (each > highest ? each : highest), 0n) + 1n;
  }

  #newReplicaSet(): ReplicaSet {
    const { metadata, spec } = this.#deployment;
    const hash = templateHash(spec?.template, this.#deployment.status?.collisionCount);
    const labels = { ...spec?.template?.metadata?.labels, [HASH_LABEL]: hash };
    return {
      metadata: {
        name: `${metadata?.name}-${hash}`,
        namespace: metadata?.namespace ?? '',
        labels,
        annotations: {
          ...inheritedAnnotations(this.#deployment),
          [REVISION]: String(this.#nextRevision()),
          ...sizeAnnotations(this.#deployment),
        },
        ownerReferences: [controllerReference(deploymentsKind, this.#deployment)],
      },
      spec: {
        replicas: this.#newSize(0),
        ...(spec?.minReadySeconds && { minReadySeconds: spec.minReadySeconds }),
        selector: {
          ...spec?.selector,
          matchLabels: { ...spec?.selector?.matchLabels, [HASH_LABEL]: hash },
        },
        template: { ...spec?.template, metadata: { ...spec?.template?.metadata, labels } },
      },
    };
  }

  /** How large the new ReplicaSet may be now: surge allows so many beyond the wanted number in all. */
  #newSize(present: number): number {
    if (!isRolling(this.#deployment)) return this.#desired;
    const room = this.#desired + rollingBounds(this.#deployment).maxSurge - this.#total();
    return room <= 0 ? present : present + Math.min(room, this.#desired - present);
  }

  #growNew(): boolean {
    const set = this.#new;
    if (!set) return false;
    const present = replicasOf(set);
    if (present === this.#desired) return false;
    return this.#resize(set, present > this.#desired ? this.#desired : this.#newSize(present));
  }

  /** Takes away old replicas, those that do not work first, so that enough available ones remain. */
  #shrinkOld(newSet: ReplicaSet): void {
    if (this.#old.every(old => replicasOf(old) === 0)) return;
    const minAvailable = this.#desired - rollingBounds(this.#deployment).maxUnavailable;
    const oldTotal = this.#old.reduce((sum, old) => sum + replicasOf(old), 0);
    let removable = oldTotal + available(newSet) - minAvailable;
    for (const old of this.#old) {
      if (removable <= 0) return;
      const broken = Math.min(removable, Math.max(0, replicasOf(old) - available(old)));
      if (broken > 0) this.#resize(old, replicasOf(old) - broken);
      removable -= broken;
    }
    let spare = [...this.#sets.values()].reduce((sum, each) => sum + available(each), 0) - minAvailable;
    for (const old of this.#old) {
      if (spare <= 0) return;
      const count = Math.min(spare, replicasOf(old));
      if (count > 0) this.#resize(old, replicasOf(old) - count);
      spare -= count;
    }
  }

  /** The wanted number changed since some ReplicaSet was sized. Several are scaled in proportion only where they may live together. */
  #isScalingEvent(): boolean {
    const active = [...this.#sets.values()].filter(set => replicasOf(set) > 0);
    if (active.length > 1 && !isRolling(this.#deployment)) return false;
    return active.some(set => (sizeIn(set, DESIRED_REPLICAS) ?? this.#desired) !== this.#desired);
  }

  /** Resizes without rolling: the only active ReplicaSet, or all in proportion. */
  #scale(): void {
    const active = [...this.#sets.values()].filter(set => replicasOf(set) > 0);
    if (active.length <= 1) {
      const only = active[0] ?? this.#new ?? this.#old.at(-1);
      if (only) this.#resize(only, this.#desired);
      return;
    }
    if (this.#new && this.#isSaturated(this.#new)) {
      for (const old of active) if (uidOf(old) !== this.#newUid) this.#resize(old, 0);
      return;
    }
    if (isRolling(this.#deployment)) this.#scaleInProportion(active);
  }

  #isSaturated(set: ReplicaSet): boolean {
    const sizedFor = sizeIn(set, DESIRED_REPLICAS);
    return replicasOf(set) === this.#desired && sizedFor === this.#desired && available(set) === this.#desired;
  }

  /** Shares what is to be added or removed by size, so that a rollout under way keeps its mixture and its risk. */
  #scaleInProportion(active: readonly ReplicaSet[]): void {
    const allowed = this.#desired > 0 ? this.#desired + rollingBounds(this.#deployment).maxSurge : 0;
    const toAdd = allowed - active.reduce((sum, set) => sum + replicasOf(set), 0);
    const bySize = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byAge(b, a) : byAge(a, b)));
    let added = 0;
    const sizes = bySize.map(set => {
      const share = toAdd === 0 ? 0 : this.#share(set, allowed, toAdd - added);
      added += share;
      return replicasOf(set) + share;
    });
    for (const [index, set] of bySize.entries()) {
      const leftover = index === 0 ? toAdd - added : 0;
      this.#resize(set, Math.max(0, (sizes[index] ?? 0) + leftover));
    }
  }

  #share(set: ReplicaSet, allowed: number, left: number): number {
    const size = replicasOf(set);
    const sizedFor = sizeIn(set, MAX_REPLICAS) || this.#deployment.status?.replicas || allowed;
    const share = this.#desired === 0 ? -size : Math.round((size * allowed) / sizedFor) - size;
    return left > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left));
  }

  #planCleanupIfComplete(): ReplicaSet[] {
    const status = planDeploymentStatus(this.#statusInput());
    return isComplete(this.#deployment, status) ? this.#planCleanup() : [];
  }

  /** Old ReplicaSets beyond the history, the lowest revisions first, and only such as are empty. */
  #planCleanup(): ReplicaSet[] {
    const limit = this.#deployment.spec?.revisionHistoryLimit ?? Number.POSITIVE_INFINITY;
    const old = this.#old.filter(({ metadata }) => !metadata?.deletionTimestamp);
    const surplus = Math.max(0, old.length - limit);
    return old
      .toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)))
      .slice(0, surplus)
      .filter(
        set =>
          replicasOf(set) === 0 &&
          (set.status?.replicas ?? 0) === 0 &&
          (set.metadata?.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
      );
  }

  #total(): number {
    return [...this.#sets.values()].reduce((sum, set) => sum + replicasOf(set), 0);
  }

  /** True if the number of replicas changes; its annotations may in any case. */
  #resize(set: ReplicaSet, replicas: number): boolean {
    const present = this.#sets.get(uidOf(set)) ?? set;
    this.#replace(present, {
      replicas,
      annotations: { ...present.metadata?.annotations, ...sizeAnnotations(this.#deployment) },
    });
    return replicas !== replicasOf(set);
  }

  #replace(
    set: ReplicaSet,
    change: { replicas?: number; annotations: Record<string, string>; minReadySeconds?: number | undefined },
  ): void {
    const before = set.metadata?.annotations ?? {};
    const replicas = change.replicas ?? replicasOf(set);
    const minReadySeconds =
      'minReadySeconds' in change ? (change.minReadySeconds ?? 0) : (set.spec?.minReadySeconds ?? 0);
    const isSame =
      replicas === replicasOf(set) &&
      minReadySeconds === (set.spec?.minReadySeconds ?? 0) &&
      Object.entries(change.annotations).every(([name, value]) => before[name] === value);
    if (isSame || !set.spec) return;
    const { minReadySeconds: _, ...spec } = set.spec;
    this.#sets.set(uidOf(set), {
      ...set,
      metadata: { ...set.metadata, annotations: change.annotations },
      spec: { ...spec, replicas, ...(minReadySeconds > 0 && { minReadySeconds }) },
    });
    this.#changed.add(uidOf(set));
  }

  #answer({
    isRollout,
    create,
    remove = [],
  }: {
    isRollout: boolean;
    create?: ReplicaSet;
    remove?: readonly ReplicaSet[];
  }): DeploymentPlan {
    const input = this.#statusInput();
    const status = isRollout ? planRolloutStatus(input) : planDeploymentStatus(input);
    const newest = create ?? this.#new;
    const revision = newest && String(revisionOf(newest));
    const isLeaving = this.#deployment.metadata?.deletionTimestamp !== undefined;
    return {
      create,
      updates: [...this.#changed].map(
        uid => ({ old: this.#originals.get(uid), next: this.#sets.get(uid) }) as SetUpdate,
      ),
      remove,
      revision: isLeaving || revision === this.#deployment.metadata?.annotations?.[REVISION] ? undefined : revision,
      status,
      afterMs: nextDeadlineMs(this.#deployment, status, this.#nowMs),
    };
  }

  #statusInput() {
    const known = this.#deployment.status?.conditions ?? [];
    const pause = pauseCondition(this.#deployment, known);
    let conditions = pause ? setCondition(known, pause, this.#nowMs) : known;
    const hasProgress = conditions.some(({ type }) => type === 'Progressing');
    if (this.#new && !hasProgress && hasProgressDeadline(this.#deployment)) {
      const message = `Found new replica set "${this.#new.metadata?.name}"`;
      conditions = setCondition(
        conditions,
        condition('Progressing', 'True', 'FoundNewReplicaSet', message),
        this.#nowMs,
      );
    }
    return {
      deployment: this.#deployment,
      newSet: this.#new,
      sets: [...this.#originals.values()],
      conditions,
      nowMs: this.#nowMs,
    };
  }
}

const uidOf = (set: ReplicaSet) => set.metadata?.uid ?? '';
/** Its status may be of a time before it was made smaller: what is more than wanted will go, and counts for nothing. */
const available = (set: ReplicaSet) => Math.min(set.status?.availableReplicas ?? 0, replicasOf(set));
