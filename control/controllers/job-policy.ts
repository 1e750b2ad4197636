/** Pod failure policies: what a failed pod means for its Job. Pure. */
import type { Job, Pod, PodFailurePolicyRule } from '../api/generated/types.ts';

export type FailureVerdict =
  | { readonly action: 'Count' | 'Ignore' }
  | { readonly action: 'FailJob'; readonly message: string };

/** The first rule that matches decides; without one the failure counts. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [index, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const why = matchRule(rule, pod);
    if (why === undefined) continue;
    if (rule.action === 'Ignore' || rule.action === 'Count') return { action: rule.action };
    return { action: 'FailJob', message: `${why} matching ${rule.action} rule at index ${index}` };
  }
  return { action: 'Count' };
}

function matchRule({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    for (const status of statuses) {
      const exitCode = status.state?.terminated?.exitCode;
      if (!exitCode || (containerName && containerName !== status.name)) continue;
      if (values.includes(exitCode) === (operator === 'In')) {
        return `Container ${status.name} for pod ${name} failed with exit code ${exitCode}`;
      }
    }
    return undefined;
  }
  const match = (onPodConditions ?? []).find(({ type, status }) =>
    pod.status?.conditions?.some(condition => condition.type === type && condition.status === status),
  );
  return match && `Pod ${name} has condition ${match.type}`;
}
