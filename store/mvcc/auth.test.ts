import test from 'ava';
import fc from 'fast-check';
import type { Operation } from '../client/client.ts';
import { type AuthAction, AuthTable, type KeyPermission } from './auth.ts';
import type { ApplyResult, Change, Command } from './command.ts';
import { keyBytes, keyFromBytes, OPEN_END, prefixEnd } from './keys.ts';
import { AUTH_ROLES_MAX, ROLE_PERMISSIONS_MAX } from './limits.ts';
import { Mvcc } from './mvcc.ts';
import { covers, grantsOf, type Need } from './permissions.ts';

const SECRET = new Uint8Array([1]);

function carryOut(table: AuthTable, ...actions: readonly AuthAction[]) {
  return actions.map(action => {
    const plan = table.plan(action);
    if (typeof plan === 'string') return plan;
    for (const change of plan) table.replay(change);
    return table.head.revision;
  });
}

const userAdd = (name: string): AuthAction => ({ action: 'userAdd', name, password: 'h' });
const roleAdd = (name: string): AuthAction => ({ action: 'roleAdd', name });
const grant = (name: string, role: string): AuthAction => ({ action: 'userGrant', name, role });
const permit = (name: string, permission: KeyPermission): AuthAction => ({ action: 'roleGrant', name, permission });
const read = (key: string, end?: string): Need => ({ access: 'read', key, ...(end !== undefined && { end }) });
const write = (key: string, end?: string): Need => ({ access: 'write', key, ...(end !== undefined && { end }) });

/** Root, and bob who may read a*, write b and read and write c*. */
function table(): AuthTable {
  const auth = new AuthTable();
  carryOut(
    auth,
    userAdd('root'),
    grant('root', 'root'),
    userAdd('bob'),
    roleAdd('r'),
    roleAdd('s'),
    permit('r', { access: 'read', key: 'a', end: 'b' }),
    permit('r', { access: 'write', key: 'b' }),
    permit('s', { access: 'readwrite', key: 'c', end: 'd' }),
    grant('bob', 'r'),
    grant('bob', 's'),
    { action: 'enable', secret: SECRET },
  );
  return auth;
}

test('each change raises the revision by one; what changes nothing does not, nor does enabling', t => {
  const auth = new AuthTable();
  const permission: KeyPermission = { access: 'read', key: 'k' };
  const actions: readonly (readonly [AuthAction, number | string])[] = [
    [userAdd(''), 'userEmpty'],
    [roleAdd(''), 'roleEmpty'],
    [{ action: 'disable' }, 1],
    [{ action: 'enable', secret: SECRET }, 'rootUserMissing'],
    [userAdd('root'), 2],
    [userAdd('root'), 'userExists'],
    [{ action: 'enable', secret: SECRET }, 'rootRoleMissing'],
    [grant('root', 'r'), 'roleNotFound'],
    [grant('nobody', 'root'), 'userNotFound'],
    [grant('root', 'root'), 3],
    [grant('root', 'root'), 3],
    [{ action: 'userRevoke', name: 'root', role: 'r' }, 'roleNotGranted'],
    [roleAdd('r'), 4],
    [roleAdd('r'), 'roleExists'],
    [permit('r', permission), 5],
    [permit('x', permission), 'roleNotFound'],
    [permit('r', { access: 'readwrite', key: 'k' }), 6],
    [{ action: 'roleRevoke', name: 'r', key: 'k', end: 'l' }, 'permissionNotGranted'],
    [{ action: 'roleRevoke', name: 'r', key: 'k' }, 7],
    [{ action: 'roleRevoke', name: 'r', key: 'k' }, 'permissionNotGranted'],
    [{ action: 'enable', secret: SECRET }, 7],
    [{ action: 'enable', secret: new Uint8Array(0) }, 7],
    [{ action: 'userDelete', name: 'root' }, 'management'],
    [{ action: 'userRevoke', name: 'root', role: 'root' }, 'management'],
    [{ action: 'roleDelete', name: 'root' }, 'management'],
    [{ action: 'userPassword', name: 'x', password: 'h' }, 'userNotFound'],
    [{ action: 'userPassword', name: 'root', password: 'i' }, 8],
    [grant('root', 'r'), 9],
    [{ action: 'roleDelete', name: 'r' }, 10],
    [{ action: 'roleDelete', name: 'r' }, 'roleNotFound'],
    [{ action: 'disable' }, 11],
    [{ action: 'userDelete', name: 'root' }, 12],
    [{ action: 'userDelete', name: 'root' }, 'userNotFound'],
  ];
  for (const [action, outcome] of actions) t.deepEqual(carryOut(auth, action), [outcome], JSON.stringify(action));
  t.deepEqual([auth.userNames, auth.roleNames, auth.head.isEnabled], [[], [], false]);
});

test('a user may do what its roles permit together; root everything; nobody nothing', t => {
  const auth = table();
  const cases: readonly (readonly [user: string, needs: readonly Need[], outcome: string | undefined])[] = [
    ['bob', [read('a')], undefined],
    ['bob', [read('a', 'b')], undefined],
    ['bob', [read('a', 'b\0')], 'denied'],
    ['bob', [read('b')], 'denied'],
    ['bob', [write('b')], undefined],
    ['bob', [write('b', 'b\0')], undefined],
    ['bob', [write('a')], 'denied'],
    ['bob', [write('b', 'd')], 'denied'],
    ['bob', [read('c1'), write('c1'), read('a')], undefined],
    ['bob', [read('c1'), write('c1'), write('a')], 'denied'],
    ['bob', [read('a', OPEN_END)], 'denied'],
    ['root', [read('', OPEN_END), write('', OPEN_END)], undefined],
    ['nobody', [read('a')], 'denied'],
    ['', [read('a')], 'userEmpty'],
    ['', [], undefined],
  ];
  for (const [user, needs, outcome] of cases) t.is(auth.refusal(user, needs), outcome as never, JSON.stringify(needs));
  t.deepEqual(
    ['root', 'bob', 'nobody', ''].map(user => auth.adminRefusal(user)),
    [undefined, 'denied', 'userNotFound', 'userEmpty'],
  );
  carryOut(auth, { action: 'roleDelete', name: 'r' });
  t.deepEqual(auth.user('bob')?.roles, ['s']);
  t.is(auth.refusal('bob', [read('a')]), 'denied');
  carryOut(auth, { action: 'disable' });
  t.deepEqual([auth.refusal('', [read('a')]), auth.adminRefusal('')], [undefined, undefined]);
});

test('a role keeps one permission a range, in the order of the keys', t => {
  const auth = table();
  carryOut(
    auth,
    permit('s', { access: 'read', key: 'z' }),
    permit('s', { access: 'read', key: '', end: OPEN_END }),
    permit('s', { access: 'write', key: 'c', end: 'd' }),
    permit('s', { access: 'read', key: keyFromBytes(Buffer.of(0xff)) }),
  );
  t.deepEqual(
    auth.role('s')?.permissions.map(({ access, key }) => [access, key]),
    [
      ['read', ''],
      ['write', 'c'],
      ['read', 'z'],
      ['read', keyFromBytes(Buffer.of(0xff))],
    ],
  );
});

test('there is a bound on roles and on what they permit', t => {
  const auth = new AuthTable();
  carryOut(auth, ...Array.from({ length: AUTH_ROLES_MAX }, (_, n) => roleAdd(`${n}`)));
  t.deepEqual(carryOut(auth, roleAdd('more')), ['tooMany']);
  carryOut(
    auth,
    ...Array.from({ length: ROLE_PERMISSIONS_MAX }, (_, n) => permit('1', { access: 'read', key: `${n}` })),
  );
  t.deepEqual(carryOut(auth, permit('1', { access: 'read', key: 'more' })), ['tooMany']);
  t.is(typeof carryOut(auth, permit('1', { access: 'write', key: '7' }))[0], 'number');
});

/** Keys of up to two letters out of three, one of them no UTF-8: few enough to look at each. */
const LETTERS = ['a', 'b', keyFromBytes(Buffer.of(0xfe))];
const KEYS = [...LETTERS, ...LETTERS.flatMap(one => LETTERS.map(other => one + other))];
const bound = fc.constantFrom('', ...KEYS, ...KEYS.map(prefixEnd));
const range = fc.record({ key: bound, end: bound }, { requiredKeys: ['key'] });
const access = fc.constantFrom('read' as const, 'write' as const);
const isIn = (key: string, { key: start, end }: { readonly key: string; readonly end?: string }) => {
  const order = (one: string, other: string) => Buffer.compare(keyBytes(one), keyBytes(other));
  if (end === undefined) return key === start;
  return order(key, start) >= 0 && (end === OPEN_END || order(key, end) < 0);
};

test('what is permitted holds only keys that some permission names; what names keys one by one is permitted', t => {
  fc.assert(
    fc.property(fc.array(fc.record({ access, range }), { maxLength: 5 }), range, access, (given, wanted, how) => {
      const grants = grantsOf(given.map(one => ({ access: one.access, ...one.range })));
      const isNamed = (key: string) => given.some(one => one.access === how && isIn(key, one.range));
      if (covers(grants, { access: how, ...wanted })) {
        for (const key of KEYS) if (isIn(key, wanted)) t.true(isNamed(key), key);
      }
      for (const key of KEYS) t.is(covers(grants, { access: how, key }), isNamed(key), key);
    }),
  );
});

test('permissions that touch or overlap permit a range that spans them; a gap of one key does not', t => {
  const of = (...ranges: readonly (readonly [string, string?])[]) =>
    grantsOf(ranges.map(([key, end]) => ({ access: 'read', key, ...(end !== undefined && { end }) })));
  t.true(covers(of(['c', 'e'], ['a', 'b'], ['b', 'c']), read('a', 'e')));
  t.true(covers(of(['a', 'c'], ['b', OPEN_END]), read('a', OPEN_END)));
  t.true(covers(of(['a'], ['a\0', 'b']), read('a', 'b')));
  t.false(covers(of(['a', 'b'], ['b\0', 'c']), read('a', 'c')));
  t.false(covers(of(['a', 'c']), read('b', 'a')));
  t.false(covers(of(['z', 'a']), read('z')));
});

test('a permission on one key is none on all keys after it (GHSA-xg4h-6gfc-h4m8)', t => {
  const grants = grantsOf([{ access: 'readwrite', key: 'k' }]);
  for (const need of [read, write]) {
    t.true(covers(grants, need('k')));
    for (const end of [OPEN_END, 'l', 'k\0\0']) t.false(covers(grants, need('k', end)), end);
  }
});

const put = (key: string, lease = 0): Operation => ({ type: 'put', key, value: new Uint8Array(1), lease });
const puts = (...operations: Operation[]): Command => ({ type: 'transaction', transaction: { then: operations } });
const reasonOf = (result: ApplyResult) => (result.ok ? 'ok' : (result.refusal.authReason ?? result.refusal.code));

/** A state with the same users, and a copy that follows it by changes alone. */
function states() {
  const state = new Mvcc();
  const copy = new Mvcc();
  const apply = (command: Command, by?: { user: string; authRevision: number }) => {
    const { result, writes } = state.apply(command, { term: 1, by });
    for (const change of writes) copy.replay(change);
    return reasonOf(result);
  };
  for (const change of table().list() as readonly Change[]) {
    state.replay(change);
    copy.replay(change);
  }
  return { state, copy, apply };
}

test('what was checked under an older revision is refused; what is on nobody’s behalf never is', t => {
  const { state, apply } = states();
  const { revision } = state.auth.head;
  t.is(apply(puts(put('c')), { user: 'bob', authRevision: revision }), 'ok');
  t.is(apply({ type: 'auth', change: roleAdd('another') }, { user: 'root', authRevision: revision }), 'ok');
  t.is(apply(puts(put('c')), { user: 'bob', authRevision: revision }), 'changed');
  t.is(apply({ type: 'auth', change: roleAdd('more') }, { user: 'root', authRevision: revision }), 'changed');
  t.is(apply(puts(put('c')), { user: '', authRevision: 0 }), 'changed');
  t.is(apply(puts(put('c')), { user: 'bob', authRevision: revision + 1 }), 'ok');
  t.is(apply(puts(put('anything'))), 'ok');
  t.is(apply({ type: 'auth', change: { action: 'disable' } }), 'ok');
  t.is(apply(puts(put('c')), { user: 'bob', authRevision: 1 }), 'ok');
});

test('who touches a lease must be allowed to write all keys on it', t => {
  const { state, apply } = states();
  const bob = { user: 'bob', authRevision: state.auth.head.revision };
  for (const id of [1, 2, 3]) t.is(apply({ type: 'leaseGrant', ttlSeconds: 60, id }), 'ok');
  t.is(apply(puts(put('secret', 1), put('c1', 2))), 'ok');
  t.is(apply({ type: 'leaseRevoke', id: 1 }, bob), 'denied');
  t.is(apply(puts(put('c2', 1)), bob), 'denied');
  t.is(apply(puts({ type: 'transaction', then: [], otherwise: [put('c2', 1)] }), bob), 'denied');
  t.is(apply(puts(put('c2', 2)), bob), 'ok');
  t.is(apply({ type: 'leaseRevoke', id: 2 }, bob), 'ok');
  t.is(apply({ type: 'leaseRevoke', id: 3 }, bob), 'ok');
  t.is(apply({ type: 'leaseRevoke', id: 1 }, { ...bob, user: 'root' }), 'ok');
  t.is(state.leases.length, 0);
});

test('users and roles are the same after a replay of changes, and out of an image', t => {
  const { state, copy, apply } = states();
  apply({ type: 'auth', change: { action: 'roleDelete', name: 'r' } });
  apply({ type: 'auth', change: { action: 'userPassword', name: 'bob', password: 'new' } });
  apply({ type: 'auth', change: userAdd('eve') });
  apply({ type: 'auth', change: { action: 'userDelete', name: 'eve' } });
  const image = state.image();
  apply({ type: 'auth', change: userAdd('late') });
  const loaded = new Mvcc({ head: image });
  loaded.loaded();
  t.deepEqual(copy.image().auth, state.image().auth);
  t.deepEqual(loaded.auth.userNames, ['bob', 'root']);
  t.deepEqual(loaded.auth.user('bob'), state.auth.user('bob'));
  t.deepEqual(loaded.auth.role('s'), state.auth.role('s'));
  t.deepEqual(loaded.auth.head, { ...state.auth.head, revision: state.auth.head.revision - 1 });
  t.deepEqual(new Mvcc().image().auth, []);
});
