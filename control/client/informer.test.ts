import test from 'ava';
import { configmaps } from '../api/generated/kinds.ts';
import type { ConfigMap } from '../api/generated/types.ts';
import { Informer } from './informer.ts';
import { silentLogger } from './logger.ts';
import { RestClient } from './rest.ts';
import { ManualClock, settle } from './testing/manual-clock.ts';
import { MemoryApi } from './testing/memory-api.ts';
import { until } from './testing/until.ts';

function setup(metadataOnly = false) {
  const clock = new ManualClock();
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const informer = new Informer<ConfigMap>({
    client,
    kind: configmaps,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    metadataOnly,
  });
  const stop = new AbortController();
  const seen: string[] = [];
  informer.addHandler({
    added: object => seen.push(`+${object.metadata?.name}`),
    updated: object => seen.push(`~${object.metadata?.name}`),
    deleted: object => seen.push(`-${object.metadata?.name}`),
  });
  const create = (name: string, data: Record<string, string> = {}) =>
    client.create(configmaps, { metadata: { name, namespace: 'n' }, data });
  return { clock, api, client, informer, stop, seen, create };
}

test('follows additions, changes and deletions', async t => {
  const { client, informer, stop, seen, create } = setup();
  await create('a');
  const running = informer.run(stop.signal);
  t.true(await informer.waitForSync());
  const b = await create('b');
  await client.update(configmaps, { ...b, data: { x: '1' } });
  await client.delete(configmaps, { namespace: 'n', name: 'a' });
  await until('all events', () => seen.length === 4);
  t.deepEqual(seen, ['+a', '+b', '~b', '-a']);
  t.deepEqual(informer.get('n/b')?.data, { x: '1' });
  t.is(informer.get('n/b')?.kind, 'ConfigMap');
  stop.abort();
  await running;
});

test('objects are frozen all the way down', async t => {
  const { informer, stop, create } = setup();
  await create('a', { x: '1' });
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  const object = informer.get('n/a');
  t.throws(() => {
    if (object?.data) object.data.x = '2';
  });
  stop.abort();
  await running;
});

test('resumes an ended watch without listing again', async t => {
  const { api, informer, stop, seen, create } = setup();
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  await settle();
  api.interrupt();
  await create('a');
  await until('the addition', () => seen.length === 1);
  t.is(api.requests.filter(({ method, path }) => method === 'GET' && !path.includes('watch')).length, 1);
  stop.abort();
  await running;
});

test('lists again after 410 and tells exactly the differences', async t => {
  const { clock, api, client, informer, stop, seen, create } = setup();
  await create('gone');
  await create('same');
  const old = await create('changed');
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  await settle();
  seen.length = 0;
  let isCut = true;
  api.intercept = ({ method, path }) => {
    if (method === 'GET' && path.includes('watch') && isCut) throw new Error('unreachable');
    return undefined;
  };
  api.interrupt();
  await settle();
  await client.delete(configmaps, { namespace: 'n', name: 'gone' });
  await client.update(configmaps, { ...old, data: { x: '1' } });
  await create('new');
  api.compact();
  isCut = false;
  await clock.advance(60_000);
  await until('the relist', () => seen.length === 3);
  t.deepEqual(seen.toSorted(), ['+new', '-gone', '~changed']);
  stop.abort();
  await running;
});

test('an object that was replaced under its name goes and comes', async t => {
  const { clock, api, client, informer, stop, seen, create } = setup();
  await create('a');
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  await settle();
  seen.length = 0;
  let isCut = true;
  api.intercept = ({ path }) => {
    if (path.includes('watch') && isCut) throw new Error('unreachable');
    return undefined;
  };
  api.interrupt();
  await settle();
  await client.delete(configmaps, { namespace: 'n', name: 'a' });
  await create('a');
  api.compact();
  isCut = false;
  await clock.advance(60_000);
  await until('the relist', () => seen.length === 2);
  t.deepEqual(seen, ['-a', '+a']);
  stop.abort();
  await running;
});

test('indexes follow the objects', async t => {
  const { client, informer, stop, create } = setup();
  informer.addIndex('colour', object => (object.data?.colour ? [object.data.colour] : []));
  await create('a', { colour: 'red' });
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  const b = await create('b', { colour: 'red' });
  await until('b', () => informer.byIndex('colour', 'red').length === 2);
  await client.update(configmaps, { ...b, data: { colour: 'blue' } });
  await until('b is blue', () => informer.byIndex('colour', 'blue').length === 1);
  t.deepEqual(
    informer.byIndex('colour', 'red').map(({ metadata }) => metadata?.name),
    ['a'],
  );
  stop.abort();
  await running;
});

test('a metadata informer keeps nothing else', async t => {
  const { informer, stop, create } = setup(true);
  await create('a', { x: '1' });
  const running = informer.run(stop.signal);
  await informer.waitForSync();
  t.is(informer.get('n/a')?.data, undefined);
  t.is(informer.get('n/a')?.metadata?.name, 'a');
  stop.abort();
  await running;
});
