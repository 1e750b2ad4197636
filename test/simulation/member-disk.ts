/**
 * The disk under the log of one member, which lives on when the member dies: how its writes go, what a crash leaves of them,
 * and how it can be spoiled. Time and chance come from the run.
 */
import type { RaftStorage } from '../../raft/index.ts';
import { MemoryDisk, MemoryStorage } from '../../raft/storage/memory.ts';
import type { Coverage } from './coverage.ts';
import { DiskFailed } from './life-ends.ts';
import { integerBetween, type Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** How a member's disk behaves. */
export interface DiskFaults {
  readonly writeMsMin: number;
  readonly writeMsMax: number;
  /** Chance that a write fails for good, which ends the life. */
  readonly failure: number;
  /** Writes never come back. */
  readonly isHanging: boolean;
  /** No write comes back before this has resolved. */
  readonly stall?: Promise<void>;
  /** The same, of the log only: state and log are two databases, and may be two disks. */
  readonly logStall?: Promise<void>;
}

export const GOOD_DISK: DiskFaults = { writeMsMin: 0, writeMsMax: 2, failure: 0, isHanging: false };

/** What can be done to a log: all of it is gone; or one bit, one record, the place of one, its youngest records. */
export type LogDamage = 'wipe' | 'flip' | 'lose' | 'misdirect' | 'tail';

/** A record, counted from the youngest, and one of its bits. */
interface DamagePlace {
  readonly fromEnd: number;
  readonly bit: number;
}

export class MemberDisk {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #coverage: Coverage;
  readonly #disk = new MemoryDisk();
  faults = GOOD_DISK;

  constructor(context: { readonly clock: VirtualClock; readonly random: Random; readonly coverage: Coverage }) {
    this.#clock = context.clock;
    this.#random = context.random;
    this.#coverage = context.coverage;
    this.#disk.setFault(() => this.writeFault('failed write'));
  }

  /** The log on it, for one life. */
  storage(): RaftStorage {
    return new MemoryStorage(this.#disk);
  }

  /** Lasts as long as a write does. @throws {DiskFailed} if the write is one that fails */
  async writeFault(failureName: 'failed write' | 'failed state write'): Promise<void> {
    const { writeMsMin, writeMsMax, failure, isHanging, stall, logStall } = this.faults;
    if (isHanging) {
      this.#coverage.note('hanging write');
      await new Promise(() => {});
    }
    const standsStill = stall ?? (failureName === 'failed write' ? logStall : undefined);
    if (standsStill !== undefined) {
      this.#coverage.note('stalled write');
      await standsStill;
    }
    await new Promise<void>(resolve => {
      this.#clock.setTimeout(resolve, writeMsMin + this.#random() * (writeMsMax - writeMsMin));
    });
    if (failure === 0 || this.#random() >= failure) return;
    this.#coverage.note(failureName);
    throw new DiskFailed('the disk failed');
  }

  /** The member died. A write that was under way may have reached the disk all the same. */
  crash(): void {
    const pending = this.#disk.pendingCount;
    const pendingKept = Math.min(pending, integerBetween(this.#random, 0, 1));
    if (pendingKept > 0) this.#coverage.note('write kept by a crash');
    else if (pending > 0) this.#coverage.note('write lost by a crash');
    this.#disk.crash({ pendingKept });
  }

  /** What is on it now. The answer puts that back, in place of what came since. */
  copy(): () => void {
    return this.#disk.copy();
  }

  /** Chooses where damage will hit; undefined if there is too little. What was never acknowledged may be lost without a word. */
  aim(): DamagePlace | undefined {
    const { recordCount, unwitnessedCount } = this.#disk;
    if (recordCount < unwitnessedCount + 2) return undefined;
    return {
      fromEnd: integerBetween(this.#random, unwitnessedCount, recordCount - 2),
      bit: integerBetween(this.#random, 0, 10_000),
    };
  }

  spoil(kind: LogDamage, { fromEnd, bit }: DamagePlace): void {
    switch (kind) {
      case 'wipe':
        this.#coverage.note('disk wiped');
        this.#disk.wipe();
        return;
      case 'flip':
        this.#coverage.note('log bit flipped');
        this.#disk.flipBit({ fromEnd, bit });
        return;
      case 'lose':
        this.#coverage.note('log record lost');
        this.#disk.loseRecord(fromEnd);
        return;
      case 'misdirect':
        this.#coverage.note('log record misdirected');
        this.#disk.misdirect(fromEnd);
        return;
      case 'tail':
        this.#coverage.note('log tail lost');
        this.#disk.cutTail(this.#disk.unwitnessedCount + integerBetween(this.#random, 1, 2));
    }
  }
}
