/**
 * A member's replicated list, held to the one reference list: since all must be prefixes of it, its length is its state.
 * Its disk is written now and then without sync, so that after a crash it holds anything since the last flush.
 */
import assert from 'node:assert';
import type {
  CommittedCommand,
  MemberId,
  SnapshotMetadata,
  StateMachine,
  StateMachineSnapshot,
} from '../../raft/index.ts';
import { integerBetween, type Random } from './random.ts';
import type { Reference } from './reference.ts';

interface State {
  readonly appliedIndex: number;
  readonly length: number;
}

const CHUNKS = 4;

/** What outlives a crash. */
export class ListDisk {
  flushed: State = { appliedIndex: 0, length: 0 };
  /** States that may have reached the disk unsynced. */
  unsynced: State[] = [];

  crash(random: Random): void {
    const kept = integerBetween(random, 0, this.unsynced.length);
    this.flushed = this.unsynced[kept - 1] ?? this.flushed;
    this.unsynced = [];
  }
}

export interface ListMachineOptions {
  readonly member: MemberId;
  readonly disk: ListDisk;
  readonly reference: Reference;
  /** Stands before each flush, and before each chunk of a snapshot that is written. */
  readonly beforeWrite: (operation: 'flush' | 'checkpoint') => Promise<void>;
}

export class ListMachine implements StateMachine<number> {
  readonly #options: ListMachineOptions;
  #state: State = { appliedIndex: 0, length: 0 };
  #isRestoring = false;

  constructor(options: ListMachineOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#state.length;
  }

  get isRestoring(): boolean {
    return this.#isRestoring;
  }

  async open(): Promise<{ readonly appliedIndex: number }> {
    const { member, disk, reference } = this.#options;
    this.#state = disk.flushed;
    reference.opened(member, this.#state.appliedIndex);
    return { appliedIndex: this.#state.appliedIndex };
  }

  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly number[] {
    assert(!this.#isRestoring, 'nothing is applied while a snapshot comes in');
    const { member, reference, disk } = this.#options;
    reference.committed(member, throughIndex);
    const first = this.#state.length;
    for (const [offset, { index, term, data }] of commands.entries()) {
      reference.applies(first + offset, { index, term, command: Buffer.from(data).toString() });
    }
    this.#state = { appliedIndex: throughIndex, length: first + commands.length };
    disk.unsynced.push(this.#state);
    return commands.map((_, offset) => first + offset);
  }

  async flush(): Promise<number> {
    const { disk, beforeWrite } = this.#options;
    const state = this.#state;
    await beforeWrite('flush');
    disk.flushed = state;
    disk.unsynced = disk.unsynced.filter(({ appliedIndex }) => appliedIndex > state.appliedIndex);
    return state.appliedIndex;
  }

  snapshot(): StateMachineSnapshot {
    const state = this.#state;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let part = 0; part < CHUNKS; part++) yield Buffer.from(JSON.stringify(state));
    }
    return { index: state.appliedIndex, chunks: chunks(), release() {} };
  }

  async restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { disk, beforeWrite } = this.#options;
    let length = 0;
    let count = 0;
    this.#isRestoring = true;
    try {
      for await (const chunk of chunks) {
        await beforeWrite('checkpoint');
        length = (JSON.parse(Buffer.from(chunk).toString()) as State).length;
        count++;
      }
    } finally {
      this.#isRestoring = false;
    }
    if (count !== CHUNKS) throw new Error('the snapshot is not whole');
    this.#state = { appliedIndex: metadata.index, length };
    disk.flushed = this.#state;
    disk.unsynced = [];
  }

  async close(): Promise<void> {}
}
