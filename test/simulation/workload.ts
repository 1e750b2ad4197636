/** What runs on the members of a simulated cluster, and who uses it. The cluster and its misfortunes know nothing of it. */
import type { MemberId, RaftDriver, RaftNodeDependencies } from '../../raft/index.ts';
import type { Random } from './random.ts';
import type { Reference } from './reference.ts';
import type { LifeClock, VirtualClock } from './virtual-clock.ts';

/** A node, but for what depends on its state machine. */
export type SimulatedNode = Pick<
  RaftDriver,
  'start' | 'status' | 'onLeadership' | 'addMember' | 'removeMember' | 'transferLeadership'
>;

/** One life of a member, from start to crash. */
export interface Life {
  readonly clock: LifeClock;
  /** What the node is made of, but for the state machine. */
  readonly dependencies: Omit<RaftNodeDependencies<unknown>, 'stateMachine'>;
  /** What runs on the member cannot go on. */
  readonly onFatal: (error: Error) => void;
  /** Stands before each write to disk: takes its time, or throws. */
  readonly writeFault: () => Promise<void>;
}

/** What one member runs. It outlives crashes, with its disk. */
export interface Place {
  /** Makes the node of a new life. */
  begin(life: Life): SimulatedNode;
  /** The node has started. */
  started(): void;
  /** The life is over; its disk keeps what was flushed, and chance decides about the rest. */
  crash(): void;
  /** True if the present life has applied everything. */
  readonly isCurrent: boolean;
}

export interface Workload {
  addMember(id: MemberId): Place;
  /** Sets all clients off; they go on until the chaos is over, and then each gets a last thing through. */
  startClients(): void;
  /** Every client has seen all that it has to see. */
  readonly isDone: boolean;
  /** Answers that clients have got. */
  readonly answered: number;
  /** Judges the whole run. @throws {SafetyViolation} */
  check(): void;
}

/** What a workload may use of the world. */
export interface WorkloadContext {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly reference: Reference;
  readonly isChaos: () => boolean;
  /** Something must not happen, and did. */
  readonly fail: (error: Error) => void;
  /** Takes one line of the story of this run; undefined where nobody reads it. */
  readonly trace: ((line: string) => void) | undefined;
}

export function pause(context: Pick<WorkloadContext, 'clock'>, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    context.clock.setTimeout(resolve, delayMs);
  });
}
