/**
 * A whole store in memory: the real replicated state and watches behind the client interface, with no Raft and no disk.
 * For tests of what is built on the store, and for the contract suite as the simplest thing that must pass it.
 */
import { type Clock, systemClock, systemWallClock } from '../clock.ts';
import { encodeImage, lengthPrefixed } from '../codec/image.ts';
import type { ApplyResult, Command, CommandValue } from '../mvcc/command.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import { encodeSnapshot } from '../snapshot/format.ts';
import { WatchHub } from '../watch/hub.ts';
import { CommandClient } from './base.ts';
import {
  type MembershipClient,
  MembershipRefusedError,
  type RangeRequest,
  type RangeResult,
  type StoreMembership,
  type StoreStatus,
  UnavailableError,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';
import { refusalError } from './errors.ts';

export interface MemoryStoreOptions {
  readonly clock?: Clock;
  /** The term under which all commands are accepted; can be raised by {@link MemoryStore.setTerm}. */
  readonly term?: number;
  readonly liveBytesMax?: number;
}

const MEMBER_ID = '0000000000000001';
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
  readonly #leaseTimers = new Map<number, () => void>();
  #term: number;
  #applied = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    super();
    this.#clock = options.clock ?? systemClock;
    this.#term = options.term ?? 1;
    this.#state = new Mvcc(options.liveBytesMax === undefined ? {} : { liveBytesMax: options.liveBytesMax });
    this.#hub = new WatchHub({ source: this.#state, clock: this.#clock });
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

  async close(): Promise<void> {
    this.#closed = true;
    for (const id of [...this.#leaseTimers.keys()]) this.#disarmLease(id);
    this.#hub.failAll(() => new UnavailableError('the store is closed'));
  }

  override async execute(command: Command): Promise<CommandValue> {
    return this.#run(command);
  }

  #run(command: Command): CommandValue {
    this.#refuseIfClosed();
    this.#applied++;
    const applied = this.#state.apply(command, { term: this.#term });
    if (applied.events !== undefined) this.#hub.published();
    for (const change of applied.writes) {
      if (change.type === 'lease') this.#armLease(change.lease.id, change.lease.ttlSeconds);
      else if (change.type === 'leaseGone') this.#disarmLease(change.id);
      else if (change.type === 'compacted') while (this.#state.sweep());
    }
    return valueOrThrow(applied.result);
  }

  #armLease(id: number, ttlSeconds: number): void {
    this.#disarmLease(id);
    const delayMs = Math.min(ttlSeconds * 1000, 2 ** 31 - 1);
    const cancel = this.#clock.setTimeout(() => {
      this.#leaseTimers.delete(id);
      this.#run({ type: 'leaseRevoke', id });
    }, delayMs);
    this.#leaseTimers.set(id, cancel);
  }

  #disarmLease(id: number): void {
    this.#leaseTimers.get(id)?.();
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
