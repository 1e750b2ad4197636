/** What goes into `apply` and what comes out of it: plain data, the same on every member. */
import type { Alarm, AlarmFilter, KeyValue, Transaction, TransactionResult } from '../client/client.ts';
import type { AuthAction, AuthChange, AuthReason, Caller } from './auth.ts';

/** What the log carries. Time never appears: the leader decides when a lease has ended, and says so in an entry. */
export type Command =
  | { readonly type: 'transaction'; readonly transaction: Transaction }
  /** Without an `id` the state gives one. */
  | { readonly type: 'leaseGrant'; readonly ttlSeconds: number; readonly id?: number }
  | { readonly type: 'leaseKeepAlive'; readonly id: number }
  | { readonly type: 'leaseRevoke'; readonly id: number }
  /** Ends leases whose time is over, unless they were renewed since the leader looked, or the leader has been deposed. */
  | {
      readonly type: 'leaseExpire';
      readonly fenceTerm: number;
      readonly leases: readonly { readonly id: number; readonly renewals: number }[];
    }
  | { readonly type: 'compact'; readonly revision: number }
  /** Whoever finds something wrong raises an alarm; each is there once however often it is raised. */
  | { readonly type: 'alarm'; readonly action: 'raise'; readonly alarm: Alarm }
  | { readonly type: 'alarm'; readonly action: 'disarm'; readonly filter: AlarmFilter }
  /** Users and roles of etcd's API. Passwords come as hashes. */
  | { readonly type: 'auth'; readonly change: AuthAction };

/** Where in the log a command stands. */
export interface CommandContext {
  /** The term of the entry that carries it. */
  readonly term: number;
  /** Undefined for the cluster itself, which may do everything. */
  readonly by?: Caller | undefined;
}

/** Why a request was refused; `code` is the code of the error class that clients see. */
export interface Refusal {
  readonly code:
    | 'STORE_AUTH_REFUSED'
    | 'STORE_COMPACTED'
    | 'STORE_FUTURE_REVISION'
    | 'STORE_FENCED'
    | 'STORE_INVALID_REQUEST'
    | 'STORE_KEY_NOT_FOUND'
    | 'STORE_LEASE_EXISTS'
    | 'STORE_LEASE_NOT_FOUND'
    | 'STORE_NO_SPACE'
    | 'STORE_QUOTA_EXCEEDED';
  readonly message: string;
  readonly compactedRevision?: number;
  readonly authReason?: AuthReason;
}

export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal };

export type CommandValue =
  | { readonly type: 'transaction'; readonly result: TransactionResult }
  | { readonly type: 'lease'; readonly id: number; readonly ttlSeconds: number }
  /** The alarms that were raised or taken back. */
  | { readonly type: 'alarms'; readonly alarms: readonly Alarm[] }
  | { readonly type: 'done' };

export type ApplyResult = Outcome<CommandValue>;

/** A lease as the replicated state knows it. When it ends is the leader's knowledge alone. */
export interface Lease {
  readonly id: number;
  readonly ttlSeconds: number;
  /** Grows with each renewal, so that an expiry decided before a renewal does nothing. */
  readonly renewals: number;
}

/** One step of the state's change, enough to repeat it from disk. */
export type Change =
  /** The items written at a revision; a tombstone has version 0. */
  | { readonly type: 'revision'; readonly revision: number; readonly items: readonly KeyValue[] }
  | { readonly type: 'lease'; readonly lease: Lease }
  | { readonly type: 'leaseGone'; readonly id: number }
  | { readonly type: 'compacted'; readonly revision: number }
  | { readonly type: 'alarm'; readonly alarm: Alarm }
  | { readonly type: 'alarmGone'; readonly alarm: Alarm }
  | AuthChange;

/** What applying one command did. */
export interface Applied {
  readonly result: ApplyResult;
  readonly writes: readonly Change[];
}

/** The counters that must survive everything; persisted with each batch, never derived from what is stored. */
export interface Counters {
  readonly revision: number;
  readonly compactedRevision: number;
  /** The largest id of a lease that was ever granted, of those that count (below `LEASE_IDS_COUNTED`). */
  readonly leaseCounter: number;
}

export function refused(code: Refusal['code'], message: string): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code, message } };
}

export function compacted(compactedRevision: number): { readonly ok: false; readonly refusal: Refusal } {
  const message = `the revision asked for has been compacted; the oldest still kept is ${compactedRevision}`;
  return { ok: false, refusal: { code: 'STORE_COMPACTED', message, compactedRevision } };
}

/** Whether an item says that its key was deleted. */
export function isTombstone(item: KeyValue): boolean {
  return item.version === 0;
}

export function authRefused(reason: AuthReason): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code: 'STORE_AUTH_REFUSED', message: AUTH_TEXTS[reason], authReason: reason } };
}

const AUTH_TEXTS: Readonly<Record<AuthReason, string>> = {
  changed: 'users, roles or permissions have changed since this was found permitted',
  denied: 'permission denied',
  userEmpty: 'user name is empty',
  userExists: 'user name already exists',
  userNotFound: 'user name not found',
  roleEmpty: 'role name is empty',
  roleExists: 'role name already exists',
  roleNotFound: 'role name not found',
  roleNotGranted: 'role is not granted to the user',
  permissionNotGranted: 'permission is not granted to the role',
  rootUserMissing: 'root user does not exist',
  rootRoleMissing: 'root user does not have root role',
  management: 'this would leave nobody who may administer',
  tooMany: 'there are as many users, roles or permissions as there may be',
};
