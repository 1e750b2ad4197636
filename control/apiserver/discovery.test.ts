import test, { type ExecutionContext } from 'ava';
import { createHarness, type Harness } from './testing/harness.ts';

async function harnessOf(t: ExecutionContext): Promise<Harness> {
  const harness = await createHarness();
  t.teardown(() => harness.close());
  return harness;
}

test('groups come in the order of Kubernetes, those that it no longer has last', async t => {
  const { call } = await harnessOf(t);
  const { body } = await call('GET', '/apis');
  const names = body.groups.map(({ name }: { name: string }) => name);
  t.deepEqual(names.slice(0, 3), ['apiregistration.k8s.io', 'apps', 'events.k8s.io']);
  t.is(names.at(-1), 'extensions');
});

test('stored resources have the hash of the version in which they are stored', async t => {
  const { call } = await harnessOf(t);
  const hashOf = async (path: string, resource: string) => {
    const { body } = await call('GET', path);
    return body.resources.find(({ name }: { name: string }) => name === resource).storageVersionHash;
  };
  // Known from every Kubernetes cluster.
  t.is(await hashOf('/api/v1', 'pods'), 'xPOwRZ+Yhw8=');
  t.is(await hashOf('/apis/extensions/v1beta1', 'deployments'), await hashOf('/apis/apps/v1', 'deployments'));
  t.is(await hashOf('/api/v1', 'pods/status'), undefined);
  t.is(await hashOf('/apis/authorization.k8s.io/v1', 'subjectaccessreviews'), undefined);
});

test('the aggregated document tells the group of a kind only where it is another', async t => {
  const { call } = await harnessOf(t);
  const { text } = await call('GET', '/apis', {
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
  });
  const { items } = JSON.parse(text) as {
    items: { metadata: { name: string }; versions: { resources: Aggregated[] }[] }[];
  };
  const apps = items.find(({ metadata }) => metadata.name === 'apps')?.versions[0]?.resources;
  const deployments = apps?.find(({ resource }) => resource === 'deployments');
  t.deepEqual(deployments?.responseKind, { group: '', version: '', kind: 'Deployment' });
  t.deepEqual(
    deployments?.subresources?.map(({ responseKind }) => responseKind),
    [
      { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      { group: '', version: '', kind: 'Deployment' },
    ],
  );
});
interface Aggregated {
  readonly resource: string;
  readonly responseKind: object;
  readonly subresources?: readonly { readonly responseKind: object }[];
}

test('curl gets its documents laid out, failures too', async t => {
  const { call } = await harnessOf(t);
  const headers = { 'user-agent': 'curl/8.5.0' };
  const missing = await call('GET', '/api/v1/namespaces/default/configmaps/nope', { headers });
  t.true(missing.text.startsWith('{\n  "kind": "Status",\n  "apiVersion": "v1",\n  "metadata": {},\n'));
  const plain = await call('GET', '/api/v1/namespaces/default/configmaps/nope');
  t.deepEqual(JSON.parse(missing.text), plain.body);
  t.true(plain.text.startsWith('{"kind":"Status"'));
});

test('a path that can be watched says so where nothing is acceptable', async t => {
  const { call } = await harnessOf(t);
  const ask = async (path: string) => (await call('GET', path, { headers: { accept: 'text/html' } })).body.message;
  t.regex(await ask('/api/v1/namespaces/default/configmaps'), /application\/json;stream=watch, application\/vnd/);
  t.notRegex(await ask('/api/v1/namespaces/default'), /stream=watch/);
});

test('every answer about endpoints says that they are on their way out', async t => {
  const { call } = await harnessOf(t);
  const answer = await call('GET', '/api/v1/namespaces/default/endpoints');
  t.is(answer.headers.warning, '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"');
  t.false('warning' in (await call('GET', '/api/v1/namespaces/default/configmaps')).headers);
});
