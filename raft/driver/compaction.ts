/** Keeps the log short: forgets what the state machine holds durably, but for a tail for slow followers (thesis 5.1). */
import type { RaftCore } from '../core/raft.ts';
import type { RaftStorage } from '../storage/storage.ts';
import type { CrashPointHook } from './crash-points.ts';
import type { RaftOptions } from './options.ts';
import type { StateMachine } from './state-machine.ts';
import type { StorageQueue } from './storage-queue.ts';

export interface CompactionContext {
  readonly core: RaftCore;
  readonly storage: RaftStorage;
  readonly queue: StorageQueue;
  readonly stateMachine: StateMachine<unknown>;
  readonly options: RaftOptions;
  readonly reach: CrashPointHook;
  readonly now: () => number;
}

export class Compaction {
  readonly #context: CompactionContext;
  #underWay: Promise<void> | undefined;
  #notBeforeMs = 0;

  constructor(context: CompactionContext) {
    this.#context = context;
  }

  /** Whether the log has grown enough. */
  isDue(): boolean {
    const { core, options, now } = this.#context;
    if (this.#underWay !== undefined || core.needsSnapshot || now() < this.#notBeforeMs) return false;
    const { appliedIndex, startIndex } = core.status();
    const isLong = appliedIndex - startIndex >= options.compactEntries + options.tailEntries;
    return isLong || core.logBytes >= options.compactBytes;
  }

  /** @throws what storage and state machine throw: both are fatal. */
  async run(): Promise<void> {
    const compacting = this.#compact();
    this.#underWay = compacting.catch(() => {});
    try {
      await compacting;
    } finally {
      this.#underWay = undefined;
    }
  }

  async idle(): Promise<void> {
    await this.#underWay;
  }

  async #compact(): Promise<void> {
    const { core, storage, queue, stateMachine, options, reach, now } = this.#context;
    // Where nothing can be forgotten yet, do not flush again at once.
    this.#notBeforeMs = now() + options.electionTimeoutMs;
    reach('beforeFlush');
    const durableIndex = await stateMachine.flush();
    await queue.run(async () => {
      const tail = { entriesMax: options.tailEntries, bytesMax: options.tailBytes };
      // Asked only now: a snapshot may have replaced the log while this waited.
      const metadata = core.snapshotMetadata(core.compactionTarget(durableIndex, tail));
      if (core.needsSnapshot || metadata === undefined || metadata.index <= core.status().startIndex) return;
      reach('beforeCompact');
      await storage.compact(metadata);
      reach('afterCompact');
      // A snapshot that was installed meanwhile starts the log further up.
      if (metadata.index > core.status().startIndex) core.compact(metadata.index);
    });
  }
}
