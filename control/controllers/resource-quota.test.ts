/** Quotas are counted anew, exactly and soon, beside a server that charges them. */
import test, { type ExecutionContext } from 'ava';
import { ADMIN, createHarness, type Harness, seededRandom } from '../apiserver/testing/harness.ts';
import type { ApiRequest } from '../client/client.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { until } from '../client/testing/until.ts';
import type { ControllerContext } from './context.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { resourceQuotaController } from './resource-quota.ts';

const BASE = '/api/v1/namespaces/default';
const MERGE = { 'content-type': 'application/merge-patch+json' };

/** `before` is awaited before each request of the controller. */
async function cluster(
  t: ExecutionContext,
  {
    before,
    given,
  }: { before?: (request: ApiRequest) => Promise<void>; given?: (harness: Harness) => Promise<void> } = {},
): Promise<Harness> {
  const harness = await createHarness();
  await given?.(harness);
  const stop = new AbortController();
  const transport = {
    request: async (request: ApiRequest) => {
      await before?.(request);
      return harness.server.handle(request, ADMIN);
    },
    close: async () => {},
  };
  const clock = systemClock;
  const client = new RestClient({ transport, clock, userAgent: 'test' });
  const settings = { client, clock, random: seededRandom(1), logger: silentLogger, signal: stop.signal };
  const informers = new Informers(settings);
  const context: ControllerContext = { ...settings, informers, options: {}, recorder: () => ({ record: () => {} }) };
  const controller = resourceQuotaController(context, new DiscoveredKinds(transport, clock));
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controller.run();
  t.teardown(async () => {
    stop.abort();
    await running;
    await informers.stopped();
    await harness.close();
  });
  return harness;
}

const quota = (name: string, hard: Record<string, string>, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name },
  spec: { hard, ...more },
});
const statusOf = async ({ call }: Harness, name: string) =>
  (await call('GET', `${BASE}/resourcequotas/${name}`)).body.status ?? {};
async function untilUsed(harness: Harness, name: string, used: Record<string, string>): Promise<void> {
  const wanted = JSON.stringify(used);
  await until(
    `${name} is used for ${wanted}`,
    async () => JSON.stringify((await statusOf(harness, name)).used) === wanted,
  );
}
const pod = (name: string, cpu: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu }, limits: { cpu } } }], ...more },
});

test('what is there is counted at once, what goes is given back, what ends too', async t => {
  const harness = await cluster(t);
  const { call, create } = harness;
  await create(`${BASE}/pods`, pod('before', '100m') as object);
  await create(`${BASE}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } } as object);
  const hard = { configmaps: '5', 'count/deployments.apps': '1', cpu: '1', pods: '3', resourcequotas: '1' };
  await create(`${BASE}/resourcequotas`, quota('q', hard) as object);
  const one = { configmaps: '1', 'count/deployments.apps': '0', cpu: '100m', pods: '1', resourcequotas: '1' };
  await untilUsed(harness, 'q', one);
  t.deepEqual((await statusOf(harness, 'q')).hard, hard);
  await create(`${BASE}/pods`, pod('a', '500m') as object);
  await create(`${BASE}/pods`, pod('b', '400m') as object);
  t.is((await call('POST', `${BASE}/pods`, { body: pod('c', '1m') })).status, 403);
  await call('DELETE', `${BASE}/pods/a?gracePeriodSeconds=0`);
  await untilUsed(harness, 'q', { ...one, cpu: '500m', pods: '2' });
  await call('PATCH', `${BASE}/pods/b/status`, { body: { status: { phase: 'Succeeded' } }, headers: MERGE });
  await untilUsed(harness, 'q', one);
  await call('DELETE', `${BASE}/configmaps/m`);
  await untilUsed(harness, 'q', { ...one, configmaps: '0' });
  t.is((await call('POST', `${BASE}/resourcequotas`, { body: quota('r', { pods: '1' }) })).status, 403);
});

test('scopes are counted apart', async t => {
  const harness = await cluster(t);
  const { call, create } = harness;
  await create(`${BASE}/resourcequotas`, quota('best', { pods: '5' }, { scopes: ['BestEffort'] }) as object);
  await create(`${BASE}/resourcequotas`, quota('not-best', { pods: '5' }, { scopes: ['NotBestEffort'] }) as object);
  await untilUsed(harness, 'best', { pods: '0' });
  await untilUsed(harness, 'not-best', { pods: '0' });
  const idle = { ...pod('i', '1'), spec: { containers: [{ name: 'c', image: 'i' }] } };
  await create(`${BASE}/pods`, idle as object);
  await create(`${BASE}/pods`, pod('p', '1') as object);
  await untilUsed(harness, 'best', { pods: '1' });
  await untilUsed(harness, 'not-best', { pods: '1' });
  await call('DELETE', `${BASE}/pods/i?gracePeriodSeconds=0`);
  await untilUsed(harness, 'best', { pods: '0' });
  t.deepEqual((await statusOf(harness, 'not-best')).used, { pods: '1' });
});

test('limits that change are taken over, and a status that somebody wrote is put right', async t => {
  const harness = await cluster(t);
  const { call, create } = harness;
  await create(`${BASE}/resourcequotas`, quota('q', { pods: '5' }) as object);
  await untilUsed(harness, 'q', { pods: '0' });
  const patch = (path: string, body: object) =>
    call('PATCH', `${BASE}/resourcequotas/q${path}`, { body, headers: MERGE });
  await patch('', { spec: { hard: { pods: '6', secrets: '2' } } });
  await untilUsed(harness, 'q', { pods: '0', secrets: '0' });
  t.deepEqual((await statusOf(harness, 'q')).hard, { pods: '6', secrets: '2' });
  await patch('/status', { status: { hard: { pods: '9' } } });
  await until('the limits are those of the spec', async () => (await statusOf(harness, 'q')).hard.pods === '6');
  t.pass();
});

test('counting and charging at once: never too few, and right in the end', async t => {
  const harness = await cluster(t);
  const { call, create } = harness;
  await create(`${BASE}/resourcequotas`, quota('q', { 'count/configmaps': '10', configmaps: '10' }) as object);
  await untilUsed(harness, 'q', { configmaps: '0', 'count/configmaps': '0' });
  const name = (worker: number, index: number) => `c-${worker}-${index}`;
  let most = 0;
  const work = async (worker: number) => {
    for (let index = 0; index < 12; index++) {
      const made = await call('POST', `${BASE}/configmaps`, {
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name(worker, index) } },
      });
      t.true(made.status === 201 || made.status === 403, made.text);
      const { body } = await call('GET', `${BASE}/configmaps`);
      most = Math.max(most, body.items.length);
      if (index % 3 !== 0 && made.status === 201) await call('DELETE', `${BASE}/configmaps/${name(worker, index)}`);
    }
  };
  await Promise.all([0, 1, 2, 3].map(work));
  t.true(most <= 10, `${most} where 10 were allowed`);
  const { body } = await call('GET', `${BASE}/configmaps`);
  const count = String(body.items.length);
  await untilUsed(harness, 'q', { configmaps: count, 'count/configmaps': count });
});

test('what cannot be counted stays as it was, and the rest is counted', async t => {
  let isBroken = false;
  const harness = await cluster(t, {
    before: async ({ method, path }) => {
      if (isBroken && method === 'GET' && path.startsWith(`${BASE}/configmaps`)) throw new Error('away');
    },
  });
  const { call, create } = harness;
  await create(`${BASE}/resourcequotas`, quota('q', { configmaps: '5', pods: '5' }) as object);
  await untilUsed(harness, 'q', { configmaps: '0', pods: '0' });
  isBroken = true;
  await create(`${BASE}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } } as object);
  await create(`${BASE}/pods`, pod('a', '1m') as object);
  await call('DELETE', `${BASE}/pods/a?gracePeriodSeconds=0`);
  await untilUsed(harness, 'q', { configmaps: '1', pods: '0' });
  t.pass();
});

test('a new leader that does not know the kinds yet counts nothing, and says nothing', async t => {
  const told: unknown[] = [];
  const harness = await cluster(t, {
    given: async ({ create }) => {
      for (const name of ['one', 'two', 'three'])
        await create(`${BASE}/resourcequotas`, quota(name, { pods: '5' }) as object);
    },
    before: async ({ method, path, body }) => {
      if (method === 'PUT') told.push(JSON.parse(String(body)).status);
      // Long enough for whoever does not wait for it.
      if (path === '/apis')
        for (let turn = 0; turn < 200; turn++) await new Promise<void>(resolve => setImmediate(resolve));
    },
  });
  for (const name of ['one', 'two', 'three']) await untilUsed(harness, name, { pods: '0' });
  t.deepEqual(told, Array(3).fill({ hard: { pods: '5' }, used: { pods: '0' } }));
});
