/** What requests of the KV service read and write: what their caller needs permission for (etcd: apply/apply_auth.go). */
import type { Need } from '../mvcc/permissions.ts';
import { readOf, writeOf } from './access.ts';
import { keyOf, rangeOf } from './keys.ts';
import type * as proto from './proto/kv.ts';
import type { Read } from './proto/message.ts';

export function putNeeds({ key: bytes, prevKv }: Read<typeof proto.PutRequest>): Need[] {
  const range = { key: keyOf(bytes) };
  return [writeOf(range), ...(prevKv ? [readOf(range)] : [])];
}

export function deleteNeeds({ key, rangeEnd, prevKv }: Read<typeof proto.DeleteRangeRequest>): Need[] {
  const range = rangeOf(key, rangeEnd);
  return [writeOf(range), ...(prevKv ? [readOf(range)] : [])];
}

/** Both branches count, whichever will run, and so does what is compared: the outcome tells of it. */
export function transactionNeeds({ compare, success, failure }: proto.TxnRequest): Need[] {
  return [
    ...compare.map(({ key, rangeEnd }) => readOf(rangeOf(key, rangeEnd))),
    ...[...success, ...failure].flatMap(operationNeeds),
  ];
}

function operationNeeds({ requestRange, requestPut, requestDeleteRange, requestTxn }: proto.RequestOp): Need[] {
  if (requestRange !== undefined) return [readOf(rangeOf(requestRange.key, requestRange.rangeEnd))];
  if (requestPut !== undefined) return putNeeds(requestPut);
  if (requestDeleteRange !== undefined) return deleteNeeds(requestDeleteRange);
  return requestTxn === undefined ? [] : transactionNeeds(requestTxn);
}
