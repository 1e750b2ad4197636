/**
 * Users, roles and whether they count: replicated state beside the keys, as etcd's auth store has it (server/auth/store.go). It
 * is for those who come in by etcd's API; whoever proposes without saying on whose behalf is the cluster itself.
 *
 * Each change raises the auth revision. A write on a user's behalf names the revision under which it was found permitted, and
 * is refused where it has become another: what was revoked is never used after the revocation.
 */
import type { Branches } from '../client/client.ts';
import { keyBytes } from './keys.ts';
import { AUTH_ROLES_MAX, AUTH_USERS_MAX, ROLE_PERMISSIONS_MAX } from './limits.ts';
import { covers, type Grants, grantsOf, type Need } from './permissions.ts';

/** Who has this role may do everything; this user has to have it before authentication can be enabled. */
export const ROOT = 'root';
/** As in etcd, the first change makes revision 2. */
const FIRST_AUTH_REVISION = 1;

export interface AuthUser {
  readonly name: string;
  /** The hash of the password, as who proposed it writes it; empty for a user who has none. */
  readonly password: string;
  /** In order. */
  readonly roles: readonly string[];
  /** The auth revision at which the password was set: tokens given out before are void. */
  readonly since: number;
}
export interface KeyPermission {
  readonly access: 'read' | 'write' | 'readwrite';
  /** As in range requests, but may be empty. */
  readonly key: string;
  readonly end?: string;
}
export interface AuthRole {
  readonly name: string;
  /** In the order of their keys. */
  readonly permissions: readonly KeyPermission[];
}
export interface AuthHead {
  readonly isEnabled: boolean;
  readonly revision: number;
  /** Signs tokens. Drawn by who enabled authentication; empty before. */
  readonly secret: Uint8Array;
}

/** What an administrator does. */
export type AuthAction =
  | { readonly action: 'enable'; readonly secret: Uint8Array }
  | { readonly action: 'disable' }
  | { readonly action: 'userAdd' | 'userPassword'; readonly name: string; readonly password: string }
  | { readonly action: 'userDelete'; readonly name: string }
  | { readonly action: 'roleAdd' | 'roleDelete'; readonly name: string }
  | { readonly action: 'userGrant' | 'userRevoke'; readonly name: string; readonly role: string }
  | { readonly action: 'roleGrant'; readonly name: string; readonly permission: KeyPermission }
  | { readonly action: 'roleRevoke'; readonly name: string; readonly key: string; readonly end?: string };

/** What it does to the state. */
export type AuthChange =
  | { readonly type: 'authHead'; readonly head: AuthHead }
  | { readonly type: 'authUser'; readonly user: AuthUser }
  | { readonly type: 'authUserGone'; readonly name: string }
  | { readonly type: 'authRole'; readonly role: AuthRole }
  | { readonly type: 'authRoleGone'; readonly name: string };

/** On whose behalf a command is, and what its proposer knew when it found that permitted. */
export interface Caller {
  /** Empty for nobody. */
  readonly user: string;
  /** 0 if authentication was off. */
  readonly authRevision: number;
}

/** Why something is refused. */
export type AuthReason =
  | 'changed'
  | 'denied'
  | 'userEmpty'
  | 'userExists'
  | 'userNotFound'
  | 'roleEmpty'
  | 'roleExists'
  | 'roleNotFound'
  | 'roleNotGranted'
  | 'permissionNotGranted'
  | 'rootUserMissing'
  | 'rootRoleMissing'
  | 'management'
  | 'tooMany';

export class AuthTable {
  readonly #users = new Map<string, AuthUser>();
  readonly #roles = new Map<string, AuthRole>();
  /** What users may do, as far as somebody has asked since the last change. Bounded by the users. */
  readonly #grants = new Map<string, Grants>();
  #head: AuthHead = { isEnabled: false, revision: FIRST_AUTH_REVISION, secret: new Uint8Array(0) };

  get head(): AuthHead {
    return this.#head;
  }
  /** False as long as nobody has ever made a user or a role. */
  get isTouched(): boolean {
    return this.#head.revision > FIRST_AUTH_REVISION;
  }
  user(name: string): AuthUser | undefined {
    return this.#users.get(name);
  }
  role(name: string): AuthRole | undefined {
    return this.#roles.get(name);
  }
  get userNames(): readonly string[] {
    return [...this.#users.keys()].sort();
  }
  get roleNames(): readonly string[] {
    return [...this.#roles.keys()].sort();
  }

  /** Why the user may not do all of this; undefined if it may, or if authentication is off. */
  refusal(user: string, needs: readonly Need[]): 'userEmpty' | 'denied' | undefined {
    if (!this.#head.isEnabled || needs.length === 0) return undefined;
    if (user === '') return 'userEmpty';
    if (this.isRoot(user)) return undefined;
    const grants = this.#grantsOf(user);
    return grants !== undefined && needs.every(need => covers(grants, need)) ? undefined : 'denied';
  }

  /** Why the user may not administer; undefined if it may, or if authentication is off. */
  adminRefusal(user: string): 'userEmpty' | 'userNotFound' | 'denied' | undefined {
    if (!this.#head.isEnabled) return undefined;
    if (user === '') return 'userEmpty';
    if (!this.#users.has(user)) return 'userNotFound';
    return this.isRoot(user) ? undefined : 'denied';
  }

  isRoot(user: string): boolean {
    return this.#users.get(user)?.roles.includes(ROOT) === true;
  }

  /** Why a command proposed on somebody's behalf may not be applied any more; undefined if it may. */
  callerRefusal(caller: Caller): 'changed' | undefined {
    return this.#head.isEnabled && caller.authRevision !== this.#head.revision ? 'changed' : undefined;
  }

  /** What an action changes, or why it is refused. Changes nothing itself. */
  plan(action: AuthAction): AuthReason | readonly AuthChange[] {
    switch (action.action) {
      case 'enable':
        return this.#planEnable(action.secret);
      case 'disable':
        return this.#head.isEnabled ? [this.#nextHead({ isEnabled: false })] : [];
      case 'userAdd':
      case 'userDelete':
      case 'userPassword':
      case 'userGrant':
      case 'userRevoke':
        return this.#planUser(action);
      case 'roleAdd':
      case 'roleDelete':
      case 'roleGrant':
      case 'roleRevoke':
        return this.#planRole(action);
    }
  }

  /** Carries out a change that was planned, or read from disk. */
  replay(change: AuthChange): void {
    this.#grants.clear();
    switch (change.type) {
      case 'authHead':
        this.#head = change.head;
        return;
      case 'authUser':
        this.#users.set(change.user.name, change.user);
        return;
      case 'authUserGone':
        this.#users.delete(change.name);
        return;
      case 'authRole':
        this.#roles.set(change.role.name, change.role);
        return;
      case 'authRoleGone':
        this.#roles.delete(change.name);
        return;
    }
  }

  /** Everything, as changes that make it out of nothing; empty if nothing was ever changed. */
  list(): readonly AuthChange[] {
    if (!this.isTouched) return [];
    return [
      { type: 'authHead', head: this.#head },
      ...[...this.#roles.values()].map((role): AuthChange => ({ type: 'authRole', role })),
      ...[...this.#users.values()].map((user): AuthChange => ({ type: 'authUser', user })),
    ];
  }

  #grantsOf(name: string): Grants | undefined {
    const known = this.#grants.get(name);
    if (known !== undefined) return known;
    const user = this.#users.get(name);
    if (user === undefined) return undefined;
    const grants = grantsOf(user.roles.flatMap(role => this.#roles.get(role)?.permissions ?? []));
    this.#grants.set(name, grants);
    return grants;
  }

  #planEnable(secret: Uint8Array): AuthReason | readonly AuthChange[] {
    if (this.#head.isEnabled) return [];
    if (!this.#users.has(ROOT)) return 'rootUserMissing';
    if (!this.isRoot(ROOT)) return 'rootRoleMissing';
    // As in etcd, this alone does not raise the revision.
    return [{ type: 'authHead', head: { isEnabled: true, revision: this.#head.revision, secret } }];
  }

  #planUser(action: Extract<AuthAction, { action: `user${string}` }>): AuthReason | readonly AuthChange[] {
    const { name } = action;
    const { isEnabled } = this.#head;
    const user = this.#users.get(name);
    if (action.action === 'userAdd') {
      if (name === '') return 'userEmpty';
      if (user !== undefined) return 'userExists';
      if (this.#users.size >= AUTH_USERS_MAX) return 'tooMany';
      return this.#userSet({ name, password: action.password, roles: [], since: this.#head.revision + 1 });
    }
    // Root would lock everybody out.
    if (action.action === 'userDelete' && isEnabled && name === ROOT) return 'management';
    if (action.action === 'userRevoke' && isEnabled && name === ROOT && action.role === ROOT) return 'management';
    if (user === undefined) return 'userNotFound';
    switch (action.action) {
      case 'userDelete':
        return [this.#nextHead(), { type: 'authUserGone', name }];
      case 'userPassword':
        return this.#userSet({ ...user, password: action.password, since: this.#head.revision + 1 });
      case 'userGrant':
        if (action.role !== ROOT && !this.#roles.has(action.role)) return 'roleNotFound';
        if (user.roles.includes(action.role)) return [];
        return this.#userSet({ ...user, roles: [...user.roles, action.role].sort() });
      case 'userRevoke':
        if (!user.roles.includes(action.role)) return 'roleNotGranted';
        return this.#userSet({ ...user, roles: user.roles.filter(role => role !== action.role) });
    }
  }

  #planRole(action: Extract<AuthAction, { action: `role${string}` }>): AuthReason | readonly AuthChange[] {
    const { name } = action;
    const role = this.#roles.get(name);
    if (action.action === 'roleAdd') {
      if (name === '') return 'roleEmpty';
      if (role !== undefined) return 'roleExists';
      return this.#roles.size >= AUTH_ROLES_MAX ? 'tooMany' : this.#roleSet({ name, permissions: [] });
    }
    if (action.action === 'roleDelete' && this.#head.isEnabled && name === ROOT) return 'management';
    if (role === undefined) return 'roleNotFound';
    switch (action.action) {
      case 'roleDelete':
        return [this.#nextHead(), { type: 'authRoleGone', name }, ...this.#takenFromUsers(name)];
      case 'roleGrant': {
        const { permission } = action;
        const others = role.permissions.filter(one => !isSameRange(one, permission));
        if (others.length >= ROLE_PERMISSIONS_MAX) return 'tooMany';
        return this.#roleSet({ name, permissions: [...others, permission].sort(byKey) });
      }
      case 'roleRevoke': {
        const permissions = role.permissions.filter(one => !isSameRange(one, action));
        if (permissions.length === role.permissions.length) return 'permissionNotGranted';
        return this.#roleSet({ name, permissions });
      }
    }
  }

  #takenFromUsers(role: string): AuthChange[] {
    return [...this.#users.values()]
      .filter(({ roles }) => roles.includes(role))
      .map(user => ({ type: 'authUser', user: { ...user, roles: user.roles.filter(one => one !== role) } }));
  }

  #userSet(user: AuthUser): readonly AuthChange[] {
    return [this.#nextHead(), { type: 'authUser', user }];
  }

  #roleSet(role: AuthRole): readonly AuthChange[] {
    return [this.#nextHead(), { type: 'authRole', role }];
  }

  #nextHead(change: Partial<AuthHead> = {}): AuthChange {
    return { type: 'authHead', head: { ...this.#head, ...change, revision: this.#head.revision + 1 } };
  }
}

/** The leases that a transaction would hang keys on, in whichever branch. */
export function leasesPut({ then, otherwise = [] }: Branches): readonly number[] {
  return [...then, ...otherwise].flatMap(operation => {
    if (operation.type === 'transaction') return leasesPut(operation);
    return operation.type === 'put' && operation.lease !== undefined && operation.lease !== 0 ? [operation.lease] : [];
  });
}

type Ranged = Pick<KeyPermission, 'key' | 'end'>;

function isSameRange(one: Ranged, other: Ranged): boolean {
  return one.key === other.key && one.end === other.end;
}

function byKey(one: KeyPermission, other: KeyPermission): number {
  return Buffer.compare(keyBytes(one.key), keyBytes(other.key));
}
