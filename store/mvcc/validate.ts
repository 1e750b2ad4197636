/** Which requests make sense, decided from the request alone. Run before a proposal, and again when it is applied. */
import type { Alarm, AlarmFilter, Branches, Compare, Operation, RangeRequest, Transaction } from '../client/client.ts';
import type { AuthAction } from './auth.ts';
import type { Command } from './command.ts';
import { boundProblem, keyProblem } from './keys.ts';
import {
  AUTH_HASH_LENGTH_MAX,
  AUTH_NAME_LENGTH_MAX,
  LEASE_TTL_SECONDS_MAX,
  LEASE_TTL_SECONDS_MIN,
  LEASES_EXPIRED_PER_COMMAND_MAX,
  REQUEST_BYTES_CEILING,
  TRANSACTION_DEPTH_MAX,
  TRANSACTION_OPERATIONS_CEILING,
} from './limits.ts';
import { overlapProblem } from './overlap.ts';

/** How large a transaction may be. */
export interface TransactionBounds {
  /** Keys and values together. */
  readonly requestBytesMax: number;
  /** Operations in one branch, and compares. */
  readonly transactionOperationsMax: number;
}

/** What `apply` accepts; a member that proposes may set itself narrower bounds. */
const TRANSACTION_CEILINGS: TransactionBounds = {
  requestBytesMax: REQUEST_BYTES_CEILING,
  transactionOperationsMax: TRANSACTION_OPERATIONS_CEILING,
};

const ALARM_TYPES: readonly unknown[] = ['NOSPACE', 'CORRUPT'] satisfies readonly Alarm['type'][];
const ALARM_CAUSES: readonly unknown[] = ['quota', 'disk', 'divergence'] satisfies readonly Alarm['cause'][];

/** Says what is wrong with a command, or undefined. */
export function commandProblem(command: Command, bounds: TransactionBounds = TRANSACTION_CEILINGS): string | undefined {
  switch (command.type) {
    case 'transaction':
      return transactionProblem(command.transaction, bounds);
    case 'leaseGrant':
      return ttlProblem(command.ttlSeconds) ?? (command.id === undefined ? undefined : leaseProblem(command.id));
    case 'leaseKeepAlive':
    case 'leaseRevoke':
      return leaseProblem(command.id);
    case 'leaseExpire':
      return command.leases.length <= LEASES_EXPIRED_PER_COMMAND_MAX ? undefined : 'too many leases expire at once';
    case 'compact':
      return isCount(command.revision) ? undefined : 'a revision must be a non-negative integer';
    case 'alarm':
      return command.action === 'raise' ? alarmProblem(command.alarm) : filterProblem(command.filter);
    case 'auth':
      return authProblem(command.change);
  }
}

/** Says what is wrong with a range request, or undefined. */
export function rangeProblem(request: RangeRequest): string | undefined {
  const problem =
    request.end === undefined ? keyProblem(request.key) : (boundProblem(request.key) ?? boundProblem(request.end));
  if (problem !== undefined) return problem;
  if (request.revision !== undefined && !isCount(request.revision)) return 'a revision must be a non-negative integer';
  if (request.limit !== undefined && !isCount(request.limit)) return 'a limit must be a non-negative integer';
  return undefined;
}

/** Says what is wrong with a transaction, or undefined. */
export function transactionProblem(
  transaction: Transaction,
  bounds: TransactionBounds = TRANSACTION_CEILINGS,
): string | undefined {
  const { fenceTerm } = transaction;
  if (fenceTerm !== undefined && !isCount(fenceTerm)) return 'a fencing term must be a non-negative integer';
  return branchesProblem(transaction, bounds, 0) ?? sizeProblem(branchesBytes(transaction), bounds);
}

function branchesProblem(branches: Branches, bounds: TransactionBounds, depth: number): string | undefined {
  if (depth > TRANSACTION_DEPTH_MAX) return `transactions may be nested at most ${TRANSACTION_DEPTH_MAX} deep`;
  const { compare, then, otherwise } = branches;
  const { transactionOperationsMax } = bounds;
  if ((compare?.length ?? 0) > transactionOperationsMax) return tooMany('compares', transactionOperationsMax);
  for (const one of compare ?? []) {
    const problem = compareProblem(one);
    if (problem !== undefined) return problem;
  }
  return (
    branchProblem(then, bounds, depth) ??
    (otherwise === undefined ? undefined : branchProblem(otherwise, bounds, depth))
  );
}

function sizeProblem(sizeBytes: number, { requestBytesMax }: TransactionBounds): string | undefined {
  return sizeBytes > requestBytesMax
    ? `the request is too large: ${sizeBytes} bytes, at most ${requestBytesMax} are allowed`
    : undefined;
}

function compareProblem(compare: Compare): string | undefined {
  const problem =
    compare.end === undefined ? keyProblem(compare.key) : (boundProblem(compare.key) ?? boundProblem(compare.end));
  if (problem !== undefined) return problem;
  if (compare.target === 'value') {
    return compare.value instanceof Uint8Array ? undefined : 'a value to compare with must be bytes';
  }
  return isCount(compare.value) ? undefined : `a ${compare.target} to compare with must be a non-negative integer`;
}

function branchProblem(operations: readonly Operation[], bounds: TransactionBounds, depth: number): string | undefined {
  const { transactionOperationsMax } = bounds;
  if (operations.length > transactionOperationsMax) return tooMany('operations', transactionOperationsMax);
  for (const operation of operations) {
    const problem =
      operation.type === 'transaction' ? branchesProblem(operation, bounds, depth + 1) : operationProblem(operation);
    if (problem !== undefined) return problem;
  }
  return depth === 0 && (operations.length > 1 || operations[0]?.type === 'transaction')
    ? overlapProblem(operations)
    : undefined;
}

function operationProblem(operation: Exclude<Operation, { type: 'transaction' }>): string | undefined {
  switch (operation.type) {
    case 'put':
      if (!(operation.value instanceof Uint8Array)) return 'a value must be bytes';
      if (operation.lease !== undefined && !isCount(operation.lease)) return 'a lease must be a non-negative integer';
      if (operation.keepValue === true && operation.value.length > 0) return 'a value is either given or kept';
      if (operation.keepLease === true && operation.lease) return 'a lease is either given or kept';
      return keyProblem(operation.key);
    case 'delete':
      return operation.end === undefined
        ? keyProblem(operation.key)
        : (boundProblem(operation.key) ?? boundProblem(operation.end));
    case 'range':
      return rangeProblem(operation.range);
  }
}

function ttlProblem(ttlSeconds: number): string | undefined {
  return isCount(ttlSeconds) && ttlSeconds >= LEASE_TTL_SECONDS_MIN && ttlSeconds <= LEASE_TTL_SECONDS_MAX
    ? undefined
    : `a lease must live a whole number of seconds between ${LEASE_TTL_SECONDS_MIN} and ${LEASE_TTL_SECONDS_MAX}`;
}

function leaseProblem(id: number): string | undefined {
  return isCount(id) && id > 0 ? undefined : 'a lease id must be a positive integer';
}

function branchesBytes({ compare = [], then, otherwise = [] }: Branches): number {
  return operationsBytes(then) + operationsBytes(otherwise) + comparesBytes(compare);
}

function operationsBytes(operations: readonly Operation[]): number {
  let sizeBytes = 0;
  for (const operation of operations) {
    if (operation.type === 'put') sizeBytes += operation.key.length + operation.value.length;
    else if (operation.type === 'delete') sizeBytes += operation.key.length;
    else if (operation.type === 'transaction') sizeBytes += branchesBytes(operation);
  }
  return sizeBytes;
}

function comparesBytes(compares: readonly Compare[]): number {
  let sizeBytes = 0;
  for (const compare of compares) {
    sizeBytes += compare.key.length + (compare.target === 'value' ? compare.value.length : 0);
  }
  return sizeBytes;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0; // checked to be a number just before
}

function tooMany(what: string, countMax: number): string {
  return `a transaction may hold at most ${countMax} ${what}`;
}

function alarmProblem(alarm: Alarm): string | undefined {
  const isWhole = alarm.type !== undefined && alarm.memberId !== undefined && alarm.cause !== undefined;
  return isWhole ? filterProblem(alarm) : 'an alarm needs a type, a member and a cause';
}

function filterProblem({ type, memberId, cause }: AlarmFilter): string | undefined {
  if (type !== undefined && !ALARM_TYPES.includes(type)) return 'an alarm is NOSPACE or CORRUPT';
  if (cause !== undefined && !ALARM_CAUSES.includes(cause)) return 'an alarm comes from quota, disk or divergence';
  if (memberId !== undefined && !/^[0-9a-f]{0,16}$/.test(memberId)) return 'a member id is sixteen hex digits';
  return undefined;
}

/** What does not depend on who and what is there; the rest is refused in etcd's words. */
function authProblem(change: AuthAction): string | undefined {
  if (change.action === 'enable') {
    return change.secret.length > AUTH_HASH_LENGTH_MAX ? 'a secret must not be so long' : undefined;
  }
  if (change.action === 'disable') return undefined;
  const names = 'role' in change ? [change.name, change.role] : [change.name];
  if (names.some(name => name.length > AUTH_NAME_LENGTH_MAX)) {
    return `the name of a user or a role must not be longer than ${AUTH_NAME_LENGTH_MAX} characters`;
  }
  if ('password' in change && change.password.length > AUTH_HASH_LENGTH_MAX) return 'a hash must not be so long';
  const range = change.action === 'roleGrant' ? change.permission : change.action === 'roleRevoke' ? change : undefined;
  if (range === undefined) return undefined;
  return boundProblem(range.key) ?? (range.end === undefined ? undefined : boundProblem(range.end));
}
