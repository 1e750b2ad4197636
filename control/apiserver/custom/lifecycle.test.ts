/** Custom resources with all controllers at work: names, the collector of garbage, namespaces that end, definitions that go. */
import test, { type ExecutionContext } from 'ava';
import { silentLogger } from '../../client/logger.ts';
import { RestClient } from '../../client/rest.ts';
import { systemClock } from '../../client/system-clock.ts';
import { until } from '../../client/testing/until.ts';
import { startControllers } from '../../controllers/all.ts';
import { DEFINITIONS } from '../testing/establish.ts';
import { ADMIN, createHarness, type Harness } from '../testing/harness.ts';

const GROUP = 'life.example.com';
const path = (namespace: string) => `/apis/${GROUP}/v1/namespaces/${namespace}/things`;

async function clusterOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness({ withRoles: true });
  const stop = new AbortController();
  const transport = {
    request: (request: Parameters<Harness['server']['handle']>[0]) => harness.server.handle(request, ADMIN),
    close: async () => undefined,
  };
  const client = new RestClient({ transport, clock: systemClock, userAgent: 'test' });
  const running = startControllers({
    client,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    options: {},
    identity: 'master-1',
    signal: stop.signal,
  });
  t.teardown(async () => {
    stop.abort();
    await running;
    await harness.close();
  });
  return harness;
}

const definition = (plural: string, kind: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural, kind },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
});
const thing = (name: string, metadata: object = {}) => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Thing',
  metadata: { name, ...metadata },
});

async function conditionOf({ call }: Harness, name: string, type: string) {
  const { body } = await call('GET', `${DEFINITIONS}/${name}.${GROUP}`);
  return (body.status?.conditions ?? []).find((condition: { type: string }) => condition.type === type);
}
const established = (harness: Harness, name: string) =>
  until(`${name} is established`, async () => (await conditionOf(harness, name, 'Established'))?.status === 'True');

test('a definition is established, its objects own and end with others, and go with it', async t => {
  const harness = await clusterOf(t);
  const { call, create } = harness;
  await create(DEFINITIONS, definition('things', 'Thing'));
  await established(harness, 'things');

  // What a custom resource owns goes with it.
  const owner = await create(path('default'), thing('owner'));
  const { uid } = owner.metadata as { uid?: string };
  const ownerReferences = [{ apiVersion: `${GROUP}/v1`, kind: 'Thing', name: 'owner', uid }];
  await create('/api/v1/namespaces/default/configmaps', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'owned', ownerReferences },
  } as object);
  await create(path('default'), thing('child', { ownerReferences }));
  await call('DELETE', `${path('default')}/owner`, { body: { propagationPolicy: 'Background' } });
  const isGone = (url: string) => async () => (await call('GET', url)).status === 404;
  await until('the owned config map is gone', isGone('/api/v1/namespaces/default/configmaps/owned'));
  await until('the child is gone', isGone(`${path('default')}/child`));

  // A namespace is not gone before its custom resources are.
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ending' } });
  await create(path('ending'), thing('a'));
  await call('DELETE', '/api/v1/namespaces/ending');
  await until('the namespace is gone', isGone('/api/v1/namespaces/ending'));
  t.is((await call('GET', `/apis/${GROUP}/v1/things`)).body.items.length, 0);

  // A definition takes its objects along, in whatever namespace they are, and waits for those that are held.
  await create(path('default'), thing('held', { finalizers: ['life.example.com/hold'] }));
  await create(path('kube-system'), thing('b'));
  await call('DELETE', `${DEFINITIONS}/things.${GROUP}`);
  await until('b is gone', isGone(`${path('kube-system')}/b`));
  t.like(await conditionOf(harness, 'things', 'Terminating'), { status: 'True', reason: 'InstanceDeletionInProgress' });
  await call('PATCH', `${path('default')}/held`, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata: { finalizers: null } },
  });
  await until('the definition is gone', isGone(`${DEFINITIONS}/things.${GROUP}`));
  t.is((await call('GET', `/apis/${GROUP}/v1/things`)).status, 404);
});

test('a definition takes along what it does not serve any more, and nothing of the server itself', async t => {
  const harness = await clusterOf(t);
  const { call, create } = harness;
  const isGone = (url: string) => async () => (await call('GET', url)).status === 404;
  await create(DEFINITIONS, definition('things', 'Thing'));
  await established(harness, 'things');
  await create(path('default'), thing('a'));
  await call('PATCH', `${DEFINITIONS}/things.${GROUP}`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [{ op: 'replace', path: '/spec/versions/0/served', value: false }],
  });
  t.is((await call('GET', `${path('default')}/a`)).status, 404);
  await call('DELETE', `${DEFINITIONS}/things.${GROUP}`);
  await until('the definition is gone', isGone(`${DEFINITIONS}/things.${GROUP}`));
  await create(DEFINITIONS, definition('things', 'Thing'));
  await established(harness, 'things');
  t.is((await call('GET', path('default'))).body.items.length, 0);

  const leases = definition('leases', 'Lease');
  const overlapping = {
    ...leases,
    metadata: {
      name: 'leases.coordination.k8s.io',
      annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' },
    },
    spec: { ...leases.spec, group: 'coordination.k8s.io', versions: [{ ...leases.spec.versions[0], name: 'v9' }] },
  };
  await create(DEFINITIONS, overlapping as object);
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'kept' } };
  await create('/apis/coordination.k8s.io/v1/namespaces/default/leases', lease);
  const name = 'leases.coordination.k8s.io';
  await until('it is established', async () => {
    const { body } = await call('GET', `${DEFINITIONS}/${name}`);
    return (body.status?.conditions ?? []).length > 1;
  });
  t.is((await call('GET', '/apis/coordination.k8s.io/v9/namespaces/default/leases')).status, 404);
  await call('DELETE', `${DEFINITIONS}/${name}`);
  await until('the overlapping definition is gone', isGone(`${DEFINITIONS}/${name}`));
  t.is((await call('GET', '/apis/coordination.k8s.io/v1/namespaces/default/leases/kept')).status, 200);
});

test('a name that another definition has is free when that one is gone', async t => {
  const harness = await clusterOf(t);
  await harness.create(DEFINITIONS, definition('things', 'Thing'));
  await established(harness, 'things');
  await harness.create(DEFINITIONS, definition('others', 'Thing'));
  await until(
    'the conflict is told',
    async () => (await conditionOf(harness, 'others', 'NamesAccepted'))?.status === 'False',
  );
  t.like(await conditionOf(harness, 'others', 'NamesAccepted'), { reason: 'ListKindConflict' });
  await harness.call('DELETE', `${DEFINITIONS}/things.${GROUP}`);
  await established(harness, 'others');
  t.like(await conditionOf(harness, 'others', 'NamesAccepted'), { status: 'True', reason: 'NoConflicts' });
});
