/** Snapshots on their way: out to a member that is behind the start of the log, and in from the leader (thesis 5). */
import type { RaftCore } from '../core/raft.ts';
import type { MemberId, SnapshotMetadata } from '../core/types.ts';
import type { IncomingSnapshot, Transport } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import type { CrashPointHook } from './crash-points.ts';
import type { Logger } from './logger.ts';
import type { RaftObserver, SnapshotTransfer } from './observer.ts';
import type { ResolvedRaftOptions } from './options.ts';
import type { StateMachine } from './state-machine.ts';

export interface SnapshotContext {
  readonly options: ResolvedRaftOptions;
  readonly core: RaftCore;
  readonly transport: Transport;
  readonly stateMachine: StateMachine<unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reach: CrashPointHook;
  readonly observer?: RaftObserver;
  /** Wait so long after a failed transfer before the next one to the same member. */
  readonly retryMs: number;
  /** Something changed in the core. */
  readonly wake: () => void;
  /** Resolves once the log on disk reaches the index of the snapshot that was just installed in the core. */
  readonly logReaches: (index: number) => Promise<void>;
}

/** Sends snapshots, a bounded number at a time, one per member. */
export class SnapshotSender {
  readonly #context: SnapshotContext;
  readonly #sending = new Set<MemberId>();
  readonly #notBefore = new Map<MemberId, number>();

  constructor(context: SnapshotContext) {
    this.#context = context;
  }

  /** Begins what was asked for, where it may. The core asks again as long as it has not begun. */
  begin(wanted: readonly MemberId[]): void {
    for (const to of wanted) {
      if (this.#sending.size >= this.#context.options.driverLimits.outgoingSnapshotsMax) return;
      if (this.#sending.has(to)) continue;
      if (this.#context.clock.now() < (this.#notBefore.get(to) ?? 0)) continue;
      this.#send(to);
    }
  }

  #send(to: MemberId): void {
    const { core, transport, stateMachine, clock, logger, observer } = this.#context;
    const { term } = core.status();
    // Not only once the own term's first entry is committed: the member may be the one that is missing for that.
    const snapshot = stateMachine.snapshot();
    const metadata = core.snapshotMetadata(snapshot.index);
    if (metadata === undefined) {
      snapshot.release();
      return;
    }
    this.#sending.add(to);
    core.snapshotStarted(to, metadata.index);
    logger.info({ to, index: metadata.index }, 'sending a snapshot');
    const meter = new Meter(clock, snapshot.chunks);
    observer?.snapshotSending?.(to);
    const ended = (error?: unknown) => {
      observer?.snapshotSent?.(to, meter.transfer(error === undefined));
      this.#ended(to, snapshot, error);
    };
    transport.sendSnapshot(to, { metadata, term, chunks: meter.chunks() }).then(
      () => ended(),
      (error: unknown) => ended(error ?? new Error('broken off')),
    );
  }

  #ended(to: MemberId, snapshot: { release(): void }, error: unknown): void {
    const { core, clock, logger, retryMs, wake } = this.#context;
    snapshot.release();
    this.#sending.delete(to);
    this.#notBefore.delete(to);
    if (error !== undefined) {
      logger.warn({ to, error }, 'a snapshot could not be sent');
      this.#notBefore.set(to, clock.now() + retryMs);
    }
    core.snapshotEnded(to, error === undefined);
    wake();
  }
}

/** Takes in one snapshot at a time. */
export class SnapshotReceiver {
  readonly #context: SnapshotContext;
  #restoring: Promise<void> | undefined;

  constructor(context: SnapshotContext) {
    this.#context = context;
  }

  /** While this is true, nothing may be applied. */
  get isRestoring(): boolean {
    return this.#restoring !== undefined;
  }

  /** Resolves when no snapshot is coming in any more. */
  async idle(): Promise<void> {
    await this.#restoring;
  }

  /** @returns the metadata once the state machine holds the snapshot; undefined if it was refused or broke off. */
  async receive(incoming: IncomingSnapshot): Promise<SnapshotMetadata | undefined> {
    const { core, clock, logger, observer } = this.#context;
    const { metadata, term, from } = incoming;
    if (this.isRestoring || !core.wantsSnapshot(metadata, term)) {
      await incoming.chunks[Symbol.asyncIterator]().return?.();
      return undefined;
    }
    logger.info({ from, index: metadata.index }, 'receiving a snapshot');
    const meter = new Meter(clock, incoming.chunks);
    observer?.snapshotReceiving?.(from);
    const restoring = this.#restore({ ...incoming, chunks: meter.chunks() });
    this.#restoring = restoring.then(
      () => {},
      () => {},
    );
    try {
      await restoring;
      observer?.snapshotReceived?.(from, meter.transfer(true));
      return metadata;
    } catch (error) {
      logger.warn({ from, error }, 'a snapshot could not be installed');
      observer?.snapshotReceived?.(from, meter.transfer(false));
      return undefined;
    } finally {
      this.#restoring = undefined;
    }
  }

  async #restore(incoming: IncomingSnapshot): Promise<void> {
    const { core, stateMachine, reach } = this.#context;
    reach('beforeRestore');
    await stateMachine.restore(incoming.metadata, this.#resettingLogAtEnd(incoming));
    reach('afterRestore');
    core.snapshotRestored(incoming.metadata.index);
  }

  /**
   * The chunks, and behind the last one the replacement of the log: after a crash in between, the log starts after the
   * snapshot while the state machine is older, which a member recognises at its start and heals by asking for another.
   * The other order would leave a state that no log belongs to.
   */
  async *#resettingLogAtEnd({ metadata, term, chunks }: IncomingSnapshot): AsyncGenerator<Uint8Array> {
    const { core, reach, wake, logReaches } = this.#context;
    yield* chunks;
    if (!core.wantsSnapshot(metadata, term)) throw new Error('the log has caught up without the snapshot');
    reach('beforeReset');
    core.installSnapshot(metadata);
    wake();
    await logReaches(metadata.index);
    reach('afterReset');
  }
}

/** Times a snapshot on its way and counts its bytes. */
class Meter {
  readonly #clock: Clock;
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #sinceMs: number;
  #bytes = 0;

  constructor(clock: Clock, source: AsyncIterable<Uint8Array>) {
    this.#clock = clock;
    this.#source = source;
    this.#sinceMs = clock.now();
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.#bytes += chunk.length;
      yield chunk;
    }
  }

  transfer(isComplete: boolean): SnapshotTransfer {
    return { isComplete, durationMs: this.#clock.now() - this.#sinceMs, bytes: this.#bytes };
  }
}
