/** etcd's Watch service, from api/etcdserverpb/rpc.proto. */
import { Event, ResponseHeader } from './kv.ts';
import { bool, bytes, choice, int, list, many, message, nested, text } from './message.ts';

export const FILTER_NO_PUT = 0;
export const FILTER_NO_DELETE = 1;
export const WatchCreateRequest = message('WatchCreateRequest', {
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: int(3),
  progressNotify: bool(4),
  filters: many(choice(5)),
  prevKv: bool(6),
  watchId: int(7),
  fragment: bool(8),
});
export const WatchCancelRequest = message('WatchCancelRequest', { watchId: int(1) });
export const WatchProgressRequest = message('WatchProgressRequest', {});
/** Exactly one of the three is there. */
export const WatchRequest = message('WatchRequest', {
  createRequest: nested(1, WatchCreateRequest),
  cancelRequest: nested(2, WatchCancelRequest),
  progressRequest: nested(3, WatchProgressRequest),
});
export const WatchResponse = message('WatchResponse', {
  header: nested(1, ResponseHeader),
  /** -1 in answers to a progress request, and where a watch could not be made. */
  watchId: int(2),
  created: bool(3),
  canceled: bool(4),
  compactRevision: int(5),
  cancelReason: text(6),
  /** More events of the same revision follow. */
  fragment: bool(7),
  events: list(11, Event),
});
