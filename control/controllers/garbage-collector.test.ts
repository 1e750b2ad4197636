import test, { type ExecutionContext } from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { OwnerReference } from '../api/generated/types.ts';
import type { ApiResponse, DeleteOptions } from '../client/client.ts';
import { until } from '../client/testing/until.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { garbageCollector } from './garbage-collector.ts';
import { GARBAGE_SYNC_MS, OWNER_GRACE_MS } from './limits.ts';
import { newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

/** A garbage collector over ConfigMaps; what it does after a delay is done at once. */
async function collector(t: ExecutionContext) {
  const { client, clock, events, start } = newBench(t);
  const { stop } = await start(context => [
    garbageCollector(context, new DiscoveredKinds(client.transport, context.clock)),
  ]);
  const at = (name: string, namespace = 'n') => ({ name, namespace });
  const map = async (
    name: string,
    owners: readonly object[] = [],
    more: { namespace?: string; finalizers?: string[] } = {},
  ) => {
    const ownerReferences = owners as OwnerReference[];
    const metadata = { ...at(name), ...more, ...(owners.length > 0 && { ownerReferences }) };
    const { metadata: made } = await client.create(kinds.configmaps, { metadata });
    return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: made?.uid ?? '', blockOwnerDeletion: true };
  };
  const list = async () => (await client.list(kinds.configmaps)).items;
  const get = async (name: string) => (await list()).find(({ metadata }) => metadata?.name === name)?.metadata;
  const remove = (name: string, options?: DeleteOptions) => client.delete(kinds.configmaps, at(name), options);
  const own = (name: string, ownerReferences: readonly object[]) =>
    client.patch(kinds.configmaps, at(name), {
      type: 'application/merge-patch+json',
      body: { metadata: { ownerReferences } },
    });
  const soon = (what: string, isTrue: () => Promise<boolean>) =>
    until(what, async () => {
      await clock.advance(OWNER_GRACE_MS);
      return isTrue();
    });
  return { client, events, map, list, get, remove, own, soon, stop };
}

for (const propagationPolicy of ['Background', 'Foreground'] as const) {
  test(`${propagationPolicy}: all that depends on the owner goes, however indirectly`, async t => {
    const { map, list, remove, soon } = await collector(t);
    const owner = await map('owner');
    const middle = await map('middle', [owner]);
    await map('leaf', [middle]);
    await map('other');
    await remove('owner', { propagationPolicy });
    await soon('the dependents are gone', async () => (await list()).length === 1);
    t.is((await list())[0]?.metadata?.name, 'other');
  });

  test(`${propagationPolicy}: a circle of owners goes as a whole`, async t => {
    const { map, list, own, remove, soon } = await collector(t);
    const [a, b, c] = [await map('a'), await map('b'), await map('c')];
    await own('a', [c]);
    await own('b', [a]);
    await own('c', [b]);
    await remove('a', { propagationPolicy });
    await soon('the circle is gone', async () => (await list()).length === 0);
    t.pass();
  });
}

test('a circle of which every part is being deleted in the foreground goes too', async t => {
  const { map, list, own, remove, soon } = await collector(t);
  const [a, b] = [await map('a'), await map('b')];
  await own('a', [b]);
  await own('b', [a]);
  await Promise.all(['a', 'b'].map(name => remove(name, { propagationPolicy: 'Foreground' })));
  await soon('the circle is gone', async () => (await list()).length === 0);
  t.pass();
});

test('in the foreground the owner goes last, and waits only for what blocks it', async t => {
  const { client, map, get, remove, soon } = await collector(t);
  const owner = await map('owner');
  await map('blocker', [owner], { finalizers: ['example.com/hold'] });
  await map('free', [{ ...owner, blockOwnerDeletion: false }], { finalizers: ['example.com/hold'] });
  await remove('owner', { propagationPolicy: 'Foreground' });
  await soon('both are leaving', async () =>
    Boolean((await get('blocker'))?.deletionTimestamp && (await get('free'))?.deletionTimestamp),
  );
  t.deepEqual((await get('owner'))?.finalizers, ['foregroundDeletion']);
  const body = { metadata: { finalizers: null } };
  await client.patch(
    kinds.configmaps,
    { namespace: 'n', name: 'blocker' },
    { type: 'application/merge-patch+json', body },
  );
  await soon('the owner is gone', async () => (await get('owner')) === undefined);
  t.truthy(await get('free'));
});

test('what has another owner is let go by the one that waits for its dependents', async t => {
  const { map, get, list, remove, soon } = await collector(t);
  const [leaving, staying] = [await map('leaving'), await map('staying')];
  await map('shared', [leaving, staying]);
  await map('own', [leaving]);
  await remove('leaving', { propagationPolicy: 'Foreground' });
  await soon('one owner is gone with its own', async () => (await list()).length === 2);
  t.deepEqual(
    (await get('shared'))?.ownerReferences?.map(({ name }) => name),
    ['staying'],
  );
  t.is((await get('shared'))?.deletionTimestamp, undefined);
});

test('orphaning lets go of all dependents and removes the owner', async t => {
  const { map, get, remove, soon } = await collector(t);
  const [owner, second] = [await map('owner'), await map('second')];
  await map('a', [owner]);
  await map('b', [owner, second]);
  await remove('owner', { propagationPolicy: 'Orphan' });
  await soon('the owner is gone', async () => (await get('owner')) === undefined);
  t.is((await get('a'))?.ownerReferences, undefined);
  t.deepEqual(
    (await get('b'))?.ownerReferences?.map(({ name }) => name),
    ['second'],
  );
});

test('a reference with the UID of one object and the name of another leads nowhere, and harms nobody else', async t => {
  const { map, get, soon } = await collector(t);
  const owner = await map('owner');
  await map('wrong', [{ ...owner, name: 'nobody' }]);
  await soon('the liar is gone', async () => (await get('wrong')) === undefined);
  await map('right', [owner]);
  const lost = await map('lost', [{ ...owner, kind: 'Secret' }]);
  await soon('another liar is gone', async () => (await get(lost.name)) === undefined);
  t.truthy(await get('right'));
});

test('an owner in another namespace is none, which is told; a namespaced owner of what has no namespace is left open', async t => {
  const { client, events, map, get, soon } = await collector(t);
  const far = await map('far', [], { namespace: 'm' });
  await map('lost', [far]);
  await client.create(kinds.namespaces, { metadata: { name: 'wide', ownerReferences: [{ ...far, uid: far.uid }] } });
  await soon('the lost one is gone', async () => (await get('lost')) === undefined);
  await soon('the wide one is told of', async () => events.some(({ name }) => name === 'wide'));
  t.is((await client.list(kinds.namespaces)).items.length, 1);
  const told = events.find(({ name }) => name === 'lost');
  t.like(told, {
    component: 'garbage-collector-controller',
    reason: 'OwnerRefInvalidNamespace',
    type: 'Warning',
    message: `ownerRef [v1/ConfigMap, namespace: n, name: far, uid: ${far.uid}] does not exist in namespace "n"`,
  });
  if (knownEvents && told) t.true(isKnownEvent(told));
});

test('an owner without a namespace owns in all of them', async t => {
  const { client, map, get, soon } = await collector(t);
  const { metadata } = await client.create(kinds.namespaces, { metadata: { name: 'wide' } });
  const wide = { apiVersion: 'v1', kind: 'Namespace', name: 'wide', uid: metadata?.uid ?? '' };
  await map('a', [wide]);
  const { name } = await map('b', [{ ...wide, uid: 'gone' }]);
  await soon('the orphan is gone', async () => (await get(name)) === undefined);
  t.truthy(await get('a'));
});

const reply = (status: number, body: object): ApiResponse => ({
  status,
  headers: {},
  body: (async function* () {
    yield Buffer.from(JSON.stringify(body));
  })(),
});

test('a kind that cannot be listed does not hold the others up', async t => {
  const { client, clock, start } = newBench(t, {
    transport: api => ({
      close: () => api.close(),
      request: async request => {
        if (!request.path.startsWith('/api/v1/secrets')) return api.request(request);
        return reply(500, { kind: 'Status', status: 'Failure', reason: 'InternalError', code: 500 });
      },
    }),
  });
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: 'gone' };
  await client.create(kinds.configmaps, { metadata: { name: 'm', namespace: 'n', ownerReferences: [owner] } });
  await start(context => [garbageCollector(context, new DiscoveredKinds(client.transport, context.clock))]);
  await until('the orphan is gone', async () => {
    await clock.advance(GARBAGE_SYNC_MS / 10);
    return (await client.list(kinds.configmaps)).items.length === 0;
  });
  t.pass();
});

test('what refers to a kind that comes later is judged then', async t => {
  let isThere = false;
  const version = { groupVersion: 'example.com/v1', version: 'v1' };
  const group = { name: 'example.com', versions: [version], preferredVersion: version };
  const thing = { name: 'things', kind: 'Thing', namespaced: true, verbs: ['list', 'watch', 'delete'] };
  const { client, clock, start } = newBench(t, {
    transport: api => ({
      close: () => api.close(),
      request: async request => {
        if (request.path === '/apis') return reply(200, { kind: 'APIGroupList', groups: isThere ? [group] : [] });
        if (request.path === '/apis/example.com/v1') return reply(200, { kind: 'APIResourceList', resources: [thing] });
        if (!request.path.startsWith('/apis/example.com')) return api.request(request);
        return reply(404, { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 });
      },
    }),
  });
  const make = (name: string, owner: object) =>
    client.create(kinds.configmaps, {
      metadata: { name, namespace: 'n', ownerReferences: [{ name: 'gone', uid: 'gone', ...owner } as OwnerReference] },
    });
  await make('m', { apiVersion: 'example.com/v1', kind: 'Thing' });
  await make('lost', { apiVersion: 'v1', kind: 'ConfigMap', uid: 'other' });
  const discovered = new DiscoveredKinds(client.transport, clock);
  await start(context => [garbageCollector(context, discovered)]);
  const names = async () => (await client.list(kinds.configmaps)).items.map(({ metadata }) => metadata?.name).join();
  await until('what can be judged is gone', async () => {
    await clock.advance(OWNER_GRACE_MS);
    return (await names()) === 'm';
  });
  isThere = true;
  discovered.invalidate();
  await until('the other is judged', async () => (await names()) === '');
  t.pass();
});

test('what refers to a kind that is not there is left alone', async t => {
  const { map, get, soon } = await collector(t);
  await map('odd', [{ apiVersion: 'none.io/v1', kind: 'Thing', name: 'x', uid: '1' }]);
  await map('lost', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: '1' }]);
  await soon('the lost one is gone', async () => (await get('lost')) === undefined);
  t.truthy(await get('odd'));
});
