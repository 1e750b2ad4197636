/** For tests: what becomes of a pod, as one text. */
import type { Pod, PodDisruptionBudget } from '../../api/generated/types.ts';
import { decide } from '../decide.ts';
import { explain } from '../diagnosis.ts';
import { describePod } from '../pod-info.ts';
import { planPreemption } from '../preempt.ts';
import type { Profile } from '../profile.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import type { Snapshot } from '../snapshot.ts';

export interface AnswerOptions {
  readonly profile?: Profile;
  readonly budgets?: readonly PodDisruptionBudget[];
  readonly nowMs?: number;
}

/** The node's name, or `evict a, b on NODE`, or the FailedScheduling event's sentence. */
export function answer(pod: Pod, snapshot: Snapshot, options: AnswerOptions = {}): string {
  const { profile = DEFAULT_PROFILE, budgets = [], nowMs = 0 } = options;
  const info = describePod(pod);
  const decision = decide(info, snapshot, profile);
  if (decision.kind === 'place') return decision.node;
  const { diagnosis } = decision;
  const nodes = snapshot.nodes.length;
  if (nodes === 0) return explain(diagnosis, nodes, '');
  const preemption = planPreemption(info, snapshot, profile, { diagnosis, budgets, nowMs, random: () => 0 });
  if (preemption.kind === 'none') return explain(diagnosis, nodes, preemption.message);
  const victims = preemption.victims.map(({ name }) => name).join(', ');
  return `evict ${victims} on ${preemption.node}`;
}
