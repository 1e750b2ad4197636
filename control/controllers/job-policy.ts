/** Pod failure policies and success policies: what a failed pod, and what succeeded indexes, mean for their Job. Pure. */
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule } from '../api/generated/types.ts';
import { parseIndexes } from './job-indexes.ts';

/** `counts`: against the backoff limits. */
export type FailureVerdict =
  | { readonly action: 'Count' | 'FailIndex'; readonly counts: true }
  | { readonly action: 'Ignore'; readonly counts: false }
  | { readonly action: 'FailJob'; readonly counts: true; readonly message: string };

const COUNT: FailureVerdict = { action: 'Count', counts: true };

/** The first rule that matches decides; without one the failure counts. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [index, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const why = matchRule(rule, pod);
    if (why === undefined) continue;
    if (rule.action === 'Ignore') return { action: 'Ignore', counts: false };
    if (rule.action === 'FailIndex') return { action: 'FailIndex', counts: true };
    if (rule.action !== 'FailJob') return COUNT;
    return { action: 'FailJob', counts: true, message: `${why} matching ${rule.action} rule at index ${index}` };
  }
  return COUNT;
}

/** The sentence if a rule of the success policy is met, else undefined. */
export function matchSuccessPolicy({ spec }: Job, succeeded: ReadonlySet<number>): string | undefined {
  if (succeeded.size === 0) return undefined;
  const index = (spec?.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && succeeded.size >= succeededCount;
    const wanted = [...parseIndexes(succeededIndexes, spec?.completions)];
    const met = wanted.filter(each => succeeded.has(each)).length;
    return met >= (succeededCount ?? wanted.length);
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}

function matchRule({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  if (!onExitCodes) {
    const match = (onPodConditions ?? []).find(({ type, status = 'True' }) =>
      pod.status?.conditions?.some(condition => condition.type === type && condition.status === status),
    );
    return match && `Pod ${name} has condition ${match.type}`;
  }
  const { containerName, operator, values } = onExitCodes;
  const isMatch = (status: ContainerStatus) => {
    const exitCode = status.state?.terminated?.exitCode;
    if (!exitCode || (containerName !== undefined && containerName !== status.name)) return false;
    return values.includes(exitCode) === (operator === 'In');
  };
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const found = [...containerStatuses, ...initContainerStatuses].find(isMatch);
  return found && `Container ${found.name} for pod ${name} failed with exit code ${found.state?.terminated?.exitCode}`;
}
