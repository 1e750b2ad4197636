/** What runs on the members of a simulated cluster, and who uses it. The cluster and its misfortunes know nothing of it. */
import type { MemberId, RaftDriver, RaftNodeDependencies } from '../../raft/index.ts';
import type { Coverage } from './coverage.ts';
import { integerBetween, type Random } from './random.ts';
import type { Reference } from './reference.ts';
import type { Shape } from './shape.ts';
import type { LifeClock, VirtualClock } from './virtual-clock.ts';

/** A node, but for what depends on its state machine. */
export type SimulatedNode = Pick<
  RaftDriver,
  | 'start'
  | 'status'
  | 'onLeadership'
  | 'addLearner'
  | 'promoteMember'
  | 'addMember'
  | 'removeMember'
  | 'replaceMember'
  | 'updateMember'
  | 'transferLeadership'
>;

/** Stands before each write to the disk of the state: takes its time, or throws. */
export type StateWriteFault = (operation: 'append' | 'flush' | 'checkpoint') => Promise<void>;

/** One life of a member, from start to crash. */
export interface Life {
  readonly clock: LifeClock;
  /** What the node is made of, but for the state machine. */
  readonly dependencies: Omit<RaftNodeDependencies<unknown>, 'stateMachine'>;
  /** What runs on the member cannot go on. */
  readonly onFatal: (error: Error) => void;
  readonly writeFault: StateWriteFault;
  /** Ends this life at once. */
  readonly die: () => void;
}

/** What one member runs. It outlives crashes, with its disk. */
export interface Place {
  /** Makes the node of a new life. */
  begin(life: Life): SimulatedNode;
  /** The node has started. */
  started(): void;
  /** The life is over; its disk keeps what was flushed, and chance decides about the rest. */
  crash(): void;
  /** Spoils the disk, so that the next life must notice; false if there is nothing to spoil. */
  damage(random: Random): boolean;
  /** True if the present life has applied everything, and holds what it should. */
  readonly isCurrent: boolean;
  /** Throws the state away, as a member does that finds it damaged: it is built again from the log or from another member. */
  setAside(): void;
  /** What is on the disk now; the answer puts it back later, in place of what came since. */
  copy(): () => void;
  /** From some command on, this member comes to hold something else than the others; false if that cannot be. */
  diverge(): boolean;
  /** It is to do so, or has done so and the present state is not right again. */
  readonly mayDiverge: boolean;
  /** It has done so, and the present state is not right again. */
  readonly isDiverged: boolean;
  /** It has done so at some time. */
  readonly hasDiverged: boolean;
  /** Its disk has hardly any free space, or has some again; false if nobody would notice. */
  fill(isFull: boolean): boolean;
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
  readonly coverage: Coverage;
  readonly shape: Pick<Shape, 'pauseMsMax' | 'historyKeepMs' | 'drift' | 'quotaBytes'>;
  readonly isChaos: () => boolean;
  /** A member is being taken out: nothing is known for certain of who counts. */
  readonly isRemoving: () => boolean;
  /** How long a member has stood still between two moments, in the pauses of at least `pauseMsMin`, each less `graceMs`. */
  readonly stoodStill: (
    member: MemberId,
    between: { readonly fromMs: number; readonly toMs: number; readonly pauseMsMin: number; readonly graceMs: number },
  ) => number;
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

const BURST_CHANCE = 0.1;
const BURST_MAX = 12;
const BURST_PAUSE_MS_MAX = 5;

/** The pauses of one client: mostly quiet, now and then in a hurry. */
export class Pace {
  readonly #random: Random;
  readonly #pauseMsMax: number;
  #hurriedLeft = 0;

  constructor(random: Random, pauseMsMax: number) {
    this.#random = random;
    this.#pauseMsMax = pauseMsMax;
  }

  next(): number {
    if (this.#hurriedLeft > 0) {
      this.#hurriedLeft--;
      return integerBetween(this.#random, 0, BURST_PAUSE_MS_MAX);
    }
    if (this.#random() < BURST_CHANCE) this.#hurriedLeft = integerBetween(this.#random, 2, BURST_MAX);
    return this.#random() * this.#pauseMsMax;
  }
}
