import test from 'ava';
import type { ApiRequest, ApiResponse, ApiTransport } from './client.ts';
import { KindDiscovery } from './discovery.ts';

/** A server whose documents can be changed; `asked` tells which requests it answered, and how. */
function serverOf(documents: Record<string, { etag?: string; document: object }>) {
  const asked: string[] = [];
  const request = async ({ path, headers = {} }: ApiRequest): Promise<ApiResponse> => {
    const found = documents[path];
    const { etag } = found ?? {};
    const isKnown = etag !== undefined && headers['if-none-match'] === etag;
    const status = !found ? 404 : isKnown ? 304 : 200;
    asked.push(`${path} ${status}`);
    return {
      status,
      headers: etag === undefined ? {} : { etag },
      body: (async function* () {
        if (status === 200) yield Buffer.from(JSON.stringify(found?.document));
      })(),
    };
  };
  const transport: ApiTransport = { request, close: async () => {} };
  return { transport, asked };
}

function groupsOf(group: string, ...plurals: string[]) {
  const resources = plurals.map(resource => ({
    resource,
    responseKind: { kind: resource },
    scope: 'Namespaced',
    verbs: ['list'],
  }));
  const items = [{ metadata: { name: group }, versions: [{ version: 'v1', resources }] }];
  return { kind: 'APIGroupDiscoveryList', items };
}

test('what has not changed is neither sent nor read again', async t => {
  const documents = {
    '/api': { etag: '"a"', document: groupsOf('', 'pods') },
    '/apis': { etag: '"b"', document: groupsOf('apps', 'deployments') },
  };
  const { transport, asked } = serverOf(documents);
  const discovery = new KindDiscovery(transport);
  const first = await discovery.read();
  t.deepEqual(
    first.map(({ group, plural }) => `${group}/${plural}`),
    ['/pods', 'apps/deployments'],
  );
  t.is(await discovery.read(), first);
  documents['/apis'] = { etag: '"c"', document: groupsOf('apps', 'deployments', 'widgets') };
  const second = await discovery.read();
  t.deepEqual(
    second.map(({ plural }) => plural),
    ['pods', 'deployments', 'widgets'],
  );
  t.deepEqual(asked, ['/api 200', '/apis 200', '/api 304', '/apis 304', '/api 304', '/apis 200']);
});

test('a server without tags is read each time, and a failure leaves nothing half known', async t => {
  const documents: Record<string, { etag?: string; document: object }> = {
    '/api': { document: groupsOf('', 'pods') },
    '/apis': { etag: '"b"', document: groupsOf('apps', 'deployments') },
  };
  const { transport, asked } = serverOf(documents);
  const discovery = new KindDiscovery(transport);
  await discovery.read();
  delete documents['/api'];
  await t.throwsAsync(discovery.read(), { message: /\/api was answered with status 404/ });
  documents['/api'] = { document: groupsOf('', 'pods', 'services') };
  t.deepEqual(
    (await discovery.read()).map(({ plural }) => plural),
    ['pods', 'services', 'deployments'],
  );
  t.deepEqual(asked.slice(2), ['/api 404', '/apis 304', '/api 200', '/apis 304']);
});

test('what has changed while the other document failed is there with the next answer', async t => {
  const documents: Record<string, { etag?: string; document: object }> = {
    '/api': { etag: '"a"', document: groupsOf('', 'pods') },
    '/apis': { etag: '"b"', document: groupsOf('apps', 'deployments') },
  };
  const { transport } = serverOf(documents);
  const discovery = new KindDiscovery(transport);
  await discovery.read();
  delete documents['/api'];
  documents['/apis'] = { etag: '"c"', document: groupsOf('apps', 'widgets') };
  await t.throwsAsync(discovery.read());
  documents['/api'] = { etag: '"a"', document: groupsOf('', 'pods') };
  t.deepEqual(
    (await discovery.read()).map(({ plural }) => plural),
    ['pods', 'widgets'],
  );
});

test('groups whose server did not answer are named, until it does', async t => {
  const versions = [
    { version: 'v1', freshness: 'Stale', resources: [] },
    { version: 'v2', freshness: 'Current', resources: [] },
  ];
  const documents: Record<string, { etag?: string; document: object }> = {
    '/api': { etag: '"a"', document: groupsOf('', 'pods') },
    '/apis': {
      etag: '"b"',
      document: { kind: 'APIGroupDiscoveryList', items: [{ metadata: { name: 'example.com' }, versions }] },
    },
  };
  const discovery = new KindDiscovery(serverOf(documents).transport);
  t.deepEqual(discovery.stale, []);
  for (let time = 0; time < 2; time++) {
    await discovery.read();
    t.deepEqual(discovery.stale, ['example.com/v1']);
  }
  documents['/apis'] = { etag: '"c"', document: groupsOf('example.com', 'widgets') };
  await discovery.read();
  t.deepEqual(discovery.stale, []);
});
