/** Admission policies through the whole chain of a server. */
import { existsSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import type {
  ValidatingAdmissionPolicyBindingSpec,
  ValidatingAdmissionPolicySpec,
} from '../../../api/generated/types.ts';
import type { AuditRecord } from '../../chain.ts';
import { DEFINITIONS, establish } from '../../testing/establish.ts';
import { createHarness, type Harness } from '../../testing/harness.ts';

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const ON_CONFIGMAPS = {
  resourceRules: [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'] },
  ],
};

interface World {
  readonly api: Harness;
  readonly audit: AuditRecord[];
  policy(name: string, spec: ValidatingAdmissionPolicySpec): Promise<void>;
  binding(name: string, spec?: ValidatingAdmissionPolicyBindingSpec): Promise<void>;
  /** Both, bound to deny. */
  deny(
    name: string,
    spec: ValidatingAdmissionPolicySpec,
    binding?: ValidatingAdmissionPolicyBindingSpec,
  ): Promise<void>;
}

async function worldOf(t: ExecutionContext): Promise<World> {
  const audit: AuditRecord[] = [];
  const api = await createHarness({ overrides: { audit: record => audit.push(record) }, withRoles: true });
  t.teardown(() => api.close());
  const make = (plural: string, kind: string, name: string, spec: object) =>
    api.create(`${ADMISSION}/${plural}`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind,
      metadata: { name },
      spec,
    });
  const world: World = {
    api,
    audit,
    async policy(name, spec) {
      const whole = { matchConstraints: ON_CONFIGMAPS, ...spec };
      await make('validatingadmissionpolicies', 'ValidatingAdmissionPolicy', name, whole);
    },
    async binding(name, spec = {}) {
      const whole = { policyName: name, validationActions: ['Deny'], ...spec };
      await make('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', name, whole);
    },
    async deny(name, spec, binding) {
      await world.policy(name, spec);
      await world.binding(name, binding);
    },
  };
  return world;
}

const configMap = (name: string, data?: object, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  ...(data && { data }),
});
/** The message of what a create was refused with; '' if it was not. */
async function refusal({ api }: World, body: object, path = CONFIGMAPS): Promise<string> {
  const answer = await api.call('POST', path, { body });
  return answer.status < 300 ? '' : answer.body.message;
}
const DENIED = (name: string, why: string) =>
  `ValidatingAdmissionPolicy '${name}' with binding '${name}' denied request: ${why}`;

test('what does not hold is denied, with message, reason and code', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    validations: [
      { expression: "!('a' in object.?data.orValue({}))" },
      { expression: "!('b' in object.?data.orValue({}))", message: ' no b ', reason: 'Forbidden' },
      { expression: "!('c' in object.?data.orValue({}))", messageExpression: "'not ' + object.metadata.name" },
      {
        expression: "!('d' in object.?data.orValue({}))",
        messageExpression: "'not ' + object.nothing",
        message: 'no d',
      },
    ],
  });
  t.is(await refusal(world, configMap('ok')), '');
  const a = await world.api.call('POST', CONFIGMAPS, { body: configMap('x', { a: '1' }) });
  t.is(a.status, 422);
  t.like(a.body, {
    reason: 'Invalid',
    message: `configmaps "x" is forbidden: ${DENIED('p', "failed expression: !('a' in object.?data.orValue({}))")}`,
    details: { name: 'x', kind: 'configmaps' },
  });
  t.is(a.body.details.causes[0].message, DENIED('p', "failed expression: !('a' in object.?data.orValue({}))"));
  const b = await world.api.call('POST', CONFIGMAPS, { body: configMap('x', { b: '1' }) });
  t.is(b.status, 403);
  t.true(b.body.message.endsWith('denied request: no b'));
  t.true((await refusal(world, configMap('x', { c: '1' }))).endsWith('denied request: not x'));
  t.true((await refusal(world, configMap('x', { d: '1' }))).endsWith('denied request: no d'));
});

test('an update is judged with the old object, a deletion without a new one', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    matchConstraints: { resourceRules: [{ ...ON_CONFIGMAPS.resourceRules[0]!, operations: ['UPDATE', 'DELETE'] }] },
    validations: [
      { expression: "request.operation != 'UPDATE' || object.data.a >= oldObject.data.a", message: 'shrunk' },
      {
        expression: "request.operation != 'DELETE' || (object == null && oldObject.data.a != 'keep')",
        message: 'kept',
      },
    ],
  });
  await world.api.create(CONFIGMAPS, configMap('x', { a: 'b' }));
  const patch = (a: string) =>
    world.api.call('PATCH', `${CONFIGMAPS}/x`, {
      body: { data: { a } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  t.is((await patch('a')).status, 422);
  t.is((await patch('keep')).status, 200);
  t.is((await world.api.call('DELETE', `${CONFIGMAPS}/x`)).status, 422);
  t.is((await patch('z')).status, 200);
  t.is((await world.api.call('DELETE', `${CONFIGMAPS}/x`)).status, 200);
});

test('variables are evaluated when they are read, and may read each other', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    variables: [
      { name: 'data', expression: 'object.data' },
      { name: 'count', expression: 'size(variables.data)' },
      { name: 'wrong', expression: 'object.nothing.more == 1' },
    ],
    validations: [{ expression: 'variables.count < 2', messageExpression: "'has ' + string(variables.count)" }],
  });
  t.is(await refusal(world, configMap('a', { a: '1' })), '');
  t.true((await refusal(world, configMap('a', { a: '1', b: '2' }))).endsWith('denied request: has 2'));
});

test('a match condition that is false excuses; one that fails does as the failure policy says', async t => {
  const world = await worldOf(t);
  const failing = { name: 'fails', expression: 'object.data.a == "1"' };
  const onlyX = { name: 'only-x', expression: "object.metadata.name.startsWith('x')" };
  await world.deny('p', { matchConditions: [failing, onlyX], validations: [{ expression: 'false' }] });
  t.is(await refusal(world, configMap('a')), '');
  t.true(
    (await refusal(world, configMap('x'))).endsWith(
      'denied request: expression \'object.data.a == "1"\' resulted in error: no such key: data',
    ),
  );
  t.is(await refusal(world, configMap('x', { a: '2' })), '');
  await world.api.call('DELETE', `${ADMISSION}/validatingadmissionpolicies/p`);
  await world.policy('p', {
    failurePolicy: 'Ignore',
    matchConditions: [failing],
    validations: [{ expression: 'false' }],
  });
  t.is(await refusal(world, configMap('y')), '');
});

test('a failure is a denial, unless the policy ignores it', async t => {
  const world = await worldOf(t);
  await world.deny('p', { failurePolicy: 'Ignore', validations: [{ expression: "object.data.a == '1'" }] });
  t.is(await refusal(world, configMap('a')), '');
  t.not(await refusal(world, configMap('a', { a: '2' })), '');
});

test('warnings and audit annotations instead of a denial', async t => {
  const world = await worldOf(t);
  await world.policy('p', {
    validations: [{ expression: 'has(object.data)', message: 'empty' }],
    auditAnnotations: [
      { key: 'name', valueExpression: "'it is ' + object.metadata.name" },
      { key: 'none', valueExpression: 'null' },
    ],
  });
  await world.binding('p', { validationActions: ['Warn', 'Audit'] });
  const answer = await world.api.call('POST', CONFIGMAPS, { body: configMap('a') });
  t.is(answer.status, 201);
  t.regex(
    answer.headers.warning ?? '',
    /299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': empty"/,
  );
  const annotations = world.audit.at(-1)?.annotations;
  t.is(annotations?.get('p/name'), 'it is a');
  t.false(annotations?.has('p/none'));
  t.deepEqual(JSON.parse(annotations?.get('validation.policy.admission.k8s.io/validation_failure') ?? ''), [
    { message: 'empty', policy: 'p', binding: 'p', expressionIndex: 0, validationActions: ['Warn', 'Audit'] },
  ]);
});

test('selectors, resource names and exclusions say which objects are meant', async t => {
  const world = await worldOf(t);
  const { api } = world;
  await api.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'strict', labels: { strict: 'yes' } },
  } as object);
  const [rule] = ON_CONFIGMAPS.resourceRules;
  const strict = { namespaceSelector: { matchLabels: { strict: 'yes' } } };
  await world.policy('by-namespace', {
    matchConstraints: { ...ON_CONFIGMAPS, ...strict },
    validations: [{ expression: 'false' }],
  });
  await world.binding('by-namespace');
  await world.policy('by-binding', { validations: [{ expression: 'false' }] });
  await world.binding('by-binding', { matchResources: { objectSelector: { matchLabels: { bad: 'yes' } } } });
  await world.deny('by-name', {
    matchConstraints: { resourceRules: [{ ...rule!, resourceNames: ['named'] }] },
    validations: [{ expression: 'false' }],
  });
  await world.deny('but-not', {
    matchConstraints: {
      resourceRules: [{ ...rule!, resources: ['*'] }],
      excludeResourceRules: [rule!],
      ...strict,
    },
    validations: [{ expression: 'false' }],
  });
  const inStrict = CONFIGMAPS.replace('default', 'strict');
  t.regex(await refusal(world, configMap('a'), inStrict), /'by-namespace'/);
  t.is(await refusal(world, configMap('a')), '');
  t.regex(await refusal(world, configMap('b', {}, { labels: { bad: 'yes' } })), /'by-binding'/);
  t.regex(await refusal(world, configMap('named')), /'by-name'/);
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } };
  t.regex(await refusal(world, secret, inStrict.replace('configmaps', 'secrets')), /'but-not'/);
});

test('a rule for one version of a resource is meant for all, unless it insists', async t => {
  const world = await worldOf(t);
  const rule = { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] };
  const validations = [{ expression: "object.apiVersion == 'apps/v1' && object.spec.replicas > 1" }];
  await world.deny('p', { matchConstraints: { resourceRules: [rule] }, validations });
  const labels = { app: 'x' };
  const deployment = (apiVersion: string, replicas: number) => ({
    apiVersion,
    kind: 'Deployment',
    metadata: { name: `d${replicas}` },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const path = (version: string) => `/apis/${version}/namespaces/default/deployments`;
  t.not(await refusal(world, deployment('apps/v1', 1), path('apps/v1')), '');
  t.not(await refusal(world, deployment('extensions/v1beta1', 1), path('extensions/v1beta1')), '');
  t.is(await refusal(world, deployment('extensions/v1beta1', 2), path('extensions/v1beta1')), '');
  await world.api.call('DELETE', `${ADMISSION}/validatingadmissionpolicies/p`);
  await world.policy('p', { matchConstraints: { resourceRules: [rule], matchPolicy: 'Exact' }, validations });
  t.is(await refusal(world, deployment('extensions/v1beta1', 1), path('extensions/v1beta1')), '');
});

test("parameters: by name, by selector, of the request's namespace, of the cluster", async t => {
  const world = await worldOf(t);
  const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' };
  const validations = [
    { expression: 'int(object.data.n) <= int(params.data.max)', messageExpression: "'above ' + params.data.max" },
  ];
  const onlyN = [{ name: 'n', expression: "has(object.data) && 'n' in object.data" }];
  await world.policy('p', { paramKind, validations, matchConditions: onlyN });
  await world.binding('p', { paramRef: { name: 'limit', parameterNotFoundAction: 'Deny' } });
  t.true(
    (await refusal(world, configMap('a', { n: '5' }))).endsWith(
      'denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
    ),
  );
  await world.api.call('PATCH', `${ADMISSION}/validatingadmissionpolicybindings/p`, {
    body: { spec: { paramRef: { parameterNotFoundAction: 'Allow' } } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(await refusal(world, configMap('a', { n: '5' })), '');
  await world.api.create(CONFIGMAPS, configMap('limit', { max: '5' }));
  t.is(await refusal(world, configMap('b', { n: '5' })), '');
  t.true((await refusal(world, configMap('c', { n: '6' }))).endsWith('denied request: above 5'));
  await world.binding('q', {
    policyName: 'p',
    paramRef: {
      selector: { matchLabels: { limits: 'yes' } },
      namespace: 'kube-system',
      parameterNotFoundAction: 'Allow',
    },
  });
  t.is(await refusal(world, configMap('d', { n: '4' })), '');
  const inSystem = CONFIGMAPS.replace('default', 'kube-system');
  await world.api.create(inSystem, configMap('l1', { max: '9' }, { labels: { limits: 'yes' } }));
  await world.api.create(inSystem, configMap('l2', { max: '3' }, { labels: { limits: 'yes' } }));
  t.true((await refusal(world, configMap('e', { n: '4' }))).endsWith("with binding 'q' denied request: above 3"));
});

test('a policy whose kind of parameters is not known denies', async t => {
  const world = await worldOf(t);
  await world.policy('p', {
    paramKind: { apiVersion: 'x.example.com/v1', kind: 'Nope' },
    validations: [{ expression: 'true' }],
  });
  await world.binding('p', { paramRef: { name: 'x', parameterNotFoundAction: 'Allow' } });
  t.true(
    (await refusal(world, configMap('a'))).endsWith(
      "failed to configure binding: failed to find resource referenced by paramKind: 'x.example.com/v1, Kind=Nope'",
    ),
  );
});

test('parameters may be custom resources, and so may be what is judged', async t => {
  const world = await worldOf(t);
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { max: { type: 'integer' }, size: { type: 'integer' } } } },
  };
  await world.api.create(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'limits.x.example.com' },
    spec: {
      group: 'x.example.com',
      scope: 'Cluster',
      names: { plural: 'limits', singular: 'limit', kind: 'Limit' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  } as object);
  await establish(world.api);
  const rule = { apiGroups: ['x.example.com'], apiVersions: ['v1'], operations: ['*'], resources: ['limits'] };
  await world.policy('p', {
    paramKind: { apiVersion: 'x.example.com/v1', kind: 'Limit' },
    matchConstraints: { resourceRules: [...ON_CONFIGMAPS.resourceRules, rule] },
    validations: [
      {
        expression:
          "request.resource.resource == 'limits' ? object.spec.size <= params.spec.max : size(object.data) <= params.spec.max",
      },
    ],
  });
  await world.binding('p', { paramRef: { name: 'l', parameterNotFoundAction: 'Allow' } });
  const limit = (name: string, spec: object) => ({
    apiVersion: 'x.example.com/v1',
    kind: 'Limit',
    metadata: { name },
    spec,
  });
  await world.api.create('/apis/x.example.com/v1/limits', limit('l', { max: 1, size: 0 }));
  t.is(await refusal(world, configMap('a', { a: '1' })), '');
  t.not(await refusal(world, configMap('b', { a: '1', b: '2' })), '');
  t.is(await refusal(world, limit('m', { size: 1 }), '/apis/x.example.com/v1/limits'), '');
  t.regex(
    await refusal(world, limit('n', { size: 2 }), '/apis/x.example.com/v1/limits'),
    /^limits.x.example.com "n" is forbidden: Valid/,
  );
});

test('the request, its namespace and the authorizer can be asked', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    validations: [
      { expression: "request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups" },
      {
        expression: "request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap' && !request.dryRun",
      },
      { expression: "request.namespace == 'default' && namespaceObject.metadata.name == 'default'" },
      { expression: "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'default'" },
      { expression: "authorizer.group('apps').resource('deployments').namespace('default').check('create').allowed()" },
      { expression: "authorizer.requestResource.check('delete').allowed()" },
      {
        expression:
          "!authorizer.serviceAccount('default', 'default').group('').resource('secrets').namespace('default').check('get').allowed()",
      },
      { expression: "authorizer.path('/healthz').check('get').allowed()" },
    ],
  });
  t.is(await refusal(world, configMap('a')), '');
});

test('an expression that costs too much is a failure', async t => {
  const world = await worldOf(t);
  const loops = "object.data.all(a, object.data.all(b, object.data.all(c, a + b + c != '')))";
  await world.deny('p', { validations: [{ expression: loops }, { expression: 'true' }] });
  const data = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`k${index}`, '']));
  const why = await refusal(world, configMap('a', data));
  t.true(why.endsWith(`expression '${loops}' resulted in error: operation cancelled: actual cost limit exceeded`), why);
});

test('policies are not asked about policies', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    matchConstraints: {
      resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }],
    },
    validations: [{ expression: 'false' }],
  });
  t.is((await world.api.call('DELETE', `${ADMISSION}/validatingadmissionpolicybindings/p`)).status, 200);
  t.is(await refusal(world, configMap('a')), '');
});

test('connections are judged too', async t => {
  const world = await worldOf(t);
  await world.deny('p', {
    matchConstraints: {
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CONNECT'], resources: ['pods/exec'] }],
    },
    validations: [{ expression: "object.command[0] != 'sh'", message: 'no shells' }],
  });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  };
  await world.api.create('/api/v1/namespaces/default/pods', pod);
  const answer = await world.api.call('GET', '/api/v1/namespaces/default/pods/p/exec?command=sh&stdout=true');
  t.regex(answer.text, /no shells/);
});

const FACTS = new URL('../../../../../shared/api/invalid.json', import.meta.url);
interface Scenario {
  readonly scenario: string;
  readonly namespace: string;
  readonly given: readonly { readonly kind: string }[];
  readonly requests: readonly {
    readonly id: string;
    readonly path: string;
    readonly body: object;
    readonly answer: {
      readonly code: number;
      readonly status?: { message: string; details: object };
      readonly warnings?: readonly string[];
    };
  }[];
}
const facts = existsSync(FACTS)
  ? (JSON.parse(readFileSync(FACTS, 'utf8')) as { scenarios: Scenario[] }).scenarios.filter(({ scenario }) =>
      scenario.startsWith('admission-policy'),
    )
  : [];
(facts.length > 0 ? test : test.skip)('as Kubernetes answered (the facts are not at hand: skipped)', async t => {
  for (const { namespace, given, requests } of facts) {
    const { api } = await worldOf(t);
    await api.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    } as object);
    for (const object of given) {
      const plural =
        object.kind === 'ValidatingAdmissionPolicy'
          ? 'validatingadmissionpolicies'
          : 'validatingadmissionpolicybindings';
      await api.create(`${ADMISSION}/${plural}`, object as object);
    }
    for (const { id, path, body, answer } of requests) {
      const got = await api.call('POST', path, { body });
      t.is(got.status, answer.code, id);
      if (answer.status) t.like(got.body, answer.status, id);
      if (answer.warnings) t.is(got.headers.warning, answer.warnings.map(text => `299 - "${text}"`).join(', '), id);
    }
  }
});
