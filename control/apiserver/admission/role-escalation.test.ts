/** Nobody gives what he has not, and nobody speaks as somebody else without the right to. */
import test, { type ExecutionContext } from 'ava';
import { createHarness, type Harness } from '../testing/harness.ts';
import type { Identity } from '../types.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ROLES = `${RBAC}/namespaces/default/roles`;
const BINDINGS = `${RBAC}/namespaces/default/rolebindings`;
const JANE: Identity = { user: 'jane', groups: ['dev'] };

type Rules = readonly object[];
const rule = (resources: string, verbs: string, more: object = {}) => ({
  apiGroups: [''],
  resources: resources.split(','),
  verbs: verbs.split(','),
  ...more,
});
const rbacRule = (resources: string, verbs: string, more: object = {}) => ({
  ...rule(resources, verbs, more),
  apiGroups: ['rbac.authorization.k8s.io'],
});

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness({ withRoles: true });
  t.teardown(() => harness.close());
  return harness;
}

/** Lets jane do this in all of the cluster, or in one namespace. */
async function grant(harness: Harness, rules: Rules, name = 'jane', namespace = ''): Promise<void> {
  const kind = namespace === '' ? 'ClusterRole' : 'Role';
  const [roles, bindings] =
    namespace === ''
      ? [`${RBAC}/clusterroles`, `${RBAC}/clusterrolebindings`]
      : [`${RBAC}/namespaces/${namespace}/roles`, `${RBAC}/namespaces/${namespace}/rolebindings`];
  await harness.create(roles, { metadata: { name }, rules } as object);
  await harness.create(bindings, {
    metadata: { name },
    roleRef: { kind, name },
    subjects: [{ kind: 'User', name: 'jane' }],
  } as object);
}

const WRITE_ALL = rbacRule('roles,rolebindings,clusterroles,clusterrolebindings', 'create,update,patch,get,delete');

test('a role may hold what its author holds, and no more', async t => {
  const harness = await harnessOf(t);
  await grant(harness, [
    WRITE_ALL,
    rule('pods,pods/log', 'get,list'),
    rule('secrets', 'get', { resourceNames: ['a'] }),
  ]);
  const write = (rules: Rules, name = 'x') =>
    harness.call('POST', ROLES, { body: { metadata: { name }, rules }, identity: JANE });
  t.is((await write([rule('pods', 'get'), rule('pods/log', 'list')], 'held')).status, 201);
  t.is((await write([rule('secrets', 'get', { resourceNames: ['a'] })], 'named')).status, 201);
  const more: readonly (readonly [Rules, string])[] = [
    [[rule('pods', 'delete')], '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'],
    [[rule('pods', '*')], '{APIGroups:[""], Resources:["pods"], Verbs:["*"]}'],
    [[rule('*', 'get')], '{APIGroups:[""], Resources:["*"], Verbs:["get"]}'],
    [[rule('pods/exec', 'get')], '{APIGroups:[""], Resources:["pods/exec"], Verbs:["get"]}'],
    [[rule('secrets', 'get')], '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'],
    [
      [rule('secrets', 'get', { resourceNames: ['a', 'b'] })],
      '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}',
    ],
    [[rule('pods', 'get,watch,create')], '{APIGroups:[""], Resources:["pods"], Verbs:["watch" "create"]}'],
  ];
  for (const [rules, told] of more) {
    const { status, body } = await write(rules);
    t.is(status, 403, told);
    t.is(
      body.message,
      'roles.rbac.authorization.k8s.io "x" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is ' +
        `attempting to grant RBAC permissions not currently held:\n${told}`,
    );
  }
  // Neither by changing a role that is there, in any way.
  const widened = { metadata: { name: 'held' }, rules: [rule('nodes', 'get')] };
  t.is((await harness.call('PUT', `${ROLES}/held`, { body: widened, identity: JANE })).status, 403);
  const patched = await harness.call('PATCH', `${ROLES}/held`, {
    body: { rules: widened.rules },
    headers: { 'content-type': 'application/merge-patch+json' },
    identity: JANE,
  });
  t.is(patched.status, 403);
  t.deepEqual((await harness.call('GET', `${ROLES}/held`)).body.rules[0].resources, ['pods']);
});

test('the verb escalate lifts the limit, on the roles that it names', async t => {
  const harness = await harnessOf(t);
  await grant(harness, [WRITE_ALL, rbacRule('roles', 'escalate', { resourceNames: ['mine'] })]);
  for (const name of ['mine', 'other']) await harness.create(ROLES, { metadata: { name }, rules: [] } as object);
  const body = (name: string) => ({ metadata: { name }, rules: [rule('secrets', '*')] });
  t.is((await harness.call('PUT', `${ROLES}/mine`, { body: body('mine'), identity: JANE })).status, 200);
  t.is((await harness.call('PUT', `${ROLES}/other`, { body: body('other'), identity: JANE })).status, 403);
});

test('a binding gives what its author holds, or what he may bind', async t => {
  const harness = await harnessOf(t);
  await grant(harness, [WRITE_ALL, rbacRule('clusterroles', 'bind', { resourceNames: ['view'] })]);
  const bind = (name: string, role: string, kind = 'ClusterRole') =>
    harness.call('POST', BINDINGS, {
      body: { metadata: { name }, roleRef: { kind, name: role }, subjects: [{ kind: 'User', name: 'jane' }] },
      identity: JANE,
    });
  t.is((await bind('a', 'view')).status, 201);
  t.is((await bind('b', 'system:discovery')).status, 201, 'everybody holds it');
  t.is((await bind('c', 'jane')).status, 201, 'her own');
  const refused = await bind('d', 'cluster-admin');
  t.is(refused.status, 403);
  t.regex(refused.body.message, /not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}/);
  const missing = await bind('e', 'nothing', 'Role');
  t.deepEqual([missing.status, missing.body.message], [404, 'role.rbac.authorization.k8s.io "nothing" not found']);
  // To bind in a namespace is not to bind everywhere.
  await harness.create(ROLES, { metadata: { name: 'strong' }, rules: [rule('secrets', 'get')] } as object);
  await grant(harness, [rbacRule('roles', 'bind')], 'binder', 'default');
  t.is((await bind('f', 'strong', 'Role')).status, 201);
  const everywhere = await harness.call('POST', `${RBAC}/clusterrolebindings`, {
    body: { metadata: { name: 'g' }, roleRef: { kind: 'ClusterRole', name: 'admin' } },
    identity: JANE,
  });
  t.is(everywhere.status, 201, 'no controller has filled it: there is nothing to hold');
  const admin = await harness.call('POST', `${RBAC}/clusterrolebindings`, {
    body: { metadata: { name: 'h' }, roleRef: { kind: 'ClusterRole', name: 'system:node' } },
    identity: JANE,
  });
  t.is(admin.status, 403);
});

test('an aggregation rule takes whatever others label: only those who hold everything write one', async t => {
  const harness = await harnessOf(t);
  await grant(harness, [WRITE_ALL]);
  const role = { metadata: { name: 'sum' }, aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] } };
  const { status, body } = await harness.call('POST', `${RBAC}/clusterroles`, { body: role, identity: JANE });
  t.is(status, 403);
  t.regex(body.message, /"sum" is forbidden: must have cluster-admin privileges to use the aggregationRule/);
});

test('a role change holds on the next request, in both directions', async t => {
  const harness = await harnessOf(t);
  const list = async () => (await harness.call('GET', '/api/v1/namespaces/default/pods', { identity: JANE })).status;
  for (let round = 0; round < 20; round++) {
    t.is(await list(), 403);
    await grant(harness, [rule('pods', 'list')], 'lister', 'default');
    t.is(await list(), 200);
    await harness.call('DELETE', `${BINDINGS}/lister`);
    t.is(await list(), 403);
    await harness.call('DELETE', `${ROLES}/lister`);
  }
});

test('one may speak as somebody else where one has the right to, and nothing of it besides', async t => {
  const harness = await harnessOf(t);
  await grant(harness, [
    rule('users', 'impersonate', { resourceNames: ['joe'] }),
    rule('groups', 'impersonate', { resourceNames: ['ops'] }),
    { ...rule('uids', 'impersonate', { resourceNames: ['7'] }), apiGroups: ['authentication.k8s.io'] },
    { ...rule('userextras/scopes', 'impersonate', { resourceNames: ['a'] }), apiGroups: ['authentication.k8s.io'] },
  ]);
  await grant(harness, [rule('serviceaccounts', 'impersonate')], 'accounts', 'default');
  const whoami = (headers: Record<string, string>) =>
    harness.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: {}, headers, identity: JANE });
  const as = async (headers: Record<string, string>) => (await whoami(headers)).body.status.userInfo;
  t.deepEqual(await as({ 'impersonate-user': 'joe' }), { username: 'joe', groups: ['system:authenticated'] });
  t.deepEqual(
    await as({
      'impersonate-user': 'joe',
      'impersonate-group': 'ops',
      'impersonate-uid': '7',
      'impersonate-extra-scopes': 'a',
    }),
    { username: 'joe', uid: '7', groups: ['ops', 'system:authenticated'], extra: { scopes: ['a'] } },
  );
  t.deepEqual(await as({ 'impersonate-user': 'system:serviceaccount:default:robot' }), {
    username: 'system:serviceaccount:default:robot',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
  });
  const refusals: readonly (readonly [Record<string, string>, string])[] = [
    [{ 'impersonate-user': 'root' }, 'users "root"'],
    [{ 'impersonate-user': 'joe', 'impersonate-group': 'system:masters' }, 'groups "system:masters"'],
    [{ 'impersonate-user': 'joe', 'impersonate-group': 'ops, system:masters' }, 'groups "system:masters"'],
    [{ 'impersonate-user': 'joe', 'impersonate-uid': '8' }, 'uids.authentication.k8s.io "8"'],
    [{ 'impersonate-user': 'joe', 'impersonate-extra-scopes': 'b' }, 'userextras.authentication.k8s.io "b"'],
    [{ 'impersonate-user': 'joe', 'impersonate-extra-other': 'a' }, 'userextras.authentication.k8s.io "a"'],
    [{ 'impersonate-user': 'system:serviceaccount:kube-system:x' }, 'serviceaccounts "x"'],
  ];
  for (const [headers, what] of refusals) {
    const { status, body } = await whoami(headers);
    t.is(status, 403, what);
    t.true(body.message.startsWith(`${what} is forbidden: User "jane" cannot impersonate resource`), body.message);
  }
  const nobody = await whoami({ 'impersonate-uid': '7', 'impersonate-extra-a%2fb': 'c' });
  t.is(nobody.status, 500);
  t.regex(
    nobody.text,
    /requested \[\{UserExtra {2}c {2}authentication.k8s.io\/v1 {2}a\/b\} \{UID {2}7 {2}authentication.k8s.io\/v1 {2}\}\] without/,
  );
});

test('what a PUT or an apply makes anew is created, and needs that verb; and no way leads past escalation', async t => {
  const harness = await harnessOf(t);
  const body = (name: string, rules: Rules) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name },
    rules,
  });
  const put = (name: string, rules: Rules) =>
    harness.call('PUT', `${ROLES}/${name}`, { body: body(name, rules), identity: JANE });
  const apply = (name: string, rules: Rules) =>
    harness.call('PATCH', `${ROLES}/${name}?fieldManager=test`, {
      body: body(name, rules),
      headers: { 'content-type': 'application/apply-patch+yaml' },
      identity: JANE,
    });
  await grant(harness, [rbacRule('roles', 'get,update,patch')], 'changer', 'default');
  for (const write of [put, apply]) {
    const refused = await write('x', []);
    t.is(refused.status, 403);
    t.regex(refused.body.message, /^roles.rbac.authorization.k8s.io "x" is forbidden: /);
  }
  await grant(harness, [rbacRule('roles', 'create')], 'creator', 'default');
  for (const [index, write] of [put, apply].entries()) {
    t.is((await write(`held${index}`, [])).status, 201);
    t.is((await write(`more${index}`, [rule('secrets', 'get')])).status, 403);
    t.is((await write(`held${index}`, [rule('secrets', 'get')])).status, 403);
  }
});
