/** Admission webhooks behind real HTTPS servers, through the whole chain of a server. */
import { existsSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import type { Limits } from '../../limits.ts';
import type { ApiServerOptions } from '../../server.ts';
import { DEFINITIONS, establish } from '../../testing/establish.ts';
import { createHarness, type Harness } from '../../testing/harness.ts';
import { type Answer, type Answerer, type HookServer, hookServer, patchAnswer } from '../../testing/hook-server.ts';

const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const ALLOW: Answer = { allowed: true };

interface HookWorld {
  readonly api: Harness;
  readonly hook: HookServer;
  /** Makes a configuration with one webhook. */
  configure(type: 'mutating' | 'validating', webhook?: object, name?: string): Promise<void>;
}

async function hookWorld(
  t: ExecutionContext,
  answerer: Answerer,
  limits: Partial<Limits> = {},
  overrides: Partial<ApiServerOptions> = {},
): Promise<HookWorld> {
  const api = await createHarness({ limits, overrides });
  t.teardown(() => api.close());
  const hook = await hookServer(t, answerer);
  return {
    api,
    hook,
    async configure(type, webhook = {}, name = 'hooks') {
      const kind = type === 'mutating' ? 'MutatingWebhookConfiguration' : 'ValidatingWebhookConfiguration';
      await api.create(`${ADMISSION}/${kind.toLowerCase()}s`, {
        kind,
        apiVersion: 'admissionregistration.k8s.io/v1',
        metadata: { name },
        webhooks: [webhookOf(hook, webhook)],
      } as object);
    },
  };
}

const ON_CONFIGMAPS = { apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] };

function webhookOf(hook: HookServer, webhook: object) {
  return {
    name: 'hook.example.com',
    clientConfig: { url: `https://127.0.0.1:${hook.port}/hook`, caBundle: hook.caBundle },
    rules: [ON_CONFIGMAPS],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 5,
    ...webhook,
  };
}

const configMap = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...more,
});

test('a validating webhook is shown the request, and its denial is told', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ request }) =>
    request.name === 'bad' ? { allowed: false, status: { message: 'not on my watch' }, warnings: ['careful'] } : ALLOW,
  );
  await configure('validating');
  const made = await api.call('POST', `${CONFIGMAPS}?fieldManager=me`, {
    body: configMap('good', { data: { a: 'b' } }),
  });
  t.is(made.status, 201);
  const { request, apiVersion, path } = hook.asked[0] ?? t.fail();
  t.is(path, '/hook?timeout=5s');
  t.is(apiVersion, 'admission.k8s.io/v1');
  const { uid, object, userInfo, ...rest } = request;
  t.regex(uid, /^[0-9a-f-]{36}$/);
  t.is(object.metadata.uid, made.body.metadata.uid);
  t.like(object, { kind: 'ConfigMap', apiVersion: 'v1', data: { a: 'b' } });
  t.is(object.metadata.managedFields[0].manager, 'me');
  t.like(userInfo, { username: 'admin', groups: ['system:masters', 'system:authenticated'] });
  t.deepEqual(rest, {
    kind: { group: '', version: 'v1', kind: 'ConfigMap' },
    resource: { group: '', version: 'v1', resource: 'configmaps' },
    requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
    requestResource: { group: '', version: 'v1', resource: 'configmaps' },
    name: 'good',
    namespace: 'default',
    operation: 'CREATE',
    oldObject: null,
    dryRun: false,
    options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me' },
  });
  const denied = await api.call('POST', CONFIGMAPS, { body: configMap('bad') });
  t.is(denied.status, 400);
  t.is(denied.body.message, 'admission webhook "hook.example.com" denied the request: not on my watch');
  t.is(denied.headers.warning, '299 - "careful"');
  t.is((await api.call('GET', `${CONFIGMAPS}/bad`)).status, 404);
});

test('updates, patches, deletions and their options are shown', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ request }) => ({ allowed: request.operation !== 'DELETE' }));
  await configure('validating');
  const made = await api.create(CONFIGMAPS, configMap('a'));
  await api.call('PUT', `${CONFIGMAPS}/a`, { body: { ...made, data: { x: '1' } } });
  await api.call('PATCH', `${CONFIGMAPS}/a`, {
    body: { data: { x: '2' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  const same = await api.call('PATCH', `${CONFIGMAPS}/a`, {
    body: { data: { x: '2' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(same.status, 200);
  const applied = await api.call('PATCH', `${CONFIGMAPS}/b?fieldManager=m`, {
    body: configMap('b'),
    headers: { 'content-type': 'application/apply-patch+yaml' },
  });
  t.is(applied.status, 201, applied.text);
  const gone = await api.call('DELETE', `${CONFIGMAPS}/a`, {
    body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' },
  });
  t.is(gone.status, 400, 'a denied deletion');
  t.is(gone.body.message, 'admission webhook "hook.example.com" denied the request without explanation');
  t.is((await api.call('GET', `${CONFIGMAPS}/a`)).status, 200);
  const seen = hook.asked.map(({ request }) => [
    request.operation,
    request.name,
    request.options.kind,
    request.object?.data?.x,
    request.oldObject?.data?.x,
  ]);
  t.deepEqual(seen, [
    ['CREATE', 'a', 'CreateOptions', undefined, undefined],
    ['UPDATE', 'a', 'UpdateOptions', '1', undefined],
    ['UPDATE', 'a', 'UpdateOptions', '2', '1'],
    ['UPDATE', 'a', 'UpdateOptions', '2', '2'],
    ['CREATE', 'b', 'CreateOptions', undefined, undefined],
    ['DELETE', 'a', 'DeleteOptions', undefined, '2'],
  ]);
  t.is(hook.asked.at(-1)?.request.object, null);
  t.is(hook.asked.at(-1)?.request.options.propagationPolicy, 'Background');
});

test('mutating webhooks change what is stored, one after the other; the result is defaulted and validated', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ path, request }) => {
    if (request.name === 'wrong') return patchAnswer({ op: 'add', path: '/metadata/labels', value: { 'a b': 'c' } });
    const stage = path.startsWith('/second') ? 'stage-2' : 'stage-1';
    return patchAnswer({ op: 'add', path: `/data/${stage}`, value: Object.keys(request.object.data).join() });
  });
  const at = (path: string) => ({
    clientConfig: { url: `https://127.0.0.1:${hook.port}${path}`, caBundle: hook.caBundle },
  });
  await configure('mutating', at('/second'), 'b-second');
  await configure('mutating', at('/first'), 'a-first');
  const made = await api.call('POST', `${CONFIGMAPS}?fieldManager=me`, {
    body: configMap('m', { data: { start: 'x' } }),
  });
  t.deepEqual(made.body.data, { start: 'x', 'stage-1': 'start', 'stage-2': 'start,stage-1' }, made.text);
  // What a webhook adds belongs to nobody.
  t.deepEqual(Object.keys(made.body.metadata.managedFields[0].fieldsV1['f:data']), ['.', 'f:start']);
  const wrong = await api.call('POST', CONFIGMAPS, { body: configMap('wrong') });
  t.is(wrong.status, 422);
  t.regex(wrong.body.message, /^ConfigMap "wrong" is invalid: metadata\.labels: Invalid value: "a b"/);
});

test('a pod gets defaults after mutation, and a token in containers that a webhook added', async t => {
  const { api, configure } = await hookWorld(t, () =>
    patchAnswer(
      { op: 'add', path: '/spec/initContainers', value: [{ name: 'added', image: 'i:1' }] },
      {
        op: 'add',
        path: '/spec/containers/-',
        value: { name: 'sidecar', image: 's:1', ports: [{ containerPort: 1 }] },
      },
    ),
  );
  await configure('mutating', { rules: [{ ...ON_CONFIGMAPS, operations: ['CREATE'], resources: ['pods'] }] });
  const made = await api.call('POST', '/api/v1/namespaces/default/pods', {
    body: { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'c:1' }] } },
  });
  t.is(made.status, 201, made.text);
  const [added] = made.body.spec.initContainers;
  t.like(added, { terminationMessagePolicy: 'File', imagePullPolicy: 'IfNotPresent' });
  t.is(made.body.spec.containers[1].ports[0].protocol, 'TCP');
});

test('whoever wants is asked again when others changed the object afterwards, once', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ path }) =>
    path.startsWith('/b') ? patchAnswer({ op: 'add', path: '/data', value: { b: '1' } }) : ALLOW,
  );
  const at = (path: string, more: object = {}) => ({
    clientConfig: { url: `https://127.0.0.1:${hook.port}${path}`, caBundle: hook.caBundle },
    ...more,
  });
  await configure('mutating', at('/a', { reinvocationPolicy: 'IfNeeded' }), 'a');
  await configure('mutating', at('/b', { reinvocationPolicy: 'IfNeeded' }), 'b');
  await configure('mutating', at('/c'), 'c');
  await api.create(CONFIGMAPS, configMap('x'));
  t.deepEqual(
    hook.asked.map(({ path }) => path.slice(0, 2)),
    ['/a', '/b', '/c', '/a'],
  );
  t.deepEqual(hook.asked[3]?.request.object.data, { b: '1' });
});

test('selectors, scope, subresources and other versions decide who is asked', async t => {
  const { api, hook, configure } = await hookWorld(t, () => ALLOW);
  await api.create('/api/v1/namespaces', { metadata: { name: 'chosen', labels: { hooked: 'yes' } } });
  const rule = (resources: string[], more: object = {}) => ({
    rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources, ...more }],
  });
  await configure(
    'validating',
    { name: 'ns.x.io', ...rule(['*']), namespaceSelector: { matchLabels: { hooked: 'yes' } } },
    'ns',
  );
  await configure(
    'validating',
    { name: 'obj.x.io', ...rule(['*/*']), objectSelector: { matchLabels: { picked: 'yes' } } },
    'obj',
  );
  await configure('validating', { name: 'cluster.x.io', ...rule(['*'], { scope: 'Cluster' }) }, 'cluster');
  await configure('validating', { name: 'status.x.io', ...rule(['*/status']) }, 'status');
  const path = (webhook: string) => ({
    clientConfig: { url: `https://127.0.0.1:${hook.port}/${webhook}`, caBundle: hook.caBundle },
  });
  for (const name of ['ns', 'obj', 'cluster', 'status']) {
    const url = `${ADMISSION}/validatingwebhookconfigurations/${name}`;
    const { body } = await api.call('GET', url);
    body.webhooks[0] = { ...body.webhooks[0], ...path(name) };
    t.is((await api.call('PUT', url, { body })).status, 200);
  }
  t.deepEqual(hook.asked, [], 'nobody is asked about the configurations themselves');
  const askedFor = async (method: string, url: string, body: object) => {
    hook.asked.length = 0;
    const { status, text } = await api.call(method, url, { body });
    t.true(status < 300, text);
    return hook.asked.map(({ path: asked }) => asked.slice(1).split('?')[0]).sort();
  };
  t.deepEqual(await askedFor('POST', CONFIGMAPS, configMap('plain')), []);
  t.deepEqual(await askedFor('POST', '/api/v1/namespaces/chosen/configmaps', configMap('plain')), ['ns']);
  const picked = { metadata: { name: 'picked', labels: { picked: 'yes' } } };
  t.deepEqual(await askedFor('POST', CONFIGMAPS, picked), ['obj']);
  t.deepEqual(
    await askedFor('PUT', `${CONFIGMAPS}/picked`, { metadata: { name: 'picked' } }),
    ['obj'],
    'the old state counts',
  );
  // A namespace is judged by its own labels, and is of the cluster.
  t.deepEqual(await askedFor('POST', '/api/v1/namespaces', { metadata: { name: 'n2', labels: { hooked: 'yes' } } }), [
    'cluster',
    'ns',
  ]);
  t.deepEqual(
    await askedFor('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'pc' }, value: 1 }),
    ['cluster', 'ns'],
  );
  const pvc = {
    metadata: { name: 'pv' },
    spec: { capacity: { storage: '1' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  };
  const volume = await api.create('/api/v1/persistentvolumes', pvc as object);
  t.deepEqual(await askedFor('PUT', '/api/v1/persistentvolumes/pv/status', volume), ['status']);
});

test('a rule for another version of a resource is shown that version, unless it insists', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ request }) =>
    request.kind.version === 'v2'
      ? patchAnswer({
          op: 'add',
          path: '/spec/metrics',
          value: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 33 } } },
          ],
        })
      : ALLOW,
  );
  const rules = [
    { apiGroups: ['autoscaling'], apiVersions: ['v2'], operations: ['*'], resources: ['horizontalpodautoscalers'] },
  ];
  await configure('mutating', { rules }, 'equivalent');
  await configure('mutating', { rules, matchPolicy: 'Exact' }, 'exact');
  const made = await api.call('POST', '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers', {
    body: { metadata: { name: 'h' }, spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'd' } } },
  });
  t.is(made.status, 201, made.text);
  t.is(made.body.apiVersion, 'autoscaling/v1');
  t.is(made.body.spec.targetCPUUtilizationPercentage, 33);
  t.is(hook.asked.length, 1);
  t.like(hook.asked[0]?.request, {
    kind: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
    requestKind: { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
    object: { apiVersion: 'autoscaling/v2' },
  });
});

test('connections and what is no object of the resource are asked about', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ request }) => ({ allowed: request.operation !== 'CONNECT' }));
  await configure('validating', {
    rules: [
      { ...ON_CONFIGMAPS, apiGroups: ['*'], resources: ['pods/attach', 'pods/binding', 'pods/eviction', '*/scale'] },
    ],
  });
  const pods = '/api/v1/namespaces/default/pods';
  await api.create(pods, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'c:1' }] } } as object);
  const attached = await api.call('GET', `${pods}/p/attach?container=c&stdin=true`);
  t.is(attached.body.message, 'admission webhook "hook.example.com" denied the request without explanation');
  const bound = await api.call('POST', `${pods}/p/binding`, {
    body: { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } },
  });
  t.is(bound.status, 201, bound.text);
  await api.create('/apis/apps/v1/namespaces/default/replicasets', {
    metadata: { name: 'r' },
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'c:1' }] } },
    },
  } as object);
  const scaled = await api.call('PATCH', '/apis/apps/v1/namespaces/default/replicasets/r/scale', {
    body: { spec: { replicas: 3 } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(scaled.status, 200, scaled.text);
  await api.call('POST', `${pods}/p/eviction`, {
    body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } },
  });
  t.deepEqual(
    hook.asked.map(({ request }) => [request.operation, request.subResource, request.kind.kind, request.name]),
    [
      ['CONNECT', 'attach', 'PodAttachOptions', 'p'],
      ['CREATE', 'binding', 'Binding', 'p'],
      ['UPDATE', 'scale', 'Scale', 'r'],
      ['CREATE', 'eviction', 'Eviction', 'p'],
    ],
  );
  t.deepEqual(hook.asked[0]?.request.object, {
    kind: 'PodAttachOptions',
    apiVersion: 'v1',
    stdin: true,
    container: 'c',
  });
  t.is(hook.asked[0]?.request.options, null);
  t.deepEqual([hook.asked[2]?.request.object.spec.replicas, hook.asked[2]?.request.oldObject.spec.replicas], [3, 1]);
});

test('a dry run is not shown to a webhook with side effects, and is told to others', async t => {
  const { api, hook, configure } = await hookWorld(t, () => ALLOW);
  await configure('validating', { sideEffects: 'NoneOnDryRun' });
  const dry = await api.call('POST', `${CONFIGMAPS}?dryRun=All`, { body: configMap('x') });
  t.is(dry.status, 201);
  t.like(hook.asked[0]?.request, { dryRun: true, options: { dryRun: ['All'] } });
});

test('conditions decide who is asked, and one that cannot be judged counts as the failure policy says', async t => {
  const { api, hook, configure } = await hookWorld(t, () => ({ allowed: false }));
  const conditions = (...expressions: string[]) => ({
    matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })),
  });
  await configure(
    'validating',
    conditions(
      "!(request.userInfo.groups.exists(group, group == 'robots'))",
      "request.operation == 'CREATE' && has(object.data) && object.data.ask == 'yes'",
      "authorizer.group('').resource('configmaps').check('create').allowed()",
    ),
  );
  const create = (name: string, data: object, groups = ['system:masters']) =>
    api.call('POST', CONFIGMAPS, { body: configMap(name, { data }), identity: { user: 'u', groups } });
  t.is((await create('a', {})).status, 201);
  t.is((await create('b', { ask: 'yes' }, ['system:masters', 'robots'])).status, 201);
  t.is(hook.asked.length, 0);
  t.is((await create('c', { ask: 'yes' })).status, 400);
  t.is(hook.asked.length, 1);
  await api.call('DELETE', `${ADMISSION}/validatingwebhookconfigurations/hooks`);
  await configure('mutating', conditions('object.data.missing == "x"'));
  const unjudged = await create('d', {});
  t.is(unjudged.status, 403);
  t.is(
    unjudged.body.message,
    `configmaps "d" is forbidden: expression 'object.data.missing == "x"' resulted in error: no such key: data`,
  );
  await api.call('DELETE', `${ADMISSION}/mutatingwebhookconfigurations/hooks`);
  await configure('mutating', { ...conditions('object.data.missing == "x"'), failurePolicy: 'Ignore' });
  t.is((await create('d', {})).status, 201);
  t.is(hook.asked.length, 1);
});

test('a request that has used up its time changes nothing, whatever its webhooks tolerate', async t => {
  const { api, hook, configure } = await hookWorld(t, () => undefined, { requestMsMax: 2_500 });
  await configure('mutating', { failurePolicy: 'Ignore', timeoutSeconds: 5 });
  const late = await api.call('POST', CONFIGMAPS, { body: configMap('late') });
  t.deepEqual([late.status, late.body.reason], [504, 'Timeout']);
  t.is(hook.asked.length, 1);
  await api.call('DELETE', `${ADMISSION}/mutatingwebhookconfigurations/hooks`);
  // Whatever was under way has come to its end once a later write has.
  await api.create(CONFIGMAPS, configMap('next'));
  t.is((await api.call('GET', `${CONFIGMAPS}/late`)).status, 404);
});

test('the audit log is told what webhooks did', async t => {
  const told = new Map<string, string>();
  const audit: ApiServerOptions['audit'] = ({ verb, annotations }) => {
    if (verb === 'create') for (const [key, value] of annotations) told.set(key, value);
  };
  const answerer: Answerer = ({ path }) =>
    path.startsWith('/broken')
      ? { status: 500, text: '' }
      : { ...patchAnswer({ op: 'add', path: '/data', value: { a: 'b' } }), auditAnnotations: { why: 'because' } };
  const { api, hook, configure } = await hookWorld(t, answerer, {}, { audit });
  const broken = {
    name: 'broken.example.com',
    failurePolicy: 'Ignore',
    clientConfig: { url: `https://127.0.0.1:${hook.port}/broken`, caBundle: hook.caBundle },
  };
  await configure('mutating', {}, 'a');
  await configure('mutating', broken, 'b');
  await configure('validating', broken, 'c');
  t.is((await api.call('POST', CONFIGMAPS, { body: configMap('x') })).status, 201);
  t.deepEqual(Object.fromEntries(told), {
    'hook.example.com/why': 'because',
    'mutation.webhook.admission.k8s.io/round_0_index_0':
      '{"configuration":"a","webhook":"hook.example.com","mutated":true}',
    'failed-open.mutation.webhook.admission.k8s.io/round_0_index_1': 'broken.example.com',
    'failed-open.validating.webhook.admission.k8s.io/round_0_index_0': 'broken.example.com',
  });
});

test('a generated name is not shown to mutating webhooks', async t => {
  const { api, hook, configure } = await hookWorld(t, () =>
    patchAnswer({ op: 'add', path: '/data', value: { a: 'b' } }),
  );
  await configure('mutating');
  const made = await api.call('POST', CONFIGMAPS, { body: { metadata: { generateName: 'g-' } } });
  t.regex(made.body.metadata.name, /^g-.{5}$/);
  t.like(hook.asked[0]?.request, { name: undefined, object: { metadata: { generateName: 'g-', name: undefined } } });
});

test('a webhook of old is asked in its own version', async t => {
  const { api, hook, configure } = await hookWorld(t, () => ({
    allowed: true,
    patch: Buffer.from('[{"op":"add","path":"/data","value":{"a":"b"}}]').toString('base64'),
    uid: '',
  }));
  await configure('mutating', { admissionReviewVersions: ['v9', 'v1beta1', 'v1'] });
  const made = await api.call('POST', CONFIGMAPS, { body: configMap('x') });
  t.is(made.body.data?.a, 'b', made.text);
  t.is(hook.asked[0]?.apiVersion, 'admission.k8s.io/v1beta1');
});

test('validating webhooks are asked at the same time, and the first denial by order is told', async t => {
  const both = Promise.withResolvers<void>();
  const { api, hook, configure } = await hookWorld(t, async ({ path }) => {
    if (hook.asked.length === 2) both.resolve();
    await both.promise;
    return { allowed: false, status: { message: path.slice(0, 2), code: 403, reason: 'Forbidden' } };
  });
  for (const name of ['a', 'b']) {
    const clientConfig = { url: `https://127.0.0.1:${hook.port}/${name}`, caBundle: hook.caBundle };
    await configure('validating', { name: `${name}.example.com`, clientConfig }, name);
  }
  const denied = await api.call('POST', CONFIGMAPS, { body: configMap('x') });
  t.deepEqual(
    [denied.status, denied.body.reason, denied.body.message],
    [403, 'Forbidden', 'admission webhook "a.example.com" denied the request: /a'],
  );
});

test('custom resources are shown in the version of the rule, and what a webhook adds is pruned and defaulted', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ request }) => {
    if (request.operation === 'DELETE') return { allowed: request.oldObject?.spec?.keep !== true };
    return patchAnswer(
      { op: 'add', path: '/spec/added', value: request.object.apiVersion },
      { op: 'add', path: '/spec/unknown', value: 'x' },
    );
  });
  const openAPIV3Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { added: { type: 'string' }, keep: { type: 'boolean' }, late: { type: 'string', default: 'd' } },
      },
    },
  };
  await api.create(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Thing', plural: 'things' },
      versions: ['v1', 'v2'].map(name => ({ name, served: true, storage: name === 'v1', schema: { openAPIV3Schema } })),
    },
  } as object);
  await establish(api);
  const rules = [{ apiGroups: ['example.com'], apiVersions: ['v2'], operations: ['*'], resources: ['things'] }];
  await configure('mutating', { rules });
  const things = '/apis/example.com/v1/namespaces/default/things';
  const made = await api.call('POST', things, {
    body: { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 'a' }, spec: { keep: true } },
  });
  t.is(made.status, 201, made.text);
  t.is(made.body.apiVersion, 'example.com/v1');
  t.deepEqual(made.body.spec, { keep: true, added: 'example.com/v2', late: 'd' });
  t.is(hook.asked.length, 1);
  const kept = await api.call('DELETE', `${things}/a`);
  t.is(kept.status, 400, kept.text);
});

const FACTS = new URL('../../../../../shared/api/invalid.json', import.meta.url);
const facts = existsSync(FACTS) ? JSON.parse(readFileSync(FACTS, 'utf8')) : undefined;

/** What the recorded webhook replied, by its path. */
const REPLIES: Readonly<Record<string, (uid: string) => Answer | undefined>> = {
  '/allow': () => ALLOW,
  '/deny': () => ({ allowed: false }),
  '/deny-message': () => ({ allowed: false, status: { message: 'not on my watch' } }),
  '/deny-code': () => ({ allowed: false, status: { message: 'teapot', code: 418, reason: 'Odd' } }),
  '/deny-reason-only': () => ({ allowed: false, status: { reason: 'PolicyViolation' } }),
  '/warn': () => ({ allowed: true, warnings: ['careful now', 'second'] }),
  '/deny-warn': () => ({ allowed: false, status: { message: 'no' }, warnings: ['careful now'] }),
  '/wrong-uid': () => ({ allowed: true, uid: 'nope' }),
  '/500': () => ({ status: 500, text: '{}' }),
  '/garbage': () => ({ status: 200, text: '"garbage"' }),
  '/no-response': () => ({ status: 200, text: '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}' }),
  '/wrong-version': uid => ({
    status: 200,
    text: `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","response":{"uid":"${uid}","allowed":true}}`,
  }),
  '/slow': () => undefined,
  '/patch': () => patchAnswer({ op: 'add', path: '/data', value: { a: 'b' } }),
  '/bad-patch': () => patchAnswer({ op: 'remove', path: '/nope' }),
  '/patch-no-type': () => ({ allowed: true, patch: Buffer.from('[{"op":"add"}]').toString('base64') }),
  '/invalid-patch': () => patchAnswer({ op: 'add', path: '/metadata/labels', value: { 'a b': 'c d' } }),
};

(facts ? test : test.skip)('webhooks of every temper are answered as Kubernetes answers them', async t => {
  const { api, hook, configure } = await hookWorld(t, ({ path, request }) => {
    return REPLIES[path.split('?')[0] ?? '']?.(request.uid);
  });
  const scenario = facts.scenarios.find(
    (candidate: { admissionReviewSample?: object }) => candidate.admissionReviewSample,
  );
  await api.create('/api/v1/namespaces', { metadata: { name: 'hooked' } });
  for (const { id, webhook, answer, body } of scenario.requests) {
    hook.asked.length = 0;
    const { kind, path, clientConfig, ...settings } = webhook;
    const type = kind === 'MutatingWebhookConfiguration' ? 'mutating' : 'validating';
    const ours = { url: `https://127.0.0.1:${hook.port}${path}`, caBundle: hook.caBundle };
    const untrusted = { url: `https://127.0.0.1:${hook.port}/allow` };
    await configure(type, { clientConfig: id === 'untrusted' ? untrusted : (clientConfig ?? ours), ...settings });
    const given = await api.call('POST', `${CONFIGMAPS}?dryRun=All`, { body });
    await api.call('DELETE', `${ADMISSION}/${kind.toLowerCase()}s/hooks`);
    t.is(given.status, answer.code, `${id}: ${given.text}`);
    const { kind: _, apiVersion: __, metadata: ___, code: ____, ...status } = given.body;
    const expected = JSON.stringify(answer.status ?? null)
      .replaceAll('38443', String(hook.port))
      .replaceAll('<uid>', hook.asked[0]?.request.uid);
    if (answer.status) t.deepEqual(status, JSON.parse(expected), id);
    const warnings = (answer.warnings ?? []).map((text: string) => `299 - "${text}"`).join(', ');
    t.is(given.headers.warning ?? '', warnings, id);
  }
});
