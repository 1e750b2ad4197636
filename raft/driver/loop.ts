/**
 * The loop between the pure core and the world. It owns no rule of Raft; it owns the order in which things happen:
 *
 * - Everything that arrives in one turn of the event loop (messages, proposals, reads) goes into the core first; then one
 *   `pump` takes out what is due. So a turn's proposals become one append and one message per follower.
 * - A leader's appends go out before its own write begins; acknowledgements and votes go out after the write is durable.
 * - One write is under way at a time; what arrives meanwhile shares the next (group commit).
 * - Committed entries are applied in batches; their results settle the proposals that wait here.
 *
 * Whatever must not happen, a failed write first of all, stops the loop for good: nothing is retried on a disk that has
 * failed.
 */
import type { Message } from '../core/messages.ts';
import type { RaftCore } from '../core/raft.ts';
import type { PersistRequest, Ready } from '../core/ready.ts';
import type { Entry, MemberId } from '../core/types.ts';
import type { RaftStorage } from '../storage/storage.ts';
import type { IncomingSnapshot, Transport } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import { Compaction } from './compaction.ts';
import type { CrashPoint, CrashPointHook } from './crash-points.ts';
import type { LeadershipAnnouncer } from './leadership.ts';
import type { Logger } from './logger.ts';
import { MembershipNews } from './membership-news.ts';
import { removedError } from './node.ts';
import type { RaftObserver } from './observer.ts';
import { COMMIT_NEWS_DELAY_MS, type ResolvedRaftOptions, SWEEP_INTERVAL_MS } from './options.ts';
import type { PeerAddresses } from './peer-addresses.ts';
import { Proposals } from './proposals.ts';
import { Reads } from './reads.ts';
import { type SnapshotContext, SnapshotReceiver, SnapshotSender } from './snapshots.ts';
import type { CommittedCommand, StateMachine } from './state-machine.ts';
import { StorageQueue } from './storage-queue.ts';
import { Waiter } from './waiters.ts';

export interface LoopContext<Result> {
  readonly core: RaftCore;
  readonly announcer: LeadershipAnnouncer;
  readonly addresses: PeerAddresses;
  readonly id: MemberId;
  readonly storage: RaftStorage;
  readonly transport: Transport;
  readonly stateMachine: StateMachine<Result>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: ResolvedRaftOptions;
  readonly reach: CrashPointHook;
  readonly observer?: RaftObserver;
  /** The loop has stopped because of this. Called once. */
  readonly onFatal: (error: Error) => void;
}

export class RaftLoop<Result> {
  readonly core: RaftCore;
  readonly proposals: Proposals<Result>;
  readonly reads: Reads;
  readonly #context: LoopContext<Result>;
  readonly #queue = new StorageQueue();
  readonly #compaction: Compaction;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #membershipNews: MembershipNews;
  readonly #tickWaiters = new Set<Waiter<void>>();
  #isStarted = false;
  #isStopped = false;
  #isPumpScheduled = false;
  #cancelTick: () => void = () => {};
  #dueTickMs = 0;
  #dueSweepMs = 0;
  /** The news that more is committed have waited long enough for an append to go with. */
  #isCommitNewsLate = false;
  #cancelCommitNews: (() => void) | undefined;
  /** Somebody waits for commitment through here; and how far it was told without delay. */
  #hurriedIndex = 0;
  #toldIndex = 0;
  /** Since when the log's write under way is under way. */
  #appendingSinceMs: number | undefined;
  /** On the leader: when which batches were handed out, until they are committed. For the observer alone. */
  #handedOut: { readonly index: number; readonly atMs: number }[] = [];
  #leader: MemberId | undefined;
  /** Somebody waits for the log on disk to reach an index. */
  #logWaiter: { readonly index: number; readonly waiter: Waiter<void> } | undefined;

  constructor(context: LoopContext<Result>) {
    this.#context = context;
    const { core, transport, options, clock } = context;
    this.core = core;
    const wake = () => this.wake();
    const forward = (method: string) => (leader: MemberId, body: Uint8Array) =>
      transport.request(leader, method, body, { timeoutMs: options.requestTimeoutMs });
    const { observer } = context;
    const shared = { wake, limits: options.driverLimits, ...(observer && { observer }) };
    this.proposals = new Proposals(core, { ...shared, forward: forward('propose') });
    this.reads = new Reads(core, { ...shared, forward: forward('readIndex'), now: () => clock.now() });
    const reach = (point: CrashPoint) => this.#reach(point);
    this.#compaction = new Compaction({ ...context, reach, queue: this.#queue, now: () => clock.now() });
    const snapshots: SnapshotContext = {
      ...context,
      reach,
      retryMs: options.electionTimeoutMs,
      wake,
      logReaches: index => this.#logReaches(index),
    };
    this.#sender = new SnapshotSender(snapshots);
    this.#receiver = new SnapshotReceiver(snapshots);
    this.#membershipNews = new MembershipNews({
      ...context,
      graceMs: options.heartbeatMs,
      guard: action => this.#guard(action),
    });
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** How long the log's write that is under way has taken by now; 0 if none is. */
  get appendingMs(): number {
    return this.#appendingSinceMs === undefined ? 0 : this.#context.clock.now() - this.#appendingSinceMs;
  }

  /** Makes its peers known to the transport, so that they can be asked something; takes part in nothing yet. */
  dial(): void {
    this.#guard(() => this.#membershipNews.note());
  }

  /** Takes part from now on. */
  start(): void {
    this.#isStarted = true;
    this.#dueTickMs = this.#context.clock.now();
    this.#scheduleTick();
    this.wake();
  }

  /** Something may be due: pumps at the end of this turn. */
  wake(): void {
    if (this.#isPumpScheduled || this.#isStopped || !this.#isStarted) return;
    this.#isPumpScheduled = true;
    this.#context.clock.nextTurn(() => {
      this.#isPumpScheduled = false;
      this.#guard(() => this.#pump());
    });
  }

  step(message: Message): void {
    // Raft repeats itself: what comes too early comes again.
    if (!this.#isStarted) return;
    this.#guard(() => this.core.step(message));
    this.wake();
  }

  /** Something outside the loop is fatal for the member. */
  fail(cause: unknown): void {
    this.#fail(cause);
  }

  /** A peer says that this member was removed: only who knows that removal to be committed does. */
  removed(by: MemberId): void {
    this.#context.logger.warn({ by }, 'another member says that this one was removed');
    this.#fail(removedError());
  }

  async receiveSnapshot(incoming: IncomingSnapshot): Promise<void> {
    if (this.#isStopped) return;
    if (!this.#isStarted) {
      await incoming.chunks[Symbol.asyncIterator]().return?.();
      return;
    }
    const metadata = await this.#receiver.receive(incoming);
    this.#guard(() => {
      const { term } = this.core.status();
      if (metadata !== undefined) this.proposals.skippedTo(metadata.index);
      this.#send([
        {
          type: 'snapshotStatus',
          from: this.#context.id,
          to: incoming.from,
          term,
          success: metadata !== undefined,
          matchIndex: metadata?.index ?? 0,
        },
      ]);
    });
    this.wake();
  }

  /** Resolves at the next tick; rejects when the member stops. */
  nextTick(): Promise<void> {
    const waiter = new Waiter<void>(Number.POSITIVE_INFINITY);
    if (this.#isStopped) waiter.reject(new Error('the member has stopped'));
    else this.#tickWaiters.add(waiter);
    return waiter.promise;
  }

  /** Stops at once. Whoever waits gets the error that fits how far it had come. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancelTick();
    this.#cancelCommitNews?.();
    this.#membershipNews.end();
    this.proposals.close();
    this.reads.close();
    for (const waiter of this.#tickWaiters) waiter.reject(new Error('the member has stopped'));
    this.#tickWaiters.clear();
    this.#logWaiter?.waiter.reject(new Error('the member has stopped'));
    this.#context.announcer.end();
  }

  /** Resolves when nothing of a stopped loop is under way any more. */
  async idle(): Promise<void> {
    await this.#receiver.idle();
    await this.#compaction.idle();
    await this.#queue.idle();
  }

  #scheduleTick(): void {
    const { clock, options } = this.#context;
    const now = clock.now();
    // Ticks that a blocked event loop missed are not made up for: the messages that came meanwhile are still unread.
    this.#dueTickMs = Math.max(this.#dueTickMs + options.tickMs, now);
    this.#cancelTick = clock.setTimeout(() => {
      this.#guard(() => this.#tick());
      if (!this.#isStopped) this.#scheduleTick();
    }, this.#dueTickMs - now);
  }

  #tick(): void {
    this.core.tick();
    this.proposals.tick();
    this.reads.tick();
    const now = this.#context.clock.now();
    this.#observeLateness(now - this.#dueTickMs);
    if (now >= this.#dueSweepMs) {
      this.#dueSweepMs = now + SWEEP_INTERVAL_MS;
      this.proposals.sweep(now);
      this.reads.sweep(now);
    }
    const waiters = [...this.#tickWaiters];
    this.#tickWaiters.clear();
    for (const waiter of waiters) waiter.resolve();
    this.wake();
  }

  #pump(): void {
    this.proposals.flush();
    this.reads.flush();
    const ready = this.core.ready({ canApply: !this.#receiver.isRestoring, holdCommit: !this.#isCommitNewsDue() });
    this.#send(ready.messages);
    if (ready.persist !== undefined) this.#attend(this.#persist(ready.persist));
    if (ready.isCommitUntold) this.#tellCommitSoon();
    else this.#commitIsTold();
    // The messages leave and the write begins in microtasks that were queued before this one: the others and the disk work
    // while the state machine does.
    queueMicrotask(() => this.#guard(() => this.#finishPump(ready)));
  }

  #finishPump(ready: Ready): void {
    this.#sender.begin(ready.snapshotsWanted);
    for (const read of ready.reads) this.reads.confirmed(read);
    if (ready.committed.length > 0) this.#apply(ready.committed);
    this.#membershipNews.note();
    const status = this.core.status();
    this.#context.announcer.note(status);
    if (status.leader !== this.#leader) {
      this.#leader = status.leader;
      this.#context.observer?.leaderChanged?.(status.leader, status.term);
    }
    if (!this.#receiver.isRestoring && this.#compaction.isDue()) this.#attend(this.#compaction.run());
  }

  /**
   * A member waits for what this leader commits from here on, because it forwarded a proposal or a read: the news goes
   * out by itself instead of with the next append.
   */
  hurry(): void {
    this.#hurriedIndex = this.core.status().lastIndex;
  }

  #isCommitNewsDue(): boolean {
    const isDue = this.#isCommitNewsLate || this.#hurriedIndex > this.#toldIndex;
    this.#isCommitNewsLate = false;
    if (isDue) this.#toldIndex = this.core.status().commitIndex;
    return isDue;
  }

  #tellCommitSoon(): void {
    this.#cancelCommitNews ??= this.#context.clock.setTimeout(() => {
      this.#cancelCommitNews = undefined;
      this.#isCommitNewsLate = true;
      this.wake();
    }, COMMIT_NEWS_DELAY_MS);
  }

  /** An append took the news along: what is committed next has its own delay, and may find an append too. */
  #commitIsTold(): void {
    this.#cancelCommitNews?.();
    this.#cancelCommitNews = undefined;
  }

  async #persist(request: PersistRequest): Promise<void> {
    const { storage, clock, observer } = this.#context;
    const { reset, hardState, entries } = request;
    this.#observeHandedOut(entries);
    await this.#queue.run(async () => {
      this.#reach('beforeSave');
      const sinceMs = clock.now();
      this.#appendingSinceMs = sinceMs;
      if (reset !== undefined && hardState !== undefined) await storage.reset(reset, hardState);
      else await storage.save({ ...(hardState && { hardState }), ...(entries.length > 0 && { entries }) });
      this.#appendingSinceMs = undefined;
      observer?.appended?.(clock.now() - sinceMs, entries.length, bytesOf(entries));
      this.#reach('afterSave');
    });
    if (this.#isStopped) return;
    this.#send(request.messages);
    this.core.advance({ persisted: request.sequence });
    if (this.#logWaiter !== undefined && this.#isLogAt(this.#logWaiter.index)) this.#logWaiter.waiter.resolve();
    this.wake();
  }

  #apply(committed: readonly Entry[]): void {
    const throughIndex = committed.at(-1)?.index ?? 0;
    const commands: CommittedCommand[] = committed.filter(entry => entry.kind === 'command');
    const { stateMachine, clock, observer } = this.#context;
    this.#observeCommitted(throughIndex);
    this.#reach('beforeApply');
    const sinceMs = clock.now();
    const results = stateMachine.apply(commands, throughIndex);
    observer?.applied?.(clock.now() - sinceMs, commands.length);
    this.#reach('afterApply');
    this.core.advance({ applied: throughIndex });
    let position = 0;
    for (const entry of committed) {
      this.proposals.applied(entry, entry.kind === 'command' ? results[position++] : undefined);
    }
    this.reads.appliedTo(throughIndex);
    // More may be committed than one batch holds; in between, the event loop gets its turn.
    this.wake();
  }

  #observeHandedOut(entries: readonly Entry[]): void {
    const index = entries.at(-1)?.index;
    if (index === undefined || this.#context.observer?.committed === undefined) return;
    if (this.core.status().role !== 'leader') this.#handedOut = [];
    // Where a quorum is away, what waits beyond the bound is not timed.
    else if (this.#handedOut.length < this.#context.options.driverLimits.timedBatchesMax) {
      this.#handedOut.push({ index, atMs: this.#context.clock.now() });
    }
  }

  #observeCommitted(throughIndex: number): void {
    let first = this.#handedOut[0];
    while (first !== undefined && first.index <= throughIndex) {
      this.#handedOut.shift();
      this.#context.observer?.committed?.(this.#context.clock.now() - first.atMs);
      first = this.#handedOut[0];
    }
  }

  /** Heartbeats leave with ticks: where those come late, so do these (etcd counts it as "likely overloaded"). */
  #observeLateness(lateMs: number): void {
    const { observer, options } = this.#context;
    if (observer?.heartbeatFailed === undefined || lateMs <= options.heartbeatMs) return;
    for (const peer of this.core.progress?.keys() ?? []) if (peer !== this.#context.id) observer.heartbeatFailed(peer);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) this.#context.transport.send(message);
  }

  /**
   * Resolves once the log on disk reaches `index`, be it that it starts there. Also where the log in memory has the entry
   * and need not be replaced: the state must not come to hold, durably, what the log could still lose.
   */
  async #logReaches(index: number): Promise<void> {
    if (this.#isLogAt(index)) return;
    const waiter = new Waiter<void>(Number.POSITIVE_INFINITY);
    this.#logWaiter = { index, waiter };
    await waiter.promise;
    this.#logWaiter = undefined;
  }

  #isLogAt(index: number): boolean {
    return !this.core.isResetPending && this.core.status().stableIndex >= index;
  }

  #reach(point: CrashPoint): void {
    if (this.#isStopped) throw new Error('the member has stopped');
    try {
      this.#context.reach(point);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** Runs a step of the loop; what it throws is fatal. */
  #guard(action: () => void): void {
    if (this.#isStopped) return;
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #attend(work: Promise<void>): void {
    work.catch(error => this.#fail(error));
  }

  #fail(cause: unknown): void {
    if (this.#isStopped) return;
    const error = cause instanceof Error ? cause : new Error('the member failed', { cause });
    this.#context.logger.error({ error }, 'the member stops for good');
    this.stop();
    this.#context.onFatal(error);
  }
}

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data.length;
  return bytes;
}
