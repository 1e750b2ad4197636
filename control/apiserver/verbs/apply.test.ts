/** Server-side apply and managedFields through the whole chain, in process. */
import test, { type ExecutionContext } from 'ava';
import { type Answer, createHarness, type Harness } from '../testing/harness.ts';
import { APPLY_PATCH } from './apply.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const PODS = '/api/v1/namespaces/default/pods';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}

const configMap = (name: string, data: object, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});
const deployment = (name: string, spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 1,
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'app:1' }] } },
    ...spec,
  },
});

const applyTo = (harness: Harness, path: string, { manager, body }: { manager: string; body: object | string }) =>
  harness.call('PATCH', `${path}${path.includes('?') ? '&' : '?'}fieldManager=${manager}`, {
    headers: { 'content-type': APPLY_PATCH },
    body,
  });

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly apiVersion: string;
  readonly time: string;
  readonly fieldsV1: object;
}
const owners = ({ body }: Pick<Answer, 'body'>): string[] =>
  (body.metadata.managedFields ?? []).map(
    ({ manager, operation, subresource, fieldsV1 }: Entry) =>
      `${manager} ${operation}${subresource ? `/${subresource}` : ''} ${JSON.stringify(fieldsV1)}`,
  );

test('an applied object is created, changed, shared, taken over and given up', async t => {
  const harness = await harnessOf(t);
  const path = `${CONFIG_MAPS}/a`;
  const created = await applyTo(harness, path, { manager: 'one', body: configMap('a', { x: '1', y: '1' }) });
  t.is(created.status, 201);
  t.deepEqual(owners(created), ['one Apply {"f:data":{"f:x":{},"f:y":{}}}']);
  const same = await applyTo(harness, path, { manager: 'one', body: configMap('a', { x: '1', y: '1' }) });
  t.is(same.status, 200);
  t.is(same.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
  const conflict = await applyTo(harness, path, { manager: 'two', body: configMap('a', { x: '2' }) });
  t.is(conflict.status, 409);
  t.is(conflict.body.message, 'Apply failed with 1 conflict: conflict with "one": .data.x');
  const forced = await applyTo(harness, `${path}?force=true`, { manager: 'two', body: configMap('a', { x: '2' }) });
  t.deepEqual(owners(forced), ['one Apply {"f:data":{"f:y":{}}}', 'two Apply {"f:data":{"f:x":{}}}']);
  const less = await applyTo(harness, path, { manager: 'one', body: configMap('a', {}) });
  t.deepEqual(less.body.data, { x: '2' });
  t.deepEqual(owners(less), ['one Apply {"f:data":{}}', 'two Apply {"f:data":{"f:x":{}}}']);
});

test('YAML is applied too, a key that comes twice is warned of, or refused where strictness is asked', async t => {
  const harness = await harnessOf(t);
  const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata:\n  a: "1"\n  a: "2"\n';
  const created = await applyTo(harness, `${CONFIG_MAPS}/yaml`, { manager: 'm', body });
  t.is(created.status, 201);
  t.deepEqual(created.body.data, { a: '2' });
  t.regex(created.headers.warning ?? '', /line 6: key \\"a\\" already set in map/);
  const strict = await applyTo(harness, `${CONFIG_MAPS}/yaml?fieldValidation=Strict`, { manager: 'm', body });
  t.is(strict.status, 400);
  t.regex(strict.body.message, /^error strict decoding YAML: .*\n {2}line 6: key "a" already set in map$/);
  const list = await applyTo(harness, `${CONFIG_MAPS}/yaml`, { manager: 'm', body: '- a' });
  t.is(list.status, 400);
});

test('a dry run answers as the apply would, and changes nothing', async t => {
  const harness = await harnessOf(t);
  const path = `${CONFIG_MAPS}/d`;
  const dry = await applyTo(harness, `${path}?dryRun=All`, { manager: 'm', body: configMap('d', { a: '1' }) });
  t.is(dry.status, 201);
  t.is((await harness.call('GET', path)).status, 404);
});

test('creates, updates and patches are tracked under the program that makes them', async t => {
  const harness = await harnessOf(t);
  const headers = { 'user-agent': 'kubectl/v1.33.1 (linux/amd64)' };
  const created = await harness.call('POST', `${CONFIG_MAPS}?fieldManager=me`, { body: configMap('u', { a: '1' }) });
  t.deepEqual(owners(created), ['me Update {"f:data":{".":{},"f:a":{}}}']);
  t.regex(created.body.metadata.managedFields[0].time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const replaced = await harness.call('PUT', `${CONFIG_MAPS}/u`, { headers, body: configMap('u', { a: '1', b: '2' }) });
  // Entries stand in the order of their seconds first.
  t.deepEqual(owners(replaced).sort(), [
    'kubectl Update {"f:data":{"f:b":{}}}',
    'me Update {"f:data":{".":{},"f:a":{}}}',
  ]);
  const patched = await harness.call('PATCH', `${CONFIG_MAPS}/u`, {
    headers: { ...headers, 'content-type': 'application/merge-patch+json' },
    body: { metadata: { labels: { x: 'y' } }, data: { a: null } },
  });
  t.deepEqual(owners(patched), [
    'kubectl Update {"f:data":{"f:b":{}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}',
    'me Update {"f:data":{}}',
  ]);
  const conflict = await applyTo(harness, `${CONFIG_MAPS}/u`, { manager: 'm', body: configMap('u', { b: '3' }) });
  t.is(conflict.body.message, 'Apply failed with 1 conflict: conflict with "kubectl" using v1: .data.b');
});

test('what Go always writes has no owner until somebody says something', async t => {
  const harness = await harnessOf(t);
  const created = await harness.call('POST', `${DEPLOYMENTS}?fieldManager=m`, { body: deployment('w') });
  t.deepEqual(owners(created), [
    'm Update {"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},' +
      '"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},' +
      '"f:template":{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:containers":{"k:{\\"name\\":\\"c\\"}":' +
      '{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},' +
      '"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},' +
      '"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}',
  ]);
});

test('a status has owners of its own, and writers of the object do not own it', async t => {
  const harness = await harnessOf(t);
  const path = `${DEPLOYMENTS}/s`;
  const body = { ...deployment('s'), status: { replicas: 7 } };
  t.is((await applyTo(harness, path, { manager: 'm', body })).status, 201);
  const status = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 's' }, status: { replicas: 3 } };
  const applied = await applyTo(harness, `${path}/status`, { manager: 'c', body: status });
  t.is(applied.status, 200);
  t.is(applied.body.status.replicas, 3);
  const found = owners(applied);
  t.is(found[0], 'c Apply/status {"f:status":{"f:replicas":{}}}');
  t.false(found[1]?.includes('f:status'));
  const conflict = await harness.call('PATCH', `${path}/status?fieldManager=x`, {
    headers: { 'content-type': APPLY_PATCH },
    body: { ...status, status: { replicas: 4 } },
  });
  t.is(
    conflict.body.message,
    'Apply failed with 1 conflict: conflict with "c" with subresource "status": .status.replicas',
  );
  const missing = await applyTo(harness, `${DEPLOYMENTS}/none/status`, {
    manager: 'c',
    body: { ...status, metadata: { name: 'none' } },
  });
  t.is(missing.status, 404);
});

test('a scale takes the replica count from whoever had it', async t => {
  const harness = await harnessOf(t);
  const path = `${DEPLOYMENTS}/s`;
  await applyTo(harness, path, { manager: 'm', body: deployment('s') });
  const scale = (replicas: number) => ({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 's', namespace: 'default' },
    spec: { replicas },
  });
  const refused = await applyTo(harness, `${path}/scale`, { manager: 'a', body: scale(4) });
  t.is(refused.body.message, 'Apply failed with 1 conflict: conflict with "m": .spec.replicas');
  const put = await harness.call('PUT', `${path}/scale?fieldManager=s`, { body: scale(5) });
  t.is(put.status, 200);
  const after = await harness.call('GET', path);
  t.is(after.body.spec.replicas, 5);
  const [first, second] = owners(after);
  t.false(first?.includes('f:replicas'));
  t.is(second, 's Update/scale {"f:spec":{"f:replicas":{}}}');
  const forced = await applyTo(harness, `${path}/scale?force=true`, { manager: 'a', body: scale(6) });
  t.is(forced.status, 200);
  const last = await harness.call('GET', path);
  t.true(owners(last).includes('a Apply/scale {"f:spec":{"f:replicas":{}}}'));
  t.is(last.body.spec.replicas, 6);
  const back = await applyTo(harness, path, { manager: 'm', body: deployment('s', { replicas: 1 }) });
  t.is(back.body.message, 'Apply failed with 1 conflict: conflict with "a" with subresource "scale": .spec.replicas');
});

test('managedFields can be emptied, replaced and left out', async t => {
  const harness = await harnessOf(t);
  const path = `${CONFIG_MAPS}/r`;
  const created = await applyTo(harness, path, { manager: 'one', body: configMap('r', { a: '1' }) });
  const put = await harness.call('PUT', `${path}?fieldManager=two`, { body: configMap('r', { a: '1' }) });
  t.is(put.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
  const entries = [{ ...created.body.metadata.managedFields[0], manager: 'other' }];
  const json = { 'content-type': 'application/json-patch+json' };
  const replaced = await harness.call('PATCH', path, {
    headers: json,
    body: [{ op: 'replace', path: '/metadata/managedFields', value: entries }],
  });
  t.deepEqual(owners(replaced), ['other Apply {"f:data":{"f:a":{}}}']);
  const nonsense = await harness.call('PATCH', path, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata: { managedFields: [{ manager: 'm', operation: 'Nope' }] } },
  });
  t.deepEqual(owners(nonsense), ['other Apply {"f:data":{"f:a":{}}}']);
  const emptied = await harness.call('PATCH', path, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata: { managedFields: [{}] } },
  });
  t.deepEqual(owners(emptied), []);
  const labelled = await harness.call('PATCH', path, {
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { metadata: { labels: { x: 'y' } } },
  });
  t.deepEqual(owners(labelled), []);
  const applied = await applyTo(harness, path, { manager: 'one', body: configMap('r', { a: '1' }) });
  t.deepEqual(owners(applied), [
    'one Apply {"f:data":{"f:a":{}}}',
    'before-first-apply Update {"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}',
  ]);
});

test('kubectl may take over what it applied from the client side', async t => {
  const harness = await harnessOf(t);
  const path = `${CONFIG_MAPS}/k`;
  const last = configMap('k', { a: '1' }, { namespace: 'default' });
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(last) };
  await harness.call('POST', `${CONFIG_MAPS}?fieldManager=kubectl-client-side-apply`, {
    body: configMap('k', { a: '1', b: '1' }, { annotations }),
  });
  const other = await applyTo(harness, path, { manager: 'other', body: configMap('k', { a: '2' }) });
  t.is(other.status, 409);
  const foreign = await applyTo(harness, path, { manager: 'kubectl', body: configMap('k', { b: '2' }) });
  t.is(
    foreign.body.message,
    'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.b',
  );
  const own = await applyTo(harness, path, { manager: 'kubectl', body: configMap('k', { a: '2' }) });
  t.is(own.status, 200);
  t.is(
    own.body.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration'],
    '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"k"}}\n',
  );
});

test('what the server does to a pod by itself has no owner', async t => {
  const harness = await harnessOf(t);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'x' }] },
  };
  const created = await harness.call('POST', PODS, { body: pod });
  const bound = await harness.call('POST', `${PODS}/p/binding`, {
    body: { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } },
  });
  t.is(bound.status, 201);
  const after = await harness.call('GET', `${PODS}/p`);
  t.is(after.body.spec.nodeName, 'n');
  t.deepEqual(owners(after), owners(created));
  t.false(JSON.stringify(owners(created)).includes('tolerations'));
});

test('an object of another version is the same object to its owners', async t => {
  const harness = await harnessOf(t);
  await applyTo(harness, `${DEPLOYMENTS}/v`, { manager: 'm', body: deployment('v') });
  const old = '/apis/extensions/v1beta1/namespaces/default/deployments/v';
  const body = { ...deployment('v', { replicas: 2 }), apiVersion: 'extensions/v1beta1' };
  const refused = await applyTo(harness, old, { manager: 'o', body });
  t.is(refused.body.message, 'Apply failed with 1 conflict: conflict with "m": .spec.replicas');
  const forced = await applyTo(harness, `${old}?force=true`, { manager: 'o', body });
  t.is(forced.status, 200);
  const versions = forced.body.metadata.managedFields.map(
    ({ manager, apiVersion }: Entry) => `${manager} ${apiVersion}`,
  );
  t.deepEqual(versions, ['m apps/v1', 'o extensions/v1beta1']);
});

test('appliers at the same time all get what they ask for', async t => {
  const harness = await harnessOf(t);
  const names = Array.from({ length: 12 }, (_, index) => `m${index}`);
  const answers = await Promise.all(
    names.map(manager =>
      applyTo(harness, `${CONFIG_MAPS}/p`, { manager, body: configMap('p', { [manager]: manager }) }),
    ),
  );
  t.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [200, 201]);
  const { body } = await harness.call('GET', `${CONFIG_MAPS}/p`);
  t.deepEqual(Object.keys(body.data).sort(), [...names].sort());
  t.is(body.metadata.managedFields.length, names.length);
});

test('hostile bodies are refused, whatever is in them', async t => {
  const harness = await harnessOf(t);
  const deep = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"h"},"data":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`;
  const polluted =
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"h"},"data":{"__proto__":"x","constructor":"y"}}';
  const laughs = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
  for (const body of [deep, laughs]) {
    const { status } = await applyTo(harness, `${CONFIG_MAPS}/h`, { manager: 'm', body });
    t.true(status === 400 || status === 500, String(status));
  }
  const answer = await applyTo(harness, `${CONFIG_MAPS}/h`, { manager: 'm', body: polluted });
  t.is(answer.status, 201);
  t.deepEqual(Object.keys(answer.body.data).sort(), ['__proto__', 'constructor']);
  t.deepEqual(owners(answer), ['m Apply {"f:data":{"f:__proto__":{},"f:constructor":{}}}']);
  const again = await applyTo(harness, `${CONFIG_MAPS}/h`, { manager: 'm', body: configMap('h', { a: '1' }) });
  t.deepEqual(again.body.data, { a: '1' });
});

test('who may patch but not create does not create by applying or replacing', async t => {
  const harness = await harnessOf(t);
  const rule = {
    apiGroups: ['', 'coordination.k8s.io'],
    resources: ['configmaps', 'leases'],
    verbs: ['patch', 'update', 'get'],
  };
  await harness.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'patcher' },
    rules: [rule],
  });
  await harness.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'patcher' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'patcher' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'mallory' }],
  });
  const identity = { user: 'mallory', groups: [] };
  const headers = { 'content-type': APPLY_PATCH };
  const path = `${CONFIG_MAPS}/m?fieldManager=m`;
  const refused = await harness.call('PATCH', path, { identity, headers, body: configMap('m', { a: '1' }) });
  t.is(refused.status, 403);
  t.is(refused.body.message, 'configmaps "m" is forbidden: ');
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec: {} };
  const put = await harness.call('PUT', '/apis/coordination.k8s.io/v1/namespaces/default/leases/l', {
    identity,
    body: lease,
  });
  t.is(put.status, 403);
  await harness.create(CONFIG_MAPS, configMap('m', { b: '1' }));
  t.is((await harness.call('PATCH', path, { identity, headers, body: configMap('m', { a: '1' }) })).status, 200);
});
