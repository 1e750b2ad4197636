/**
 * etcd's Auth service. Users, roles and the switch are replicated state (`../mvcc/auth.ts`); passwords are hashed here, before
 * anything is proposed, and nothing but the hash goes further.
 */
import { randomBytes } from 'node:crypto';
import { type AuthAction, type AuthUser, type KeyPermission, ROOT } from '../mvcc/auth.ts';
import { keyBytes, keyFromBytes, OPEN_END } from '../mvcc/keys.ts';
import type { EtcdContext } from './context.ts';
import { authError, etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { type Route, unary } from './grpc/routes.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { AUTH_RECHECKS_MAX, TOKEN_SECRET_BYTES } from './limits.ts';
import { Passwords } from './passwords.ts';
import { PERMISSION_READ, PERMISSION_READ_WRITE, PERMISSION_WRITE, type Permission } from './proto/auth.ts';
import type { Init, Read } from './proto/message.ts';
import { Auth } from './proto/services.ts';

export function authRoutes(context: EtcdContext): Route[] {
  const passwords = new Passwords();
  return [...switchRoutes(context, passwords), ...userRoutes(context, passwords), ...roleRoutes(context)];
}

function switchRoutes(context: EtcdContext, passwords: Passwords): Route[] {
  const { access } = context;
  return [
    unary(Auth.authStatus, async (_request, call) => {
      await context.client.barrier();
      access.check(call, 'admin');
      const { isEnabled, revision } = access.head;
      return { header: context.header(), enabled: isEnabled, authRevision: revision };
    }),
    unary(Auth.authEnable, (_request, call) => {
      return change(context, call, { action: 'enable', secret: randomBytes(TOKEN_SECRET_BYTES) });
    }),
    unary(Auth.authDisable, (_request, call) => change(context, call, { action: 'disable' })),
    unary(Auth.authenticate, async ({ name, password }) => {
      const user = await authenticated(context, passwords, { name, password });
      return { header: context.header(), token: context.tokens.issue(user.claims, user.secret) };
    }),
  ];
}

function userRoutes(context: EtcdContext, passwords: Passwords): Route[] {
  const { access } = context;
  return [
    unary(Auth.userAdd, async ({ name, password, options }, call) => {
      if (name === '') throw etcdError('userEmpty');
      await access.require(call, 'admin');
      const hash = options?.noPassword === true ? '' : await passwords.hash(password);
      return change(context, call, { action: 'userAdd', name, password: hash });
    }),
    unary(Auth.userChangePassword, async ({ name, password }, call) => {
      await access.require(call, 'admin');
      return change(context, call, { action: 'userPassword', name, password: await passwords.hash(password) });
    }),
    unary(Auth.userDelete, ({ name }, call) => change(context, call, { action: 'userDelete', name })),
    unary(Auth.userGrantRole, ({ user, role }, call) => {
      return change(context, call, { action: 'userGrant', name: user, role });
    }),
    unary(Auth.userRevokeRole, ({ user, role }, call) => {
      return change(context, call, { action: 'userRevoke', name: user, role });
    }),
    unary(Auth.userList, async (_request, call) => {
      await context.client.barrier();
      access.check(call, 'admin');
      return { header: context.header(), names: [...context.state.auth.userNames] };
    }),
    unary(Auth.userGet, async ({ name }, call) => {
      await context.client.barrier();
      const { user: caller } = access.check(call, 'nothing');
      const refusal = context.state.auth.adminRefusal(caller);
      // Everybody may look at itself.
      if (refusal !== undefined && name !== caller) throw authError(refusal);
      const user = context.state.auth.user(name);
      if (user === undefined) throw etcdError('userNotFound');
      return { header: context.header(), names: [...user.roles] };
    }),
  ];
}

function roleRoutes(context: EtcdContext): Route[] {
  const { access } = context;
  return [
    unary(Auth.roleAdd, ({ name }, call) => change(context, call, { action: 'roleAdd', name })),
    unary(Auth.roleDelete, ({ role }, call) => change(context, call, { action: 'roleDelete', name: role })),
    unary(Auth.roleGrantPermission, ({ name, perm }, call) => {
      if (perm === undefined) throw etcdError('permissionNotGiven');
      return change(context, call, { action: 'roleGrant', name, permission: permissionOf(perm) });
    }),
    unary(Auth.roleRevokePermission, ({ role, key, rangeEnd }, call) => {
      return change(context, call, { action: 'roleRevoke', name: role, ...rangeOf(key, rangeEnd) });
    }),
    unary(Auth.roleList, async (_request, call) => {
      await context.client.barrier();
      access.check(call, 'admin');
      return { header: context.header(), names: [...context.state.auth.roleNames] };
    }),
    unary(Auth.roleGet, async ({ role: name }, call) => {
      await context.client.barrier();
      const { user: caller } = access.check(call, 'nothing');
      const { auth } = context.state;
      const refusal = auth.adminRefusal(caller);
      if (refusal !== undefined && auth.user(caller)?.roles.includes(name) !== true) throw authError(refusal);
      const role = auth.role(name);
      if (role === undefined) throw etcdError('roleNotFound');
      return { header: context.header(), perm: name === ROOT ? [EVERYTHING] : role.permissions.map(permissionMessage) };
    }),
  ];
}

/** Carries out what an administrator wants. */
async function change(context: EtcdContext, call: CallContext, action: AuthAction) {
  await context.access.require(call, 'admin');
  await context.access.perform(
    call,
    () => 'admin',
    client => client.execute({ type: 'auth', change: action }),
  );
  return { header: context.header() };
}

/** Who showed its password. @throws {GrpcError} */
async function authenticated(
  context: EtcdContext,
  passwords: Passwords,
  { name, password }: { readonly name: string; readonly password: string },
) {
  await context.client.barrier();
  for (let attempt = 0; attempt <= AUTH_RECHECKS_MAX; attempt++) {
    const user = passwordUser(context, name);
    const isRight = await passwords.matches(password, user.password);
    // It may have got another password, or be gone, by now.
    if (passwordUser(context, name).since !== user.since) continue;
    if (!isRight) throw etcdError('authFailed');
    return { claims: { user: name, since: user.since }, secret: context.access.head.secret };
  }
  throw etcdError('authOldRevision');
}

function passwordUser({ access, state }: EtcdContext, name: string): AuthUser {
  if (!access.head.isEnabled) throw etcdError('authNotEnabled');
  const user = state.auth.user(name);
  if (user === undefined) throw etcdError('authFailed');
  if (user.password === '') throw etcdError('noPasswordUser');
  return user;
}

const ACCESSES: Readonly<Record<number, KeyPermission['access'] | undefined>> = {
  [PERMISSION_READ]: 'read',
  [PERMISSION_WRITE]: 'write',
  [PERMISSION_READ_WRITE]: 'readwrite',
};
const PERMISSION_TYPES = { read: PERMISSION_READ, write: PERMISSION_WRITE, readwrite: PERMISSION_READ_WRITE } as const;
/** Ends a range that goes to the last key. */
const TO_THE_LAST = Uint8Array.of(0);
const EVERYTHING: Init<typeof Permission> = { permType: PERMISSION_READ_WRITE, rangeEnd: TO_THE_LAST };

function permissionOf({ permType, key, rangeEnd }: Read<typeof Permission>): KeyPermission {
  const access = ACCESSES[permType];
  if (access === undefined) {
    throw new GrpcError(STATUS.invalidArgument, `raftsman: there is no permission of type ${permType}`);
  }
  return { access, ...rangeOf(key, rangeEnd) };
}

function permissionMessage({ access, key, end }: KeyPermission): Init<typeof Permission> {
  return {
    permType: PERMISSION_TYPES[access],
    key: keyBytes(key),
    ...(end !== undefined && { rangeEnd: end === OPEN_END ? TO_THE_LAST : keyBytes(end) }),
  };
}

/** A permission may begin at the empty key, which no request may. */
function rangeOf(key: Uint8Array, rangeEnd: Uint8Array): Pick<KeyPermission, 'key' | 'end'> {
  if (rangeEnd.length === 0) return { key: keyFromBytes(key) };
  const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return { key: keyFromBytes(key), end: isOpen ? OPEN_END : keyFromBytes(rangeEnd) };
}
