/** PodSecurity through the server: what is refused, what is warned about, and when. */
import test, { type ExecutionContext } from 'ava';
import { type Answer, createHarness, type Harness } from '../../testing/harness.ts';

const PATH = '/api/v1/namespaces/n';
const MERGE = { 'content-type': 'application/merge-patch+json' };
const POLICY = 'pod-security.kubernetes.io/';

async function withNamespace(t: ExecutionContext, labels: Record<string, string>): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  const named = Object.fromEntries(Object.entries(labels).map(([name, value]) => [POLICY + name, value]));
  await harness.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'n', labels: named },
  } as object);
  return harness;
}
const spec = (more: object = {}) => ({ containers: [{ name: 'c', image: 'i' }], ...more });
const pod = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: spec(more),
});
const deployment = (more: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: spec(more) },
  },
});
const warnings = ({ headers }: Answer) =>
  [...(headers.warning ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(match =>
    (match[1] ?? '').replaceAll('\\"', '"'),
  );

test('a pod that does not meet the enforced level is refused; its workload is not', async t => {
  const { call } = await withNamespace(t, { enforce: 'baseline', 'enforce-version': 'v1.33' });
  const refused = await call('POST', `${PATH}/pods`, { body: pod('p', { hostPID: true }) });
  t.is(refused.status, 403);
  t.is(
    refused.body.message,
    'pods "p" is forbidden: violates PodSecurity "baseline:v1.33": host namespaces (hostPID=true)',
  );
  t.deepEqual(refused.body.details, { name: 'p', kind: 'pods' });
  t.is((await call('POST', `${PATH}/pods`, { body: pod('p') })).status, 201);
  const workload = await call('POST', '/apis/apps/v1/namespaces/n/deployments', {
    body: deployment({ hostPID: true }),
  });
  t.is(workload.status, 201);
  t.deepEqual(warnings(workload), []);
  const image = await call('PATCH', `${PATH}/pods/p`, {
    body: [{ op: 'replace', path: '/spec/containers/0/image', value: 'j' }],
    headers: { 'content-type': 'application/json-patch+json' },
  });
  t.is(image.status, 200);
});

test('warnings are told of pods and of what makes them; not where the pod is refused anyway', async t => {
  const { call } = await withNamespace(t, { enforce: 'baseline', warn: 'restricted', 'warn-version': 'v1.22' });
  const sentence =
    /^would violate PodSecurity "restricted:v1.22": allowPrivilegeEscalation != false \(container "c" must/;
  for (const [path, body] of [
    [`${PATH}/pods`, pod('p')],
    ['/apis/apps/v1/namespaces/n/deployments', deployment()],
    [
      '/apis/batch/v1/namespaces/n/cronjobs',
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'j' },
        spec: {
          schedule: '* * * * *',
          jobTemplate: { spec: { template: { spec: spec({ restartPolicy: 'Never' }) } } },
        },
      },
    ],
  ] as const) {
    const answer = await call('POST', path, { body });
    t.is(answer.status, 201, path);
    t.regex(warnings(answer)[0] ?? '', sentence, path);
  }
  const refused = await call('POST', `${PATH}/pods`, { body: pod('q', { hostIPC: true }) });
  t.is(refused.status, 403);
  t.deepEqual(warnings(refused), []);
});

test('a pod that was there before may be labelled, but no worse image put into it', async t => {
  const { call, create } = await withNamespace(t, {});
  await create(`${PATH}/pods`, pod('p', { hostPID: true }));
  const patch = (path: string, body: object) => call('PATCH', path, { body, headers: MERGE });
  await patch('/api/v1/namespaces/n', { metadata: { labels: { [`${POLICY}enforce`]: 'baseline' } } });
  t.is((await patch(`${PATH}/pods/p`, { metadata: { labels: { a: 'b' } } })).status, 200);
  t.is((await patch(`${PATH}/pods/p/status`, { status: { phase: 'Running' } })).status, 200);
  const image = await call('PATCH', `${PATH}/pods/p`, {
    body: [{ op: 'replace', path: '/spec/containers/0/image', value: 'j' }],
    headers: { 'content-type': 'application/json-patch+json' },
  });
  t.is(image.status, 403);
  t.is((await call('DELETE', `${PATH}/pods/p?gracePeriodSeconds=0`)).status, 200);
});

test('a stricter level names those who are there already', async t => {
  const { call, create } = await withNamespace(t, {});
  for (const name of ['b', 'a', 'c']) await create(`${PATH}/pods`, pod(name, { hostPID: true }));
  await create(
    `${PATH}/pods`,
    pod('d', { hostIPC: true, hostNetwork: true, volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
  );
  await create(`${PATH}/pods`, pod('e'));
  const label = (labels: Record<string, string | null>) =>
    call('PATCH', '/api/v1/namespaces/n', {
      body: { metadata: { labels: Object.fromEntries(Object.entries(labels).map(([k, v]) => [POLICY + k, v])) } },
      headers: MERGE,
    });
  t.deepEqual(warnings(await label({ enforce: 'baseline' })), [
    'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"',
    'a (and 2 other pods): host namespaces',
    'd: host namespaces, hostPath volumes',
  ]);
  t.deepEqual(warnings(await label({ warn: 'restricted' })), []);
  t.is(warnings(await label({ enforce: 'restricted' })).length, 4);
  t.deepEqual(warnings(await label({ enforce: 'baseline' })), []);
  t.deepEqual(warnings(await label({ enforce: 'privileged' })), []);
});

test('labels must be right when they are set', async t => {
  const { call } = await withNamespace(t, {});
  const made = await call('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'm', labels: { [`${POLICY}enforce`]: 'x' } } },
  });
  t.is(made.status, 422);
  t.is(
    made.body.message,
    'Namespace "m" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "x": must be one of privileged, baseline, restricted',
  );
  const changed = await call('PATCH', '/api/v1/namespaces/n', {
    body: { metadata: { labels: { [`${POLICY}warn-version`]: 'v2' } } },
    headers: MERGE,
  });
  t.is(changed.status, 422);
});

test('the audit log is told the level that is enforced, and what the level for audits finds', async t => {
  const told: Record<string, string>[] = [];
  const { call, create, close } = await createHarness({
    overrides: {
      audit: ({ verb, annotations }) => {
        if (verb !== 'create') return;
        const own = [...annotations].filter(([key]) => key.startsWith('pod-security.kubernetes.io/'));
        if (own.length > 0) told.push(Object.fromEntries(own));
      },
    },
  });
  t.teardown(close);
  const label = (key: string) => `pod-security.kubernetes.io/${key}`;
  const labels = { [label('enforce')]: 'privileged', [label('audit')]: 'baseline', [label('audit-version')]: 'v1.30' };
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'told', labels } });
  const body = { metadata: { name: 'p' }, spec: { hostPID: true, containers: [{ name: 'c', image: 'i' }] } };
  for (const namespace of ['told', 'default']) {
    await create(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
    t.is((await call('POST', `/api/v1/namespaces/${namespace}/pods`, { body })).status, 201);
  }
  t.deepEqual(told, [
    {
      [label('enforce-policy')]: 'privileged:latest',
      [label('audit-violations')]: 'would violate PodSecurity "baseline:v1.30": host namespaces (hostPID=true)',
    },
    { [label('enforce-policy')]: 'privileged:latest' },
  ]);
});
