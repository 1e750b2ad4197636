/**
 * A rule about where pods may go (filter) or had better go (score). Plugins are pure and see one pod and one node at a time;
 * what they need once for all nodes they compute in `prepare`.
 */
import type { NodeInfo, PodInfo, Snapshot } from './snapshot.ts';

/** What may make a refused pod schedulable. */
export type ClusterEvent = 'nodeAdded' | 'nodeChanged' | 'podRemoved' | 'podPlaced' | 'podChanged';

/** Why a node will not do. */
export interface Refusal {
  /** As the FailedScheduling event counts them: `Insufficient cpu`. */
  readonly reasons: readonly string[];
  /** True if evicting pods from the node could help. */
  readonly isCurable: boolean;
}

export interface SchedulerPlugin {
  readonly name: string;
  /** Events after which a pod that this plugin refused is worth another look. */
  readonly wakesOn: readonly ClusterEvent[];
  /** Computed once a pod and given to `filter` and `score`. */
  prepare?(pod: PodInfo, snapshot: Snapshot): unknown;
  /** Undefined if the node will do. */
  filter?(pod: PodInfo, node: NodeInfo, prepared: unknown): Refusal | undefined;
  /** Any number; see `ranks`. */
  score?(pod: PodInfo, node: NodeInfo, prepared: unknown): number;
  /**
   * How raw scores become 0 to 100: taken as they are, or stretched so that the highest is 100, or the same turned round so
   * that the lowest raw score is best; `range` stretches from the lowest to the highest, which may be below 0.
   */
  readonly ranks?: 'plain' | 'highest' | 'lowest' | 'range';
  readonly weight?: number;
}

export const curable = (...reasons: string[]): Refusal => ({ reasons, isCurable: true });
export const incurable = (...reasons: string[]): Refusal => ({ reasons, isCurable: false });
