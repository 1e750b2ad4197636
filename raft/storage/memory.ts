/**
 * The log in memory, for tests and the simulator. A {@link MemoryDisk} outlives the {@link MemoryStorage} that writes to
 * it, as a disk outlives a process; what a crash, a bad sector or a failing controller does to a disk can be done to it.
 * The bytes are the very ones that `level.ts` writes, so the same checks find the same damage.
 */
import assert from 'node:assert';
import type { HardState, Membership, SnapshotMetadata } from '../core/types.ts';
import { Journal, type Step } from './journal.ts';
import { decodeHead, encodeHead } from './record.ts';
import {
  type MemberIdentity,
  type RaftStorage,
  type RecoveredState,
  type SaveRequest,
  StorageFailedError,
} from './storage.ts';

/** Stands before each write reaches the disk: await to delay it, throw to fail it, never resolve to hang it. */
export type WriteFault = () => Promise<void>;

export class MemoryDisk {
  #base: Uint8Array | undefined;
  #head: Uint8Array | undefined;
  readonly #records = new Map<number, Uint8Array>();
  /** Made useless by the last write, and not gone yet: a process that dies before its next write leaves them. */
  #useless: readonly (readonly [number, Uint8Array])[] = [];
  /** Writes that were begun and have not reached the disk, oldest first. */
  #pending: Step[] = [];
  #life = 0;
  #fault: WriteFault | undefined;

  /** Sets what happens to writes from now on; undefined for nothing bad. */
  setFault(fault: WriteFault | undefined): void {
    this.#fault = fault;
  }

  /**
   * The process dies. What had been acknowledged stays; of what was on its way, the first `pendingKept` writes (0 by
   * default) had just reached the disk. A write that is torn is one that is not kept: LevelDB drops it whole.
   */
  crash(options: { readonly pendingKept?: number } = {}): void {
    const kept = this.#pending.slice(0, options.pendingKept ?? 0);
    this.#pending = [];
    this.#life++;
    // Their acknowledgement was never given, so the head does not know of them.
    for (const step of kept) this.#store(step);
  }

  /** Turns one bit of a record, counted from the youngest (0). */
  flipBit(place: { readonly fromEnd: number; readonly bit: number }): void {
    const sequence = [...this.#records.keys()].sort((one, other) => other - one)[place.fromEnd];
    assert(sequence !== undefined, 'there is such a record');
    const bytes = Uint8Array.from(this.#records.get(sequence) ?? []);
    const at = (place.bit >>> 3) % bytes.length;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (place.bit & 7));
    this.#records.set(sequence, bytes);
  }

  /** Loses the youngest records, as a cut file does. */
  cutTail(count: number): void {
    const sequences = [...this.#records.keys()].sort((one, other) => other - one);
    for (const sequence of sequences.slice(0, count)) this.#records.delete(sequence);
  }

  /** Loses one record in the middle, counted from the youngest (0). */
  loseRecord(fromEnd: number): void {
    const sequence = [...this.#records.keys()].sort((one, other) => other - one)[fromEnd];
    assert(sequence !== undefined, 'there is such a record');
    this.#records.delete(sequence);
  }

  /** What is on the disk now, to be put back later, as somebody with an old copy would. */
  copy(): () => void {
    const [base, head, records] = [this.#base, this.#head, [...this.#records]];
    return () => {
      this.wipe();
      this.#base = base;
      this.#head = head;
      for (const [sequence, record] of records) this.#records.set(sequence, record);
    };
  }

  /** A record, counted from the youngest (0), was written where the one before it lies: that one is overwritten. */
  misdirect(fromEnd: number): void {
    const sequences = [...this.#records.keys()].sort((one, other) => other - one);
    const [misplaced, victim] = [sequences[fromEnd], sequences[fromEnd + 1]];
    assert(misplaced !== undefined && victim !== undefined, 'there are two such records');
    this.#records.set(victim, this.#records.get(misplaced) ?? new Uint8Array());
    this.#records.delete(misplaced);
  }

  /** Loses everything. */
  wipe(): void {
    this.#base = undefined;
    this.#head = undefined;
    this.#records.clear();
    this.#useless = [];
  }

  /** Writes that have not reached the disk. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** The youngest records that the head does not know of: nobody has been told of them. */
  get unwitnessedCount(): number {
    const head = this.#head === undefined ? undefined : decodeHead(this.#head);
    return [...this.#records.keys()].filter(sequence => sequence > (head?.sequence ?? 0)).length;
  }

  get recordCount(): number {
    return this.#records.size;
  }

  /** What a storage finds when it opens. */
  read(journal: Journal): RecoveredState {
    const records = [...this.#useless, ...this.#records]
      .map(([sequence, bytes]) => ({ sequence, bytes }))
      .sort((one, other) => one.sequence - other.sequence);
    const head = this.#head === undefined ? undefined : decodeHead(this.#head);
    const recovered = journal.recover({ base: this.#base, records, head });
    if (recovered.identity !== undefined) this.#head = encodeHead(journal.head);
    return recovered;
  }

  /** A number that changes with each crash; a storage of an earlier life can do nothing any more. */
  get life(): number {
    return this.#life;
  }

  /** Brings one step to the disk; never resolves if the process dies before. */
  async write(step: Step, life: number): Promise<void> {
    if (life !== this.#life) return new Promise(() => {});
    this.#pending.push(step);
    await this.#fault?.();
    if (life !== this.#life) return new Promise(() => {});
    this.#pending = this.#pending.filter(other => other !== step);
    this.#store(step);
    this.#head = encodeHead(step.head);
  }

  #store(step: Step): void {
    if (step.base !== undefined) this.#base = step.base;
    if (step.record !== undefined) this.#records.set(step.record.sequence, step.record.bytes);
    this.#useless = [...this.#records].filter(([sequence]) => sequence < (step.firstSequence ?? 0));
    for (const [sequence] of this.#useless) this.#records.delete(sequence);
  }
}

export class MemoryStorage implements RaftStorage {
  readonly #disk: MemoryDisk;
  readonly #life: number;
  readonly #journal = new Journal();
  #state: 'new' | 'open' | 'closed' = 'new';
  #isWriting = false;
  #failure: StorageFailedError | undefined;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
    this.#life = disk.life;
  }

  async open(): Promise<RecoveredState> {
    assert(this.#state === 'new', 'a storage is opened once');
    this.#state = 'open';
    return this.#disk.read(this.#journal);
  }

  async initialize(identity: MemberIdentity, membership: Membership): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planInitialize(identity, membership));
  }

  async save(request: SaveRequest): Promise<void> {
    this.#refuseIfUnusable();
    const step = this.#journal.planSave(request);
    if (step !== undefined) await this.#write(step);
  }

  async compact(snapshot: SnapshotMetadata): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planCompact(snapshot));
  }

  async reset(snapshot: SnapshotMetadata, hardState: HardState): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planReset(snapshot, hardState));
  }

  async close(): Promise<void> {
    this.#state = 'closed';
  }

  async #write(step: Step): Promise<void> {
    this.#isWriting = true;
    try {
      await this.#disk.write(step, this.#life);
    } catch (error) {
      this.#failure ??= new StorageFailedError('the Raft log could not be written', { cause: error });
      throw this.#failure;
    } finally {
      this.#isWriting = false;
    }
  }

  #refuseIfUnusable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    assert(this.#state === 'open', 'the storage is open');
    assert(!this.#isWriting, 'one write at a time');
  }
}
