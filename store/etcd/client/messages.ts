/** The store's requests as etcd's messages, and etcd's answers as the store's. */
import assert from 'node:assert';
import type {
  Branches,
  Compare,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  Transaction,
  WatchEvent,
} from '../../client/client.ts';
import * as kv from '../proto/kv.ts';
import type { Init, Read } from '../proto/message.ts';
import type { KeySpace } from './keys.ts';

const OPERATORS = {
  '=': kv.COMPARE_EQUAL,
  '!=': kv.COMPARE_NOT_EQUAL,
  '<': kv.COMPARE_LESS,
  '>': kv.COMPARE_GREATER,
} as const;

/** A key that must still be of this create revision for a write to be accepted; 0 for a key that must not be there. */
export interface Fence {
  readonly key: Uint8Array;
  readonly createRevision: number;
}

export function rangeMessage(keys: KeySpace, request: RangeRequest): Init<typeof kv.RangeRequest> {
  const { key, end, revision, limit, keysOnly, countOnly, serializable } = request;
  return { ...keys.range(key, end), revision, limit, keysOnly, countOnly, serializable };
}

export function rangeResult(keys: KeySpace, answer: Read<typeof kv.RangeResponse>): RangeResult {
  return {
    revision: answer.header?.revision ?? 0,
    items: answer.kvs.map(item => keyValue(keys, item)),
    more: answer.more,
    count: answer.count,
  };
}

/**
 * A fenced transaction lies within another one that compares the fence: so a passed term is told apart from a compare of
 * the caller's that did not hold, and neither of the caller's branches runs.
 */
export function transactionMessage(
  keys: KeySpace,
  transaction: Transaction,
  fence: Fence | undefined,
): kv.TxnRequestInit {
  const own = branchesMessage(keys, transaction);
  if (fence === undefined) return own;
  const { key, createRevision } = fence;
  return {
    compare: [{ key, target: kv.COMPARE_CREATE, result: kv.COMPARE_EQUAL, createRevision }],
    success: [{ requestTxn: own }],
  };
}

function branchesMessage(keys: KeySpace, { compare = [], then, otherwise = [] }: Branches): kv.TxnRequestInit {
  return {
    compare: compare.map(one => compareMessage(keys, one)),
    success: then.map(operation => operationMessage(keys, operation)),
    failure: otherwise.map(operation => operationMessage(keys, operation)),
  };
}

/** True if doing a transaction twice changes nothing. */
export function onlyReads({ then, otherwise = [] }: Branches): boolean {
  return [...then, ...otherwise].every(
    operation => operation.type === 'range' || (operation.type === 'transaction' && onlyReads(operation)),
  );
}

/** What came of a transaction; undefined if the fence did not hold. */
export function transactionOutcome(
  keys: KeySpace,
  answer: kv.TxnResponse,
  isFenced: boolean,
): { readonly succeeded: boolean; readonly results: readonly OperationResult[] } | undefined {
  if (isFenced && !answer.succeeded) return undefined;
  const own = isFenced ? answer.responses[0]?.responseTxn : answer;
  assert(own !== undefined, 'a transaction answers with one');
  return { succeeded: own.succeeded, results: own.responses.map(one => operationResult(keys, one)) };
}

export function watchEvent(keys: KeySpace, event: Read<typeof kv.Event>): WatchEvent {
  assert(event.kv !== undefined, 'an event is about a key');
  return {
    type: event.type === kv.EVENT_DELETE ? 'delete' : 'put',
    item: keyValue(keys, event.kv),
    previous: event.prevKv === undefined ? undefined : keyValue(keys, event.prevKv),
  };
}

function keyValue(keys: KeySpace, item: Read<typeof kv.KeyValue>): KeyValue {
  const { key, value, createRevision, modRevision, version, lease } = item;
  // A copy, or one small value that is kept would keep the whole answer.
  return { key: keys.name(key), value: new Uint8Array(value), createRevision, modRevision, version, lease };
}

function compareMessage(keys: KeySpace, compare: Compare): Init<typeof kv.Compare> {
  const shared = { ...keys.range(compare.key, compare.end), result: OPERATORS[compare.op] };
  switch (compare.target) {
    case 'value':
      return { ...shared, target: kv.COMPARE_VALUE, value: compare.value };
    case 'version':
      return { ...shared, target: kv.COMPARE_VERSION, version: compare.value };
    case 'createRevision':
      return { ...shared, target: kv.COMPARE_CREATE, createRevision: compare.value };
    case 'modRevision':
      return { ...shared, target: kv.COMPARE_MOD, modRevision: compare.value };
    case 'lease':
      return { ...shared, target: kv.COMPARE_LEASE, lease: compare.value };
  }
}

function operationMessage(keys: KeySpace, operation: Operation): kv.RequestOpInit {
  switch (operation.type) {
    case 'put': {
      const { key, keepValue, keepLease } = operation;
      // etcd refuses what is to be kept and given at once.
      const value = keepValue === true ? undefined : operation.value;
      const lease = keepLease === true ? undefined : operation.lease;
      const kept = { ignoreValue: keepValue, ignoreLease: keepLease };
      return { requestPut: { key: keys.key(key), value, lease, ...kept, prevKv: true } };
    }
    case 'delete':
      return { requestDeleteRange: { ...keys.range(operation.key, operation.end), prevKv: true } };
    case 'range':
      return { requestRange: rangeMessage(keys, operation.range) };
    case 'transaction':
      return { requestTxn: branchesMessage(keys, operation) };
  }
}

function operationResult(keys: KeySpace, answer: kv.ResponseOp): OperationResult {
  const { responsePut, responseDeleteRange, responseRange, responseTxn } = answer;
  if (responsePut !== undefined) {
    const { prevKv } = responsePut;
    return { type: 'put', previous: prevKv === undefined ? undefined : keyValue(keys, prevKv) };
  }
  if (responseDeleteRange !== undefined) {
    return { type: 'delete', deleted: responseDeleteRange.prevKvs.map(item => keyValue(keys, item)) };
  }
  if (responseTxn !== undefined) {
    const results = responseTxn.responses.map(one => operationResult(keys, one));
    return { type: 'transaction', succeeded: responseTxn.succeeded, results };
  }
  assert(responseRange !== undefined, 'an operation answers with its result');
  return { type: 'range', result: rangeResult(keys, responseRange) };
}
