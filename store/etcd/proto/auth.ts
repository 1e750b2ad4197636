/** etcd's Auth service, from api/authpb/auth.proto and api/etcdserverpb/rpc.proto. */
import { ResponseHeader } from './kv.ts';
import { bool, bytes, choice, int, list, many, message, nested, text } from './message.ts';

export const PERMISSION_READ = 0;
export const PERMISSION_WRITE = 1;
export const PERMISSION_READ_WRITE = 2;
export const Permission = message('Permission', { permType: choice(1), key: bytes(2), rangeEnd: bytes(3) });
export const UserAddOptions = message('UserAddOptions', { noPassword: bool(1) });

/** AuthEnable, AuthDisable, AuthStatus, UserList and RoleList ask with this. */
export const AuthEmptyRequest = message('AuthEmptyRequest', {});
/** What everything that only changes something answers with. */
export const AuthDoneResponse = message('AuthDoneResponse', { header: nested(1, ResponseHeader) });
export const AuthStatusResponse = message('AuthStatusResponse', {
  header: nested(1, ResponseHeader),
  enabled: bool(2),
  authRevision: int(3),
});
export const AuthenticateRequest = message('AuthenticateRequest', { name: text(1), password: text(2) });
export const AuthenticateResponse = message('AuthenticateResponse', {
  header: nested(1, ResponseHeader),
  token: text(2),
});
export const AuthUserAddRequest = message('AuthUserAddRequest', {
  name: text(1),
  password: text(2),
  options: nested(3, UserAddOptions),
  hashedPassword: text(4),
});
/** UserGet, UserDelete and RoleAdd ask with this. */
export const AuthNameRequest = message('AuthNameRequest', { name: text(1) });
export const AuthUserChangePasswordRequest = message('AuthUserChangePasswordRequest', {
  name: text(1),
  password: text(2),
  hashedPassword: text(3),
});
/** UserGrantRole and UserRevokeRole ask with this. */
export const AuthUserRoleRequest = message('AuthUserRoleRequest', { user: text(1), role: text(2) });
/** RoleGet and RoleDelete ask with this. */
export const AuthRoleRequest = message('AuthRoleRequest', { role: text(1) });
export const AuthRoleGrantPermissionRequest = message('AuthRoleGrantPermissionRequest', {
  name: text(1),
  perm: nested(2, Permission),
});
export const AuthRoleRevokePermissionRequest = message('AuthRoleRevokePermissionRequest', {
  role: text(1),
  key: bytes(2),
  rangeEnd: bytes(3),
});
export const AuthRoleGetResponse = message('AuthRoleGetResponse', {
  header: nested(1, ResponseHeader),
  perm: list(2, Permission),
});
/** The roles of a user, all roles, all users. */
export const AuthNamesResponse = message('AuthNamesResponse', {
  header: nested(1, ResponseHeader),
  names: many(text(2)),
});
