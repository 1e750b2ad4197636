/**
 * A whole store in memory: the real replicated state and watches behind the client interface, with no Raft and no disk.
 * For tests of what is built on the store, and for the contract suite as the simplest thing that must pass it.
 */
import { type Clock, systemClock, systemWallClock } from '../clock.ts';
import { ByteWriter } from '../codec/bytes.ts';
import { writeChange } from '../codec/change.ts';
import { encodeImage, lengthPrefixed } from '../codec/image.ts';
import { QUOTA_CLEAR_SHARE, resolveLimits, type StoreLimits } from '../limits.ts';
import type { ApplyResult, Change, Command, CommandValue } from '../mvcc/command.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import { RunningHash } from '../running-hash.ts';
import { encodeSnapshot } from '../snapshot/format.ts';
import { WatchHub } from '../watch/hub.ts';
import { Admission } from './admission.ts';
import { CommandClient } from './base.ts';
import {
  type Alarm,
  type LeaseTimeToLive,
  type MembershipClient,
  MembershipRefusedError,
  type RangeRequest,
  type RangeResult,
  type StoreHash,
  type StoreMembership,
  type StoreStatus,
  UnavailableError,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';
import { refusalError } from './errors.ts';
import { hashOf } from './hash-of.ts';
import { leaseIds, timeToLive } from './lease-times.ts';

export interface MemoryStoreOptions {
  readonly clock?: Clock;
  /** The term under which all commands are accepted; can be raised by {@link MemoryStore.setTerm}. */
  readonly term?: number;
  readonly limits?: Partial<StoreLimits>;
}

const MEMBER_ID = '0000000000000001';
const QUOTA_ALARM: Alarm = { type: 'NOSPACE', memberId: MEMBER_ID, cause: 'quota' };
const CLUSTER_ID = '0000000000000001';
const MEMBER = { id: MEMBER_ID, name: 'memory', peerAddress: '', clientUrl: '', role: 'voter' } as const;

/** Makes a store that lives and dies with the process. */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new MemoryStore(options);
}

export class MemoryStore extends CommandClient {
  readonly #clock: Clock;
  readonly #state: Mvcc;
  readonly #hub: WatchHub;
  readonly #admission: Admission;
  readonly #limits: StoreLimits;
  readonly #hash = new RunningHash();
  readonly #hashed = new ByteWriter();
  readonly #leaseTimers = new Map<number, { readonly cancel: () => void; readonly deadlineMs: number }>();
  #term: number;
  #applied = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    super();
    this.#clock = options.clock ?? systemClock;
    this.#term = options.term ?? 1;
    this.#limits = resolveLimits(options.limits);
    this.#state = new Mvcc();
    this.#hash.reset(this.#state.revision, 0);
    this.#hub = new WatchHub({ source: this.#state, clock: this.#clock, limits: this.#limits });
    this.#admission = new Admission({
      limits: this.#limits,
      clock: this.#clock,
      facts: () => ({ state: this.#state, appliedIndex: this.#applied, unwrittenBytes: 0 }),
      commitIndex: () => this.#applied,
      onQuota: () => this.#run({ type: 'alarm', action: 'raise', alarm: QUOTA_ALARM }),
    });
  }

  /** Begins a new leadership, as far as fencing is concerned. */
  setTerm(term: number): void {
    this.#term = term;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    this.#refuseIfClosed();
    const outcome = this.#state.range(request);
    if (!outcome.ok) throw refusalError(outcome.refusal);
    return outcome.value;
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    this.#refuseIfClosed();
    return this.#hub.watch(request);
  }

  async status(): Promise<StoreStatus> {
    return {
      memberId: MEMBER_ID,
      clusterId: CLUSTER_ID,
      leaderId: MEMBER_ID,
      term: this.#term,
      revision: this.#state.revision,
      compactedRevision: this.#state.compactedRevision,
      appliedIndex: this.#applied,
      members: [MEMBER],
    };
  }

  async *saveSnapshot(): AsyncGenerator<Uint8Array> {
    this.#refuseIfClosed();
    const image = this.#state.image();
    const { revision, compactedRevision, liveCount: keys, liveBytes } = this.#state;
    const head = { appliedIndex: this.#applied, counters: image.counters, hash: 0 };
    const header = {
      clusterId: CLUSTER_ID,
      memberId: MEMBER_ID,
      memberName: MEMBER.name,
      revision,
      compactedRevision,
      index: this.#applied,
      term: this.#term,
      takenAt: systemWallClock().toISOString(),
      keys,
      liveBytes,
    };
    try {
      yield* encodeSnapshot(header, lengthPrefixed(encodeImage(image, head)), async () => {});
    } finally {
      image.release();
    }
  }

  protected override readonly membership: MembershipClient = {
    members: async () => ONE_MEMBER,
    addLearner: refuseChange,
    addMember: refuseChange,
    promoteMember: refuseChange,
    removeMember: refuseChange,
    replaceMember: refuseChange,
    updateMember: refuseChange,
    transferLeadership: refuseChange,
  };

  async alarms(): Promise<readonly Alarm[]> {
    this.#refuseIfClosed();
    return this.#state.alarms;
  }

  async hash(revision = 0): Promise<StoreHash> {
    this.#refuseIfClosed();
    return hashOf({ state: this.#state, hashAt: at => this.#hash.at(at) }, revision);
  }

  async leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined> {
    this.#refuseIfClosed();
    const lease = this.#state.lease(id);
    const timer = this.#leaseTimers.get(id);
    if (lease === undefined || timer === undefined) return undefined;
    return timeToLive({ lease, keys: this.#state.leaseKeys(id), remainingMs: timer.deadlineMs - this.#clock.now() });
  }

  async leases(): Promise<readonly number[]> {
    this.#refuseIfClosed();
    return leaseIds(this.#state.leases);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const id of [...this.#leaseTimers.keys()]) this.#disarmLease(id);
    this.#hub.failAll(() => new UnavailableError('the store is closed'));
  }

  override async execute(command: Command): Promise<CommandValue> {
    this.#refuseIfClosed();
    this.#admission.check(command);
    this.#admission.enter(command)();
    return this.#run(command);
  }

  #run(command: Command): CommandValue {
    this.#refuseIfClosed();
    this.#applied++;
    const applied = this.#state.apply(command, { term: this.#term });
    if (applied.writes.some(({ type }) => type === 'revision')) this.#hub.published();
    for (const change of applied.writes) {
      if (change.type === 'revision') this.#addToHash(change);
      if (change.type === 'lease') this.#armLease(change.lease.id, change.lease.ttlSeconds);
      else if (change.type === 'leaseGone') this.#disarmLease(change.id);
      else if (change.type === 'compacted') while (this.#state.sweep());
    }
    this.#clearQuotaAlarm();
    return valueOrThrow(applied.result);
  }

  #addToHash(change: Extract<Change, { type: 'revision' }>): void {
    writeChange(this.#hashed, change);
    this.#hash.add(change.revision, this.#hashed.peek());
    this.#hashed.clear();
  }

  #clearQuotaAlarm(): void {
    if (this.#state.liveBytes >= this.#limits.quotaBytes * QUOTA_CLEAR_SHARE) return;
    if (!this.#state.alarms.some(({ cause }) => cause === 'quota')) return;
    this.#state.apply({ type: 'alarm', action: 'disarm', filter: { cause: 'quota' } }, { term: this.#term });
  }

  #armLease(id: number, ttlSeconds: number): void {
    this.#disarmLease(id);
    const delayMs = Math.min(ttlSeconds * 1000, 2 ** 31 - 1);
    const cancel = this.#clock.setTimeout(() => {
      this.#leaseTimers.delete(id);
      this.#run({ type: 'leaseRevoke', id });
    }, delayMs);
    this.#leaseTimers.set(id, { cancel, deadlineMs: this.#clock.now() + ttlSeconds * 1000 });
  }

  #disarmLease(id: number): void {
    this.#leaseTimers.get(id)?.cancel();
    this.#leaseTimers.delete(id);
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new UnavailableError('the store is closed');
  }
}

function valueOrThrow(result: ApplyResult): CommandValue {
  if (!result.ok) throw refusalError(result.refusal);
  return result.value;
}

const ONE_MEMBER: StoreMembership = { clusterId: CLUSTER_ID, leaderId: MEMBER_ID, members: [MEMBER] };

async function refuseChange(): Promise<never> {
  throw new MembershipRefusedError('a store in memory has one member, for ever');
}
