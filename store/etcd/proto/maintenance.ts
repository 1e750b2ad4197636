/** etcd's Maintenance service, from api/etcdserverpb/rpc.proto. */
import { ResponseHeader } from './kv.ts';
import { bool, bytes, choice, id, int, list, many, message, nested, text } from './message.ts';

export const ALARM_NONE = 0;
export const ALARM_NO_SPACE = 1;
export const ALARM_CORRUPT = 2;
export const ALARM_GET = 0;
export const ALARM_ACTIVATE = 1;
export const ALARM_DEACTIVATE = 2;
export const AlarmRequest = message('AlarmRequest', { action: choice(1), memberId: id(2), alarm: choice(3) });
export const AlarmMember = message('AlarmMember', { memberId: id(1), alarm: choice(2) });
export const AlarmResponse = message('AlarmResponse', {
  header: nested(1, ResponseHeader),
  alarms: list(2, AlarmMember),
});

export const StatusRequest = message('StatusRequest', {});
export const DowngradeInfo = message('DowngradeInfo', { enabled: bool(1), targetVersion: text(2) });
export const StatusResponse = message('StatusResponse', {
  header: nested(1, ResponseHeader),
  version: text(2),
  dbSize: int(3),
  leader: id(4),
  raftIndex: int(5),
  raftTerm: int(6),
  raftAppliedIndex: int(7),
  errors: many(text(8)),
  dbSizeInUse: int(9),
  isLearner: bool(10),
  storageVersion: text(11),
  dbSizeQuota: int(12),
  downgradeInfo: nested(13, DowngradeInfo),
});

export const DefragmentRequest = message('DefragmentRequest', {});
export const DefragmentResponse = message('DefragmentResponse', { header: nested(1, ResponseHeader) });
export const HashRequest = message('HashRequest', {});
export const HashResponse = message('HashResponse', { header: nested(1, ResponseHeader), hash: int(2) });
export const HashKvRequest = message('HashKVRequest', { revision: int(1) });
export const HashKvResponse = message('HashKVResponse', {
  header: nested(1, ResponseHeader),
  hash: int(2),
  compactRevision: int(3),
  hashRevision: int(4),
});
export const SnapshotRequest = message('SnapshotRequest', {});
export const SnapshotResponse = message('SnapshotResponse', {
  header: nested(1, ResponseHeader),
  remainingBytes: int(2),
  blob: bytes(3),
  version: text(4),
});
export const MoveLeaderRequest = message('MoveLeaderRequest', { targetId: id(1) });
export const MoveLeaderResponse = message('MoveLeaderResponse', { header: nested(1, ResponseHeader) });
export const DowngradeRequest = message('DowngradeRequest', { action: choice(1), version: text(2) });
export const DowngradeResponse = message('DowngradeResponse', { header: nested(1, ResponseHeader), version: text(2) });
