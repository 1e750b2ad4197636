/**
 * What the conformance suite of Kubernetes v1.33 demands of accounts, reviews, events and other servers' APIs ([sig-auth],
 * [sig-instrumentation], the API's part of [sig-api-machinery] Aggregator).
 */
import test from 'ava';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import type { Answer } from '../../control/apiserver/testing/harness.ts';
import { createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

/** Whatever an answer holds. */
type Loose = Answer['body'];

const PATH = `/api/v1/namespaces/${NAMESPACE}`;
const MERGE = { 'content-type': 'application/merge-patch+json' };
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' };
/** How a Go client of built-in kinds speaks: it sends protobuf, and is content with JSON. */
const GO = {
  'content-type': 'application/vnd.kubernetes.protobuf',
  accept: 'application/vnd.kubernetes.protobuf,application/json',
};
const go = (body: { apiVersion: string; kind: string; [field: string]: unknown }) => ({
  body: encodeProtobuf(body),
  headers: GO,
});

test('a service account lives: made, watched, patched, listed, updated, removed with the others', async t => {
  const { api } = await createControlPlane(t, []);
  const path = `${PATH}/serviceaccounts`;
  const labels = { 'test-serviceaccount-static': 'true' };
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'testserviceaccount', labels } };
  const made = await api.call('POST', path, go(account));
  t.is((await api.call('GET', `${path}/testserviceaccount`)).body.metadata.uid, made.body.metadata.uid);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const selector = 'labelSelector=test-serviceaccount-static%3Dtrue';
  const frames = api.watch(`${path}?watch=true&timeoutSeconds=180&${selector}`, stop.signal);
  t.is((await frames.next()).value?.type, 'ADDED');
  const patch = { metadata: { creationTimestamp: null }, automountServiceAccountToken: false };
  t.is((await api.call('PATCH', `${path}/testserviceaccount`, { body: patch, headers: STRATEGIC })).status, 200);
  t.is((await frames.next()).value?.type, 'MODIFIED');
  const { items } = (await api.call('GET', `/api/v1/serviceaccounts?${selector}`)).body;
  t.deepEqual(
    items.map((item: Loose) => item.automountServiceAccountToken),
    [false],
  );
  const now = (await api.call('GET', `${path}/testserviceaccount`)).body;
  const updated = await api.call(
    'PUT',
    `${path}/testserviceaccount`,
    go({ ...now, automountServiceAccountToken: true }),
  );
  t.true(updated.body.automountServiceAccountToken, updated.text);
  t.is((await frames.next()).value?.type, 'MODIFIED');
  t.is((await api.call('DELETE', path)).status, 200);
  t.is((await frames.next()).value?.type, 'DELETED');
});

test('a token of an account is reviewed, and does not outlive the account', async t => {
  const { api } = await createControlPlane(t, []);
  await api.create(`${PATH}/serviceaccounts`, { metadata: { name: 'e2e' } });
  const asked = await api.call(
    'POST',
    `${PATH}/serviceaccounts/e2e/token`,
    go({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }),
  );
  t.is(asked.status, 201, asked.text);
  const review = () =>
    api.call(
      'POST',
      '/apis/authentication.k8s.io/v1/tokenreviews',
      go({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: { name: 'x' },
        spec: { token: asked.body.status.token },
      }),
    );
  const { status } = (await review()).body;
  t.true(status.authenticated);
  t.is(status.error, undefined);
  t.is(status.user.username, `system:serviceaccount:${NAMESPACE}:e2e`);
  t.deepEqual([...status.user.groups].sort(), [
    'system:authenticated',
    'system:serviceaccounts',
    `system:serviceaccounts:${NAMESPACE}`,
  ]);
  await api.call('DELETE', `${PATH}/serviceaccounts/e2e`);
  await until('the token is worth nothing', async () => !(await review()).body.status.authenticated);
});

test('the certificate of the cluster is in every namespace, comes back, and is put right', async t => {
  const { api } = await createControlPlane(t, []);
  const path = `${PATH}/configmaps/kube-root-ca.crt`;
  const isRight = async () => Boolean((await api.call('GET', path)).body.data?.['ca.crt']);
  await until('it is there', isRight);
  const { metadata } = (await api.call('GET', path)).body;
  t.is((await api.call('DELETE', path, { body: { gracePeriodSeconds: 0 } })).status, 200);
  await until(
    'it is there again',
    async () => (await isRight()) && (await api.call('GET', path)).body.metadata.uid !== metadata.uid,
  );
  const emptied = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-root-ca.crt' },
    data: { 'ca.crt': '' },
  };
  t.is((await api.call('PUT', path, go(emptied))).status, 200);
  await until('it is right again', isRight);
});

test('tokens go into pods, unless the pod or its account says no', async t => {
  const { api } = await createControlPlane(t, []);
  for (const [account, automount] of [
    ['mount', true],
    ['nomount', false],
  ] as const)
    await api.create(`${PATH}/serviceaccounts`, {
      metadata: { name: account },
      automountServiceAccountToken: automount,
    } as Loose);
  const cases = [
    ['default', undefined, true],
    ['mount', undefined, true],
    ['nomount', undefined, false],
    ['default', true, true],
    ['mount', true, true],
    ['nomount', true, true],
    ['default', false, false],
    ['mount', false, false],
    ['nomount', false, false],
  ] as const;
  for (const [index, [serviceAccountName, automountServiceAccountToken, isMounted]] of cases.entries()) {
    const { body, text } = await api.call('POST', `${PATH}/pods`, {
      body: {
        metadata: { name: `p${index}` },
        spec: { serviceAccountName, automountServiceAccountToken, containers: [{ name: 'c', image: 'pause' }] },
      },
    });
    const paths = (body.spec?.containers[0].volumeMounts ?? []).map(({ mountPath }: Loose) => mountPath);
    t.is(paths.includes('/var/run/secrets/kubernetes.io/serviceaccount'), isMounted, text);
  }
});

test('what a review says is what happens to whom it is about', async t => {
  const { api } = await createControlPlane(t, []);
  const account = await api.create<Loose>(`${PATH}/serviceaccounts`, { metadata: { name: 'e2e' } });
  const user = `system:serviceaccount:${NAMESPACE}:e2e`;
  const groups = ['system:authenticated', 'system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`];
  const spec = {
    resourceAttributes: { verb: 'list', resource: 'configmaps', namespace: NAMESPACE, version: 'v1' },
    user,
    groups,
    uid: account.metadata.uid,
  };
  const ask = async (kind: string, path: string, who: string) => {
    const answer = await api.call(
      'POST',
      path,
      go({
        apiVersion: 'authorization.k8s.io/v1',
        kind,
        metadata: { namespace: kind.startsWith('Local') ? NAMESPACE : '' },
        spec: { ...spec, user: who },
      }),
    );
    t.is(answer.status, 201, answer.text);
    return answer.body.status.allowed;
  };
  const headers = {
    'impersonate-user': user,
    'impersonate-uid': account.metadata.uid,
    'impersonate-group': groups.join(','),
  };
  const listed = await api.call('GET', `${PATH}/configmaps`, { headers });
  t.is(
    await ask('SubjectAccessReview', '/apis/authorization.k8s.io/v1/subjectaccessreviews', user),
    listed.status === 200,
  );
  t.is(
    await ask(
      'LocalSubjectAccessReview',
      `/apis/authorization.k8s.io/v1/namespaces/${NAMESPACE}/localsubjectaccessreviews`,
      'e2e',
    ),
    listed.status === 200,
  );
});

test('an event of events.k8s.io is found by its source, patched, given a series, and removed', async t => {
  const { api } = await createControlPlane(t, []);
  const path = `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`;
  const event = (name: string, label: string) => ({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, labels: { [label]: 'true' } },
    regarding: { namespace: NAMESPACE },
    eventTime: '2017-09-19T13:49:16.000000Z',
    note: `This is ${name}`,
    action: 'Do',
    reason: 'Test',
    type: 'Normal',
    reportingController: 'test-controller',
    reportingInstance: 'test-node',
  });
  const created = await api.call('POST', path, go(event('event-test', 'testevent-constant')));
  t.is(created.status, 201, created.text);
  const names = async (at: string, query: string) =>
    (await api.call('GET', `${at}?${query}`)).body.items.map(({ metadata }: Loose) => metadata.name);
  for (const at of ['/apis/events.k8s.io/v1/events', path])
    t.deepEqual(await names(at, 'labelSelector=testevent-constant%3Dtrue'), ['event-test']);
  t.deepEqual(await names(`${PATH}/events`, 'fieldSelector=source%3Dtest-controller'), ['event-test']);
  t.deepEqual(await names(path, 'fieldSelector=reportingController%3Dtest-controller'), ['event-test']);
  const plain = ({ metadata: { resourceVersion, managedFields, ...metadata }, ...rest }: Loose) => ({
    ...rest,
    metadata,
  });
  const get = async () => (await api.call('GET', `${path}/event-test`)).body;
  const first = await get();
  const note = 'This is a test event - patched';
  t.is((await api.call('PATCH', `${path}/event-test`, { body: { note }, headers: STRATEGIC })).status, 200);
  t.deepEqual(plain(await get()), plain({ ...first, note }));
  const series = { count: 100, lastObservedTime: '2017-09-19T13:49:16.000000Z' };
  const { resourceVersion: _, ...metadata } = first.metadata;
  const updated = await api.call('PUT', `${path}/event-test`, go({ ...first, metadata, note, series }));
  t.is(updated.status, 200, updated.text);
  t.deepEqual(plain(await get()), plain({ ...first, note, series }));
  t.is((await api.call('DELETE', `${path}/event-test`)).status, 200);
  t.deepEqual(await names(path, 'labelSelector=testevent-constant%3Dtrue'), []);
  for (const name of ['e1', 'e2', 'e3'])
    t.is((await api.call('POST', path, go(event(name, 'testevent-set')))).status, 201);
  t.is((await api.call('DELETE', `${path}?labelSelector=testevent-set%3Dtrue`)).status, 200);
  t.deepEqual(await names(path, 'labelSelector=testevent-set%3Dtrue'), []);
});

test('an event of the core lives, one and many', async t => {
  const { api } = await createControlPlane(t, []);
  const path = `${PATH}/events`;
  const event = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, labels: { 'testevent-constant': 'true' } },
    involvedObject: { namespace: NAMESPACE },
    message: `This is ${name}`,
    reason: 'Test',
    type: 'Normal',
    count: 1,
  });
  for (const name of ['one', 'two', 'three']) t.is((await api.call('POST', path, go(event(name)))).status, 201);
  const selector = 'labelSelector=testevent-constant%3Dtrue';
  t.is((await api.call('GET', `/api/v1/events?${selector}`)).body.items.length, 3);
  const patched = await api.call('PATCH', `${path}/one`, { body: { message: 'patched' }, headers: STRATEGIC });
  t.is(patched.body.message, 'patched');
  const series = { count: 100, lastObservedTime: '2017-09-19T13:49:16.000000Z' };
  const updated = await api.call('PUT', `${path}/one`, go({ ...patched.body, series }));
  t.deepEqual(updated.body.series, series, updated.text);
  t.is((await api.call('DELETE', `${path}/one`)).status, 200);
  t.is((await api.call('DELETE', `${path}?${selector}`)).status, 200);
  t.is((await api.call('GET', `${path}?${selector}`)).body.items.length, 0);
});

test('an API service is made, read, patched, updated, given a status, and removed by a label', async t => {
  const { api } = await createControlPlane(t, []);
  const all = '/apis/apiregistration.k8s.io/v1/apiservices';
  const path = `${all}/v1alpha1.wardle.example.com`;
  const service = {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1alpha1.wardle.example.com' },
    spec: {
      service: { namespace: NAMESPACE, name: 'sample-api', port: 7443 },
      group: 'wardle.example.com',
      version: 'v1alpha1',
      caBundle: Buffer.from('-----BEGIN CERTIFICATE-----\n').toString('base64'),
      groupPriorityMinimum: 2000,
      versionPriority: 200,
    },
  };
  const made = await api.call('POST', all, go(service));
  t.is(made.status, 201, made.text);
  const read = await api.call('GET', `${path}/status`, { headers: { accept: 'application/json' } });
  t.is(read.body.metadata.name, service.metadata.name);
  const patched = await api.call('PATCH', path, { body: { spec: { versionPriority: 400 } }, headers: MERGE });
  t.is(patched.body.spec.versionPriority, 400, patched.text);
  t.true((await api.call('GET', all)).body.items.some(({ spec }: Loose) => spec.versionPriority === 400));
  const labelled = await api.call('PATCH', path, {
    body: { metadata: { labels: { e2e: 'patched' } } },
    headers: STRATEGIC,
  });
  t.is(labelled.body.metadata.labels.e2e, 'patched', labelled.text);
  const told = await until('its status is written', async () => {
    const now = (await api.call('GET', path)).body;
    const conditions = [
      ...(now.status?.conditions ?? []),
      { type: 'StatusUpdated', status: 'True', reason: 'E2E', message: 'Set from e2e test' },
    ];
    const answer = await api.call('PUT', `${path}/status`, go({ ...now, status: { conditions } }));
    return answer.status === 200 && answer.body;
  });
  t.true(told.status.conditions.some(({ type }: Loose) => type === 'StatusUpdated'));
  const replaced = await api.call(
    'PUT',
    path,
    go({ ...told, metadata: { ...told.metadata, labels: { e2e: 'updated' } } }),
  );
  t.is(replaced.body.metadata?.labels?.e2e, 'updated', replaced.text);
  t.is((await api.call('DELETE', `${all}?labelSelector=e2e%3Dupdated`)).status, 200);
  await until('it is gone', async () => (await api.call('GET', path)).status === 404);
});
