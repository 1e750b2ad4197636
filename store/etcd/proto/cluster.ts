/** etcd's Cluster service, from api/etcdserverpb/rpc.proto. */
import { ResponseHeader } from './kv.ts';
import { bool, id, list, many, message, nested, text } from './message.ts';

export const Member = message('Member', {
  id: id(1),
  name: text(2),
  peerUrls: many(text(3)),
  clientUrls: many(text(4)),
  isLearner: bool(5),
});
export const MemberAddRequest = message('MemberAddRequest', { peerUrls: many(text(1)), isLearner: bool(2) });
export const MemberAddResponse = message('MemberAddResponse', {
  header: nested(1, ResponseHeader),
  member: nested(2, Member),
  members: list(3, Member),
});
export const MemberRemoveRequest = message('MemberRemoveRequest', { id: id(1) });
export const MemberUpdateRequest = message('MemberUpdateRequest', { id: id(1), peerUrls: many(text(2)) });
export const MemberListRequest = message('MemberListRequest', { linearizable: bool(1) });
export const MemberPromoteRequest = message('MemberPromoteRequest', { id: id(1) });
/** What removing, updating, listing and promoting answer with. */
export const MembersResponse = message('MembersResponse', {
  header: nested(1, ResponseHeader),
  members: list(2, Member),
});
