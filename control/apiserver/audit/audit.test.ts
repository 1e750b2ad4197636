/** The audit log: what a policy picks, the form of its lines, that no Secret is in them at Metadata, and the file. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readRequestInfo } from '../request-info.ts';
import { createHarness } from '../testing/harness.ts';
import { ask, worldOf } from '../testing/tls-world.ts';
import { LogFile } from './log-file.ts';
import { AuditPolicyError, decide, readAuditPolicy } from './policy.ts';

const policyOf = (rules: readonly object[], more: object = {}) =>
  readAuditPolicy(JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules, ...more }));
const asked = (request: string, user = 'jane', groups: readonly string[] = ['system:authenticated']) => {
  const [method = '', path = ''] = request.split(' ');
  return { identity: { user, groups }, info: readRequestInfo(method, path) };
};

const POLICY = policyOf(
  [
    {
      level: 'None',
      users: ['system:kube-proxy'],
      verbs: ['watch'],
      resources: [{ group: '', resources: ['endpoints'] }],
    },
    { level: 'None', userGroups: ['system:nodes'], nonResourceURLs: ['/healthz*', '/version'] },
    { level: 'RequestResponse', resources: [{ group: '', resources: ['pods'] }], omitStages: ['RequestReceived'] },
    { level: 'Metadata', resources: [{ group: '', resources: ['pods/log', 'secrets'] }] },
    { level: 'Request', resources: [{ group: '', resources: ['*/status'] }] },
    { level: 'Request', resources: [{ group: 'apps', resources: ['deployments/*'] }] },
    { level: 'None', resources: [{ group: '', resources: ['configmaps'], resourceNames: ['noise'] }] },
    { level: 'Request', namespaces: ['kube-system'] },
    { level: 'Metadata' },
  ],
  { omitStages: ['ResponseStarted'] },
);
const CASES: readonly (readonly [request: string, level: string, user?: string, groups?: readonly string[]])[] = [
  ['GET /api/v1/endpoints?watch=1', 'None', 'system:kube-proxy'],
  ['GET /api/v1/endpoints', 'Metadata', 'system:kube-proxy'],
  ['GET /healthz/ping', 'None', 'system:node:a', ['system:nodes']],
  ['GET /healthz', 'Metadata'],
  ['POST /api/v1/namespaces/a/pods', 'RequestResponse'],
  ['GET /api/v1/namespaces/a/pods/p/log', 'Metadata'],
  ['PUT /api/v1/namespaces/a/pods/p/status', 'Request'],
  ['PUT /apis/apps/v1/namespaces/a/deployments/d/scale', 'Request'],
  ['PUT /apis/apps/v1/namespaces/a/daemonsets/d/scale', 'Metadata'],
  ['GET /api/v1/namespaces/a/configmaps/noise', 'None'],
  ['GET /api/v1/namespaces/a/configmaps/other', 'Metadata'],
  ['GET /api/v1/namespaces/kube-system/configmaps/other', 'Request'],
  ['GET /version', 'Metadata'],
];
for (const [request, level, user, groups] of CASES) {
  test(`${request} by ${user ?? 'jane'}: ${level}`, t => {
    t.is(decide(POLICY, asked(request, user, groups)).level, level as never);
  });
}

test('stages of the policy and of the rule are left out; what no rule fits is not written', t => {
  t.deepEqual([...decide(POLICY, asked('POST /api/v1/namespaces/a/pods')).omitStages].sort(), [
    'RequestReceived',
    'ResponseStarted',
  ]);
  t.is(decide(policyOf([{ level: 'Request', users: ['x'] }]), asked('GET /version')).level, 'None');
});

test('policies that cannot be used are refused with the place', t => {
  const cases: readonly [string, RegExp][] = [
    ['a: [', /not YAML/],
    [JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [] }), /at least one rule/],
    [JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'All' }] }), /rules\.0\.level/],
    [JSON.stringify({ apiVersion: 'audit.k8s.io/v1alpha1', kind: 'Policy', rules: [] }), /apiVersion/],
  ];
  for (const [text, message] of cases) {
    t.regex(t.throws(() => readAuditPolicy(text), { instanceOf: AuditPolicyError }).message, message);
  }
  const both = { level: 'Metadata', resources: [{ group: '' }], nonResourceURLs: ['/x'] };
  t.throws(() => policyOf([both]), { message: /resources and about nonResourceURLs/ });
});

/** A server that writes into a list. */
async function recorded(t: Parameters<typeof worldOf>[0], rules: readonly object[], more: object = {}) {
  const lines: string[] = [];
  const policy = policyOf(rules, more);
  const harness = await createHarness({
    overrides: { auditLog: { policy, write: line => lines.push(line) } },
    withRoles: true,
  });
  t.teardown(() => harness.close());
  lines.length = 0;
  // biome-ignore lint/suspicious/noExplicitAny: what a line holds is what the tests are about
  return { harness, lines, events: () => lines.map(line => JSON.parse(line) as any) };
}

const SECRET = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { p: 'hunter2hunter2' } };

test('an event has the fields of Kubernetes, in its order', async t => {
  const { harness, events } = await recorded(t, [{ level: 'RequestResponse' }], { omitManagedFields: true });
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: 'b' } };
  const headers = { 'user-agent': 'kubectl/v1.33.0', 'x-forwarded-for': '10.1.2.3, junk', 'audit-id': 'mine' };
  await harness.call('POST', '/api/v1/namespaces/default/configmaps?fieldManager=x', { body, headers });
  const [first, second] = events();
  t.deepEqual(Object.keys(second), [
    ...['kind', 'apiVersion', 'level', 'auditID', 'stage', 'requestURI', 'verb', 'user', 'sourceIPs', 'userAgent'],
    ...['objectRef', 'responseStatus', 'requestObject', 'responseObject'],
    ...['requestReceivedTimestamp', 'stageTimestamp', 'annotations'],
  ]);
  t.like(first, { stage: 'RequestReceived', level: 'RequestResponse', responseStatus: undefined });
  t.like(second, {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/default/configmaps?fieldManager=x',
    verb: 'create',
    user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
    sourceIPs: ['10.1.2.3'],
    userAgent: 'kubectl/v1.33.0',
    objectRef: { resource: 'configmaps', namespace: 'default', name: 'c', apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 201 },
    requestObject: body,
    annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
  });
  t.is(second.responseObject.data.a, 'b');
  t.is(second.responseObject.metadata.managedFields, undefined);
  t.is(first.auditID, second.auditID);
  t.regex(second.stageTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('at Metadata no value of a Secret is written, whatever is done with it', async t => {
  const { harness, lines, events } = await recorded(t, [{ level: 'Metadata' }]);
  const path = '/api/v1/namespaces/default/secrets';
  await harness.call('POST', path, { body: SECRET });
  await harness.call('PUT', `${path}/s`, { body: SECRET });
  const patch = {
    body: { stringData: { p: 'hunter2hunter2' } },
    headers: { 'content-type': 'application/merge-patch+json' },
  };
  await harness.call('PATCH', `${path}/s`, patch);
  await harness.call('GET', path);
  await harness.call('GET', `${path}/s`);
  await harness.call('POST', path, { body: { ...SECRET, metadata: { name: 'Bad' } } });
  await harness.call('DELETE', `${path}/s`);
  t.is(lines.length, 14);
  for (const secret of ['hunter2', Buffer.from('hunter2hunter2').toString('base64')]) {
    t.false(lines.some(line => line.includes(secret)));
  }
  t.true(
    events().every(({ requestObject, responseObject }) => requestObject === undefined && responseObject === undefined),
  );
  const refused = events().find(({ responseStatus }) => responseStatus?.code === 422);
  t.like(refused.responseStatus, { status: 'Failure', reason: 'Invalid', code: 422 });
});

test('Request shows what was sent and not what was answered; refusals say why', async t => {
  const { harness, events } = await recorded(t, [{ level: 'Request', omitStages: ['RequestReceived'] }]);
  await harness.call('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'c' } } });
  const jane = { identity: { user: 'jane', groups: [] } };
  await harness.call('GET', '/api/v1/namespaces/default/secrets/s', jane);
  const as = { headers: { 'impersonate-user': 'joe' } };
  await harness.call('GET', '/api/v1/namespaces/default/configmaps/c', as);
  const [created, forbidden, impersonated] = events();
  t.deepEqual(created.requestObject, { metadata: { name: 'c' } });
  t.is(created.responseObject, undefined);
  t.like(forbidden, {
    user: { username: 'jane' },
    responseStatus: { status: 'Failure', reason: 'Forbidden', code: 403 },
    annotations: { 'authorization.k8s.io/decision': 'forbid' },
  });
  t.like(impersonated, { user: { username: 'admin' }, impersonatedUser: { username: 'joe' } });
});

test('a watch is told when it begins and when it ends', async t => {
  const { harness, events } = await recorded(t, [{ level: 'Metadata' }]);
  const stop = new AbortController();
  const frames = harness.watch('/api/v1/namespaces?watch=1', stop.signal);
  await frames.next();
  t.deepEqual(
    events().map(({ stage }) => stage),
    ['RequestReceived', 'ResponseStarted'],
  );
  stop.abort();
  for await (const _ of frames);
  t.deepEqual(
    events().map(({ stage }) => stage),
    ['RequestReceived', 'ResponseStarted', 'ResponseComplete'],
  );
});

test('over the network: an id to find the lines by, and those who could not say who they are', async t => {
  const lines: string[] = [];
  const policy = policyOf([{ level: 'Metadata', omitStages: ['RequestReceived'] }]);
  const world = await worldOf(t, { auditLog: { policy, write: line => lines.push(line) } });
  lines.length = 0;
  const answer = await ask(world, '/version');
  t.is(JSON.parse(lines[0] ?? '').auditID, answer.headers['audit-id']);
  t.deepEqual(JSON.parse(lines[0] ?? '').sourceIPs, ['127.0.0.1']);
  const wrong = await ask(world, '/version', { headers: { authorization: 'Bearer secret-token', 'audit-id': 'mine' } });
  t.is(wrong.headers['audit-id'], 'mine');
  t.like(JSON.parse(lines[1] ?? ''), {
    auditID: 'mine',
    user: {},
    responseStatus: { code: 401, reason: 'Unauthorized' },
  });
  t.false(lines.some(line => line.includes('secret-token')));
});

test('the file rotates by size, keeps as many as it may, and bounds what waits', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-audit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'deeper', 'audit.log');
  let nowMs = 0;
  const make = (change: object = {}) =>
    new LogFile({
      path,
      sizeBytesMax: 1_000,
      backupsMax: 2,
      ageMsMax: 0,
      now: () => ++nowMs,
      onError: error => t.fail(String(error)),
      ...change,
    });
  const log = make();
  for (let index = 0; index < 10; index++) {
    log.write(`${index}${'x'.repeat(600)}`);
    await new Promise(resolve => setImmediate(resolve));
    while (!(await readFile(path, 'utf8').catch(() => '')).startsWith(`${index}`)) await new Promise(setImmediate);
  }
  await log.close();
  const names = await readdir(join(folder, 'deeper'));
  t.is(names.length, 3);
  t.true(names.some(name => /^audit-1970-01-01T00-00-00\.\d{3}\.log$/.test(name)));
  t.is((await readFile(path, 'utf8')).length, 602);
  const again = make({ backupsMax: 0, ageMsMax: 1 });
  again.write('y'.repeat(900));
  await again.close();
  t.is((await readFile(path, 'utf8')).trim(), 'y'.repeat(900));
  const flooded = make({ sizeBytesMax: 1e9 });
  const large = 'z'.repeat(1024 * 1024);
  for (let count = 0; count < 100; count++) flooded.write(large);
  t.true(flooded.dropped > 50);
  await flooded.close();
});

test('a log that cannot be written costs the log and not the API', async t => {
  const errors: unknown[] = [];
  const log = new LogFile({
    path: join(fileURLToPath(import.meta.url), 'audit.log'),
    sizeBytesMax: 1_000,
    backupsMax: 0,
    ageMsMax: 0,
    now: () => 0,
    onError: error => errors.push(error),
  });
  log.write('a');
  log.write('b');
  await log.close();
  t.is(log.dropped, 2);
  t.is(errors.length, 1);
});
