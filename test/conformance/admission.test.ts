/**
 * What the conformance suite of Kubernetes v1.33 demands of admission ([sig-api-machinery] AdmissionWebhook,
 * ValidatingAdmissionPolicy): its webhook server in pods is an HTTPS server here that answers the same paths alike.
 */
import test, { type ExecutionContext } from 'ava';
import type { Answer as Reply } from '../../control/apiserver/testing/harness.ts';
import {
  type Answer,
  type Asked,
  type HookServer,
  hookServer,
  patchAnswer,
} from '../../control/apiserver/testing/hook-server.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

/** Whatever an answer holds. */
type Loose = Reply['body'];

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const MERGE = { 'content-type': 'application/merge-patch+json' };
const JSON_PATCH = { 'content-type': 'application/json-patch+json' };
const NAMESPACED = `/api/v1/namespaces/${NAMESPACE}`;
const DELAY_MS = 2_000;
const ALLOWED: Answer = { allowed: true };

/** What the suite's webhook server says. */
function answer({ path, request }: Asked): Answer | Promise<Answer> {
  const data: Readonly<Record<string, string>> = (request.object ?? request.oldObject)?.data ?? {};
  const stage = () => {
    const name = data['mutation-stage-1'] === 'yes' ? 'mutation-stage-2' : 'mutation-stage-1';
    return data['mutation-start'] === 'yes' ? patchAnswer({ op: 'add', path: `/data/${name}`, value: 'yes' }) : ALLOWED;
  };
  const deny = (message: string): Answer => ({ allowed: false, status: { message, reason: message } });
  switch (new URL(path, 'https://x').pathname) {
    case '/always-deny':
      return deny('this webhook denies all requests');
    case '/configmaps':
    case '/custom-resource':
      if (request.operation === 'DELETE' && data['webhook-e2e-test'] === 'webhook-nondeletable')
        return deny('the custom resource cannot be deleted because it contains unwanted key and value');
      return data['webhook-e2e-test'] === 'webhook-disallow'
        ? deny(
            path.startsWith('/configmaps')
              ? 'the configmap contains unwanted key and value'
              : 'the custom resource contains unwanted data',
          )
        : ALLOWED;
    case '/mutating-configmaps':
    case '/mutating-custom-resource':
      return stage();
    case '/pods':
      if (request.object?.metadata?.labels?.['webhook-e2e-test'] === 'webhook-disallow')
        return deny('the pod contains unwanted container name; the pod response contains unwanted label');
      return ALLOWED;
    case '/mutating-pods':
      return patchAnswer({
        op: 'add',
        path: '/spec/initContainers',
        value: [{ image: 'webhook-added-image', name: 'webhook-added-init-container', resources: {} }],
      });
    case '/pods/attach':
      return request.name === 'to-be-attached-pod'
        ? deny("attaching to pod 'to-be-attached-pod' is not allowed")
        : ALLOWED;
    case '/crd':
      return request.object?.metadata?.labels?.['webhook-e2e-test'] === 'webhook-disallow'
        ? deny('the crd contains unwanted label')
        : ALLOWED;
    case '/add-label':
      return patchAnswer({ op: 'add', path: '/metadata/labels', value: { 'added-label': 'yes' } });
    case '/always-allow-delay-5s':
      return new Promise(resolve => setTimeout(() => resolve(ALLOWED), DELAY_MS));
    default:
      return ALLOWED;
  }
}

type Type = 'validating' | 'mutating';
interface World extends ControlPlane {
  readonly hook: HookServer;
  pathOf(type: Type): string;
  webhook(name: string, path: string, rule: object, more?: object): object;
  /** Makes a configuration. */
  configure(type: Type, name: string, webhooks: readonly object[], labels?: object): Promise<Loose>;
  createMap(name: string, data?: object): Promise<Reply>;
}

async function worldOf(t: ExecutionContext): Promise<World> {
  const plane = await createControlPlane(t, ['a']);
  const hook = await hookServer(t, answer);
  const pathOf = (type: Type) => `${ADMISSION}/${type}webhookconfigurations`;
  return {
    ...plane,
    hook,
    pathOf,
    webhook: (name, path, rule, more = {}) => ({
      name,
      rules: [rule],
      clientConfig: { url: `https://127.0.0.1:${hook.port}${path}`, caBundle: hook.caBundle },
      sideEffects: 'None',
      admissionReviewVersions: ['v1', 'v1beta1'],
      ...more,
    }),
    configure: (type, name, webhooks, labels = {}) =>
      plane.api.create<Loose>(pathOf(type), { metadata: { name, labels }, webhooks }),
    createMap: (name, data = {}) =>
      plane.api.call('POST', `${NAMESPACED}/configmaps`, { body: { metadata: { name }, data } }),
  };
}
const rule = (operations: string[], resources: string[], apiGroups = [''], apiVersions = ['v1']) => ({
  operations,
  apiGroups,
  apiVersions,
  resources,
});
const ON_MAPS = rule(['CREATE', 'UPDATE', 'DELETE'], ['configmaps']);
const UNWANTED = { 'webhook-e2e-test': 'webhook-disallow' };
const START = { 'mutation-start': 'yes' };

test('webhook configurations stand in discovery', async t => {
  const { api } = await createControlPlane(t, []);
  const { groups } = (await api.call('GET', '/apis')).body;
  t.true(
    groups
      .find(({ name }: Loose) => name === 'admissionregistration.k8s.io')
      .versions.some(({ version }: Loose) => version === 'v1'),
  );
  t.is((await api.call('GET', '/apis/admissionregistration.k8s.io')).body.name, 'admissionregistration.k8s.io');
  const names = (await api.call('GET', ADMISSION)).body.resources.map(({ name }: Loose) => name);
  t.true(names.includes('mutatingwebhookconfigurations') && names.includes('validatingwebhookconfigurations'));
});

test('pods and config maps with unwanted content are denied, on update and patch too, and exempt namespaces are not asked', async t => {
  const world = await worldOf(t);
  const selector = {
    namespaceSelector: { matchExpressions: [{ key: 'skip-webhook-admission', operator: 'NotIn', values: ['yes'] }] },
  };
  await world.configure('validating', 'deny', [
    world.webhook('deny-unwanted-pods.k8s.io', '/pods', rule(['CREATE'], ['pods']), selector),
    world.webhook('deny-unwanted-configmap-data.k8s.io', '/configmaps', ON_MAPS, selector),
  ]);
  const pod = await world.api.call('POST', `${NAMESPACED}/pods`, {
    body: {
      metadata: { name: 'p', labels: UNWANTED },
      spec: { containers: [{ name: 'webhook-disallow', image: 'x' }] },
    },
  });
  t.true(pod.body.message.includes('the pod contains unwanted container name'), pod.text);
  t.regex(pod.body.message, /^admission webhook "deny-unwanted-pods\.k8s\.io" denied the request: /);
  const map = await world.createMap('m', UNWANTED);
  t.true(map.body.message.includes('the configmap contains unwanted key and value'), map.text);
  t.is((await world.createMap('allowed', { admit: 'this' })).status, 201);
  const path = `${NAMESPACED}/configmaps/allowed`;
  const updated = await world.api.call('PUT', path, { body: { metadata: { name: 'allowed' }, data: UNWANTED } });
  t.true(updated.body.message.includes('the configmap contains unwanted key and value'));
  const patched = await world.api.call('PATCH', path, { body: { data: UNWANTED }, headers: MERGE });
  t.true(patched.body.message.includes('the configmap contains unwanted key and value'));
  await world.api.create('/api/v1/namespaces', {
    metadata: { name: 'exempt', labels: { 'skip-webhook-admission': 'yes' } },
  });
  const exempt = await world.api.call('POST', '/api/v1/namespaces/exempt/configmaps', {
    body: { metadata: { name: 'm' }, data: UNWANTED },
  });
  t.is(exempt.status, 201, exempt.text);
});

test('attaching to a pod is denied', async t => {
  const world = await worldOf(t);
  await world.configure('validating', 'attach', [
    world.webhook('deny-attaching-pod.k8s.io', '/pods/attach', rule(['CONNECT'], ['pods/attach'])),
  ]);
  await world.api.create(`${NAMESPACED}/pods`, {
    metadata: { name: 'to-be-attached-pod' },
    spec: { containers: [{ name: 'container1', image: 'x' }] },
  } as Loose);
  const { body } = await world.api.call(
    'POST',
    `${NAMESPACED}/pods/to-be-attached-pod/attach?container=container1&stdin=true`,
  );
  t.true(body.message.includes("attaching to pod 'to-be-attached-pod' is not allowed"), JSON.stringify(body));
});

test('a webhook that cannot be trusted closes the door', async t => {
  const world = await worldOf(t);
  await world.api.create('/api/v1/namespaces', {
    metadata: { name: 'fail', labels: { 'fail-closed-webhook': 'fail-closed' } },
  });
  const clientConfig = { url: `https://127.0.0.1:${world.hook.port}/configmaps` };
  await world.configure('validating', 'fail-closed', [
    world.webhook('fail-closed.k8s.io', '/configmaps', rule(['CREATE'], ['configmaps']), {
      clientConfig,
      failurePolicy: 'Fail',
      namespaceSelector: {
        matchExpressions: [{ key: 'fail-closed-webhook', operator: 'In', values: ['fail-closed'] }],
      },
    }),
  ]);
  const refused = await world.api.call('POST', '/api/v1/namespaces/fail/configmaps', {
    body: { metadata: { name: 'foo' } },
  });
  t.is(refused.status, 500);
  t.is(refused.body.reason, 'InternalError');
});

test('config maps are mutated by one webhook after the other', async t => {
  const world = await worldOf(t);
  const on = rule(['CREATE'], ['configmaps']);
  await world.configure('mutating', 'stages', [
    world.webhook('adding-configmap-data-stage-1.k8s.io', '/mutating-configmaps', on),
    world.webhook('adding-configmap-data-stage-2.k8s.io', '/mutating-configmaps', on),
  ]);
  const { body } = await world.createMap('to-be-mutated', START);
  t.deepEqual(body.data, { 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' });
});

test('a pod is defaulted after it was mutated', async t => {
  const world = await worldOf(t);
  await world.configure('mutating', 'pods', [
    world.webhook('adding-init-container.k8s.io', '/mutating-pods', rule(['CREATE'], ['pods'])),
  ]);
  const { body } = await world.api.call('POST', `${NAMESPACED}/pods`, {
    body: { metadata: { name: 'webhook-to-be-mutated' }, spec: { containers: [{ name: 'example', image: 'pause' }] } },
  });
  t.is(body.spec.initContainers.length, 1);
  t.like(body.spec.initContainers[0], { name: 'webhook-added-init-container', terminationMessagePolicy: 'File' });
});

test('configurations of webhooks are nobody’s to mutate or to hold', async t => {
  const world = await worldOf(t);
  const all = rule(
    ['*'],
    ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations'],
    ['admissionregistration.k8s.io'],
    ['*'],
  );
  await world.configure('validating', 'hold', [
    world.webhook('deny-webhook-configuration-deletions.k8s.io', '/always-deny', all),
  ]);
  await world.configure('mutating', 'label', [world.webhook('add-label.k8s.io', '/add-label', all)]);
  const on = rule(['CREATE'], ['invalid'], [''], ['v1']);
  for (const type of ['validating', 'mutating'] as const) {
    const made = await world.configure(type, 'dummy', [
      world.webhook('dummy.k8s.io', '/invalid', on, { failurePolicy: 'Ignore' }),
    ]);
    t.is(made.metadata.labels, undefined);
    const removed = await world.api.call('DELETE', `${world.pathOf(type)}/dummy`);
    t.is(removed.status, 200, removed.text);
  }
  t.is(world.hook.asked.length, 0);
});

test('definitions are denied by their labels', async t => {
  const world = await worldOf(t);
  const on = rule(['CREATE'], ['customresourcedefinitions'], ['apiextensions.k8s.io'], ['*']);
  await world.configure('validating', 'crd', [world.webhook('deny-crd-with-unwanted-label.k8s.io', '/crd', on)]);
  const { body } = await world.api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    body: {
      metadata: { name: 'cs.webhook.example.com', labels: UNWANTED },
      spec: {
        group: 'webhook.example.com',
        scope: 'Namespaced',
        names: { plural: 'cs', singular: 'c', kind: 'C', listKind: 'CList' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    },
  });
  t.true(body.message.includes('the crd contains unwanted label'), JSON.stringify(body));
});

test('the time that a webhook may take is kept', async t => {
  const world = await worldOf(t);
  const slow = async (more: object) => {
    const on = rule(['CREATE'], ['configmaps']);
    await world.configure('validating', 'slow', [
      world.webhook('allow-configmap-with-delay-webhook.k8s.io', '/always-allow-delay-5s', on, more),
    ]);
    const { status, body } = await world.createMap('e2e-test-slow-webhook-configmap');
    await world.api.call('DELETE', `${NAMESPACED}/configmaps/e2e-test-slow-webhook-configmap`);
    await world.api.call('DELETE', `${world.pathOf('validating')}/slow`);
    return { status, message: String(body.message) };
  };
  const failed = await slow({ timeoutSeconds: 1, failurePolicy: 'Fail' });
  t.regex(failed.message, /context deadline exceeded|timeout/);
  t.true(failed.message.includes('/always-allow-delay-5s?timeout=1s'), failed.message);
  t.is((await slow({ timeoutSeconds: 1, failurePolicy: 'Ignore' })).status, 201);
  t.is((await slow({ timeoutSeconds: 10 })).status, 201);
  t.is((await slow({})).status, 201);
});

for (const type of ['validating', 'mutating'] as const) {
  const path = type === 'validating' ? '/configmaps' : '/mutating-configmaps';
  const affects = async (world: World, name: string) => {
    const { status, body } = await world.createMap(name, type === 'validating' ? UNWANTED : START);
    return type === 'validating' ? status !== 201 : 'mutation-stage-1' in body.data;
  };

  test(`the operations of a ${type} webhook are replaced and patched`, async t => {
    const world = await worldOf(t);
    const made = await world.configure(type, 'changing', [
      world.webhook('w.k8s.io', path, rule(['CREATE'], ['configmaps'])),
    ]);
    t.true(await affects(world, 'one'));
    made.webhooks[0].rules[0].operations = ['UPDATE'];
    const updated = await world.api.call('PUT', `${world.pathOf(type)}/changing`, { body: made });
    t.is(updated.status, 200, updated.text);
    t.false(await affects(world, 'two'));
    const patched = await world.api.call('PATCH', `${world.pathOf(type)}/changing`, {
      body: [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }],
      headers: JSON_PATCH,
    });
    t.is(patched.status, 200, patched.text);
    t.true(await affects(world, 'three'));
  });

  test(`ten ${type} configurations are listed and removed by a label`, async t => {
    const world = await worldOf(t);
    for (let index = 0; index < 10; index++)
      await world.configure(
        type,
        `list-${index}`,
        [world.webhook('w.k8s.io', path, rule(['CREATE'], ['configmaps']))],
        { 'e2e-list-test': 'x' },
      );
    const all = `${world.pathOf(type)}?labelSelector=e2e-list-test%3Dx`;
    t.is((await world.api.call('GET', all)).body.items.length, 10);
    t.true(await affects(world, 'one'));
    t.is((await world.api.call('DELETE', all)).status, 200);
    t.false(await affects(world, 'two'));
  });

  test(`conditions of a ${type} webhook are kept and changed, and must compile`, async t => {
    const world = await worldOf(t);
    const condition = (name: string, expression: string) => ({ name, expression });
    const hook = (matchConditions: object[]) =>
      world.webhook('w.k8s.io', path, rule(['CREATE'], ['configmaps']), { matchConditions });
    const first = [condition('expression-1', "object.metadata.namespace == 'production'")];
    const made = await world.configure(type, 'conditions', [hook(first)]);
    t.deepEqual(made.webhooks[0].matchConditions, first);
    const second = [...first, condition('expression-2', "object.metadata.namespace == 'staging'")];
    made.webhooks[0].matchConditions = second;
    t.is((await world.api.call('PUT', `${world.pathOf(type)}/conditions`, { body: made })).status, 200);
    t.deepEqual(
      (await world.api.call('GET', `${world.pathOf(type)}/conditions`)).body.webhooks[0].matchConditions,
      second,
    );
    const bad = await world.api.call('POST', world.pathOf(type), {
      body: {
        metadata: { name: 'bad' },
        webhooks: [hook([condition('invalid-expression-1', '... [] bad expression')])],
      },
    });
    t.is(bad.status, 422);
    t.true(bad.body.message.includes('compilation failed'), bad.text);
  });
}

test('all but what a condition leaves out is mutated', async t => {
  const world = await worldOf(t);
  const matchConditions = [
    { name: 'skip-me', expression: "object.metadata.name != 'skip-me'" },
    {
      name: 'no-leases',
      expression: "!(request.resource.group == 'coordination.k8s.io' && request.resource.resource == 'leases')",
    },
  ];
  await world.configure('mutating', 'all', [
    world.webhook('adding-configmap-data-stage-1.k8s.io', '/mutating-configmaps', rule(['CREATE'], ['configmaps']), {
      matchConditions,
    }),
  ]);
  t.deepEqual((await world.createMap('skip-me', START)).body.data, START);
  t.deepEqual((await world.createMap('to-be-mutated', START)).body.data, { ...START, 'mutation-stage-1': 'yes' });
});

test('custom resources are mutated, denied, pruned, and mutated as stored in another version', async t => {
  const world = await worldOf(t);
  const group = 'webhook.example.com';
  const properties = {
    data: {
      type: 'object',
      properties: { 'mutation-start': { type: 'string' }, 'mutation-stage-1': { type: 'string' } },
    },
  };
  const define = async (plural: string, kind: string, schema: object) => {
    const version = (name: string, storage: boolean) => ({
      name,
      served: true,
      storage,
      schema: { openAPIV3Schema: schema },
    });
    await world.api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
        versions: [version('v1', true), version('v2', false)],
      },
    } as Loose);
    const path = `/apis/${group}/v1/namespaces/${NAMESPACE}/${plural}`;
    await until('it is served', async () => (await world.api.call('GET', path)).status === 200);
    return (version: string, name: string, data: object) =>
      world.api.call('POST', path.replace('/v1/', `/${version}/`), {
        body: { apiVersion: `${group}/${version}`, kind, metadata: { name }, data },
      });
  };
  const free = await define('frees', 'Free', { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
  const pruned = await define('pruneds', 'Pruned', { type: 'object', properties });
  const on = (resource: string) => rule(['CREATE', 'UPDATE'], [resource], [group], ['v1']);
  await world.configure('mutating', 'm', [
    ...['frees', 'pruneds'].flatMap(resource =>
      [1, 2].map(stage =>
        world.webhook(`mutate-${resource}-stage-${stage}.k8s.io`, '/mutating-custom-resource', on(resource)),
      ),
    ),
  ]);
  await world.configure('validating', 'v', [
    world.webhook(
      'deny-unwanted-custom-resource-data.k8s.io',
      '/custom-resource',
      rule(['CREATE', 'UPDATE', 'DELETE'], ['frees'], [group], ['v1']),
    ),
  ]);
  const mutated = { ...START, 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' };
  t.deepEqual((await free('v1', 'one', START)).body.data, mutated);
  t.deepEqual((await pruned('v1', 'one', START)).body.data, { ...START, 'mutation-stage-1': 'yes' });
  const denied = await free('v1', 'two', UNWANTED);
  t.true(denied.body.message.includes('the custom resource contains unwanted data'), denied.text);

  const path = `/apis/${group}/v1/namespaces/${NAMESPACE}/frees`;
  const crd = await world.api.call('PATCH', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/frees.${group}`, {
    body: [
      { op: 'replace', path: '/spec/versions/0/storage', value: false },
      { op: 'replace', path: '/spec/versions/1/storage', value: true },
    ],
    headers: JSON_PATCH,
  });
  t.is(crd.status, 200, crd.text);
  const patched = await world.api.call('PATCH', `${path}/one`, { body: { data: { dummy: 'test' } }, headers: MERGE });
  t.is(patched.status, 200, patched.text);
  t.deepEqual(patched.body.data, { ...mutated, dummy: 'test' });

  // What is removed is judged by what it was.
  t.is((await free('v1', 'three', { 'webhook-e2e-test': 'webhook-allow' })).status, 201);
  const changed = await world.api.call('PATCH', `${path}/three`, { body: { data: UNWANTED }, headers: MERGE });
  t.true(changed.body.message.includes('the custom resource contains unwanted data'));
  const hold = (value: string) =>
    world.api.call('PATCH', `${path}/three`, { body: { data: { 'webhook-e2e-test': value } }, headers: MERGE });
  t.is((await hold('webhook-nondeletable')).status, 200);
  const held = await world.api.call('DELETE', `${path}/three`);
  t.true(held.body.message.includes('cannot be deleted'), held.text);
  t.is((await hold('free')).status, 200);
  t.is((await world.api.call('DELETE', `${path}/three`)).status, 200);
});

const deployment = (name: string, replicas: number, kind = 'deployments') => ({
  path: `/apis/apps/v1/namespaces/${NAMESPACE}/${kind}`,
  body: {
    metadata: { name, labels: { app: 'nginx' } },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'nginx' } },
      template: {
        metadata: { labels: { app: 'nginx' } },
        spec: { containers: [{ name: 'nginx', image: 'nginx:latest' }] },
      },
    },
  },
});

/** A policy on Deployments of the labelled namespace, bound. */
async function bind(plane: ControlPlane, spec: object) {
  const namespaceSelector = { matchLabels: { unique: 'true' } };
  await plane.api.call('PATCH', `/api/v1/namespaces/${NAMESPACE}`, {
    body: { metadata: { labels: { unique: 'true' } } },
    headers: MERGE,
  });
  await plane.api.create<Loose>(`${ADMISSION}/validatingadmissionpolicies`, {
    metadata: { name: 'x.policy.example.com' },
    spec: {
      matchConstraints: { namespaceSelector, resourceRules: [rule(['CREATE', 'UPDATE'], ['deployments'], ['apps'])] },
      ...spec,
    },
  });
  await plane.api.create<Loose>(`${ADMISSION}/validatingadmissionpolicybindings`, {
    metadata: { name: 'x.binding.example.com' },
    spec: { policyName: 'x.policy.example.com', matchResources: { namespaceSelector }, validationActions: ['Deny'] },
  });
  return async (name: string, replicas: number, kind?: string) => {
    const { path, body } = deployment(name, replicas, kind);
    return (await plane.api.call('POST', path, { body })).status;
  };
}

test('a policy judges Deployments, though its message cannot be made', async t => {
  const plane = await createControlPlane(t, []);
  const create = await bind(plane, {
    validations: [
      {
        expression: 'object.spec.replicas > 1',
        messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
      },
    ],
  });
  t.is(await create('marker-deployment', 1), 422);
  t.is(await create('replicated', 2), 201);
  t.is(await create('non-replicated', 1, 'replicasets'), 201);
});

test('expressions of a policy refer to variables', async t => {
  const plane = await createControlPlane(t, []);
  const create = await bind(plane, {
    variables: [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
    ],
    validations: [{ expression: 'variables.replicas > 1' }, { expression: 'variables.oddReplicas' }],
  });
  t.is(await create('marker-deployment', 1), 422);
  t.is(await create('replicated', 3), 201);
  t.is(await create('even', 2), 422);
});

test('expressions of a policy are type checked', async t => {
  const plane = await createControlPlane(t, []);
  await bind(plane, {
    validations: [
      {
        expression: "object.spec.replicas > '1'",
        messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
      },
    ],
  });
  const warnings = await until('it was checked', async () => {
    const { body } = await plane.api.call('GET', `${ADMISSION}/validatingadmissionpolicies/x.policy.example.com`);
    return body.status?.typeChecking?.expressionWarnings as { fieldRef: string; warning: string }[] | undefined;
  });
  t.deepEqual(
    warnings.map(({ fieldRef }) => fieldRef),
    ['spec.validations[0].expression', 'spec.validations[0].messageExpression'],
  );
  t.true(warnings[0]?.warning.includes("found no matching overload for '_>_' applied to '(int, string)'"));
  t.true(warnings[1]?.warning.includes("found no matching overload for '_+_' applied to '(string, int)'"));
});
