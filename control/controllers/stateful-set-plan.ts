/**
 * What a StatefulSet needs next (k/k pkg/controller/statefulset/stateful_set_control.go). An ordered set takes one step at a time:
 * pods come in the order of their ordinals, each after the one before is available, and go in the opposite order. A parallel set
 * takes all steps at once, but a rolling update replaces one pod at a time for either. Pure.
 */
import type {
  ControllerRevision,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
  StatefulSetStatus,
} from '../api/generated/types.ts';
import { templateOf } from './controller-history.ts';
import { isEqual } from './equal.ts';
import { availableInMs, isPodFinished, isPodReady } from './pods.ts';
import { type ClaimHolders, hasForeignController, isStale, withRetention } from './stateful-set-claims.ts';
import {
  claimsOf,
  isOrdinalWanted,
  ordinalOf,
  revisionOfPod,
  startOrdinal,
  statefulPod,
  wantedReplicas,
  withIdentity,
} from './stateful-set-identity.ts';

export interface StatefulState {
  readonly set: StatefulSet;
  /** All that it owns, also those that leave. */
  readonly pods: readonly Pod[];
  /** The claim of this name in the set's namespace. */
  claim(name: string): PersistentVolumeClaim | undefined;
  /** That of the set's template. */
  readonly updateRevision: ControllerRevision;
  /** That of the last rollout which came to its end; the same as the other where there was none. */
  readonly currentRevision: ControllerRevision;
  readonly collisionCount: number;
  readonly nowMs: number;
}

export type StatefulAction =
  /** Creates the claims that are missing, then the pod. */
  | { readonly do: 'create'; readonly pod: Pod; readonly claims: ClaimWork }
  | { readonly do: 'delete'; readonly pod: Pod }
  /** Brings the claims of a pod, and its own labels and volumes, to what they should be. */
  | { readonly do: 'update'; readonly pod: Pod; readonly next: Pod; readonly claims: ClaimWork };

/** What has to be done about the claims of one pod. */
export interface ClaimWork {
  readonly create: readonly PersistentVolumeClaim[];
  /** As they should be. */
  readonly update: readonly PersistentVolumeClaim[];
  /** Names of those that the pod needs and that are being deleted: nothing can be done before they are gone. */
  readonly leaving: readonly string[];
  /** Names of those that somebody else controls. */
  readonly foreign: readonly string[];
}

export interface StatefulPlan {
  /**
   * What to do, in this order: of one step all that succeeds, at once if the set is parallel, one after the other if not. A step
   * in which something failed is the last.
   */
  readonly steps: readonly (readonly StatefulAction[])[];
  readonly status: StatefulSetStatus;
  readonly afterMs: number | undefined;
}

export function planStatefulSet(state: StatefulState): StatefulPlan {
  const { set } = state;
  const isLeaving = set.metadata?.deletionTimestamp !== undefined;
  const { steps, replaced } = isLeaving ? { steps: [], replaced: undefined } : planSteps(state);
  return {
    steps: steps.filter(step => step.length > 0),
    status: planStatus(state, replaced),
    afterMs: nextAvailabilityMs(state),
  };
}

export const isParallel = ({ spec }: StatefulSet): boolean => spec?.podManagementPolicy === 'Parallel';

interface Member {
  readonly ordinal: number;
  readonly pod: Pod;
}

interface Replica {
  readonly ordinal: number;
  /** Undefined: it has to be created. */
  readonly pod: Pod | undefined;
}

interface Steps {
  readonly steps: readonly (readonly StatefulAction[])[];
  /** The pod that a rolling update takes away. */
  readonly replaced: Pod | undefined;
}

function planSteps(state: StatefulState): Steps {
  const { set } = state;
  const members = state.pods.flatMap(pod => {
    const ordinal = ordinalOf(set, pod);
    return ordinal === undefined ? [] : [{ ordinal, pod }];
  });
  const byOrdinal = new Map(members.map(({ ordinal, pod }) => [ordinal, pod]));
  const start = startOrdinal(set);
  const replicas = Array.from({ length: wantedReplicas(set) }, (_, index) => ({
    ordinal: start + index,
    pod: byOrdinal.get(start + index),
  }));
  const condemned = members
    .filter(({ ordinal }) => !isOrdinalWanted(set, ordinal))
    .toSorted((a, b) => b.ordinal - a.ordinal);

  const kept = planReplicas(state, replicas);
  if (kept.isBlocked) return { steps: [kept.actions], replaced: undefined };
  const released = condemned.flatMap(each => planMaintenance(state, each));
  const removed = planScaleDown(state, condemned);
  const replaced = removed.isBlocked ? undefined : planRollingUpdate(state, replicas);
  const update: StatefulAction[] = replaced ? [{ do: 'delete', pod: replaced }] : [];
  return { steps: [kept.actions, released, removed.actions, update], replaced };
}

interface Step {
  readonly actions: readonly StatefulAction[];
  /** Nothing further may happen now. */
  readonly isBlocked: boolean;
}

/** Sees to the pods that there should be; an ordered set stops at the first that does not work. */
function planReplicas(state: StatefulState, replicas: readonly Replica[]): Step {
  const actions: StatefulAction[] = [];
  for (const replica of replicas) {
    const { actions: own, isBlocked } = planReplica(state, replica);
    actions.push(...own);
    if (isBlocked && !isParallel(state.set)) return { actions, isBlocked: true };
  }
  return { actions, isBlocked: false };
}

function planReplica(state: StatefulState, { ordinal, pod }: Replica): Step {
  if (!pod) return planCreation(state, ordinal);
  if (isPodFinished(pod)) {
    // Evicted or ended: its name is free for the next only when it is gone.
    return { actions: isLeavingPod(pod) ? [] : [{ do: 'delete', pod }], isBlocked: true };
  }
  const isWaiting = isLeavingPod(pod) || !isAvailable(state, pod);
  if (!isWaiting || isParallel(state.set)) {
    return { actions: planMaintenance(state, { ordinal, pod }), isBlocked: false };
  }
  // It may be waiting for claims that somebody took away.
  return { actions: isPending(pod) ? planClaims(state, { ordinal, pod }) : [], isBlocked: true };
}

function planCreation(state: StatefulState, ordinal: number): Step {
  const { set, updateRevision, currentRevision } = state;
  const revision = needsCurrentRevision(set, ordinal) ? currentRevision : updateRevision;
  const pod = statefulPod(set, { template: templateOf(revision), revision: revision.metadata?.name ?? '', ordinal });
  const holders = { set, pod, ordinal };
  const isHeld = claimsOf(set, ordinal).some(({ metadata }) => {
    const claim = state.claim(metadata?.name ?? '');
    return claim && isStale(claim, holders);
  });
  if (isHeld) return { actions: [], isBlocked: true };
  return { actions: [{ do: 'create', pod, claims: claimWork(state, holders) }], isBlocked: true };
}

/** A rollout that is held back by its partition leaves the ordinals below at the revision that was there before. */
function needsCurrentRevision(set: StatefulSet, ordinal: number): boolean {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (rollingUpdate) return ordinal < startOrdinal(set) + (rollingUpdate.partition ?? 0);
  return type !== 'OnDelete' && ordinal < startOrdinal(set) + (set.status?.currentReplicas ?? 0);
}

function claimWork(state: StatefulState, holders: ClaimHolders): ClaimWork {
  const wanted = claimsOf(state.set, holders.ordinal);
  const present = wanted.flatMap(({ metadata }) => state.claim(metadata?.name ?? '') ?? []);
  return {
    create: wanted
      .filter(({ metadata }) => !state.claim(metadata?.name ?? ''))
      .map(claim => withRetention(claim, holders)),
    update: present.map(claim => withRetention(claim, holders)).filter((claim, index) => claim !== present[index]),
    leaving: present.filter(({ metadata }) => metadata?.deletionTimestamp).map(({ metadata }) => metadata?.name ?? ''),
    foreign: present.filter(claim => hasForeignController(claim, holders)).map(({ metadata }) => metadata?.name ?? ''),
  };
}

/** What the claims of an existing pod lack. */
function planClaims(state: StatefulState, { ordinal, pod }: Member): StatefulAction[] {
  const claims = claimWork(state, { set: state.set, pod, ordinal });
  return claims.create.length + claims.update.length > 0 ? [{ do: 'update', pod, next: pod, claims }] : [];
}

/** What an existing pod and its claims lack. */
function planMaintenance(state: StatefulState, { ordinal, pod }: Member): StatefulAction[] {
  const next = isOrdinalWanted(state.set, ordinal) ? withIdentity(state.set, ordinal, pod) : pod;
  if (isPending(pod) && next === pod) return planClaims(state, { ordinal, pod });
  const claims = claimWork(state, { set: state.set, pod, ordinal });
  if (next === pod && claims.update.length === 0) return [];
  const hasNewVolumes = !isEqual(next.spec?.volumes, pod.spec?.volumes);
  const needed = hasNewVolumes ? claims : { ...claims, create: [], leaving: [] };
  return [{ do: 'update', pod, next, claims: claims.update.length > 0 ? needed : { ...needed, foreign: [] } }];
}

/** Takes away pods beyond the wanted number, the highest ordinals first. */
function planScaleDown(state: StatefulState, condemned: readonly Member[]): Step {
  if (isParallel(state.set)) {
    const staying = condemned.filter(({ pod }) => !isLeavingPod(pod));
    return { actions: staying.map(({ pod }) => ({ do: 'delete', pod })), isBlocked: false };
  }
  const highest = condemned[0]?.pod;
  if (!highest) return { actions: [], isBlocked: false };
  // One that does not work may go only if none below it is broken too: that one is seen to first.
  const firstBroken = condemned.findLast(({ pod }) => isLeavingPod(pod) || !isRunningAndReady(pod))?.pod;
  const mayGo = !isLeavingPod(highest) && (isAvailable(state, highest) || highest === firstBroken);
  return { actions: mayGo ? [{ do: 'delete', pod: highest }] : [], isBlocked: true };
}

/** The pod with the highest ordinal that is not of the new revision, if all above it work. */
function planRollingUpdate(state: StatefulState, replicas: readonly Replica[]): Pod | undefined {
  const { set, updateRevision } = state;
  const strategy = set.spec?.updateStrategy;
  if (strategy?.type === 'OnDelete') return undefined;
  for (const { pod } of replicas.slice(strategy?.rollingUpdate?.partition ?? 0).toReversed()) {
    if (!pod) return undefined;
    if (revisionOfPod(pod) !== updateRevision.metadata?.name && !isLeavingPod(pod)) {
      return isPodFinished(pod) ? undefined : pod;
    }
    if (isLeavingPod(pod) || !isAvailable(state, pod)) return undefined;
  }
  return undefined;
}

const isPending = ({ status }: Pod) => (status?.phase ?? 'Pending') === 'Pending';
const isLeavingPod = ({ metadata }: Pod) => metadata?.deletionTimestamp !== undefined;
const isRunningAndReady = (pod: Pod) => pod.status?.phase === 'Running' && isPodReady(pod);

function isAvailable({ set, nowMs }: StatefulState, pod: Pod): boolean {
  return isRunningAndReady(pod) && availableInMs(pod, set.spec?.minReadySeconds ?? 0, nowMs) === 0;
}

/** Counts what is there; a rollout whose last pod is ready makes its revision the current one. */
function planStatus(state: StatefulState, replaced: Pod | undefined): StatefulSetStatus {
  const { set, pods, updateRevision, currentRevision } = state;
  const current = currentRevision.metadata?.name ?? '';
  const update = updateRevision.metadata?.name ?? '';
  const staying = pods.filter(pod => !isLeavingPod(pod));
  const readyReplicas = pods.filter(isRunningAndReady).length;
  const updatedReplicas = staying.filter(pod => revisionOfPod(pod) === update && pod !== replaced).length;
  const currentReplicas = staying.filter(pod => revisionOfPod(pod) === current && pod !== replaced).length;
  const wanted = wantedReplicas(set);
  const isComplete =
    set.spec?.updateStrategy?.type !== 'OnDelete' &&
    updatedReplicas === wanted &&
    readyReplicas === wanted &&
    pods.length === wanted;
  const atCurrent = isComplete ? updatedReplicas : currentReplicas;
  const currentRevisionName = isComplete ? update : current;
  const { conditions } = set.status ?? {};
  return {
    replicas: pods.length,
    availableReplicas: pods.filter(pod => isAvailable(state, pod)).length,
    ...(readyReplicas > 0 && { readyReplicas }),
    ...(atCurrent > 0 && { currentReplicas: atCurrent }),
    ...(updatedReplicas > 0 && { updatedReplicas }),
    ...(currentRevisionName && { currentRevision: currentRevisionName }),
    ...(update && { updateRevision: update }),
    ...(set.metadata?.generation && { observedGeneration: set.metadata.generation }),
    collisionCount: state.collisionCount,
    ...(conditions && { conditions }),
  };
}

function nextAvailabilityMs({ set, pods, nowMs }: StatefulState): number | undefined {
  const waits = pods.map(pod => availableInMs(pod, set.spec?.minReadySeconds ?? 0, nowMs) ?? 0).filter(ms => ms > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}
