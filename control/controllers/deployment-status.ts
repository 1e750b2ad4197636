/** A Deployment's status and conditions, with Kubernetes' reasons and sentences. Pure. */
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '../api/generated/types.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import { desiredReplicas, NO_PROGRESS_DEADLINE, rollingBounds } from './deployment-util.ts';

type Conditions = readonly DeploymentCondition[];

export interface StatusInput {
  readonly deployment: Deployment;
  readonly newSet: ReplicaSet | undefined;
  readonly sets: readonly ReplicaSet[];
  /** Conditions to start from. */
  readonly conditions: Conditions;
  readonly nowMs: number;
}

/** Counts from the ReplicaSets' statuses, and the Available condition. */
export function planDeploymentStatus({ deployment, newSet, sets, conditions, nowMs }: StatusInput): DeploymentStatus {
  const total = sum(sets, set => set.status?.replicas);
  const available = sum(sets, set => set.status?.availableReplicas);
  const desired = desiredReplicas(deployment);
  const hasMinimum = available >= desired - rollingBounds(deployment).maxUnavailable;
  const availability = hasMinimum
    ? condition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.')
    : condition('Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.');
  return withoutZeros({
    observedGeneration: deployment.metadata?.generation ?? 0,
    replicas: total,
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sum(sets, set => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, total - available),
    collisionCount: deployment.status?.collisionCount ?? 0,
    conditions: [...setCondition(conditions, availability, nowMs)],
  });
}

/** Adds how the rollout gets on: Progressing and ReplicaFailure (k/k deployment/progress.go). */
export function planRolloutStatus(input: StatusInput): DeploymentStatus {
  const { deployment, newSet, sets, nowMs } = input;
  const hasDeadline = hasProgressDeadline(deployment);
  const known = hasDeadline ? input.conditions : without(input.conditions, 'Progressing');
  const status = planDeploymentStatus({ ...input, conditions: known });
  let conditions: Conditions = status.conditions ?? [];
  const current = find(known, 'Progressing');
  const wasComplete =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable';
  if (hasDeadline && !wasComplete) {
    const subject = newSet ? `ReplicaSet "${newSet.metadata?.name}"` : `Deployment "${deployment.metadata?.name}"`;
    const progress = planProgress({ deployment, status, current, subject, nowMs });
    if (progress?.reason === 'ReplicaSetUpdated') {
      // Each step forward renews lastUpdateTime, from which the deadline counts.
      const lastTransitionTime = current?.status === 'True' ? current.lastTransitionTime : undefined;
      conditions = [...without(conditions, 'Progressing'), stamped(progress, nowMs, lastTransitionTime)];
    } else if (progress) conditions = setCondition(conditions, progress, nowMs);
  }
  const failure = replicaFailure(newSet, sets);
  conditions = failure ? setCondition(conditions, failure, nowMs) : without(conditions, 'ReplicaFailure');
  return withoutZeros({ ...status, conditions: [...conditions] });
}

export function hasProgressDeadline(deployment: Deployment): boolean {
  return (deployment.spec?.progressDeadlineSeconds ?? NO_PROGRESS_DEADLINE) !== NO_PROGRESS_DEADLINE;
}

/** All replicas are new, available, and no old ones are left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const desired = desiredReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === desired &&
    (status.replicas ?? 0) === desired &&
    (status.availableReplicas ?? 0) === desired &&
    (status.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

/** The condition that pausing or resuming brings, if it is not there yet. */
export function pauseCondition(deployment: Deployment, conditions: Conditions): DeploymentCondition | undefined {
  if (!hasProgressDeadline(deployment)) return undefined;
  const current = find(conditions, 'Progressing');
  if (current?.reason === 'ProgressDeadlineExceeded') return undefined;
  const saysPaused = current?.reason === 'DeploymentPaused';
  if (deployment.spec?.paused && !saysPaused) {
    return condition('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused');
  }
  if (!deployment.spec?.paused && saysPaused) {
    return condition('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  return undefined;
}

/** Milliseconds until the progress deadline has to be looked at again. */
export function nextDeadlineMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const current = find(status.conditions ?? [], 'Progressing');
  if (!hasProgressDeadline(deployment) || !current || deployment.spec?.paused) return undefined;
  if (isComplete(deployment, status) || current.reason === 'ProgressDeadlineExceeded') return undefined;
  const sinceMs = parseTime(current.lastUpdateTime) ?? nowMs;
  return Math.max(0, sinceMs + (deployment.spec?.progressDeadlineSeconds ?? 0) * 1000 - nowMs) + 1000;
}

export function condition(type: string, status: string, reason: string, message: string): DeploymentCondition {
  return { type, status, reason, message };
}

/** Puts a condition in its type's place at the end; an equal one stays as it is. */
export function setCondition(conditions: Conditions, next: DeploymentCondition, nowMs: number): Conditions {
  const current = find(conditions, next.type);
  if (current && current.status === next.status && current.reason === next.reason) return conditions;
  const lastTransitionTime = current?.status === next.status ? current.lastTransitionTime : undefined;
  return [...without(conditions, next.type), stamped(next, nowMs, lastTransitionTime)];
}

function planProgress(input: {
  readonly deployment: Deployment;
  readonly status: DeploymentStatus;
  readonly current: DeploymentCondition | undefined;
  readonly subject: string;
  readonly nowMs: number;
}): DeploymentCondition | undefined {
  const { deployment, status, current, subject, nowMs } = input;
  if (isComplete(deployment, status)) {
    return condition('Progressing', 'True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`);
  }
  if (isProgressing(deployment.status ?? {}, status)) {
    return condition('Progressing', 'True', 'ReplicaSetUpdated', `${subject} is progressing.`);
  }
  if (isTimedOut(deployment, current, nowMs)) {
    return condition('Progressing', 'False', 'ProgressDeadlineExceeded', `${subject} has timed out progressing.`);
  }
  return undefined;
}

/** More new replicas, fewer old ones, or more of them ready or available than before. */
function isProgressing(old: DeploymentStatus, next: DeploymentStatus): boolean {
  const outdated = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    outdated(next) < outdated(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function isTimedOut(deployment: Deployment, current: DeploymentCondition | undefined, nowMs: number): boolean {
  if (!current || current.reason === 'NewReplicaSetAvailable') return false;
  if (current.reason === 'ProgressDeadlineExceeded') return true;
  const sinceMs = parseTime(current.lastUpdateTime) ?? nowMs;
  return sinceMs + (deployment.spec?.progressDeadlineSeconds ?? 0) * 1000 < nowMs;
}

/** The new ReplicaSet's failure counts first, then any old one's. */
function replicaFailure(newSet: ReplicaSet | undefined, sets: readonly ReplicaSet[]): DeploymentCondition | undefined {
  const failures = [newSet, ...sets].map(set => set?.status?.conditions?.find(({ type }) => type === 'ReplicaFailure'));
  const failure = failures.find(candidate => candidate !== undefined);
  return failure && condition('ReplicaFailure', failure.status, failure.reason ?? '', failure.message ?? '');
}

const find = (conditions: Conditions, type: string) => conditions.find(candidate => candidate.type === type);
const without = (conditions: Conditions, type: string) => conditions.filter(candidate => candidate.type !== type);
const stamped = (next: DeploymentCondition, nowMs: number, lastTransitionTime?: string): DeploymentCondition => ({
  ...next,
  lastUpdateTime: timestamp(nowMs),
  lastTransitionTime: lastTransitionTime ?? timestamp(nowMs),
});

const sum = (sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number | undefined) =>
  sets.reduce((total, set) => total + (count(set) ?? 0), 0);

/** Kubernetes leaves out zero counts (omitempty). */
function withoutZeros(status: DeploymentStatus): DeploymentStatus {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0));
}
