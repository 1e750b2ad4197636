/** Quotas hold to the last piece, however many masters create at once. */
import test, { type ExecutionContext } from 'ava';
import { createMemoryStore } from '../../../../store/index.ts';
import { createHarness, type Harness } from '../../testing/harness.ts';

const BASE = '/api/v1/namespaces/default';
const MASTERS = 3;

/** Three API servers on one store. */
async function masters(t: ExecutionContext): Promise<Harness[]> {
  const memory = createMemoryStore();
  const all: Harness[] = [];
  for (let index = 0; index < MASTERS; index++) all.push(await createHarness({ memory }));
  t.teardown(async () => {
    for (const { server } of all) await server.close();
    await memory.close();
  });
  return all;
}

const first = (all: readonly Harness[]): Harness => all[0] as Harness; // there are three
const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
const pod = (name: string, cpu = '100m') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu }, limits: { cpu } } }] },
});

/** A quota that has been counted, as the controller would leave it. */
async function makeQuota(harness: Harness, hard: Record<string, string>, spec: object = {}, name = 'q'): Promise<void> {
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard, ...spec } };
  await harness.create(`${BASE}/resourcequotas`, quota);
  const used = Object.fromEntries(Object.keys(hard).map(resource => [resource, '0']));
  await harness.call('PATCH', `${BASE}/resourcequotas/${name}/status`, {
    body: { status: { hard, used } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
}
const usedOf = async ({ call }: Harness, name = 'q') =>
  (await call('GET', `${BASE}/resourcequotas/${name}`)).body.status.used;

test('of many creations through three masters exactly as many get in as there is room for', async t => {
  const all = await masters(t);
  await makeQuota(first(all), { configmaps: '20', 'count/configmaps': '100' });
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) => {
      const { call } = all[index % MASTERS] as Harness; // the index is in range
      return call('POST', `${BASE}/configmaps`, { body: configMap(`c${index}`) });
    }),
  );
  const statuses = answers.map(({ status }) => status);
  t.is(statuses.filter(status => status === 201).length, 20);
  t.is(statuses.filter(status => status === 403).length, 40);
  t.deepEqual(await usedOf(first(all)), { configmaps: '20', 'count/configmaps': '20' });
  const refused = answers.find(({ status }) => status === 403)?.body;
  t.regex(
    refused.message,
    /^configmaps "c\d+" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=20, limited: configmaps=20$/,
  );
  t.is(refused.reason, 'Forbidden');
});

test('what is not created is not charged: a name that is taken, another quota that is full, a dry run, a refusal', async t => {
  const all = await masters(t);
  const { call, create } = first(all);
  await makeQuota(first(all), { pods: '10', cpu: '2' }, {}, 'a');
  await makeQuota(first(all), { pods: '2' }, {}, 'b');
  await create(`${BASE}/pods`, pod('one'));
  const after = { pods: '1', cpu: '100m' };
  t.is((await call('POST', `${BASE}/pods`, { body: pod('one') })).status, 409);
  t.is((await call('POST', `${BASE}/pods?dryRun=All`, { body: pod('dry') })).status, 201);
  t.is((await call('POST', `${BASE}/pods`, { body: { ...pod('x'), spec: { containers: [] } } })).status, 422);
  t.deepEqual(await usedOf(first(all), 'a'), after);
  await create(`${BASE}/pods`, pod('two'));
  const full = await call('POST', `${BASE}/pods`, { body: pod('three') });
  t.is(
    full.body.message,
    'pods "three" is forbidden: exceeded quota: b, requested: pods=1, used: pods=2, limited: pods=2',
  );
  t.is((await call('POST', `${BASE}/pods?dryRun=All`, { body: pod('dry') })).status, 403);
  t.deepEqual(await usedOf(first(all), 'a'), { pods: '2', cpu: '200m' });
  t.deepEqual(await usedOf(first(all), 'b'), { pods: '2' });
});

test('many pods of generated names and amounts: the sum is exact', async t => {
  const all = await masters(t);
  await makeQuota(first(all), { pods: '100', 'requests.cpu': '1', 'limits.cpu': '5' });
  const generated = (cpu: string) => ({ ...pod('', cpu), metadata: { generateName: 'p-' } });
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, index) => {
      const { call } = all[index % MASTERS] as Harness; // the index is in range
      return call('POST', `${BASE}/pods`, { body: generated(`${50 + index}m`) });
    }),
  );
  const milli = answers
    .filter(({ status }) => status === 201)
    .map(({ body }) => Number.parseInt(body.spec.containers[0].resources.requests.cpu, 10))
    .reduce((a, b) => a + b, 0);
  t.true(milli <= 1_000 && milli > 800, String(milli));
  t.true(answers.every(({ status }) => status === 201 || status === 403));
  const { 'requests.cpu': used } = await usedOf(first(all));
  t.is(used, milli === 1_000 ? '1' : `${milli}m`);
});

test('updates are charged where they take more', async t => {
  const all = await masters(t);
  const { call, create } = first(all);
  await makeQuota(first(all), { services: '5', 'services.nodeports': '1', 'services.loadbalancers': '0' });
  const service = (type: string, ports: number[]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { type, ports: ports.map(port => ({ port, name: `p${port}` })) },
  });
  await create(`${BASE}/services`, service('ClusterIP', [1]));
  t.is((await call('PUT', `${BASE}/services/s`, { body: service('NodePort', [1]) })).status, 200);
  t.deepEqual(await usedOf(first(all)), { services: '1', 'services.nodeports': '1', 'services.loadbalancers': '0' });
  const refused = await call('PUT', `${BASE}/services/s`, { body: service('NodePort', [1, 2]) });
  t.is(refused.status, 403);
  t.regex(
    refused.body.message,
    /exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited/,
  );
});

test('a namespace without quotas is not asked for anything, and neither are objects without one', async t => {
  const all = await masters(t);
  const { call, create } = first(all);
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } } as object);
  await makeQuota(first(all), { configmaps: '0', pods: '0' });
  t.is((await call('POST', `${BASE}/configmaps`, { body: configMap('c') })).status, 403);
  t.is((await call('POST', '/api/v1/namespaces/other/configmaps', { body: configMap('c') })).status, 201);
  t.is((await call('POST', `${BASE}/secrets`, { body: { ...configMap('c'), kind: 'Secret' } })).status, 201);
});
