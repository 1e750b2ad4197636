/**
 * etcd's Auth service, as far as it makes sense here: whoever reaches this API has shown a certificate of the cluster's own
 * authority and may do everything, so there are no users or roles, and authentication by password cannot be enabled.
 */
import type { EtcdContext } from './context.ts';
import { etcdError } from './errors.ts';
import { GrpcError, type Route, STATUS, unary } from './grpc.ts';
import { Auth } from './proto/services.ts';

export function authRoutes(context: EtcdContext): Route[] {
  const refuse = async (): Promise<never> => {
    throw new GrpcError(
      STATUS.unimplemented,
      'raftsman: there are no users and roles; whoever holds a certificate of the cluster may do everything',
    );
  };
  const nobody = async () => ({ header: context.header(), names: [] });
  return [
    unary(Auth.authStatus, async () => ({ header: context.header(), enabled: false, authRevision: 1 })),
    unary(Auth.authenticate, async () => {
      throw etcdError('authNotEnabled');
    }),
    unary(Auth.authEnable, async () => {
      throw etcdError('rootUserMissing');
    }),
    unary(Auth.authDisable, async () => ({ header: context.header() })),
    unary(Auth.userList, nobody),
    unary(Auth.roleList, nobody),
    unary(Auth.userGet, async () => {
      throw etcdError('userNotFound');
    }),
    unary(Auth.roleGet, async () => {
      throw etcdError('roleNotFound');
    }),
    unary(Auth.userAdd, refuse),
    unary(Auth.userDelete, refuse),
    unary(Auth.userChangePassword, refuse),
    unary(Auth.userGrantRole, refuse),
    unary(Auth.userRevokeRole, refuse),
    unary(Auth.roleAdd, refuse),
    unary(Auth.roleDelete, refuse),
    unary(Auth.roleGrantPermission, refuse),
    unary(Auth.roleRevokePermission, refuse),
  ];
}
