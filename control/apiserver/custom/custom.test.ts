/** Custom resources through the whole server: from a definition to objects that are written, read, watched and gone. */
import test, { type ExecutionContext } from 'ava';
import { createMemoryStore } from '../../../store/index.ts';
import { DEFINITIONS, establish } from '../testing/establish.ts';
import { createHarness, type Harness, take } from '../testing/harness.ts';

const GROUP = 'stable.example.com';
const WIDGETS = `/apis/${GROUP}/v1/namespaces/default/widgets`;

const definition = (versions: readonly object[], more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
    versions,
    ...more,
  },
});
const version = (properties: object, more: object = {}) => ({
  name: 'v1',
  served: true,
  storage: true,
  schema: { openAPIV3Schema: { type: 'object', properties } },
  ...more,
});
const SPEC = {
  spec: { type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string', default: 'red' } } },
};
const widget = (name: string, spec: object = {}, more: object = {}) => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Widget',
  metadata: { name },
  spec,
  ...more,
});

async function harnessOf(t: ExecutionContext, versions: readonly object[] = [version(SPEC)]): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  await harness.create(DEFINITIONS, definition(versions));
  await establish(harness);
  return harness;
}

test('a definition makes a kind that can be created, read, patched, listed and deleted', async t => {
  const { call, create } = await harnessOf(t);
  const made = await create(WIDGETS, widget('a', { size: 1, unknown: true }));
  t.like(made, {
    apiVersion: `${GROUP}/v1`,
    kind: 'Widget',
    spec: { size: 1, color: 'red' },
    metadata: { generation: 1 },
  });
  t.false('unknown' in (made.spec as object));
  const patched = await call('PATCH', `${WIDGETS}/a`, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { spec: { size: 2 } },
  });
  t.like(patched.body, { spec: { size: 2, color: 'red' }, metadata: { generation: 2 } });
  const { body: list } = await call('GET', WIDGETS);
  t.is(list.kind, 'WidgetList');
  t.like(list.items[0], { kind: 'Widget', apiVersion: `${GROUP}/v1`, metadata: { name: 'a' } });
  t.is((await call('GET', `/apis/${GROUP}/v1/widgets`)).body.items.length, 1);
  t.is((await call('DELETE', `${WIDGETS}/a`)).body.status, 'Success');
  t.is((await call('GET', `${WIDGETS}/a`)).status, 404);
});

test('watchers see custom resources come and go', async t => {
  const { create, watch, call } = await harnessOf(t);
  const end = new AbortController();
  t.teardown(() => end.abort());
  await create(WIDGETS, widget('a'));
  const frames = watch(`${WIDGETS}?watch=true`, end.signal);
  const first = await take(frames, 1);
  await call('DELETE', `${WIDGETS}/a`);
  t.deepEqual(
    [...first, ...(await take(frames, 1))].map(({ type, object }) => [type, object.metadata.name, object.spec.color]),
    [
      ['ADDED', 'a', 'red'],
      ['DELETED', 'a', 'red'],
    ],
  );
});

test('the kind stands in discovery and in both forms of OpenAPI', async t => {
  const { call } = await harnessOf(t);
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const groups = JSON.parse((await call('GET', '/apis', { headers: { accept } })).text).items;
  const group = groups.find((one: { metadata: { name: string } }) => one.metadata.name === GROUP);
  t.like(group.versions[0], {
    version: 'v1',
    resources: [
      {
        resource: 'widgets',
        singularResource: 'widget',
        shortNames: ['wd'],
        categories: ['all'],
        responseKind: { group: GROUP, version: 'v1', kind: 'Widget' },
        scope: 'Namespaced',
      },
    ],
  });
  const legacy = (await call('GET', `/apis/${GROUP}/v1`)).body;
  t.is(legacy.resources[0].name, 'widgets');
  const index = JSON.parse((await call('GET', '/openapi/v3')).text).paths;
  const document = (await call('GET', index[`apis/${GROUP}/v1`].serverRelativeURL)).body;
  const schema = document.components.schemas['com.example.stable.v1.Widget'];
  t.is(schema.properties.spec.properties.color.default, 'red');
  t.deepEqual(schema['x-kubernetes-group-version-kind'], [{ group: GROUP, version: 'v1', kind: 'Widget' }]);
  t.truthy(document.paths[`${WIDGETS.replace('default', '{namespace}')}/{name}`].patch);
  const v2 = (await call('GET', '/openapi/v2')).body;
  t.is(v2.definitions['com.example.stable.v1.Widget'].properties.spec.properties.size.type, 'integer');
});

test('what one master has established, every master serves at once', async t => {
  const memory = createMemoryStore();
  const masters = await Promise.all([0, 1, 2].map(() => createHarness({ memory })));
  t.teardown(async () => {
    for (const master of masters) await master.server.close();
    await memory.close();
  });
  const [first, second, third] = masters as [Harness, Harness, Harness];
  await first.create(DEFINITIONS, definition([version(SPEC)]));
  await establish(first);
  t.is((await second.call('POST', WIDGETS, { body: widget('a') })).status, 201);
  t.is((await third.call('GET', `${WIDGETS}/a`)).status, 200);
  await first.call('PATCH', `${DEFINITIONS}/widgets.${GROUP}`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [{ op: 'add', path: '/spec/versions/1', value: { ...version(SPEC), name: 'v2', storage: false } }],
  });
  t.is((await third.call('GET', `/apis/${GROUP}/v2/namespaces/default/widgets/a`)).body.apiVersion, `${GROUP}/v2`);
});

test('objects that lie in the store follow the definition: defaults come in, unknown fields go', async t => {
  const { create, call } = await harnessOf(t);
  await create(WIDGETS, widget('a', { size: 3 }));
  const spec = {
    spec: { type: 'object', properties: { color: { type: 'string' }, shape: { type: 'string', default: 'round' } } },
  };
  await call('PATCH', `${DEFINITIONS}/widgets.${GROUP}`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [{ op: 'replace', path: '/spec/versions/0', value: version(spec) }],
  });
  t.deepEqual((await call('GET', `${WIDGETS}/a`)).body.spec, { color: 'red', shape: 'round' });
});

test('a definition that goes holds on until its objects are gone, and lets nothing in', async t => {
  const { create, call } = await harnessOf(t);
  await create(WIDGETS, widget('a'));
  const gone = await call('DELETE', `${DEFINITIONS}/widgets.${GROUP}`);
  t.deepEqual(gone.body.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io']);
  const refused = await call('POST', WIDGETS, { body: widget('b') });
  t.is(refused.status, 405);
  t.is(refused.body.message, 'create not allowed while custom resource definition is terminating');
  t.is((await call('DELETE', WIDGETS)).status, 200);
  const { body } = await call('GET', `${DEFINITIONS}/widgets.${GROUP}`);
  await call('PUT', `${DEFINITIONS}/widgets.${GROUP}`, {
    body: { ...body, metadata: { ...body.metadata, finalizers: [] } },
  });
  t.is((await call('GET', `${DEFINITIONS}/widgets.${GROUP}`)).status, 404);
  const missing = await call('GET', WIDGETS);
  t.deepEqual([missing.status, missing.text], [404, '404 page not found\n']);
});

test('finalizers of custom resources and of definitions need no domain, those of other kinds do', async t => {
  const { call, create } = await harnessOf(t);
  const finalizers = ['test-finalizer'];
  const made = await create(WIDGETS, { ...widget('f'), metadata: { name: 'f', finalizers } });
  t.deepEqual(made.metadata?.finalizers, finalizers);
  const patch = { headers: { 'content-type': 'application/merge-patch+json' }, body: { metadata: { finalizers } } };
  t.is((await call('PATCH', `${DEFINITIONS}/widgets.${GROUP}`, patch)).status, 200);
  const refused = await call('POST', '/api/v1/namespaces/default/configmaps', {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'f', finalizers } },
  });
  t.is(refused.status, 422);
});
