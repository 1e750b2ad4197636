/**
 * PURE: which pods a drain takes off a node, which it leaves, and what it warns of or refuses. Order and words are those of
 * kubectl's drain.
 */
import type { Pod } from '../../control/api/generated/types.ts';

export interface DrainRules {
  readonly force: boolean;
  readonly ignoreDaemonsets: boolean;
  readonly deleteEmptydirData: boolean;
  /** Pods that have been on their way out for longer than this are not waited for. 0: all are. */
  readonly skipWaitSeconds: number;
}

/** What becomes of one pod. */
export interface Verdict {
  readonly isTaken: boolean;
  readonly warning?: string;
  readonly problem?: string;
}

const TAKEN: Verdict = { isTaken: true };
const LEFT: Verdict = { isTaken: false };

function verdictOn(pod: Pod, rules: DrainRules, nowMs: number): Verdict {
  const { ownerReferences, annotations, deletionTimestamp } = pod.metadata ?? {};
  const controller = ownerReferences?.find(owner => owner.controller);
  const hasEnded = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (rules.skipWaitSeconds > 0 && deletionTimestamp !== undefined) {
    if (nowMs - Date.parse(deletionTimestamp) > rules.skipWaitSeconds * 1000) return LEFT;
  }
  if (controller?.kind === 'DaemonSet' && !hasEnded) {
    return rules.ignoreDaemonsets
      ? { isTaken: false, warning: 'ignoring DaemonSet-managed Pods' }
      : { isTaken: false, problem: 'DaemonSet-managed Pods (use --ignore-daemonsets to ignore)' };
  }
  if (annotations?.['kubernetes.io/config.mirror'] !== undefined) return LEFT;
  let verdict = TAKEN;
  if (!hasEnded && pod.spec?.volumes?.some(({ emptyDir }) => emptyDir)) {
    if (!rules.deleteEmptydirData) {
      return { isTaken: false, problem: 'Pods with local storage (use --delete-emptydir-data to override)' };
    }
    verdict = { isTaken: true, warning: 'deleting Pods with local storage' };
  }
  if (hasEnded || controller) return verdict;
  if (rules.force) return { isTaken: true, warning: 'deleting Pods that declare no controller' };
  return { isTaken: false, problem: 'cannot delete Pods that declare no controller (use --force to override)' };
}

export interface DrainPlan {
  readonly taken: readonly Pod[];
  /** One line, or undefined. */
  readonly warning: string | undefined;
  readonly problems: readonly string[];
}

/** Of all pods of a node: what is taken, and what is told of the others. */
export function drainPlan(pods: readonly Pod[], rules: DrainRules, nowMs: number): DrainPlan {
  const taken: Pod[] = [];
  const warnings = new Map<string, string[]>();
  const problems = new Map<string, string[]>();
  const note = (notes: Map<string, string[]>, text: string, { metadata }: Pod) => {
    notes.set(text, [...(notes.get(text) ?? []), `${metadata?.namespace}/${metadata?.name}`]);
  };
  for (const pod of pods) {
    const { isTaken, warning, problem } = verdictOn(pod, rules, nowMs);
    if (isTaken) taken.push(pod);
    if (warning !== undefined) note(warnings, warning, pod);
    if (problem !== undefined) note(problems, problem, pod);
  }
  const told = [...warnings].map(([text, names]) => `${text}: ${names.join(', ')}`);
  return {
    taken,
    warning: told.length === 0 ? undefined : told.join('; '),
    problems: [...problems].map(([text, names]) => `cannot delete ${text}: ${names.join(', ')}`),
  };
}
