/** Pod failure policies and success policies: what a failed pod, and what succeeded indexes, mean for their Job. Pure. */
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule } from '../api/generated/types.ts';
import { indexRuns } from './job-indexes.ts';

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
    if (rule.action === 'Count') return COUNT;
    // An action of a later version is passed over.
    if (rule.action !== 'FailJob') continue;
    return { action: 'FailJob', counts: true, message: `${why} matching ${rule.action} rule at index ${index}` };
  }
  return COUNT;
}

/** The sentence if a rule of the success policy is met, else undefined. */
export function matchSuccessPolicy({ spec }: Job, succeeded: ReadonlySet<number>): string | undefined {
  const rules = spec?.successPolicy?.rules ?? [];
  if (succeeded.size === 0 || rules.length === 0) return undefined;
  const sorted = [...succeeded].toSorted((a, b) => a - b);
  const index = rules.findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && succeeded.size >= succeededCount;
    let wanted = 0;
    let met = 0;
    for (const [from, to] of indexRuns(succeededIndexes, spec?.completions)) {
      wanted += to - from + 1;
      met += countBelow(sorted, to + 1) - countBelow(sorted, from);
    }
    // Where none is named, none was waited for, and the Job goes on to its end.
    return wanted > 0 && met >= (succeededCount ?? wanted);
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}

/** How many of the numbers, which are in order, are smaller than the bound. */
function countBelow(sorted: readonly number[], bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? bound) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
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
    return operator === (values.includes(exitCode) ? 'In' : 'NotIn');
  };
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const found = [...containerStatuses, ...initContainerStatuses].find(isMatch);
  return found && `Container ${found.name} for pod ${name} failed with exit code ${found.state?.terminated?.exitCode}`;
}
