/** Why a pod found no node, in kube-scheduler's words. Pure. */
import type { NodeInfo } from './node-info.ts';
import type { Refusal } from './plugin.ts';

export interface Diagnosis {
  /** Nodes that were asked, with what each said. */
  readonly refused: readonly NodeInfo[];
  readonly refusals: readonly Refusal[];
  /** What holds of all other nodes. */
  readonly absent: Refusal | undefined;
  /** Set if the pod was refused whatever the node. */
  readonly podRefusal: string | undefined;
  /** Names of the plugins that refused. */
  readonly plugins: ReadonlySet<string>;
}

export const NO_NODES: Diagnosis = {
  refused: [],
  refusals: [],
  absent: undefined,
  podRefusal: undefined,
  plugins: new Set(),
};

/** The FailedScheduling event's sentence; `preemption` is what trying to evict others came to, '' if it will help. */
export function explain(diagnosis: Diagnosis, nodes: number, preemption: string): string {
  if (nodes === 0) return 'no nodes available to schedule pods';
  const why = diagnosis.podRefusal ?? tally(diagnosis.refusals, { nodes, absent: diagnosis.absent });
  return `0/${nodes} nodes are available: ${why}.${preemption && ` preemption: ${preemption}`}`;
}

export const NOT_HELPFUL: Refusal = {
  reasons: ['Preemption is not helpful for scheduling'],
  isCurable: false,
};

/** What was said of the nodes that evictions were tried out on. */
export function explainPreemption(tried: readonly Refusal[], nodes: number): string {
  return `0/${nodes} nodes are available: ${tally(tried, { nodes, absent: NOT_HELPFUL })}.`;
}

/** How many nodes each reason struck. */
function tally(
  refusals: readonly Refusal[],
  { nodes, absent }: { readonly nodes: number; readonly absent: Refusal | undefined },
): string {
  const counts = new Map<string, number>();
  const count = ({ reasons }: Refusal, amount: number) => {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + amount);
  };
  for (const refusal of refusals) count(refusal, 1);
  if (absent && nodes > refusals.length) count(absent, nodes - refusals.length);
  return [...counts]
    .map(([reason, amount]) => `${amount} ${reason}`)
    .toSorted(bytewise)
    .join(', ');
}

const bytewise = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
