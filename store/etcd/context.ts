/** What all of etcd's services work with: the store of this member, and the header that every answer bears. */
import type { RaftNode, RaftStatus } from '../../raft/index.ts';
import type { KeyValue } from '../client/client.ts';
import type { LocalClient } from '../client/local.ts';
import { systemWallClock, type TurnClock } from '../clock.ts';
import type { StoreLimits } from '../limits.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { keyBytes } from '../mvcc/keys.ts';
import type { Mvcc } from '../mvcc/mvcc.ts';
import type { Replica } from '../replica.ts';
import { Access } from './access.ts';
import { etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { Tokens } from './tokens.ts';

export interface EtcdContextOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly client: LocalClient;
  readonly clock: TurnClock;
  readonly limits: StoreLimits;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Says when tokens are over. */
  readonly wallClock?: () => Date;
}

export interface Header {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

export class EtcdContext {
  readonly client: LocalClient;
  readonly clock: TurnClock;
  readonly limits: StoreLimits;
  readonly random: () => number;
  /** Who calls, and what it may. */
  readonly access: Access;
  readonly tokens: Tokens;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly #raft: RaftNode<ApplyResult>;
  readonly #replica: Replica;
  readonly #unfollow: () => void;
  readonly #onLeader = new Set<() => void>();
  #term = 0;
  #leader: string | undefined;

  constructor(options: EtcdContextOptions) {
    this.client = options.client;
    this.clock = options.clock;
    this.limits = options.limits;
    this.random = options.random;
    this.#raft = options.raft;
    this.#replica = options.replica;
    this.tokens = new Tokens(options.wallClock ?? systemWallClock);
    this.access = new Access({ client: options.client, state: () => this.state, tokens: this.tokens });
    const { id, clusterId } = options.raft.status();
    this.memberId = idFromHex(id);
    this.clusterId = idFromHex(clusterId);
    this.#unfollow = options.raft.onLeadership(({ term, leader }) => {
      this.#term = term;
      this.#leader = leader;
      for (const listener of [...this.#onLeader]) listener();
    });
  }

  close(): void {
    this.#unfollow();
  }

  get state(): Mvcc {
    return this.#replica.state;
  }
  get replica(): Replica {
    return this.#replica;
  }
  get raft(): RaftNode<ApplyResult> {
    return this.#raft;
  }
  status(): RaftStatus {
    return this.#raft.status();
  }
  get hasLeader(): boolean {
    return this.#leader !== undefined;
  }
  /** Calls back when the leader changes, or is no more; the answer ends it. */
  onLeader(listener: () => void): () => void {
    this.#onLeader.add(listener);
    return () => this.#onLeader.delete(listener);
  }

  /** The header of an answer; `revision` is the present one unless given. */
  header(revision: number = this.#replica.state.revision): Header {
    return { clusterId: this.clusterId, memberId: this.memberId, revision, raftTerm: this.#term };
  }

  /** A client may ask to be refused rather than wait for a leader. @throws {GrpcError} */
  requireLeader(call: CallContext): void {
    if (!this.hasLeader && call.headers.get('hasleader') === 'true') throw etcdError('noLeader');
  }
}

export function idFromHex(id: string): bigint {
  return BigInt(`0x${id}`);
}

export function idToHex(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}

/** A key with its value, as etcd's messages have it. */
export function kvOf(item: KeyValue) {
  return {
    key: keyBytes(item.key),
    createRevision: item.createRevision,
    modRevision: item.modRevision,
    version: item.version,
    value: item.value,
    lease: item.lease,
  };
}

/** A lease id as the store knows it. @throws {GrpcError} no lease can have this one */
export function leaseId(id: number): number {
  if (!Number.isSafeInteger(id) || id < 0) throw etcdError('leaseNotFound');
  return id;
}
