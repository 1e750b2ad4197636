/**
 * What the conformance suite of Kubernetes v1.33 demands of custom resources ([sig-api-machinery] CustomResourceDefinition,
 * CustomResourcePublishOpenAPI, CustomResourceFieldSelectors, CustomResourceDefinition Watch, FieldValidation).
 */
import test from 'ava';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import type { Answer } from '../../control/apiserver/testing/harness.ts';
import { hookServer } from '../../control/apiserver/testing/hook-server.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

/** Whatever an answer holds. */
type Loose = Answer['body'];

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** How a Go client of built-in kinds speaks, to those of definitions too since v1.32; it is content with JSON. */
const GO = {
  'content-type': 'application/vnd.kubernetes.protobuf',
  accept: 'application/vnd.kubernetes.protobuf,application/json',
};
const JSON_PATCH = { 'content-type': 'application/json-patch+json' };
const APPLY = { 'content-type': 'application/apply-patch+yaml' };

interface Definition {
  readonly group: string;
  readonly kind?: string;
  readonly plural?: string;
  readonly scope?: 'Cluster' | 'Namespaced';
  readonly versions: Readonly<Record<string, object>>;
  readonly conversion?: object;
  readonly labels?: object;
}
const definition = ({ group, kind = 'Noxu', plural = 'noxus', scope = 'Cluster', versions, ...rest }: Definition) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}`, ...(rest.labels && { labels: rest.labels }) },
  spec: {
    group,
    scope,
    names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
    versions: Object.entries(versions).map(([name, { selectableFields, ...schema }]: Loose) => ({
      name,
      served: true,
      storage: name === Object.keys(versions)[0],
      schema: { openAPIV3Schema: schema },
      ...(selectableFields && { selectableFields }),
    })),
    ...(rest.conversion && { conversion: rest.conversion }),
  },
});
const ANYTHING = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** Makes a definition and waits until it is served. */
async function establish({ api }: ControlPlane, wanted: Definition): Promise<Loose> {
  const {
    status,
    body: made,
    text,
  } = await api.call('POST', CRDS, {
    body: encodeProtobuf(definition(wanted)),
    headers: GO,
  });
  if (status !== 201) throw new Error(text);
  for (const version of Object.keys(wanted.versions)) {
    await until('its objects are served', async () => {
      const { status, body } = await api.call('GET', `/apis/${wanted.group}/${version}`);
      return status === 200 && body.resources.some(({ name }: { name: string }) => name === (wanted.plural ?? 'noxus'));
    });
  }
  return made;
}

test('a definition can be made and removed, and goes out of discovery', async t => {
  const plane = await createControlPlane(t, []);
  await establish(plane, { group: 'mygroup.example.com', versions: { v1beta1: ANYTHING } });
  const removed = await plane.api.call('DELETE', `${CRDS}/noxus.mygroup.example.com`);
  t.is(removed.status, 200);
  await until(
    'it is out of discovery',
    async () => (await plane.api.call('GET', '/apis/mygroup.example.com/v1beta1')).status === 404,
  );
  const groups = (await plane.api.call('GET', '/apis')).body.groups.map(({ name }: { name: string }) => name);
  t.false(groups.includes('mygroup.example.com'));
});

test('definitions are listed by a label, with their specs, and removed together', async t => {
  const plane = await createControlPlane(t, []);
  const made: Loose[] = [];
  for (let index = 0; index < 10; index++)
    made.push(
      await establish(plane, {
        group: `g${index}.example.com`,
        versions: { v1beta1: ANYTHING },
        labels: { 'e2e-list': 'x' },
      }),
    );
  await establish(plane, { group: 'other.example.com', versions: { v1beta1: ANYTHING } });
  const { body } = await plane.api.call('GET', `${CRDS}?labelSelector=e2e-list%3Dx`);
  t.deepEqual(
    body.items.map(({ spec }: Loose) => spec),
    made.map(({ spec }) => spec),
  );
  t.is((await plane.api.call('DELETE', `${CRDS}?labelSelector=e2e-list%3Dx`)).status, 200);
  await until(
    'they are gone',
    async () => (await plane.api.call('GET', `${CRDS}?labelSelector=e2e-list%3Dx`)).body.items.length === 0,
  );
  t.is((await plane.api.call('GET', `${CRDS}/noxus.other.example.com`)).status, 200);
});

test('the status of a definition is read, replaced and patched, conditions without a type too', async t => {
  const plane = await createControlPlane(t, []);
  const {
    metadata: { name },
    spec,
  } = await establish(plane, { group: 'status.example.com', versions: { v1beta1: ANYTHING } });
  const found = (await plane.api.call('GET', `${CRDS}/${name}/status`)).body;
  t.deepEqual(found.spec, spec);
  found.status.conditions.push({ type: '', status: '', message: 'updated' });
  const updated = await plane.api.call('PUT', `${CRDS}/${name}/status`, { body: encodeProtobuf(found), headers: GO });
  t.is(updated.status, 200, updated.text);
  t.true(updated.body.status.conditions.some(({ message }: Loose) => message === 'updated'));
  const patched = await plane.api.call('PATCH', `${CRDS}/${name}/status`, {
    body: [{ op: 'add', path: '/status/conditions', value: [{ message: 'patched' }] }],
    headers: JSON_PATCH,
  });
  t.is(patched.status, 200, patched.text);
  t.true(
    patched.body.status.conditions.some(({ message }: Loose) => message === 'patched'),
    patched.text,
  );
  await plane.api.call('DELETE', `${CRDS}/${name}`);
  await until('it is gone', async () => (await plane.api.call('GET', `${CRDS}/${name}`)).status === 404);
});

test('defaults come into requests and into what is stored', async t => {
  const plane = await createControlPlane(t, []);
  const properties = { a: { type: 'string' }, b: { type: 'string' } };
  await establish(plane, { group: 'd.example.com', versions: { v1beta1: { ...ANYTHING, properties } } });
  const path = '/apis/d.example.com/v1beta1/noxus';
  const create = (name: string) =>
    plane.api.create<Loose>(path, { apiVersion: 'd.example.com/v1beta1', kind: 'Noxu', metadata: { name } });
  const get = async (name: string) => (await plane.api.call('GET', `${path}/${name}`)).body;
  const change = (body: object[]) =>
    plane.api.call('PATCH', `${CRDS}/noxus.d.example.com`, { body, headers: JSON_PATCH });
  const at = (field: string) => `/spec/versions/0/schema/openAPIV3Schema/properties/${field}/default`;
  await create('one');
  t.is((await change([{ op: 'add', path: at('a'), value: 'A' }])).status, 200);
  await until('one has the default', async () => (await get('one')).a === 'A');
  t.is((await create('two')).a, 'A');
  t.is(
    (
      await change([
        { op: 'remove', path: at('a') },
        { op: 'add', path: at('b'), value: 'B' },
      ])
    ).status,
    200,
  );
  await until('two has the new default', async () => (await get('two')).b === 'B');
  t.is((await get('two')).a, 'A');
  const one = await get('one');
  t.is(one.a, undefined);
  t.is(one.b, 'B');
});

test('objects of a definition are watched as they come, change and go', async t => {
  const plane = await createControlPlane(t, []);
  await establish(plane, { group: 'w.example.com', versions: { v1: ANYTHING } });
  const path = '/apis/w.example.com/v1/noxus';
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const frames = plane.api.watch(`${path}?watch=true`, stop.signal);
  const next = async () => {
    const { value } = await frames.next();
    return `${value?.type} ${value?.object.metadata.name}`;
  };
  for (const name of ['name1', 'name2']) {
    await plane.api.create<Loose>(path, {
      apiVersion: 'w.example.com/v1',
      kind: 'Noxu',
      metadata: { name },
      content: { key: 'value' },
      num: { num1: 1_000_000 },
    });
    t.is(await next(), `ADDED ${name}`);
  }
  for (const name of ['name1', 'name2']) {
    await plane.api.call('PATCH', `${path}/${name}`, {
      body: { dummy: 'test' },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    t.is(await next(), `MODIFIED ${name}`);
  }
  for (const name of ['name1', 'name2']) {
    await plane.api.call('DELETE', `${path}/${name}`);
    t.is(await next(), `DELETED ${name}`);
  }
});

const text = (description: string) => ({ description, type: 'string' });
const FOO = {
  description: 'Foo CRD for Testing',
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          description: 'List of Bars and their specs.',
          type: 'array',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: text('Name of Bar.'),
              age: text('Age of Bar.'),
              feeling: { ...text('Whether Bar is feeling great.'), enum: ['Great', 'Down'] },
              bazs: { description: 'List of Bazs.', items: { type: 'string' }, type: 'array' },
            },
          },
        },
      },
    },
    status: {
      description: 'Status of Foo',
      type: 'object',
      properties: {
        bars: {
          description: 'List of Bars and their statuses.',
          type: 'array',
          items: {
            type: 'object',
            properties: {
              name: text('Name of Bar.'),
              available: { description: 'Whether the Bar is installed.', type: 'boolean' },
              quxType: { ...text('Indicates to external qux type.'), pattern: 'in-tree|out-of-tree' },
            },
          },
        },
      },
    },
  },
};

/** A definition of the published document, without what the server adds. */
async function published({ api }: ControlPlane, name: string): Promise<Loose> {
  const { body } = await api.call('GET', '/openapi/v2');
  const found = body.definitions[name];
  if (!found) return undefined;
  const {
    properties: { metadata, apiVersion, kind, ...properties } = {} as Loose,
    'x-kubernetes-group-version-kind': _,
    ...rest
  } = found;
  return { ...rest, ...(Object.keys(properties).length > 0 && { properties }) };
}
const nameOf = (group: string, version: string) => `${group.split('.').reverse().join('.')}.${version}.E2e-test-crd`;
const e2e = (group: string, versions: Definition['versions']): Definition => ({
  group,
  kind: 'E2e-test-crd',
  plural: 'e2e-test-crds',
  scope: 'Namespaced',
  versions,
});

test('schemas are published, of several versions, groups and kinds', async t => {
  const plane = await createControlPlane(t, []);
  await establish(plane, e2e('foo.example.com', { v2: FOO, v3: FOO }));
  await establish(plane, e2e('empty.example.com', { v1: ANYTHING }));
  await establish(plane, { ...e2e('foo.example.com', { v2: FOO }), kind: 'Other', plural: 'others' });
  t.deepEqual(await published(plane, nameOf('foo.example.com', 'v2')), FOO);
  t.deepEqual(await published(plane, nameOf('foo.example.com', 'v3')), FOO);
  t.deepEqual(await published(plane, 'com.example.foo.v2.Other'), FOO);
  t.deepEqual(await published(plane, nameOf('empty.example.com', 'v1')), { type: 'object' });

  const path = `${CRDS}/e2e-test-crds.foo.example.com`;
  const renamed = await plane.api.call('PATCH', path, {
    body: [
      { op: 'test', path: '/spec/versions/1/name', value: 'v3' },
      { op: 'replace', path: '/spec/versions/1/name', value: 'v4' },
    ],
    headers: JSON_PATCH,
  });
  t.is(renamed.status, 200, renamed.text);
  await until(
    'the new name is published',
    async () => (await published(plane, nameOf('foo.example.com', 'v4'))) !== undefined,
  );
  t.is(await published(plane, nameOf('foo.example.com', 'v3')), undefined);
  const now = (await plane.api.call('GET', path)).body;
  now.spec.versions[1].served = false;
  t.is((await plane.api.call('PUT', path, { body: encodeProtobuf(now), headers: GO })).status, 200);
  await until(
    'it is not published any more',
    async () => (await published(plane, nameOf('foo.example.com', 'v4'))) === undefined,
  );
  t.deepEqual(await published(plane, nameOf('foo.example.com', 'v2')), FOO);
  await plane.api.call('DELETE', path);
  await until(
    'nothing of it is published',
    async () => (await published(plane, nameOf('foo.example.com', 'v2'))) === undefined,
  );
});

test('a document that has not changed is not sent again', async t => {
  const { api } = await createControlPlane(t, []);
  const first = await api.call('GET', '/openapi/v2');
  t.regex(first.headers.etag ?? '', /^".+"$/);
  const again = await api.call('GET', '/openapi/v2', { headers: { 'if-none-match': first.headers.etag ?? '' } });
  t.is(again.status, 304);
});

test('definitions stand in aggregated discovery', async t => {
  const plane = await createControlPlane(t, []);
  await establish(plane, {
    group: 'agg.example.com',
    versions: { v1: ANYTHING },
    kind: 'testcrd',
    plural: 'testcrds',
    scope: 'Namespaced',
  });
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const { body, headers } = await plane.api.call('GET', '/apis', { headers: { accept } });
  t.true(headers['content-type']?.includes('as=APIGroupDiscoveryList'));
  const group = body.items.find(({ metadata }: Loose) => metadata.name === 'agg.example.com');
  t.is(group.versions[0].resources[0].resource, 'testcrds');
});

test('a definition is found in discovery', async t => {
  const { api } = await createControlPlane(t, []);
  const group = (await api.call('GET', '/apis')).body.groups.find(({ name }: Loose) => name === 'apiextensions.k8s.io');
  t.true(group.versions.some(({ version }: Loose) => version === 'v1'));
  t.is((await api.call('GET', '/apis/apiextensions.k8s.io')).body.name, 'apiextensions.k8s.io');
  const { body } = await api.call('GET', '/apis/apiextensions.k8s.io/v1');
  t.is(body.groupVersion, 'apiextensions.k8s.io/v1');
  t.true(body.resources.some(({ name }: Loose) => name === 'customresourcedefinitions'));
});

const PORTS = {
  type: 'array',
  'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
  'x-kubernetes-list-type': 'map',
  items: {
    type: 'object',
    properties: {
      containerPort: { format: 'int32', type: 'integer' },
      hostIP: { type: 'string' },
      hostPort: { format: 'int32', type: 'integer' },
      name: { type: 'string' },
      protocol: { type: 'string' },
    },
    required: ['containerPort', 'protocol'],
  },
};
const SPEC = {
  foo: { type: 'string' },
  cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' },
  ports: PORTS,
};
const schemaOf = (spec: object) => ({ type: 'object', properties: { spec: { type: 'object', ...spec } } });
const yaml = (group: string, top = '', meta = '', spec = '  foo: foo1') => `
apiVersion: ${group}/v1
kind: Noxu
metadata:
  name: mytest
${meta}  finalizers:
  - test-finalizer
${top}spec:
${spec}
  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP`;

async function applied(plane: ControlPlane, group: string, schema: object, body: string) {
  await establish(plane, { group, versions: { v1: schema } });
  return plane.api.call(
    'PATCH',
    `/apis/${group}/v1/noxus/mytest?fieldManager=field_validation_mgr&fieldValidation=Strict`,
    { body, headers: APPLY },
  );
}

test('fields of custom resources are validated as the schema says', async t => {
  const plane = await createControlPlane(t, []);
  const full = schemaOf({ properties: SPEC });
  const valid = await applied(plane, 'valid.example.com', full, yaml('valid.example.com'));
  t.is(valid.status, 201, valid.text);
  const free = await applied(plane, 'free.example.com', ANYTHING, yaml('free.example.com', '', '', '  unknown: uk1'));
  t.is(free.status, 201, free.text);
  const extra = await applied(plane, 'extra.example.com', full, yaml('extra.example.com', 'unknownField: unknown\n'));
  t.true(extra.text.includes('.unknownField: field not declared in schema'), extra.text);

  const embedded = {
    type: 'object',
    'x-kubernetes-embedded-resource': true,
    properties: {
      metadata: { type: 'object', properties: { name: { type: 'string' } } },
      spec: { type: 'object' },
    },
  };
  const preserving = schemaOf({
    'x-kubernetes-preserve-unknown-fields': true,
    properties: { template: embedded, ...SPEC },
  });
  const template = [
    '  template:',
    '    apiversion: foo/v1',
    '    kind: Sub',
    '    metadata:',
    '      unknownSubMeta: unknown',
    '      name: subobject',
    `      namespace: ${NAMESPACE}`,
    '  foo: foo1',
  ].join('\n');
  const meta = await applied(
    plane,
    'meta.example.com',
    preserving,
    yaml('meta.example.com', '', '  unknownMeta: unknown\n', template),
  );
  t.true(meta.text.includes('.metadata.unknownMeta: field not declared in schema'), meta.text);
  t.true(meta.text.includes('.spec.template.metadata.unknownSubMeta: field not declared in schema'), meta.text);

  const twice = await applied(
    plane,
    'twice.example.com',
    schemaOf({ 'x-kubernetes-preserve-unknown-fields': true, properties: SPEC }),
    yaml('twice.example.com', '', '', '  unknown: uk1\n  foo: foo1\n  foo: foo2'),
  );
  t.true(twice.text.includes('line 11: key \\"foo\\" already set in map'), twice.text);
});

test('fields of a Deployment are validated, its metadata too, whether the body says what it is or not', async t => {
  const { api } = await createControlPlane(t, []);
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments?fieldManager=field_validation_mgr&fieldValidation=Strict`;
  const rest = `"selector":{"matchLabels":{"app":"nginx"}},"template":{"metadata":{"labels":{"app":"nginx"}},"spec":{"containers":[{"name":"nginx","image":"nginx:latest"}]}}}}`;
  const head = '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"my-dep",';
  const headers = { 'content-type': '' };
  const unknown = await api.call('POST', path, {
    body: `${head}"labels":{"app":"nginx"}},"spec":{"unknownField":"foo","replicas":2,"replicas":3,${rest}`,
    headers,
  });
  t.true(
    unknown.body.message.includes(
      'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
    ),
    unknown.text,
  );
  const meta = await api.call('POST', path, {
    body: `${head}"unknownMeta":"foo","labels":{"app":"nginx"}},"spec":{${rest}`,
    headers,
  });
  t.true(meta.body.message.includes('strict decoding error: unknown field "metadata.unknownMeta"'), meta.text);
});

/** The conversion of `hostPort` (v1) to `host` and `port` (v2), and back. */
function convert(object: Loose, desired: string) {
  const { hostPort, host, port, ...rest } = object;
  if (object.apiVersion === desired) return object;
  const { apiVersion: _, ...kept } = rest;
  if (desired.endsWith('v2')) {
    const [newHost, newPort] = String(hostPort ?? '').split(':');
    return { ...kept, apiVersion: desired, ...(hostPort && { host: newHost, port: newPort ?? '' }) };
  }
  return { ...kept, apiVersion: desired, hostPort: `${host}:${port ?? ''}` };
}
const conversionHook = (t: Parameters<typeof hookServer>[0]) =>
  hookServer(t, ({ apiVersion, request }) => {
    const { uid, objects, desiredAPIVersion } = request;
    const response = {
      uid,
      convertedObjects: objects.map((object: object) => convert(object, desiredAPIVersion)),
      result: { status: 'Success' },
    };
    return { status: 200, text: JSON.stringify({ apiVersion, kind: 'ConversionReview', response }) };
  });
const hooked = ({ port, caBundle }: { port: number; caBundle: string }) => ({
  strategy: 'Webhook',
  webhook: {
    clientConfig: { url: `https://127.0.0.1:${port}/crdconvert`, caBundle },
    conversionReviewVersions: ['v1', 'v1beta1'],
  },
});
const typed = (version: string) => ({ apiVersion: `stable.example.com/${version}`, kind: 'Noxu' });
const strings = (...names: string[]) => ({
  type: 'object',
  properties: Object.fromEntries(names.map(name => [name, { type: 'string' }])),
  selectableFields: names.map(name => ({ jsonPath: `.${name}` })),
});

test('custom resources are chosen by fields of the version that is asked for, listed and watched', async t => {
  const plane = await createControlPlane(t, []);
  const conversion = hooked(await conversionHook(t));
  await establish(plane, {
    group: 'stable.example.com',
    versions: { v1: strings('hostPort'), v2: strings('host', 'port') },
    conversion,
  });
  const pathOf = (version: string) => `/apis/stable.example.com/${version}/noxus`;
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const watching = (version: string, selector: string) => {
    const seen = { added: new Set<string>(), deleted: new Set<string>() };
    void (async () => {
      const query = `watch=true&fieldSelector=${encodeURIComponent(selector)}`;
      for await (const { type, object } of plane.api.watch(`${pathOf(version)}?${query}`, stop.signal)) {
        if (type === 'ADDED') seen.added.add(object.metadata.name);
        if (type === 'DELETED') seen.deleted.add(object.metadata.name);
      }
    })().catch(() => {});
    return () => `+${[...seen.added].sort()} -${[...seen.deleted].sort()}`;
  };
  const byHost = watching('v2', 'host=host1');
  const byBoth = watching('v2', 'host=host1,port=80');
  const byOld = watching('v1', 'hostPort=host1:80');
  const names = async (version: string, selector: string) =>
    (await plane.api.call('GET', `${pathOf(version)}?fieldSelector=${encodeURIComponent(selector)}`)).body.items
      .map(({ metadata }: Loose) => metadata.name)
      .join(' ');
  const objects = { a: { host: 'host1', port: '80' }, b: { host: 'host1', port: '8080' }, c: { host: 'host2' } };
  for (const [name, fields] of Object.entries(objects))
    await plane.api.create<Loose>(pathOf('v2'), { ...typed('v2'), metadata: { name }, ...fields });
  t.is(await names('v2', 'host=host1'), 'a b');
  t.is(await names('v2', 'host=host1,port=80'), 'a');
  t.is(await names('v1', 'hostPort=host1:80'), 'a');
  t.is(await names('v1', 'hostPort=host1:8080'), 'b');
  await until('watches saw them come', () => [byHost(), byBoth(), byOld()].join() === '+a,b -,+a -,+a -');
  const removed = await plane.api.call(
    'DELETE',
    `${pathOf('v2')}?fieldSelector=${encodeURIComponent('host=host1,port=80')}`,
    { body: { gracePeriodSeconds: 0 } },
  );
  t.is(removed.status, 200, removed.text);
  const b = (await plane.api.call('GET', `${pathOf('v2')}/b`)).body;
  t.is((await plane.api.call('PUT', `${pathOf('v2')}/b`, { body: { ...b, host: 'host2' } })).status, 200);
  t.is(await names('v2', 'host=host1'), '');
  await until('watches saw them go', () => [byHost(), byBoth(), byOld()].join() === '+a,b -a,b,+a -a,+a -a');
});

test('custom resources stored in two versions are listed in either', async t => {
  const plane = await createControlPlane(t, []);
  const conversion = hooked(await conversionHook(t));
  await establish(plane, {
    group: 'stable.example.com',
    versions: { v1: strings('hostPort'), v2: strings('host', 'port') },
    conversion,
    scope: 'Namespaced',
  });
  const pathOf = (version: string) => `/apis/stable.example.com/${version}/namespaces/${NAMESPACE}/noxus`;
  await plane.api.create<Loose>(pathOf('v1'), {
    ...typed('v1'),
    metadata: { name: 'cr-instance-1' },
    hostPort: 'localhost:8080',
  });
  const second = (await plane.api.call('GET', `${pathOf('v2')}/cr-instance-1`)).body;
  t.like(second, { host: 'localhost', port: '8080' });
  t.is(second.hostPort, undefined);
  const flipped = await plane.api.call('PATCH', `${CRDS}/noxus.stable.example.com`, {
    body: [
      { op: 'replace', path: '/spec/versions/0/storage', value: false },
      { op: 'replace', path: '/spec/versions/1/storage', value: true },
    ],
    headers: JSON_PATCH,
  });
  t.is(flipped.status, 200, flipped.text);
  await plane.api.create<Loose>(pathOf('v1'), {
    ...typed('v1'),
    metadata: { name: 'cr-instance-2' },
    hostPort: 'localhost:8080',
  });
  for (const [version, fields] of [
    ['v1', { hostPort: 'localhost:8080' }],
    ['v2', { host: 'localhost', port: '8080' }],
  ] as const) {
    const { items } = (await plane.api.call('GET', pathOf(version))).body;
    t.is(items.length, 2);
    for (const item of items) t.like(item, fields);
  }
});
