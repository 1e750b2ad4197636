/** Validation of pod disruption budgets. */
import type { PodDisruptionBudget, PodDisruptionBudgetSpec } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { invalidText, notNegative, oneOf } from './errors.ts';
import { goPointer } from './go-text.ts';
import { validateLabelSelector } from './scheduling.ts';
import { validateAtMostAll, validateShare } from './shares.ts';

const goSpec = ({ minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy }: PodDisruptionBudgetSpec) =>
  `policy.PodDisruptionBudgetSpec{MinAvailable:${goPointer('intstr.IntOrString', minAvailable)}, Selector:${goPointer('v1.LabelSelector', selector)}, MaxUnavailable:${goPointer('intstr.IntOrString', maxUnavailable)}, UnhealthyPodEvictionPolicy:${goPointer('policy.UnhealthyPodEvictionPolicyType', unhealthyPodEvictionPolicy)}}`;

export function validateDisruptionBudget({ spec = {}, status }: PodDisruptionBudget): FieldError[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec;
  const errors: FieldError[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    errors.push(invalidText('spec', goSpec(spec), 'minAvailable and maxUnavailable cannot be both set'));
  }
  errors.push(
    ...validateShare(minAvailable, 'spec.minAvailable'),
    ...validateAtMostAll(minAvailable, 'spec.minAvailable'),
    ...validateShare(maxUnavailable, 'spec.maxUnavailable'),
    ...validateAtMostAll(maxUnavailable, 'spec.maxUnavailable'),
    ...validateLabelSelector(selector, 'spec.selector'),
  );
  if (policy !== undefined) {
    errors.push(...oneOf('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']));
  }
  for (const count of ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const) {
    errors.push(...notNegative(`status.${count}`, status?.[count]));
  }
  return errors;
}
