/**
 * Joins the replicated state to Raft: applies committed commands, wakes watches, and keeps the state on disk in the
 * background. Applying never waits for the disk, because the Raft log already holds what is applied: while one batch is
 * being written the next ones are gathered into one. What the batches have grown by is folded into a new checkpoint from
 * time to time, so that a restart reads little and the disk does not fill.
 */
import assert from 'node:assert';
import type { CommittedCommand, SnapshotMetadata, StateMachine, StateMachineSnapshot } from '../raft/index.ts';
import { type StateBackend, StateCorruptError, StateFailedError, type StoredState } from './backend/backend.ts';
import { WatchLostError } from './client/client.ts';
import type { Clock } from './clock.ts';
import { ByteWriter } from './codec/bytes.ts';
import { type BatchHead, decodeBatch, writeBatchHead, writeChange } from './codec/change.ts';
import { decodeLogged } from './codec/command.ts';
import {
  encodeImage,
  ImageCorruptError,
  ImageLoader,
  lengthPrefixed,
  lengthPrefixRemoved,
  SNAPSHOT_CHUNK_BYTES,
} from './codec/image.ts';
import { STATE_WRITE_PAUSE_MS, STORE_LIMITS, type StoreLimits, UNWRITTEN_FATAL_FACTOR } from './limits.ts';
import type { ApplyResult, Change } from './mvcc/command.ts';
import type { Image } from './mvcc/image.ts';
import { Mvcc } from './mvcc/mvcc.ts';
import type { ReplicaObserver } from './observer.ts';
import { RunningHash } from './running-hash.ts';
import { WatchHub } from './watch/hub.ts';

export interface ReplicaOptions {
  readonly backend: StateBackend;
  readonly clock: Clock;
  /** Called once when the disk failed or the state cannot go on: the process must exit. */
  readonly onFatal: (error: Error) => void;
  readonly checkpointBytesMin?: number;
  readonly limits?: StoreLimits;
  /** Who this member is, so that it knows which alarms mean it. */
  readonly memberId?: string;
  /** The log on disk begins after this index, and nobody else has what came before: a state that lacks it is damaged. */
  readonly appliedIndexMin?: number;
  /** Keeps count of what is done here. */
  readonly observer?: ReplicaObserver;
}

/** Hears of leases, as the one who ends them must. */
export type LeaseListener = (change: Extract<Change, { type: 'lease' | 'leaseGone' }>) => void;

export class Replica implements StateMachine<ApplyResult> {
  readonly #backend: StateBackend;
  readonly #clock: Clock;
  readonly #onFatal: (error: Error) => void;
  readonly #checkpointBytesMin: number;
  readonly #appliedIndexMin: number;
  readonly #memberId: string | undefined;
  readonly #unwrittenBytesFatal: number;
  readonly #observer: ReplicaObserver | undefined;
  readonly #hash = new RunningHash();
  readonly #leaseListeners = new Set<LeaseListener>();
  /** Changes that no write has taken yet. */
  readonly #unwritten = new ByteWriter();
  readonly #batch = new ByteWriter();
  #state = new Mvcc();
  #hub: WatchHub;
  #appliedIndex = 0;
  #servingProblem: string | undefined;
  #isBehind = false;
  #draining: Promise<void> | undefined;
  #bytesInFlight = 0;
  #bytesSinceCheckpoint = 0;
  #checkpointBytes = 0;
  #folding: Promise<void> | undefined;
  #isRestoring = false;
  #isClosing = false;
  #isSweeping = false;
  #failure: Error | undefined;

  constructor(options: ReplicaOptions) {
    const { limits = STORE_LIMITS } = options;
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#onFatal = options.onFatal;
    this.#checkpointBytesMin = options.checkpointBytesMin ?? limits.checkpointBytesMin;
    this.#appliedIndexMin = options.appliedIndexMin ?? 0;
    this.#memberId = options.memberId;
    this.#unwrittenBytesFatal = limits.unwrittenBytesMax * UNWRITTEN_FATAL_FACTOR;
    this.#observer = options.observer;
    this.#hash.reset(this.#state.revision, 0);
    this.#hub = new WatchHub({ source: this.#state, clock: options.clock, limits });
  }

  /** The state as of the last applied command. Replaced as a whole by a restore: do not keep it. */
  get state(): Mvcc {
    return this.#state;
  }
  get watches(): WatchHub {
    return this.#hub;
  }
  get appliedIndex(): number {
    return this.#appliedIndex;
  }
  /** What is applied but not yet given to the operating system. */
  get unwrittenBytes(): number {
    return this.#unwritten.length + this.#bytesInFlight;
  }
  /** Why this member may not answer anybody; undefined if it may. */
  get servingProblem(): string | undefined {
    return this.#servingProblem;
  }
  /** The running hash over all changes up to a recent revision; undefined for one that is not remembered. */
  hashAt(revision: number): number | undefined {
    return this.#hash.at(revision);
  }

  /** Calls back at each change of a lease; the answer ends it. */
  onLease(listener: LeaseListener): () => void {
    this.#leaseListeners.add(listener);
    return () => this.#leaseListeners.delete(listener);
  }

  async open(): Promise<{ readonly appliedIndex: number }> {
    try {
      await this.#load(await this.#backend.open());
    } catch (error) {
      throw loadingError(error);
    }
    this.#scheduleSweep();
    if (this.#appliedIndex < this.#appliedIndexMin) {
      throw new StateCorruptError(
        `the state ends at entry ${this.#appliedIndex}, but the log has nothing before ${this.#appliedIndexMin}: restore a backup`,
      );
    }
    return { appliedIndex: this.#appliedIndex };
  }

  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly ApplyResult[] {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#isRestoring, 'nothing is applied while a snapshot is taken over');
    assert(throughIndex >= this.#appliedIndex, 'the applied index does not go back');
    const revision = this.#state.revision;
    const results = commands.map(command => this.#applyOne(command));
    this.#appliedIndex = throughIndex;
    if (this.#state.revision > revision) this.#hub.published();
    if (this.unwrittenBytes > this.#unwrittenBytesFatal) this.#die(tooFarBehind(this.unwrittenBytes));
    this.#writeSoon();
    this.#scheduleSweep();
    return results;
  }

  /**
   * Gives this state up for good: nothing is answered, applied or written any more, and the next start builds it anew.
   * @param error what the owner hears as the reason to end the process
   */
  async condemn(error: Error): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#servingProblem = error.message;
    this.#hub.failAll(() => new WatchLostError(error.message));
    // Not remembered, it is found out again: what matters is that this process ends.
    await this.#backend.condemn(error.message).catch(() => {});
    this.#die(error);
  }

  async flush(): Promise<number> {
    const index = this.#appliedIndex;
    this.#appendUnwritten();
    const sinceMs = this.#clock.now();
    await this.#orDie(this.#backend.flush());
    this.#observer?.stateFlushed?.(this.#clock.now() - sinceMs);
    this.#maybeFold();
    return index;
  }

  snapshot(): StateMachineSnapshot {
    const image = this.#state.image();
    const chunks = encodeImage(image, this.#head(), SNAPSHOT_CHUNK_BYTES);
    return { index: this.#appliedIndex, chunks: lengthPrefixed(chunks), release: () => this.#release(image) };
  }

  async restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    assert(!this.#isRestoring, 'one restore at a time');
    this.#isRestoring = true;
    try {
      await this.#folding;
      this.#appendUnwritten();
      await this.#takeOver(metadata, chunks);
    } finally {
      this.#isRestoring = false;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#hub.close();
    await this.#folding;
    if (this.#failure === undefined) {
      this.#appendUnwritten();
      // A failed flush loses nothing: the log still has it all.
      await this.#backend.flush().catch(() => {});
    }
    await this.#backend.close();
  }

  async #load(stored: StoredState): Promise<void> {
    if (stored.checkpoint !== undefined) {
      const loader = new ImageLoader();
      for await (const chunk of stored.checkpoint) {
        loader.push(chunk);
        this.#checkpointBytes += chunk.length;
      }
      const { state, head } = loader.finish();
      this.#become(state, head);
    }
    for await (const batch of stored.batches) this.#replay(batch);
  }

  #applyOne(committed: CommittedCommand): ApplyResult {
    assert(committed.index > this.#appliedIndex, 'a command is applied once');
    const { command, by } = this.#decode(committed);
    const applied = this.#state.apply(command, { term: committed.term, by });
    for (const change of applied.writes) {
      const from = this.#unwritten.length;
      writeChange(this.#unwritten, change);
      if (change.type === 'revision') this.#hash.add(change.revision, this.#unwritten.peek(from));
      else if (change.type === 'alarm' || change.type === 'alarmGone') this.#noteAlarms();
      else if (change.type === 'lease' || change.type === 'leaseGone') {
        for (const listener of this.#leaseListeners) listener(change);
      }
    }
    this.#observer?.commandApplied?.(command, applied);
    return applied.result;
  }

  #decode(committed: CommittedCommand) {
    try {
      return decodeLogged(committed.data);
    } catch (error) {
      // Skipping it would make this member differ from the others.
      throw this.#die(new Error(`entry ${committed.index} cannot be understood`, { cause: error }));
    }
  }

  #writeSoon(): void {
    this.#isBehind = true;
    this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#isBehind && this.#failure === undefined) {
      // Nobody waits for these writes, so a few milliseconds' worth go together.
      await new Promise<void>(resolve => this.#clock.setTimeout(resolve, STATE_WRITE_PAUSE_MS));
      await this.#appendUnwritten();
    }
    this.#draining = undefined;
    this.#maybeFold();
  }

  /** Hands everything that is unwritten to the backend; its order is kept from here on. */
  #appendUnwritten(): Promise<void> {
    if (!this.#isBehind) return Promise.resolve();
    this.#isBehind = false;
    writeBatchHead(this.#batch, this.#head());
    this.#batch.raw(this.#unwritten.peek());
    this.#unwritten.clear();
    const batch = this.#batch.take();
    this.#bytesInFlight += batch.length;
    this.#bytesSinceCheckpoint += batch.length;
    const sinceMs = this.#clock.now();
    const done = this.#orDie(this.#backend.append(batch)).then(() => {
      this.#observer?.stateWritten?.(this.#clock.now() - sinceMs, batch.length);
      this.#bytesInFlight -= batch.length;
    });
    return done.catch(() => {});
  }

  #maybeFold(): void {
    const isLarge = this.#bytesSinceCheckpoint > Math.max(this.#checkpointBytesMin, this.#checkpointBytes);
    if (!isLarge || this.#folding !== undefined || this.#isRestoring || this.#isClosing) return;
    this.#folding = this.#fold().finally(() => {
      this.#folding = undefined;
    });
  }

  async #fold(): Promise<void> {
    // A checkpoint stands for whole batches, so what is applied must all be handed over before its picture is taken.
    this.#appendUnwritten();
    const checkpoint = this.#backend.beginCheckpoint();
    const image = this.#state.image();
    this.#bytesSinceCheckpoint = 0;
    const sinceMs = this.#clock.now();
    let bytes = 0;
    try {
      for (const chunk of encodeImage(image, this.#head())) {
        await checkpoint.write(chunk);
        bytes += chunk.length;
        if (this.#isClosing) return await checkpoint.abandon();
      }
      await checkpoint.commit();
      this.#checkpointBytes = bytes;
      this.#observer?.checkpointWritten?.(this.#clock.now() - sinceMs, bytes);
    } catch (error) {
      this.#die(asError(error));
    } finally {
      this.#release(image);
    }
  }

  async #takeOver(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const checkpoint = this.#backend.beginCheckpoint();
    const loader = new ImageLoader();
    const sinceMs = this.#clock.now();
    let bytes = 0;
    let loaded: ReturnType<ImageLoader['finish']>;
    try {
      for await (const chunk of lengthPrefixRemoved(chunks)) {
        loader.push(chunk);
        bytes += chunk.length;
        await this.#orDie(checkpoint.write(chunk));
      }
      loaded = loader.finish();
      if (loaded.head.appliedIndex !== metadata.index) throw new ImageCorruptError('a snapshot is of another index');
    } catch (error) {
      if (this.#failure === undefined) await this.#orDie(checkpoint.abandon());
      throw error;
    }
    await this.#orDie(checkpoint.commit());
    this.#checkpointBytes = bytes;
    this.#bytesSinceCheckpoint = 0;
    this.#become(loaded.state, loaded.head);
    this.#observer?.snapshotRestored?.(this.#clock.now() - sinceMs);
  }

  #become(state: Mvcc, head: BatchHead): void {
    this.#state = state;
    this.#appliedIndex = head.appliedIndex;
    this.#hash.reset(head.counters.revision, head.hash);
    this.#hub.replaceSource(state);
    this.#noteAlarms();
    for (const lease of state.leases) {
      for (const listener of this.#leaseListeners) listener({ type: 'lease', lease });
    }
  }

  /** A member whose data differs from the others' must not show it to anybody, from this moment on. */
  #noteAlarms(): void {
    const corrupt = this.#state.alarms.filter(({ type }) => type === 'CORRUPT');
    const isMeant = corrupt.some(({ memberId }) => memberId === '' || memberId === this.#memberId);
    const problem = isMeant
      ? 'this member’s data differs from the others’: it answers nothing until it is rebuilt'
      : undefined;
    if (problem !== undefined && this.#servingProblem === undefined) {
      this.#hub.failAll(() => new WatchLostError(problem));
    }
    this.#servingProblem = problem;
  }

  #replay(bytes: Uint8Array): void {
    const { head, changes } = decodeBatch(bytes);
    for (const change of changes) this.#state.replay(change);
    const { counters } = this.#state;
    assert.deepStrictEqual(counters, head.counters, 'the counters on disk are those of the changes');
    this.#appliedIndex = head.appliedIndex;
    this.#hash.reset(counters.revision, head.hash);
    this.#noteAlarms();
    this.#bytesSinceCheckpoint += bytes.length;
  }

  #head(): BatchHead {
    return { appliedIndex: this.#appliedIndex, counters: this.#state.counters, hash: this.#hash.value };
  }

  #release(image: Image): void {
    image.release();
    this.#scheduleSweep();
  }

  /** What compaction freed is removed between other work. */
  #scheduleSweep(): void {
    if (this.#isSweeping || this.#isClosing || !this.#state.hasToSweep) return;
    this.#isSweeping = true;
    this.#clock.setTimeout(() => {
      this.#isSweeping = false;
      this.#state.sweep();
      this.#scheduleSweep();
    }, 0);
  }

  async #orDie<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work;
    } catch (error) {
      throw this.#die(asError(error));
    }
  }

  #die(error: Error): Error {
    if (this.#failure === undefined) {
      this.#failure = error;
      if (!this.#isClosing) this.#onFatal(error);
    }
    return error;
  }
}

function tooFarBehind(bytes: number): StateFailedError {
  return new StateFailedError(
    `the disk has not taken the last ${bytes} bytes of the state: check it, then start this member again`,
  );
}

/** Whatever makes no sense on disk means the same to an operator. */
function loadingError(error: unknown): unknown {
  const isNonsense =
    error instanceof ImageCorruptError || error instanceof RangeError || error instanceof assert.AssertionError;
  if (!isNonsense) return error;
  return new StateCorruptError(
    `the state on disk is damaged (${error.message}): remove the data directory of this member and join it again as a new one`,
    { cause: error },
  );
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
