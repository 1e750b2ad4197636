/** The verbs, through the whole chain, in process. */
import test, { type ExecutionContext } from 'ava';
import { createMemoryStore, UnavailableError, UnknownOutcomeError } from '../../../store/index.ts';
import { createHarness, type Harness, type HarnessOptions } from '../testing/harness.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const configMap = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...more },
  data: { a: '1' },
});
const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'app:1' }], ...spec },
});

async function harnessOf(t: ExecutionContext, options: HarnessOptions = {}): Promise<Harness> {
  const harness = await createHarness(options);
  t.teardown(() => harness.close());
  return harness;
}

test('an object is created, read, replaced and deleted, each write under a greater resourceVersion', async t => {
  const { call } = await harnessOf(t);
  const created = await call('POST', CONFIG_MAPS, { body: configMap('a') });
  t.is(created.status, 201);
  t.regex(created.body.metadata.uid, /^[0-9a-f-]{36}$/);
  const read = await call('GET', `${CONFIG_MAPS}/a`);
  t.deepEqual(read.body, created.body);
  const replaced = await call('PUT', `${CONFIG_MAPS}/a`, { body: { ...created.body, data: { a: '2' } } });
  t.true(Number(replaced.body.metadata.resourceVersion) > Number(created.body.metadata.resourceVersion));
  const stale = await call('PUT', `${CONFIG_MAPS}/a`, { body: { ...created.body, data: { a: '3' } } });
  t.is(stale.status, 409);
  const deleted = await call('DELETE', `${CONFIG_MAPS}/a`);
  t.is(deleted.body.status, 'Success');
  t.deepEqual(deleted.body.details, { name: 'a', kind: 'configmaps', uid: created.body.metadata.uid });
  t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 404);
});

test('a write that changes nothing keeps the resourceVersion', async t => {
  const { call, create } = await harnessOf(t);
  const created = await create(CONFIG_MAPS, configMap('a', { labels: { x: 'y', b: 'c' } }));
  const { data, metadata, ...rest } = created;
  const again = await call('PUT', `${CONFIG_MAPS}/a`, {
    body: { data, metadata: { ...metadata, labels: { b: 'c', x: 'y' } }, ...rest },
  });
  t.deepEqual(again.body, created);
  const patched = await call('PATCH', `${CONFIG_MAPS}/a`, {
    body: { data: { a: '1' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.deepEqual(patched.body, created);
});

test('dry runs answer as writes do and write nothing', async t => {
  const { call, create } = await harnessOf(t);
  const made = await call('POST', `${CONFIG_MAPS}?dryRun=All`, { body: configMap('a') });
  t.is(made.status, 201);
  t.is(made.body.metadata.resourceVersion, undefined);
  t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 404);
  const before = await create(CONFIG_MAPS, configMap('a'));
  const changed = await call('PUT', `${CONFIG_MAPS}/a?dryRun=All`, { body: { ...configMap('a'), data: { a: '9' } } });
  t.is(changed.body.data.a, '9');
  await call('DELETE', `${CONFIG_MAPS}/a?dryRun=All`);
  t.deepEqual((await call('GET', `${CONFIG_MAPS}/a`)).body, before);
});

test('a generated name is another one where the first is taken', async t => {
  let calls = 0;
  // The first two names come out the same.
  const random = () => (calls++ < 10 ? 0.5 : ((calls * 7919) % 1000) / 1000);
  const { call } = await harnessOf(t, { overrides: { random } });
  calls = 0;
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'g-' } };
  const first = await call('POST', CONFIG_MAPS, { body });
  const second = await call('POST', CONFIG_MAPS, { body });
  t.regex(first.body.metadata.name, /^g-[bcdfghjklmnpqrstvwxz2-9]{5}$/);
  t.not(second.body.metadata.name, first.body.metadata.name);
});

test('pages of a list are those of one moment, whatever happens between', async t => {
  const { call, create } = await harnessOf(t);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await create(CONFIG_MAPS, configMap(name));
  const first = (await call('GET', `${CONFIG_MAPS}?limit=2`)).body;
  t.is(first.metadata.remainingItemCount, 3);
  await call('DELETE', `${CONFIG_MAPS}/c`);
  await create(CONFIG_MAPS, configMap('bb'));
  const second = (await call('GET', `${CONFIG_MAPS}?limit=2&continue=${first.metadata.continue}`)).body;
  const third = (await call('GET', `${CONFIG_MAPS}?limit=2&continue=${second.metadata.continue}`)).body;
  const names = [first, second, third].flatMap(({ items }) => items.map((item: typeof first) => item.metadata.name));
  t.deepEqual(names, ['a', 'b', 'c', 'd', 'e']);
  t.deepEqual(
    [second, third].map(page => page.metadata.resourceVersion),
    [first, first].map(page => page.metadata.resourceVersion),
  );
  t.is(third.metadata.continue, undefined);
});

test('a page whose revision has been compacted is refused with a token that goes on', async t => {
  const { call, create, store } = await harnessOf(t);
  for (const name of ['a', 'b', 'c']) await create(CONFIG_MAPS, configMap(name));
  const first = (await call('GET', `${CONFIG_MAPS}?limit=1`)).body;
  await create(CONFIG_MAPS, configMap('d'));
  await store.compact((await store.status()).revision);
  const gone = await call('GET', `${CONFIG_MAPS}?limit=1&continue=${first.metadata.continue}`);
  t.is(gone.status, 410);
  t.is(gone.body.reason, 'Expired');
  const rest = (await call('GET', `${CONFIG_MAPS}?continue=${gone.body.metadata.continue}`)).body;
  t.deepEqual(
    rest.items.map((item: typeof first) => item.metadata.name),
    ['b', 'c', 'd'],
  );
  const old = await call(
    'GET',
    `${CONFIG_MAPS}?resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`,
  );
  t.is(old.body.message, 'The resourceVersion for the provided list is too old.');
});

test('selectors choose by labels and fields', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a', { labels: { app: 'x' } }));
  await create(CONFIG_MAPS, configMap('b', { labels: { app: 'y' } }));
  await create(PODS, pod('p1', { nodeName: 'n1' }));
  await create(PODS, pod('p2'));
  const names = async (path: string) =>
    (await call('GET', path)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
  t.deepEqual(await names(`${CONFIG_MAPS}?labelSelector=app%20in%20(x,z)`), ['a']);
  t.deepEqual(await names('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1'), ['p1']);
  t.deepEqual(await names('/api/v1/pods?fieldSelector=spec.nodeName%3D,metadata.namespace%3Ddefault'), ['p2']);
});

test('items of a list leave out kind and apiVersion, whole objects have them', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a'));
  const { body } = await call('GET', CONFIG_MAPS);
  t.deepEqual([body.kind, body.apiVersion], ['ConfigMapList', 'v1']);
  t.is(typeof body.metadata.resourceVersion, 'string');
  t.deepEqual(Object.keys(body.items[0]).sort(), ['data', 'metadata']);
});

test('an object is shown as table, as metadata alone, or as YAML', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a'));
  const table = await call('GET', CONFIG_MAPS, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
  t.deepEqual(
    table.body.columnDefinitions.map((column: { name: string }) => column.name),
    ['Name', 'Data', 'Age'],
  );
  t.deepEqual(table.body.rows[0].cells.slice(0, 2), ['a', 1]);
  t.is(table.body.rows[0].object.kind, 'PartialObjectMetadata');
  const partial = await call('GET', `${CONFIG_MAPS}/a`, {
    headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' },
  });
  t.is(partial.body.data, undefined);
  const yaml = await call('GET', `${CONFIG_MAPS}/a`, { headers: { accept: 'application/yaml' } });
  t.regex(yaml.text, /^kind: ConfigMap\napiVersion: v1\n/);
});

test('finalizers keep a deleted object until the last one is taken away', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a', { finalizers: ['x.io/keep'] }));
  const marked = await call('DELETE', `${CONFIG_MAPS}/a`);
  t.truthy(marked.body.metadata.deletionTimestamp);
  t.is(marked.body.metadata.deletionGracePeriodSeconds, 0);
  const more = await call('PATCH', `${CONFIG_MAPS}/a`, {
    body: { metadata: { finalizers: ['x.io/keep', 'x.io/more'] } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(more.status, 422);
  const freed = await call('PATCH', `${CONFIG_MAPS}/a`, {
    body: { metadata: { finalizers: null } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(freed.status, 200);
  t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 404);
});

test('a bound pod leaves in its grace period, an unbound one at once', async t => {
  const { call, create } = await harnessOf(t);
  await create(PODS, pod('free'));
  t.is((await call('DELETE', `${PODS}/free`)).body.metadata.deletionGracePeriodSeconds, 0);
  t.is((await call('GET', `${PODS}/free`)).status, 404);
  await create(PODS, pod('bound', { nodeName: 'n1', terminationGracePeriodSeconds: 7 }));
  const first = await call('DELETE', `${PODS}/bound`);
  t.is(first.body.metadata.deletionGracePeriodSeconds, 7);
  t.is(first.body.metadata.generation, 2);
  const longer = await call('DELETE', `${PODS}/bound?gracePeriodSeconds=60`);
  t.is(longer.body.metadata.deletionGracePeriodSeconds, 7);
  t.is((await call('DELETE', `${PODS}/bound?gracePeriodSeconds=0`)).status, 200);
  t.is((await call('GET', `${PODS}/bound`)).status, 404);
});

test('propagation policies become finalizers for the garbage collector', async t => {
  const { call, create } = await harnessOf(t);
  for (const [propagationPolicy, finalizer] of [
    ['Foreground', 'foregroundDeletion'],
    ['Orphan', 'orphan'],
  ]) {
    await create(CONFIG_MAPS, configMap('a'));
    const { body } = await call('DELETE', `${CONFIG_MAPS}/a`, { body: { propagationPolicy } });
    t.deepEqual(body.metadata.finalizers, [finalizer]);
    await call('PUT', `${CONFIG_MAPS}/a`, { body: configMap('a') });
    t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 404);
  }
});

test('a namespace ends through Terminating: nothing new comes in, and finalizing lets it go', async t => {
  const { call, create } = await harnessOf(t);
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } });
  const ending = await call('DELETE', '/api/v1/namespaces/n');
  t.is(ending.body.status.phase, 'Terminating');
  const refused = await call('POST', '/api/v1/namespaces/n/configmaps', { body: configMap('late') });
  t.is(refused.status, 403);
  t.is(refused.body.details.causes[0].reason, 'NamespaceTerminating');
  const finalized = await call('PUT', '/api/v1/namespaces/n/finalize', {
    body: { ...ending.body, spec: { finalizers: [] } },
  });
  t.is(finalized.status, 200);
  t.is((await call('GET', '/api/v1/namespaces/n')).status, 404);
});

test('status is written through its subresource only', async t => {
  const { call, create } = await harnessOf(t);
  const made = await create(PODS, pod('p'));
  const sent = { ...made, status: { phase: 'Running' }, metadata: { ...made.metadata, resourceVersion: undefined } };
  t.is((await call('PUT', `${PODS}/p`, { body: sent })).body.status.phase, 'Pending');
  const other = { ...sent, spec: { ...made.spec, nodeName: 'elsewhere' } };
  const { body } = await call('PUT', `${PODS}/p/status`, { body: other });
  t.is(body.status.phase, 'Running');
  t.is(body.spec.nodeName, undefined);
});

test('a pod is bound once', async t => {
  const { call, create } = await harnessOf(t);
  await create(PODS, pod('p'));
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } };
  const first = await call('POST', `${PODS}/p/binding`, { body: binding });
  t.deepEqual([first.status, first.body.status], [201, 'Success']);
  const { spec, status } = (await call('GET', `${PODS}/p`)).body;
  t.is(spec.nodeName, 'n1');
  t.like(status.conditions[0], { type: 'PodScheduled', status: 'True' });
  const second = await call('POST', '/api/v1/namespaces/default/bindings', { body: binding });
  t.is(second.status, 409);
});

test('scale reads and writes the replicas of a workload', async t => {
  const { call, create } = await harnessOf(t);
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const template = { metadata: { labels: { app: 'w' } }, spec: { containers: [{ name: 'c', image: 'a:1' }] } };
  await create(path, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'w' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'w' } }, template },
  } as object);
  const { body } = await call('GET', `${path}/w/scale`);
  t.deepEqual([body.kind, body.spec.replicas, body.status.selector], ['Scale', 2, 'app=w']);
  const patched = await call('PATCH', `${path}/w/scale`, {
    body: { spec: { replicas: 5 } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(patched.body.spec.replicas, 5);
  const { spec, metadata } = (await call('GET', `${path}/w`)).body;
  t.deepEqual([spec.replicas, metadata.generation], [5, 2]);
});

test('old versions of a kind are one object with the new', async t => {
  const { call, create } = await harnessOf(t);
  const template = { metadata: { labels: { app: 'w' } }, spec: { containers: [{ name: 'c', image: 'a:1' }] } };
  await create('/apis/extensions/v1beta1/namespaces/default/deployments', {
    apiVersion: 'extensions/v1beta1',
    kind: 'Deployment',
    metadata: { name: 'old' },
    spec: { template },
  } as object);
  const now = (await call('GET', '/apis/apps/v1/namespaces/default/deployments/old')).body;
  t.deepEqual([now.apiVersion, now.spec.selector.matchLabels.app], ['apps/v1', 'w']);
  const then = (await call('GET', '/apis/extensions/v1beta1/namespaces/default/deployments')).body;
  t.is(then.apiVersion, 'extensions/v1beta1');
  t.is(then.items[0].metadata.resourceVersion, now.metadata.resourceVersion);
});

test('many writers of one object: every patch counts', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a'));
  const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
  const answers = await Promise.all(
    keys.map(key =>
      call('PATCH', `${CONFIG_MAPS}/a`, {
        body: { data: { [key]: 'v' } },
        headers: { 'content-type': 'application/merge-patch+json' },
      }),
    ),
  );
  t.true(answers.every(({ status }) => status === 200));
  const { data } = (await call('GET', `${CONFIG_MAPS}/a`)).body;
  t.deepEqual(Object.keys(data).sort(), ['a', ...keys].sort());
});

test('a collection is deleted as selected', async t => {
  const { call, create } = await harnessOf(t);
  await create(CONFIG_MAPS, configMap('a', { labels: { x: '1' } }));
  await create(CONFIG_MAPS, configMap('b'));
  const { body } = await call('DELETE', `${CONFIG_MAPS}?labelSelector=x`);
  t.deepEqual([body.kind, body.items.length], ['ConfigMapList', 1]);
  t.is((await call('GET', CONFIG_MAPS)).body.items[0].metadata.name, 'b');
});

test('a write under a leadership that has passed is refused', async t => {
  const { call, store } = await harnessOf(t);
  store.setTerm(7);
  const identity = { user: 'system:raftsman:master', groups: ['system:masters'] };
  t.is(
    (await call('POST', CONFIG_MAPS, { body: configMap('a'), identity: { ...identity, fenceTerm: 7 } })).status,
    201,
  );
  store.setTerm(8);
  const late = await call('POST', CONFIG_MAPS, { body: configMap('b'), identity: { ...identity, fenceTerm: 7 } });
  t.is(late.status, 403);
  t.is((await call('GET', `${CONFIG_MAPS}/b`)).status, 404);
});

test('what the store cannot say for sure is never told as done', async t => {
  const memory = createMemoryStore();
  let failure: Error | undefined;
  const store = new Proxy(memory, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (name === 'transaction' && failure) return () => Promise.reject(failure);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const { call } = await harnessOf(t, { memory, store });
  failure = new UnavailableError('no leader');
  const refused = await call('POST', CONFIG_MAPS, { body: configMap('a') });
  t.deepEqual([refused.status, refused.body.reason], [503, 'ServiceUnavailable']);
  t.false('retry-after' in refused.headers);
  failure = new UnknownOutcomeError('connection lost');
  const unknown = await call('POST', CONFIG_MAPS, { body: configMap('a') });
  t.deepEqual([unknown.status, unknown.body.reason], [504, 'Timeout']);
  failure = undefined;
  t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 404);
});

test('a server without its store is alive but not ready', async t => {
  const memory = createMemoryStore();
  let isDown = false;
  const store = new Proxy(memory, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (name === 'range' && isDown) return () => Promise.reject(new UnavailableError('no leader'));
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const { call, create } = await harnessOf(t, { memory, store, withRoles: true });
  await create(CONFIG_MAPS, configMap('a'));
  t.is((await call('GET', '/readyz')).text, 'ok');
  isDown = true;
  t.is((await call('GET', '/livez')).text, 'ok');
  const ready = await call('GET', '/readyz?verbose');
  t.is(ready.status, 500);
  t.regex(ready.text, /\[-\]store failed/);
  t.is((await call('GET', `${CONFIG_MAPS}/a`)).status, 503);
  t.is((await call('GET', `${CONFIG_MAPS}/a?resourceVersion=0`)).status, 200, 'a reader who takes any state gets it');
});

test('events go by themselves: their keys hang on leases that many share', async t => {
  const { create, store } = await harnessOf(t);
  for (const name of ['e1', 'e2']) {
    await create('/api/v1/namespaces/default/events', {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: 'default' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
      type: 'Normal',
      reason: 'Tested',
    } as object);
  }
  const { items } = await store.range({ key: '/registry/core/events/', end: '/registry/core/events0' });
  t.is(items.length, 2);
  t.truthy(items[0]?.lease);
  t.is(items[0]?.lease, items[1]?.lease);
});
