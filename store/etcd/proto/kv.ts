/** etcd's KV service: the messages of api/mvccpb/kv.proto and of the KV part of api/etcdserverpb/rpc.proto. */
import {
  bool,
  bytes,
  choice,
  type Init,
  id,
  int,
  later,
  list,
  type Message,
  message,
  nested,
  optional,
  type Read,
} from './message.ts';

export const ResponseHeader = message('ResponseHeader', {
  clusterId: id(1),
  memberId: id(2),
  revision: int(3),
  raftTerm: int(4),
});

export const KeyValue = message('KeyValue', {
  key: bytes(1),
  createRevision: int(2),
  modRevision: int(3),
  version: int(4),
  value: bytes(5),
  lease: int(6),
});

export const EVENT_PUT = 0;
export const EVENT_DELETE = 1;
export const Event = message('Event', {
  type: choice(1),
  kv: nested(2, KeyValue),
  prevKv: nested(3, KeyValue),
});

export const SORT_NONE = 0;
export const SORT_ASCEND = 1;
export const SORT_DESCEND = 2;
export const TARGET_KEY = 0;
export const TARGET_VERSION = 1;
export const TARGET_CREATE = 2;
export const TARGET_MOD = 3;
export const TARGET_VALUE = 4;
export const RangeRequest = message('RangeRequest', {
  key: bytes(1),
  rangeEnd: bytes(2),
  limit: int(3),
  revision: int(4),
  sortOrder: choice(5),
  sortTarget: choice(6),
  serializable: bool(7),
  keysOnly: bool(8),
  countOnly: bool(9),
  minModRevision: int(10),
  maxModRevision: int(11),
  minCreateRevision: int(12),
  maxCreateRevision: int(13),
});
export const RangeResponse = message('RangeResponse', {
  header: nested(1, ResponseHeader),
  kvs: list(2, KeyValue),
  more: bool(3),
  count: int(4),
});

export const PutRequest = message('PutRequest', {
  key: bytes(1),
  value: bytes(2),
  lease: int(3),
  prevKv: bool(4),
  ignoreValue: bool(5),
  ignoreLease: bool(6),
});
export const PutResponse = message('PutResponse', { header: nested(1, ResponseHeader), prevKv: nested(2, KeyValue) });

export const DeleteRangeRequest = message('DeleteRangeRequest', { key: bytes(1), rangeEnd: bytes(2), prevKv: bool(3) });
export const DeleteRangeResponse = message('DeleteRangeResponse', {
  header: nested(1, ResponseHeader),
  deleted: int(2),
  prevKvs: list(3, KeyValue),
});

export const COMPARE_EQUAL = 0;
export const COMPARE_GREATER = 1;
export const COMPARE_LESS = 2;
export const COMPARE_NOT_EQUAL = 3;
export const COMPARE_VERSION = 0;
export const COMPARE_CREATE = 1;
export const COMPARE_MOD = 2;
export const COMPARE_VALUE = 3;
export const COMPARE_LEASE = 4;
export const Compare = message('Compare', {
  result: choice(1),
  target: choice(2),
  key: bytes(3),
  version: optional(int(4)),
  createRevision: optional(int(5)),
  modRevision: optional(int(6)),
  value: optional(bytes(7)),
  lease: optional(int(8)),
  rangeEnd: bytes(64),
});

/** Exactly one of the four is there. */
export interface RequestOpInit {
  readonly requestRange?: Init<typeof RangeRequest> | undefined;
  readonly requestPut?: Init<typeof PutRequest> | undefined;
  readonly requestDeleteRange?: Init<typeof DeleteRangeRequest> | undefined;
  readonly requestTxn?: TxnRequestInit | undefined;
}
export interface TxnRequestInit {
  readonly compare?: readonly Init<typeof Compare>[] | undefined;
  readonly success?: readonly RequestOpInit[] | undefined;
  readonly failure?: readonly RequestOpInit[] | undefined;
}
export interface RequestOp {
  readonly requestRange: Read<typeof RangeRequest> | undefined;
  readonly requestPut: Read<typeof PutRequest> | undefined;
  readonly requestDeleteRange: Read<typeof DeleteRangeRequest> | undefined;
  readonly requestTxn: TxnRequest | undefined;
}
export interface TxnRequest {
  readonly compare: readonly Read<typeof Compare>[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export const RequestOp: Message<RequestOpInit, RequestOp> = message('RequestOp', {
  requestRange: nested(1, RangeRequest),
  requestPut: nested(2, PutRequest),
  requestDeleteRange: nested(3, DeleteRangeRequest),
  requestTxn: nested(
    4,
    later('TxnRequest', () => TxnRequest),
  ),
});
export const TxnRequest: Message<TxnRequestInit, TxnRequest> = message('TxnRequest', {
  compare: list(1, Compare),
  success: list(2, RequestOp),
  failure: list(3, RequestOp),
});

export interface ResponseOpInit {
  readonly responseRange?: Init<typeof RangeResponse> | undefined;
  readonly responsePut?: Init<typeof PutResponse> | undefined;
  readonly responseDeleteRange?: Init<typeof DeleteRangeResponse> | undefined;
  readonly responseTxn?: TxnResponseInit | undefined;
}
export interface TxnResponseInit {
  readonly header?: Init<typeof ResponseHeader> | undefined;
  readonly succeeded?: boolean | undefined;
  readonly responses?: readonly ResponseOpInit[] | undefined;
}
export interface ResponseOp {
  readonly responseRange: Read<typeof RangeResponse> | undefined;
  readonly responsePut: Read<typeof PutResponse> | undefined;
  readonly responseDeleteRange: Read<typeof DeleteRangeResponse> | undefined;
  readonly responseTxn: TxnResponse | undefined;
}
export interface TxnResponse {
  readonly header: Read<typeof ResponseHeader> | undefined;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}
export const ResponseOp: Message<ResponseOpInit, ResponseOp> = message('ResponseOp', {
  responseRange: nested(1, RangeResponse),
  responsePut: nested(2, PutResponse),
  responseDeleteRange: nested(3, DeleteRangeResponse),
  responseTxn: nested(
    4,
    later('TxnResponse', () => TxnResponse),
  ),
});
export const TxnResponse: Message<TxnResponseInit, TxnResponse> = message('TxnResponse', {
  header: nested(1, ResponseHeader),
  succeeded: bool(2),
  responses: list(3, ResponseOp),
});

export const CompactionRequest = message('CompactionRequest', { revision: int(1), physical: bool(2) });
export const CompactionResponse = message('CompactionResponse', { header: nested(1, ResponseHeader) });
