/**
 * The one interface to the replicated store, whose implementations pass one contract suite: `local.ts` (in the member's own
 * process), `memory.ts` (its twin for tests), `../remote/client.ts` (over WebSockets, finds the leader by itself, retries only
 * what is safe) and `../etcd/client/client.ts` (a real etcd).
 * The meaning is etcd's v3: one revision a transaction, compare/then/else, leases, watches from a revision.
 */

import type { AuthReason } from '../mvcc/auth.ts';

/**
 * Keys are texts, ordered by their UTF-8 bytes. Values are bytes. A key may also be bytes that are no UTF-8: `keyFromBytes`
 * makes a string of them, and `keyBytes` gives them back.
 */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Counts the writes since the key was created; 1 on creation. */
  readonly version: number;
  /** The lease the key hangs on; 0 for none. */
  readonly lease: number;
}

export interface RangeRequest {
  readonly key: string;
  /** Exclusive end; undefined for one key. `prefixEnd(key)` makes the end of a prefix. */
  readonly end?: string;
  /** Read as of this revision; undefined for now. */
  readonly revision?: number;
  /** At most so many; `more` tells whether there were others. 0 or undefined for all. */
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  /** True reads this member's own state without asking the leader: may be old. */
  readonly serializable?: boolean;
}
export interface RangeResult {
  /** The store's revision when the range was read. */
  readonly revision: number;
  readonly items: readonly KeyValue[];
  readonly more: boolean;
  /** All keys in the range, regardless of `limit`. */
  readonly count: number;
}

/** With an `end`, all keys in the range have to satisfy it; an empty range counts as one absent key. */
export type Compare =
  | {
      readonly key: string;
      readonly end?: string;
      readonly target: 'modRevision' | 'createRevision' | 'version' | 'lease';
      readonly op: '=' | '!=' | '<' | '>';
      readonly value: number;
    }
  | {
      readonly key: string;
      readonly end?: string;
      readonly target: 'value';
      readonly op: '=' | '!=' | '<' | '>';
      readonly value: Uint8Array;
    };

export type Operation =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: Uint8Array;
      readonly lease?: number;
      /** The key keeps its value, or its lease; it must be there ({@link KeyNotFoundError}). */
      readonly keepValue?: boolean;
      readonly keepLease?: boolean;
    }
  | { readonly type: 'delete'; readonly key: string; readonly end?: string }
  | { readonly type: 'range'; readonly range: RangeRequest }
  /** A transaction within: its compares look at what was there before the whole transaction. */
  | ({ readonly type: 'transaction' } & Branches);

export interface Branches {
  /** All must hold for `then`, else `otherwise` runs. Empty means `then`. */
  readonly compare?: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export interface Transaction extends Branches {
  /** If set, the transaction is refused with {@link FencedError} unless it is accepted under this very leadership term. */
  readonly fenceTerm?: number;
}
export type OperationResult =
  | { readonly type: 'put'; readonly previous: KeyValue | undefined }
  | { readonly type: 'delete'; readonly deleted: readonly KeyValue[] }
  | { readonly type: 'range'; readonly result: RangeResult }
  | { readonly type: 'transaction'; readonly succeeded: boolean; readonly results: readonly OperationResult[] };
export interface TransactionResult {
  /** The revision after the transaction; unchanged if it wrote nothing. */
  readonly revision: number;
  readonly succeeded: boolean;
  readonly results: readonly OperationResult[];
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** For a delete: the key, the deletion's revision in `modRevision`, an empty value. */
  readonly item: KeyValue;
  /** What was there before; undefined if nothing was, or compaction has taken it. */
  readonly previous: KeyValue | undefined;
}
/** All events of one or more whole revisions, in order; never part of one. `events` is empty for a progress notice. */
export interface WatchBatch {
  /** Everything up to this revision has been seen. */
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}
export interface WatchRequest {
  readonly key: string;
  readonly end?: string;
  /** The first revision wanted; undefined for from now on. */
  readonly startRevision?: number;
  /** A progress notice at least this often while nothing happens, in milliseconds. */
  readonly progressMs?: number;
  readonly signal: AbortSignal;
}

export interface StoreMember {
  readonly id: string;
  readonly name: string;
  readonly peerAddress: string;
  readonly clientUrl: string;
  readonly role: 'voter' | 'learner';
}
export interface StoreStatus {
  readonly memberId: string;
  readonly clusterId: string;
  readonly leaderId: string | undefined;
  readonly term: number;
  readonly revision: number;
  readonly compactedRevision: number;
  readonly appliedIndex: number;
  readonly members: readonly StoreMember[];
}

/** A member that is to come; it starts as a learner. */
export type NewStoreMember = Omit<StoreMember, 'role'>;
/** Where a member is from now on; what is left out stays. */
export interface MemberUpdate {
  readonly name?: string;
  readonly peerAddress?: string;
  readonly clientUrl?: string;
}
export interface StoreMembership {
  readonly clusterId: string;
  /** The leader as far as the member that answers knows. */
  readonly leaderId: string | undefined;
  readonly members: readonly StoreMember[];
}
export interface MembershipOptions {
  readonly timeoutMs?: number;
  /** Skips the check that the others are well, never a rule of Raft. */
  readonly force?: boolean;
}

/** Who belongs to the cluster, and how that changes. Each change is answered once it is committed. */
export interface MembershipClient {
  members(): Promise<StoreMembership>;
  /** Takes in a member that receives everything but counts in no quorum, and stays so until it is promoted. */
  addLearner(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership>;
  /** Takes in a member, waits until it has caught up, makes it a voter. May be repeated: it goes on where it stopped. */
  addMember(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership>;
  /** Makes a learner a voter. Refused until it has caught up. */
  promoteMember(id: string, options?: MembershipOptions): Promise<StoreMembership>;
  removeMember(id: string, options?: MembershipOptions): Promise<StoreMembership>;
  /** Puts a new member in the place of another: the new one catches up first, then both change in one step. */
  replaceMember(id: string, by: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership>;
  updateMember(id: string, update: MemberUpdate, options?: MembershipOptions): Promise<StoreMembership>;
  /** Hands leadership to this member, or to the most complete one. */
  transferLeadership(to?: string): Promise<void>;
}

/** Something that is wrong with the store until it is put right; part of the replicated state. */
export interface Alarm {
  /** NOSPACE: nothing is put any more, deletes and compactions pass. CORRUPT: the member it names serves nothing. */
  readonly type: 'NOSPACE' | 'CORRUPT';
  /** The member that raised it or that it is about; empty for a CORRUPT of which nobody can tell whom it is about. */
  readonly memberId: string;
  /** quota: the live data is too large. disk: that member's disk is nearly full. divergence: its data differs. */
  readonly cause: 'quota' | 'disk' | 'divergence';
}
/** Which alarms are meant: all that agree in what is given. */
export type AlarmFilter = Partial<Alarm>;
/** What a member's data amounts to at a revision: equal on all members, or one of them is wrong. */
export interface StoreHash {
  readonly hash: number;
  readonly revision: number;
  readonly compactedRevision: number;
}

/** Watching over the store's health. */
export interface AlarmClient {
  /** The alarms that are raised. */
  alarms(): Promise<readonly Alarm[]>;
  /** Takes alarms back and resolves with them. What caused them may raise them again. */
  disarmAlarm(filter?: AlarmFilter): Promise<readonly Alarm[]>;
  /**
   * The answering member's own running hash over all changes up to `revision` (undefined: up to now). Asks nobody else.
   * @throws {FutureRevisionError} {CompactedError} {InvalidRequestError} it is too long ago to be remembered
   */
  hash(revision?: number): Promise<StoreHash>;
}

export interface LeaseTimeToLive {
  readonly grantedSeconds: number;
  readonly remainingSeconds: number;
  readonly keys: readonly string[];
}

export interface StoreClient extends MembershipClient, AlarmClient {
  range(request: RangeRequest): Promise<RangeResult>;
  put(
    key: string,
    value: Uint8Array,
    options?: { readonly lease?: number; readonly fenceTerm?: number },
  ): Promise<TransactionResult>;
  delete(key: string, options?: { readonly end?: string; readonly fenceTerm?: number }): Promise<TransactionResult>;
  transaction(transaction: Transaction): Promise<TransactionResult>;
  /**
   * Events from `startRevision` on: ordered, complete, atomic per revision. Ends when the signal aborts.
   * Throws {@link CompactedError} from the iterator if the start lies below the compacted revision, and
   * {@link WatchLostError} if the watcher fell too far behind or the connection broke: the caller starts again from
   * the last revision it saw plus one.
   */
  watch(request: WatchRequest): AsyncIterable<WatchBatch>;
  /**
   * Makes a lease of `ttlSeconds`; keys put with it go when it ends. Resolves with its id, never 0. The caller may choose
   * the id ({@link LeaseExistsError}).
   */
  grantLease(
    ttlSeconds: number,
    options?: { readonly id?: number },
  ): Promise<{ readonly id: number; readonly ttlSeconds: number }>;
  keepLeaseAlive(id: number): Promise<{ readonly ttlSeconds: number }>;
  revokeLease(id: number): Promise<void>;
  /** How long a lease still lives, as its leader counts, and the keys on it; undefined if there is no such lease. */
  leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined>;
  /** The ids of all leases, in order. */
  leases(): Promise<readonly number[]>;
  /** Forgets the history before `revision`. */
  compact(revision: number): Promise<void>;
  status(): Promise<StoreStatus>;
  /**
   * The bytes of one self-contained, checksummed snapshot file (`store/snapshot/format.ts`) that holds everything
   * acknowledged before the call. Read as fast as the caller takes it; stopping early is fine.
   */
  saveSnapshot(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** The revision asked for has been compacted. `compactedRevision` is the oldest that can still be read. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly code = 'STORE_COMPACTED';
  readonly compactedRevision: number;
  constructor(compactedRevision: number) {
    super(`the revision asked for has been compacted; the oldest still kept is ${compactedRevision}`);
    this.compactedRevision = compactedRevision;
  }
}
/** The revision asked for is not there yet. */
export class FutureRevisionError extends Error {
  override readonly name = 'FutureRevisionError';
  readonly code = 'STORE_FUTURE_REVISION';
}
/** The write was made under a leadership that has passed. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
  readonly code = 'STORE_FENCED';
}
/** The watch ended without its caller's wish; start again after the last revision seen. */
export class WatchLostError extends Error {
  override readonly name = 'WatchLostError';
  readonly code = 'STORE_WATCH_LOST';
}
/** No quorum, no leader, or too much is waiting: certainly not done, retry later. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  readonly code = 'STORE_UNAVAILABLE';
}
/** The answer was lost: the write may or may not have happened. */
export class UnknownOutcomeError extends Error {
  override readonly name = 'UnknownOutcomeError';
  readonly code = 'STORE_UNKNOWN_OUTCOME';
}
/** The request breaks a limit or makes no sense; retrying will not help. */
export class InvalidRequestError extends Error {
  override readonly name = 'InvalidRequestError';
  readonly code = 'STORE_INVALID_REQUEST';
}
/** The lease does not exist or has ended. */
export class LeaseNotFoundError extends Error {
  override readonly name = 'LeaseNotFoundError';
  readonly code = 'STORE_LEASE_NOT_FOUND';
}
/**
 * A disk that the store lives on is nearly full: certainly not done. Deletes, lease revocations and compactions still pass.
 * Clears itself when there is space again: try again later.
 */
export class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError';
  readonly code = 'STORE_NO_SPACE';
}
/** There is a lease of this id already. */
export class LeaseExistsError extends Error {
  override readonly name = 'LeaseExistsError';
  readonly code = 'STORE_LEASE_EXISTS';
}
/** What was to be kept of a key is not there. */
export class KeyNotFoundError extends Error {
  override readonly name = 'KeyNotFoundError';
  readonly code = 'STORE_KEY_NOT_FOUND';
}
/** The store holds as much as it may: certainly not done. Deletes and lease revocations still pass. */
export class QuotaExceededError extends Error {
  override readonly name = 'QuotaExceededError';
  readonly code = 'STORE_QUOTA_EXCEEDED';
}
/** Users, roles and permissions of etcd's API do not let this happen: certainly not done. `reason` says which of them. */
export class AuthRefusedError extends Error {
  override readonly name = 'AuthRefusedError';
  readonly code = 'STORE_AUTH_REFUSED';
  readonly reason: AuthReason;
  constructor(reason: AuthReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
/** The membership cannot change like that now; `message` says why and what to do. */
export class MembershipRefusedError extends Error {
  override readonly name = 'MembershipRefusedError';
  readonly code = 'STORE_MEMBERSHIP_REFUSED';
}
/** Leadership stayed where it was. */
export class TransferFailedError extends Error {
  override readonly name = 'TransferFailedError';
  readonly code = 'STORE_TRANSFER_FAILED';
}
