/** Watches: what they tell, in what order, and how they end. */
import test, { type ExecutionContext } from 'ava';
import {
  createMemoryStore,
  type StoreClient,
  type WatchBatch,
  WatchLostError,
  type WatchRequest,
} from '../../../store/index.ts';
import { createHarness, type Harness, type HarnessOptions, take, type WatchFrame } from '../testing/harness.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, labels: Record<string, string> = {}, data = '1') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
  data: { a: data },
});

async function harnessOf(t: ExecutionContext, options: HarnessOptions = {}): Promise<Harness> {
  const harness = await createHarness(options);
  t.teardown(() => harness.close());
  return harness;
}
function aborter(t: ExecutionContext): AbortSignal {
  const controller = new AbortController();
  t.teardown(() => controller.abort());
  return controller.signal;
}
const told = ({ type, object }: WatchFrame) => `${type} ${object.metadata.name} ${object.metadata.resourceVersion}`;

test('a watch tells the present state, then every change, a deletion under its own revision', async t => {
  const { create, call, watch } = await harnessOf(t);
  const a = await create(CONFIG_MAPS, configMap('a'));
  const frames = watch(`${CONFIG_MAPS}?watch=true`, aborter(t));
  const [added] = await take(frames, 1);
  t.deepEqual(added?.object, a);
  const changed = (await call('PUT', `${CONFIG_MAPS}/a`, { body: configMap('a', {}, '2') })).body;
  await call('DELETE', `${CONFIG_MAPS}/a`);
  const [modified, deleted] = await take(frames, 2);
  t.deepEqual(modified, { type: 'MODIFIED', object: changed });
  t.is(deleted?.type, 'DELETED');
  t.true(Number(deleted?.object.metadata.resourceVersion) > Number(changed.metadata.resourceVersion));
  t.is(deleted?.object.data.a, '2');
});

test('a watch from a revision tells only what came after it', async t => {
  const { create, watch } = await harnessOf(t);
  const a = await create(CONFIG_MAPS, configMap('a'));
  const b = await create(CONFIG_MAPS, configMap('b'));
  const { resourceVersion } = a.metadata as { resourceVersion?: string };
  const [first] = await take(watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`, aborter(t)), 1);
  t.deepEqual(first, { type: 'ADDED', object: b });
});

test('a watch of one namespace tells nothing of another, from its state on, from a revision, and behind it', async t => {
  const { create, call, watch } = await harnessOf(t);
  await call('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } },
  });
  // Begins as the watched one does: a prefix of names is no prefix of keys.
  const longer = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default-2' } };
  await call('POST', '/api/v1/namespaces', { body: longer });
  const { metadata } = await create(CONFIG_MAPS, configMap('first'));
  const { resourceVersion } = metadata as { resourceVersion?: string };
  const fromState = watch(`${CONFIG_MAPS}?watch=1`, aborter(t));
  t.is((await take(fromState, 1))[0]?.object.metadata.name, 'first');
  const watches = [
    fromState,
    watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`, aborter(t)),
    watch(`/api/v1/watch/namespaces/default/configmaps?resourceVersion=${resourceVersion}`, aborter(t)),
    watch(
      `/api/v1/configmaps?watch=1&fieldSelector=metadata.namespace%3Ddefault&resourceVersion=${resourceVersion}`,
      aborter(t),
    ),
  ];
  for (const namespace of ['other', 'default-2', 'default']) {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await create(path, configMap('x'));
    await call('PUT', `${path}/x`, { body: configMap('x', {}, '2') });
    await call('DELETE', `${path}/x`);
  }
  for (const frames of watches) {
    const seen = await take(frames, 3);
    t.deepEqual(
      seen.map(({ type, object }) => `${type} ${object.metadata.namespace}/${object.metadata.name}`),
      ['ADDED default/x', 'MODIFIED default/x', 'DELETED default/x'],
    );
  }
});

test('an object that comes to match is ADDED, one that ceases to is DELETED with its old content and the new revision', async t => {
  const { create, call, watch } = await harnessOf(t);
  const { metadata } = await create(CONFIG_MAPS, configMap('a', { on: 'no' }));
  const { resourceVersion } = metadata as { resourceVersion?: string };
  const query = `watch=1&labelSelector=on%3Dyes&resourceVersion=${resourceVersion}`;
  const pending = take(watch(`${CONFIG_MAPS}?${query}`, aborter(t)), 2);
  const on = (await call('PUT', `${CONFIG_MAPS}/a`, { body: configMap('a', { on: 'yes' }) })).body;
  const off = (await call('PUT', `${CONFIG_MAPS}/a`, { body: configMap('a', { on: 'no' }) })).body;
  const [added, deleted] = await pending;
  t.deepEqual(added, { type: 'ADDED', object: on });
  t.is(deleted?.type, 'DELETED');
  t.is(deleted?.object.metadata.labels.on, 'yes');
  t.is(deleted?.object.metadata.resourceVersion, off.metadata.resourceVersion);
});

test('the first state streamed ends with a bookmark that says so', async t => {
  const { create, watch } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a'));
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const [added, bookmark] = await take(watch(`${CONFIG_MAPS}?${query}`, aborter(t)), 2);
  t.is(added?.type, 'ADDED');
  t.is(bookmark?.type, 'BOOKMARK');
  t.deepEqual(bookmark?.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
  t.true(Number(bookmark?.object.metadata.resourceVersion) >= Number(added?.object.metadata.resourceVersion));
});

test('bookmarks tell how far a quiet watch has come', async t => {
  const { create, watch } = await harnessOf(t, { limits: { bookmarkMs: 20 } });
  const frames = watch('/api/v1/pods?watch=1&allowWatchBookmarks=true', aborter(t));
  await take(frames, 1);
  const made = await create(CONFIG_MAPS, configMap('a'));
  const wanted = Number((made.metadata as { resourceVersion?: string }).resourceVersion);
  for (;;) {
    const [frame] = await take(frames, 1);
    t.is(frame?.type, 'BOOKMARK');
    if (Number(frame?.object.metadata.resourceVersion) >= wanted) break;
  }
});

test('a revision that has been compacted is answered with an ERROR event', async t => {
  const memory = createMemoryStore();
  const first = await harnessOf(t, { memory });
  const a = await first.create(CONFIG_MAPS, configMap('a'));
  await first.create(CONFIG_MAPS, configMap('b'));
  await first.create(CONFIG_MAPS, configMap('c'));
  await memory.compact((await memory.status()).revision);
  // A server that started later has no memory of its own of what was before.
  const second = await harnessOf(t, { memory });
  const { resourceVersion } = a.metadata as { resourceVersion?: string };
  const [frame] = await take(second.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`, aborter(t)), 1);
  t.is(frame?.type, 'ERROR');
  t.like(frame?.object, { kind: 'Status', code: 410, reason: 'Expired' });
});

test('what the server does not remember is replayed from the store, without a gap or a repetition', async t => {
  const memory = createMemoryStore();
  const first = await harnessOf(t, { memory });
  const a = await first.create(CONFIG_MAPS, configMap('a'));
  const names = ['b', 'c', 'd', 'e'];
  for (const name of names) await first.create(CONFIG_MAPS, configMap(name));
  await first.call('DELETE', `${CONFIG_MAPS}/b`);
  const second = await harnessOf(t, { memory });
  const { resourceVersion } = a.metadata as { resourceVersion?: string };
  const frames = second.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`, aborter(t));
  const past = await take(frames, 5);
  t.deepEqual(
    past.map(({ type, object }) => `${type} ${object.metadata.name}`),
    [...names.map(name => `ADDED ${name}`), 'DELETED b'],
  );
  await first.create(CONFIG_MAPS, configMap('f'));
  const [next] = await take(frames, 1);
  t.is(next?.object.metadata.name, 'f');
});

test('a watch ends at its time, and its history window is as long as is said', async t => {
  const { create, watch } = await harnessOf(t, { limits: { historyEventsMax: 4 } });
  const a = await create(CONFIG_MAPS, configMap('a'));
  for (let index = 0; index < 20; index++) await create(CONFIG_MAPS, configMap(`x${index}`));
  const { resourceVersion } = a.metadata as { resourceVersion?: string };
  const seen: string[] = [];
  for await (const frame of watch(
    `${CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}`,
    aborter(t),
  )) {
    seen.push(frame.object.metadata.name);
  }
  t.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => `x${index}`),
  );
});

test('a reader who does not keep up is cut off; others are not', async t => {
  const { create, watch, server } = await harnessOf(t, { limits: { watcherFramesMax: 5 } });
  const signal = aborter(t);
  const slow = await server.handle(
    { method: 'GET', path: `${CONFIG_MAPS}?watch=1`, signal },
    { user: 'admin', groups: ['system:masters'] },
  );
  const reading = slow.body[Symbol.asyncIterator]();
  const started = reading.next();
  const fast = watch(`${CONFIG_MAPS}?watch=1`, signal);
  const all = take(fast, 12);
  for (let index = 0; index < 12; index++) await create(CONFIG_MAPS, configMap(`x${index}`));
  t.is((await all).length, 12);
  await started;
  let rest = '';
  for (let result = await reading.next(); !result.done; result = await reading.next())
    rest += Buffer.from(result.value);
  t.true(rest.split('\n').length <= 7, 'the slow reader got no more than was kept for him, and then the end');
});

for (const [where, historyEventsMax] of [
  ['the cache', 1_000],
  ['the store', 4],
] as const) {
  test(`who missed more than is kept for a slow reader gets all of it from ${where}, and then what follows`, async t => {
    const { create, watch } = await harnessOf(t, { limits: { watcherFramesMax: 5, historyEventsMax } });
    const first = await create(CONFIG_MAPS, configMap('first'));
    const names = Array.from({ length: 40 }, (_, index) => `x${index}`);
    for (const name of names) await create(CONFIG_MAPS, configMap(name));
    const { resourceVersion } = first.metadata as { resourceVersion?: string };
    const frames = watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`, aborter(t));
    const past = await take(frames, names.length);
    t.deepEqual(
      past.map(({ object }) => object.metadata.name),
      names,
    );
    await create(CONFIG_MAPS, configMap('last'));
    const [next] = await take(frames, 1);
    t.is(next?.object.metadata.name, 'last');
  });
}

test('who goes away in the middle of what it missed is let go', async t => {
  for (const historyEventsMax of [1_000, 4]) {
    const { create, server } = await harnessOf(t, { limits: { watcherFramesMax: 5, historyEventsMax } });
    const first = await create(CONFIG_MAPS, configMap('first'));
    for (let index = 0; index < 40; index++) await create(CONFIG_MAPS, configMap(`x${index}`));
    const client = new AbortController();
    const { resourceVersion } = first.metadata as { resourceVersion?: string };
    const path = `${CONFIG_MAPS}?watch=1&resourceVersion=${resourceVersion}`;
    const reply = await server.handle(
      { method: 'GET', path, signal: client.signal },
      { user: 'admin', groups: ['system:masters'] },
    );
    const reading = reply.body[Symbol.asyncIterator]();
    let text = Buffer.from((await reading.next()).value ?? '').toString();
    client.abort();
    for (let result = await reading.next(); !result.done; result = await reading.next())
      text += Buffer.from(result.value).toString();
    t.true(text.split('\n').length <= 12, 'no more than was there when it went');
  }
});

test('the cache goes on without a gap when the store takes its watch away', async t => {
  const memory = createMemoryStore();
  const { store, breakWatches } = breakable(memory);
  const harness = await harnessOf(t, { memory, store });
  const frames = harness.watch(`${CONFIG_MAPS}?watch=1`, aborter(t));
  const seen = take(frames, 6);
  const made: string[] = [];
  for (let index = 0; index < 6; index++) {
    if (index % 2 === 1) breakWatches();
    const object = await harness.create(CONFIG_MAPS, configMap(`x${index}`));
    made.push(told({ type: 'ADDED', object }));
  }
  t.deepEqual((await seen).map(told), made);
});

/** A store whose watches can be broken off. */
function breakable(memory: StoreClient): { store: StoreClient; breakWatches: () => void } {
  let broken = new AbortController();
  async function* watch(request: WatchRequest): AsyncGenerator<WatchBatch> {
    const { signal } = broken;
    yield* memory.watch({ ...request, signal: AbortSignal.any([request.signal, signal]) });
    if (signal.aborted) throw new WatchLostError();
  }
  const store = new Proxy(memory, {
    get(target, name) {
      if (name === 'watch') return watch;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    store,
    breakWatches() {
      broken.abort();
      broken = new AbortController();
    },
  };
}

test('a watch for metadata alone tells every event and bookmark so', async t => {
  const { create, call, watch } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a', { x: 'y' }));
  const headers = { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json' };
  const query = 'watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan';
  const frames = watch(`${CONFIG_MAPS}?${query}`, aborter(t), { headers });
  const [added, bookmark] = await take(frames, 2);
  const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
  t.like(added, { type: 'ADDED', object: { ...partial, metadata: { name: 'a', labels: { x: 'y' } } } });
  t.is(added?.object.data, undefined);
  t.like(bookmark, { type: 'BOOKMARK', object: partial });
  await call('DELETE', `${CONFIG_MAPS}/a`);
  const [deleted] = await take(frames, 1);
  t.like(deleted, { type: 'DELETED', object: { ...partial, metadata: { name: 'a' } } });
  t.is(deleted?.object.data, undefined);
});

test('a watch can give metadata neither as a list nor as protobuf alone', async t => {
  const { call } = await harnessOf(t);
  for (const accept of [
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  ]) {
    t.is((await call('GET', `${CONFIG_MAPS}?watch=1`, { headers: { accept } })).status, 406, accept);
  }
});
