/** etcd's Lock and Election services (v3lock.proto, v3election.proto), and gRPC's own health service. */
import { KeyValue, ResponseHeader } from './kv.ts';
import { bytes, choice, int, message, nested, text } from './message.ts';

export const LockRequest = message('LockRequest', { name: bytes(1), lease: int(2) });
export const LockResponse = message('LockResponse', { header: nested(1, ResponseHeader), key: bytes(2) });
export const UnlockRequest = message('UnlockRequest', { key: bytes(1) });
export const UnlockResponse = message('UnlockResponse', { header: nested(1, ResponseHeader) });

export const LeaderKey = message('LeaderKey', { name: bytes(1), key: bytes(2), rev: int(3), lease: int(4) });
export const CampaignRequest = message('CampaignRequest', { name: bytes(1), lease: int(2), value: bytes(3) });
export const CampaignResponse = message('CampaignResponse', {
  header: nested(1, ResponseHeader),
  leader: nested(2, LeaderKey),
});
export const LeaderRequest = message('LeaderRequest', { name: bytes(1) });
export const LeaderResponse = message('LeaderResponse', { header: nested(1, ResponseHeader), kv: nested(2, KeyValue) });
export const ResignRequest = message('ResignRequest', { leader: nested(1, LeaderKey) });
export const ResignResponse = message('ResignResponse', { header: nested(1, ResponseHeader) });
export const ProclaimRequest = message('ProclaimRequest', { leader: nested(1, LeaderKey), value: bytes(2) });
export const ProclaimResponse = message('ProclaimResponse', { header: nested(1, ResponseHeader) });

export const HEALTH_SERVING = 1;
export const HEALTH_NOT_SERVING = 2;
export const HealthCheckRequest = message('HealthCheckRequest', { service: text(1) });
export const HealthCheckResponse = message('HealthCheckResponse', { status: choice(1) });
