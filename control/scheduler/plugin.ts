/**
 * A rule about where pods may go (filter) or had better go (score). A plugin looks at the pod once and gives what will look
 * at the nodes; for a pod that it has nothing to say about it gives nothing, and then costs nothing.
 */
import type { ClusterEvent } from './cluster-events.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Snapshot } from './snapshot.ts';

/** Why a node will not do. */
export interface Refusal {
  /** As the FailedScheduling event counts them: `Insufficient cpu`. */
  readonly reasons: readonly string[];
  /** True if evicting pods from the node could help. */
  readonly isCurable: boolean;
}

/** What a plugin has against nodes for one pod. */
export interface NodeFilter {
  /** Only these nodes come into question; undefined for all. */
  readonly nodeNames?: ReadonlySet<string> | undefined;
  /** Undefined if the node will do. */
  refuse(node: NodeInfo): Refusal | undefined;
  /**
   * What if this pod were on that node, or no more? Called when others' eviction or arrival is tried out, and undone
   * afterwards. Filters that look at the given node alone need none.
   */
  adjust?(other: PodInfo, node: NodeInfo, sign: 1 | -1): void;
}

/** No node will do, whatever it is. */
export interface PodRefusal {
  readonly refusal: string;
}

/** How a plugin compares nodes for one pod. */
export interface NodeScorer {
  /** Any number. */
  score(node: NodeInfo, index: number): number;
  /** Makes raw scores 0 to 100, in place; without it they are. */
  normalize?(scores: Float64Array): void;
}

export interface SchedulerPlugin {
  readonly name: string;
  filter?(pod: PodInfo, snapshot: Snapshot): NodeFilter | PodRefusal | undefined;
  /** `feasible` are the nodes that will be scored, at least two. */
  score?(pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[]): NodeScorer | undefined;
  /** What may make a pod schedulable that this plugin refused. */
  readonly helpedBy?: readonly ClusterEvent['kind'][];
  /** Of those, whether this very event may. Without it all do. */
  mayHelp?(event: ClusterEvent, pod: PodInfo, snapshot: Snapshot): boolean;
}

export const curable = (...reasons: string[]): Refusal => ({ reasons, isCurable: true });
export const incurable = (...reasons: string[]): Refusal => ({ reasons, isCurable: false });

export function isPodRefusal(answer: NodeFilter | PodRefusal): answer is PodRefusal {
  return 'refusal' in answer;
}

/** Stretches scores so that the highest is 100; `isReversed` makes the lowest raw score the best (k/k DefaultNormalizeScore). */
export function stretch(scores: Float64Array, isReversed: boolean): void {
  let highest = 0;
  for (const score of scores) if (score > highest) highest = score;
  for (let index = 0; index < scores.length; index++) {
    const share = highest === 0 ? 0 : Math.floor(((scores[index] ?? 0) * 100) / highest);
    scores[index] = isReversed ? 100 - share : share;
  }
}
