/** etcd's Lease service, from api/etcdserverpb/rpc.proto. */
import { ResponseHeader } from './kv.ts';
import { bool, bytes, int, list, many, message, nested, text } from './message.ts';

export const LeaseGrantRequest = message('LeaseGrantRequest', { ttl: int(1), id: int(2) });
export const LeaseGrantResponse = message('LeaseGrantResponse', {
  header: nested(1, ResponseHeader),
  id: int(2),
  ttl: int(3),
  error: text(4),
});
export const LeaseRevokeRequest = message('LeaseRevokeRequest', { id: int(1) });
export const LeaseRevokeResponse = message('LeaseRevokeResponse', { header: nested(1, ResponseHeader) });
export const LeaseKeepAliveRequest = message('LeaseKeepAliveRequest', { id: int(1) });
/** A `ttl` of 0 says that the lease is gone. */
export const LeaseKeepAliveResponse = message('LeaseKeepAliveResponse', {
  header: nested(1, ResponseHeader),
  id: int(2),
  ttl: int(3),
});
export const LeaseTimeToLiveRequest = message('LeaseTimeToLiveRequest', { id: int(1), keys: bool(2) });
/** A `ttl` of -1 says that the lease is gone. */
export const LeaseTimeToLiveResponse = message('LeaseTimeToLiveResponse', {
  header: nested(1, ResponseHeader),
  id: int(2),
  ttl: int(3),
  grantedTtl: int(4),
  keys: many(bytes(5)),
});
export const LeaseStatus = message('LeaseStatus', { id: int(1) });
export const LeaseLeasesRequest = message('LeaseLeasesRequest', {});
export const LeaseLeasesResponse = message('LeaseLeasesResponse', {
  header: nested(1, ResponseHeader),
  leases: list(2, LeaseStatus),
});
