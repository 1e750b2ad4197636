import test from 'ava';
import { EVENT_DELETE, EVENT_PUT } from './proto/kv.ts';
import type { Init } from './proto/message.ts';
import { KV, Watch } from './proto/services.ts';
import { FILTER_NO_DELETE, FILTER_NO_PUT, type WatchCreateRequest } from './proto/watch.ts';
import { makeDoor } from './testing/door.ts';

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
type Door = Awaited<ReturnType<typeof makeDoor>>;
const put = (door: Door, key: string, value = 'v') => door.etcd.call(KV.put, { key: b(key), value: b(value) });

/** A stream with one watch, already created. */
async function open(door: Door, createRequest: Init<typeof WatchCreateRequest>) {
  const stream = door.etcd.stream(Watch.watch);
  stream.send({ createRequest });
  const created = await stream.next();
  return { ...stream, created };
}

test('a watch sees puts and deletes, in order, with what was there before', async t => {
  await using door = await makeDoor();
  await put(door, 'a', '1');
  const watch = await open(door, { key: b('a'), rangeEnd: b('b'), prevKv: true, startRevision: 2 });
  t.like(watch.created, { created: true, canceled: false, watchId: 0 });
  const first = await watch.next();
  t.deepEqual([s(first.events[0]?.kv?.value), first.events[0]?.prevKv], ['1', undefined]);
  await put(door, 'a', '2');
  await put(door, 'x', '2');
  await door.etcd.call(KV.deleteRange, { key: b('a') });
  const events = [];
  while (events.length < 2) events.push(...(await watch.next()).events);
  t.deepEqual(
    events.map(({ type, kv, prevKv }) => [type, kv?.modRevision, s(kv?.value), s(prevKv?.value)]),
    [
      [EVENT_PUT, 3, '2', '1'],
      [EVENT_DELETE, 5, '', '2'],
    ],
  );
  watch.end();
});

test('several watches share a stream; ids may be chosen; one is cancelled without the others', async t => {
  await using door = await makeDoor();
  const stream = door.etcd.stream(Watch.watch);
  stream.send({ createRequest: { key: b('a') } });
  stream.send({ createRequest: { key: b('a'), watchId: 77 } });
  stream.send({ createRequest: { key: b('b'), watchId: 77 } });
  stream.send({ createRequest: { key: b('b') } });
  const created = [await stream.next(), await stream.next(), await stream.next(), await stream.next()];
  t.deepEqual(
    created.map(({ watchId, canceled }) => [watchId, canceled]),
    [
      [0, false],
      [77, false],
      [-1, true],
      [1, false],
    ],
  );
  t.regex(created[2]?.cancelReason ?? '', /duplicate watch ID/);
  stream.send({ cancelRequest: { watchId: 0 } });
  t.like(await stream.next(), { watchId: 0, canceled: true });
  await put(door, 'a');
  t.like(await stream.next(), { watchId: 77 });
  await put(door, 'b');
  t.like(await stream.next(), { watchId: 1 });
  stream.end();
});

test('filters leave out what is not wanted', async t => {
  await using door = await makeDoor();
  const puts = await open(door, { key: b('a'), filters: [FILTER_NO_DELETE] });
  const deletes = await open(door, { key: b('a'), filters: [FILTER_NO_PUT] });
  await put(door, 'a', '1');
  await door.etcd.call(KV.deleteRange, { key: b('a') });
  await put(door, 'a', '2');
  t.is(s((await puts.next()).events[0]?.kv?.value), '1');
  t.is(s((await puts.next()).events[0]?.kv?.value), '2');
  t.is((await deletes.next()).events[0]?.type, EVENT_DELETE);
  puts.end();
  deletes.end();
});

test('a watch from before a compaction is cancelled with the revision from which there is something', async t => {
  await using door = await makeDoor();
  for (let value = 0; value < 5; value++) await put(door, 'a');
  await door.etcd.call(KV.compact, { revision: 4 });
  const watch = await open(door, { key: b('a'), startRevision: 2 });
  const canceled = await watch.next();
  t.like(canceled, { canceled: true, compactRevision: 4, watchId: 0 });
  t.is(canceled.cancelReason, 'etcdserver: mvcc: required revision has been compacted');
  watch.end();
});

test('progress: what a stream has been sent up to', async t => {
  await using door = await makeDoor();
  const watch = await open(door, { key: b('a') });
  await put(door, 'elsewhere');
  const { header } = await put(door, 'a');
  watch.send({ progressRequest: {} });
  const event = await watch.next();
  t.is(event.events.length, 1);
  const progress = await watch.next();
  t.deepEqual([progress.watchId, progress.events.length, progress.header?.revision], [-1, 0, header?.revision]);
  watch.end();
});

test('a watch on a revision to come waits for it', async t => {
  await using door = await makeDoor();
  const watch = await open(door, { key: b('a'), startRevision: 4 });
  for (const value of ['2', '3', '4']) await put(door, 'a', value);
  t.is(s((await watch.next()).events[0]?.kv?.value), '4');
  watch.end();
});

test('events of one revision that are too large together come in fragments', async t => {
  await using door = await makeDoor();
  const value = Buffer.alloc(900_000, 'v');
  for (const key of ['a', 'b', 'c']) await door.etcd.call(KV.put, { key: b(key), value });
  const watch = await open(door, { key: b('a'), rangeEnd: b('z'), prevKv: true, fragment: true });
  await door.etcd.call(KV.deleteRange, { key: b('a'), rangeEnd: b('z') });
  const answers = [await watch.next(), await watch.next()];
  t.deepEqual(
    answers.map(({ fragment, events }) => [fragment, events.length]),
    [
      [true, 2],
      [false, 1],
    ],
  );
  watch.end();
});

test('a member that took over a snapshot goes on with its watches', async t => {
  await using door = await makeDoor();
  const watch = await open(door, { key: b('a') });
  await put(door, 'a', '1');
  t.is(s((await watch.next()).events[0]?.kv?.value), '1');
  door.replica.watches.replaceSource(door.replica.state);
  await put(door, 'a', '2');
  t.is(s((await watch.next()).events[0]?.kv?.value), '2');
  watch.end();
});

test('a client that does not read costs nobody else, and gets everything once it does', async t => {
  await using door = await makeDoor();
  const slow = await open(door, { key: b('a') });
  slow.pause();
  const value = Buffer.alloc(100_000, 'v');
  const quick = await open(door, { key: b('a') });
  for (let count = 1; count <= 100; count++) {
    await door.etcd.call(KV.put, { key: b('a'), value });
    const { events } = await quick.next();
    t.is(events[0]?.kv?.version, count);
  }
  let seen = 0;
  while (seen < 100) {
    for (const event of (await slow.next()).events) t.is(event.kv?.version, ++seen);
  }
  slow.end();
  quick.end();
});

test('watches end with their stream', async t => {
  await using door = await makeDoor();
  const watch = await open(door, { key: b('a') });
  t.is(door.replica.watches.size, 1);
  watch.cancel();
  while (door.replica.watches.size > 0) await new Promise(resolve => setImmediate(resolve));
  t.is(door.replica.watches.size, 0);
});
