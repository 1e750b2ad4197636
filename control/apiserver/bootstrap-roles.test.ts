/** The default roles: what is made of nothing, what is added to what is there, and what stays as somebody made it. */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../api/generated/types.ts';
import { aggregatedRules } from '../controllers/cluster-role-aggregation.ts';
import { planBinding, planRole, reconcileRoles } from './bootstrap-roles.ts';
import { PRODUCT_ROLES } from './product-roles.ts';
import { ADMIN, createHarness } from './testing/harness.ts';

const FACTS = new URL('../../../shared/api/namespace-bootstrap.json', import.meta.url);
const ROLES = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
const READ: PolicyRule = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] };
const WRITE: PolicyRule = { apiGroups: [''], resources: ['pods'], verbs: ['create'] };
const OFF = { annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } };

test('a role gets what it lacks and keeps what it has', t => {
  const wanted: ClusterRole = { metadata: { name: 'r', labels: { a: 'b' } }, rules: [READ] };
  t.deepEqual(planRole(undefined, wanted), { type: 'create', object: wanted });
  t.is(
    planRole({ metadata: { name: 'r', labels: { a: 'b' }, annotations: {} }, rules: [READ, WRITE] }, wanted).type,
    'nothing',
  );
  const step = planRole({ metadata: { name: 'r' }, rules: [WRITE] }, wanted);
  t.like(step, { type: 'update', object: { metadata: { labels: { a: 'b' } } } });
  t.deepEqual((step as { object: ClusterRole }).object.rules, [
    WRITE,
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
  ]);
  t.is(planRole({ metadata: { name: 'r', ...OFF }, rules: [] }, wanted).type, 'nothing');
  const selectors = [{ matchLabels: { a: 'b' } }];
  const sum: ClusterRole = { metadata: { name: 's' }, aggregationRule: { clusterRoleSelectors: selectors } };
  t.like(planRole({ metadata: { name: 's' }, rules: [READ] }, sum), {
    type: 'update',
    object: { aggregationRule: { clusterRoleSelectors: selectors }, rules: [READ] },
  });
});

test('a binding gets the subjects that it lacks, and is made anew for another role', t => {
  const binding = (role: string, ...users: string[]): ClusterRoleBinding => ({
    metadata: { name: 'b', labels: {}, annotations: {} },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: users.map(name => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name })),
  });
  t.is(planBinding(undefined, binding('r', 'a')).type, 'create');
  t.is(planBinding(binding('r', 'b', 'a'), binding('r', 'a')).type, 'nothing');
  t.deepEqual(planBinding(binding('r', 'b'), binding('r', 'a')), { type: 'update', object: binding('r', 'b', 'a') });
  t.is(planBinding(binding('other', 'a'), binding('r', 'a')).type, 'recreate');
  t.is(planBinding({ ...binding('other'), metadata: { name: 'b', ...OFF } }, binding('r', 'a')).type, 'nothing');
});

test('a second start finds nothing to do; a third mends what was taken away', async t => {
  const harness = await createHarness({ withRoles: true });
  t.teardown(() => harness.close());
  const again = () => reconcileRoles({ server: harness.server, identity: ADMIN });
  const { revision } = await harness.store.range({ key: '/', end: '0', countOnly: true });
  await again();
  t.is((await harness.store.range({ key: '/', end: '0', countOnly: true })).revision, revision);
  const before = (await harness.call('GET', `${ROLES}/system:discovery`)).body;
  await harness.call('PUT', `${ROLES}/system:discovery`, { body: { ...before, rules: [] } });
  await harness.call('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin');
  await again();
  const after = (await harness.call('GET', `${ROLES}/system:discovery`)).body as ClusterRole;
  t.deepEqual(
    after.rules?.flatMap(rule => rule.nonResourceURLs ?? []).sort(),
    [...before.rules[0].nonResourceURLs].sort(),
  );
  const bound = await harness.call('GET', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin');
  t.is(bound.status, 200);
});

(existsSync(FACTS) ? test : test.skip)('the cluster’s roles have the rules of a recorded cluster', async t => {
  const recorded = JSON.parse(readFileSync(FACTS, 'utf8')).clusterRoles as Record<string, ClusterRole>;
  const harness = await createHarness({ withRoles: true });
  t.teardown(() => harness.close());
  const ours = new Set(PRODUCT_ROLES.map(({ metadata }) => metadata?.name));
  const all = (await harness.call('GET', ROLES)).body.items as ClusterRole[];
  let roles = all.filter(({ metadata }) => !ours.has(metadata?.name));
  // Roles of roles: twice around is enough.
  for (let round = 0; round < 3; round++) {
    const known = roles;
    roles = known.map(role => (role.aggregationRule ? { ...role, rules: aggregatedRules(role, known) } : role));
  }
  const sorted = (rules: readonly PolicyRule[] = []) =>
    rules.map(rule => JSON.stringify(rule, Object.keys(rule).sort())).sort();
  t.is(roles.length, Object.keys(recorded).length);
  for (const { metadata, rules } of roles) {
    t.deepEqual(sorted(rules), sorted(recorded[metadata?.name ?? '']?.rules), metadata?.name);
  }
});
