/** The services that an etcd v3 server offers: the path of each method, and what it takes and gives. */
import * as auth from './auth.ts';
import * as cluster from './cluster.ts';
import * as concurrency from './concurrency.ts';
import * as kv from './kv.ts';
import * as lease from './lease.ts';
import * as maintenance from './maintenance.ts';
import type { Message } from './message.ts';
import * as watch from './watch.ts';

/** One method; `Req` and `Res` are what the client writes and reads, `ReqRead` and `ResInit` what the server does. */
export interface Method<Req, ReqRead, ResInit, Res> {
  /** `/package.Service/Method`, the HTTP/2 path. */
  readonly path: string;
  readonly request: Message<Req, ReqRead>;
  readonly response: Message<ResInit, Res>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

const describe =
  (requestStream: boolean, responseStream: boolean) =>
  <Req, ReqRead, ResInit, Res>(
    path: string,
    request: Message<Req, ReqRead>,
    response: Message<ResInit, Res>,
  ): Method<Req, ReqRead, ResInit, Res> => ({ path, request, response, requestStream, responseStream });
const unary = describe(false, false);
const serverStream = describe(false, true);
const bothStream = describe(true, true);

export const KV = {
  range: unary('/etcdserverpb.KV/Range', kv.RangeRequest, kv.RangeResponse),
  put: unary('/etcdserverpb.KV/Put', kv.PutRequest, kv.PutResponse),
  deleteRange: unary('/etcdserverpb.KV/DeleteRange', kv.DeleteRangeRequest, kv.DeleteRangeResponse),
  txn: unary('/etcdserverpb.KV/Txn', kv.TxnRequest, kv.TxnResponse),
  compact: unary('/etcdserverpb.KV/Compact', kv.CompactionRequest, kv.CompactionResponse),
};

export const Watch = {
  watch: bothStream('/etcdserverpb.Watch/Watch', watch.WatchRequest, watch.WatchResponse),
};

export const Lease = {
  leaseGrant: unary('/etcdserverpb.Lease/LeaseGrant', lease.LeaseGrantRequest, lease.LeaseGrantResponse),
  leaseRevoke: unary('/etcdserverpb.Lease/LeaseRevoke', lease.LeaseRevokeRequest, lease.LeaseRevokeResponse),
  leaseKeepAlive: bothStream(
    '/etcdserverpb.Lease/LeaseKeepAlive',
    lease.LeaseKeepAliveRequest,
    lease.LeaseKeepAliveResponse,
  ),
  leaseTimeToLive: unary(
    '/etcdserverpb.Lease/LeaseTimeToLive',
    lease.LeaseTimeToLiveRequest,
    lease.LeaseTimeToLiveResponse,
  ),
  leaseLeases: unary('/etcdserverpb.Lease/LeaseLeases', lease.LeaseLeasesRequest, lease.LeaseLeasesResponse),
};

export const Cluster = {
  memberAdd: unary('/etcdserverpb.Cluster/MemberAdd', cluster.MemberAddRequest, cluster.MemberAddResponse),
  memberRemove: unary('/etcdserverpb.Cluster/MemberRemove', cluster.MemberRemoveRequest, cluster.MembersResponse),
  memberUpdate: unary('/etcdserverpb.Cluster/MemberUpdate', cluster.MemberUpdateRequest, cluster.MembersResponse),
  memberList: unary('/etcdserverpb.Cluster/MemberList', cluster.MemberListRequest, cluster.MembersResponse),
  memberPromote: unary('/etcdserverpb.Cluster/MemberPromote', cluster.MemberPromoteRequest, cluster.MembersResponse),
};

export const Maintenance = {
  alarm: unary('/etcdserverpb.Maintenance/Alarm', maintenance.AlarmRequest, maintenance.AlarmResponse),
  status: unary('/etcdserverpb.Maintenance/Status', maintenance.StatusRequest, maintenance.StatusResponse),
  defragment: unary(
    '/etcdserverpb.Maintenance/Defragment',
    maintenance.DefragmentRequest,
    maintenance.DefragmentResponse,
  ),
  hash: unary('/etcdserverpb.Maintenance/Hash', maintenance.HashRequest, maintenance.HashResponse),
  hashKv: unary('/etcdserverpb.Maintenance/HashKV', maintenance.HashKvRequest, maintenance.HashKvResponse),
  snapshot: serverStream(
    '/etcdserverpb.Maintenance/Snapshot',
    maintenance.SnapshotRequest,
    maintenance.SnapshotResponse,
  ),
  moveLeader: unary(
    '/etcdserverpb.Maintenance/MoveLeader',
    maintenance.MoveLeaderRequest,
    maintenance.MoveLeaderResponse,
  ),
  downgrade: unary('/etcdserverpb.Maintenance/Downgrade', maintenance.DowngradeRequest, maintenance.DowngradeResponse),
};

export const Auth = {
  authEnable: unary('/etcdserverpb.Auth/AuthEnable', auth.AuthEmptyRequest, auth.AuthDoneResponse),
  authDisable: unary('/etcdserverpb.Auth/AuthDisable', auth.AuthEmptyRequest, auth.AuthDoneResponse),
  authStatus: unary('/etcdserverpb.Auth/AuthStatus', auth.AuthEmptyRequest, auth.AuthStatusResponse),
  authenticate: unary('/etcdserverpb.Auth/Authenticate', auth.AuthenticateRequest, auth.AuthenticateResponse),
  userAdd: unary('/etcdserverpb.Auth/UserAdd', auth.AuthUserAddRequest, auth.AuthDoneResponse),
  userGet: unary('/etcdserverpb.Auth/UserGet', auth.AuthNameRequest, auth.AuthNamesResponse),
  userList: unary('/etcdserverpb.Auth/UserList', auth.AuthEmptyRequest, auth.AuthNamesResponse),
  userDelete: unary('/etcdserverpb.Auth/UserDelete', auth.AuthNameRequest, auth.AuthDoneResponse),
  userChangePassword: unary(
    '/etcdserverpb.Auth/UserChangePassword',
    auth.AuthUserChangePasswordRequest,
    auth.AuthDoneResponse,
  ),
  userGrantRole: unary('/etcdserverpb.Auth/UserGrantRole', auth.AuthUserRoleRequest, auth.AuthDoneResponse),
  userRevokeRole: unary('/etcdserverpb.Auth/UserRevokeRole', auth.AuthUserRoleRequest, auth.AuthDoneResponse),
  roleAdd: unary('/etcdserverpb.Auth/RoleAdd', auth.AuthNameRequest, auth.AuthDoneResponse),
  roleGet: unary('/etcdserverpb.Auth/RoleGet', auth.AuthRoleRequest, auth.AuthRoleGetResponse),
  roleList: unary('/etcdserverpb.Auth/RoleList', auth.AuthEmptyRequest, auth.AuthNamesResponse),
  roleDelete: unary('/etcdserverpb.Auth/RoleDelete', auth.AuthRoleRequest, auth.AuthDoneResponse),
  roleGrantPermission: unary(
    '/etcdserverpb.Auth/RoleGrantPermission',
    auth.AuthRoleGrantPermissionRequest,
    auth.AuthDoneResponse,
  ),
  roleRevokePermission: unary(
    '/etcdserverpb.Auth/RoleRevokePermission',
    auth.AuthRoleRevokePermissionRequest,
    auth.AuthDoneResponse,
  ),
};

export const Lock = {
  lock: unary('/v3lockpb.Lock/Lock', concurrency.LockRequest, concurrency.LockResponse),
  unlock: unary('/v3lockpb.Lock/Unlock', concurrency.UnlockRequest, concurrency.UnlockResponse),
};

export const Election = {
  campaign: unary('/v3electionpb.Election/Campaign', concurrency.CampaignRequest, concurrency.CampaignResponse),
  proclaim: unary('/v3electionpb.Election/Proclaim', concurrency.ProclaimRequest, concurrency.ProclaimResponse),
  leader: unary('/v3electionpb.Election/Leader', concurrency.LeaderRequest, concurrency.LeaderResponse),
  observe: serverStream('/v3electionpb.Election/Observe', concurrency.LeaderRequest, concurrency.LeaderResponse),
  resign: unary('/v3electionpb.Election/Resign', concurrency.ResignRequest, concurrency.ResignResponse),
};

export const Health = {
  check: unary('/grpc.health.v1.Health/Check', concurrency.HealthCheckRequest, concurrency.HealthCheckResponse),
  watch: serverStream('/grpc.health.v1.Health/Watch', concurrency.HealthCheckRequest, concurrency.HealthCheckResponse),
};
