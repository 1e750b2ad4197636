/**
 * The condition of a PodDisruptionBudget that says whether a disruption is allowed, kept alike by the controller that counts
 * and by the eviction that takes (k8s.io/component-helpers/apps/poddisruptionbudget).
 */
import type { Condition, PodDisruptionBudgetStatus } from './generated/types.ts';

export const DISRUPTION_ALLOWED = 'DisruptionAllowed';
export const SYNC_FAILED = 'SyncFailed';

/** The conditions with the one that fits `status.disruptionsAllowed`. `now` as metav1.Time. */
export function withDisruptionCondition(status: PodDisruptionBudgetStatus, now: string): Condition[] {
  return setCondition(status, wantedCondition(status), now);
}

/** The conditions after the count failed, and why. */
export function withFailedCondition(status: PodDisruptionBudgetStatus, message: string, now: string): Condition[] {
  return setCondition(status, { status: 'False', reason: SYNC_FAILED, message }, now);
}

/** True if the present condition says what the numbers say. */
export function isDisruptionConditionCurrent(status: PodDisruptionBudgetStatus): boolean {
  const present = status.conditions?.find(({ type }) => type === DISRUPTION_ALLOWED);
  const wanted = wantedCondition(status);
  return (
    present?.status === wanted.status &&
    present.reason === wanted.reason &&
    (present.observedGeneration ?? 0) === (status.observedGeneration ?? 0)
  );
}

type Wanted = Pick<Condition, 'status' | 'reason' | 'message'>;

function wantedCondition({ disruptionsAllowed }: PodDisruptionBudgetStatus): Wanted {
  return disruptionsAllowed > 0
    ? { status: 'True', reason: 'SufficientPods', message: '' }
    : { status: 'False', reason: 'InsufficientPods', message: '' };
}

/** The time of a condition is that of its last change of status. */
function setCondition(
  { conditions = [], observedGeneration }: PodDisruptionBudgetStatus,
  wanted: Wanted,
  now: string,
): Condition[] {
  const present = conditions.find(({ type }) => type === DISRUPTION_ALLOWED);
  const condition: Condition = {
    type: DISRUPTION_ALLOWED,
    ...wanted,
    ...(observedGeneration !== undefined && { observedGeneration }),
    lastTransitionTime: present?.status === wanted.status ? present.lastTransitionTime : now,
  };
  return present ? conditions.map(each => (each === present ? condition : each)) : [...conditions, condition];
}
