/** A server behind the server: reached as a service through an agent, passed on to, merged into documents, watched over. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttps, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { createAuthority, issueCertificate } from '../../pki/authority.ts';
import { systemClock } from '../clock.ts';
import { addNode, addService, fakeAgent, listening, send } from '../testing/fake-agent.ts';
import { ADMIN } from '../testing/harness.ts';
import { ask, type World, worldOf } from '../testing/tls-world.ts';

const GROUP = 'wardle.example.com';
const VERSION = 'v1alpha1';
const OURS = `/apis/${GROUP}/${VERSION}`;
const APISERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';
const NAME = `${VERSION}.${GROUP}`;
const WAIT_MS = 20_000;

const RESOURCES = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: `${GROUP}/${VERSION}`,
  resources: [
    { name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder', verbs: ['get', 'list'] },
    { name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
  ],
};

interface Sample {
  readonly port: number;
  readonly caBundle: string;
  readonly seen: {
    readonly url: string;
    readonly method: string;
    readonly headers: IncomingMessage['headers'];
    readonly client: string;
  }[];
  /** Decides what `/apis` and documents answer. */
  isAggregated: boolean;
  isWell: boolean;
}

/** A server such as Kubernetes' sample-apiserver, as far as others see it. */
async function sampleServer(t: ExecutionContext, proxyAuthority: string): Promise<Sample> {
  const terms = { nowMs: systemClock.now(), validDays: 1 };
  const authority = await createAuthority('sample-ca', terms);
  const own = await issueCertificate(
    authority,
    { commonName: 'sample', hosts: ['sample.default.svc'], usages: ['server'] },
    terms,
  );
  const sample: Sample = {
    port: 0,
    caBundle: Buffer.from(authority.certificate).toString('base64'),
    seen: [],
    isAggregated: false,
    isWell: true,
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const socket = request.socket as TLSSocket;
    const client = socket.authorized ? String(socket.getPeerCertificate().subject.CN) : '';
    const { url = '', method = '', headers } = request;
    let size = 0;
    for await (const chunk of request) size += chunk.length;
    sample.seen.push({ url, method, headers, client });
    const json = (status: number, body: object, type = 'application/json') => {
      response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
    };
    if (!sample.isWell) return json(500, {});
    if (url === OURS) return json(200, RESOURCES);
    if (url === '/apis' && sample.isAggregated) {
      const resources = [
        {
          resource: 'fischers',
          responseKind: { group: GROUP, version: VERSION, kind: 'Fischer' },
          scope: 'Cluster',
          verbs: ['get'],
        },
      ];
      const items = [{ metadata: { name: GROUP }, versions: [{ version: VERSION, freshness: 'Current', resources }] }];
      const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
      return json(200, { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items }, type);
    }
    if (url === '/openapi/v2') {
      return json(200, {
        swagger: '2.0',
        paths: {
          [`${OURS}/flunders`]: {
            get: { responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/Flunder' } } } },
          },
          '/version/': {},
        },
        definitions: { Flunder: { type: 'object' }, Unused: {} },
      });
    }
    if (url === '/openapi/v3') {
      return json(200, { paths: { [`apis/${GROUP}/${VERSION}`]: { serverRelativeURL: `/openapi/v3${OURS}?hash=1` } } });
    }
    if (url.startsWith(`/openapi/v3${OURS}`)) return json(200, { openapi: '3.0.0' });
    if (url.includes('watch=true')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"type":"ADDED"}\n');
      setTimeout(() => response.end('{"type":"DELETED"}\n'), 50);
      return;
    }
    return json(method === 'POST' ? 201 : 200, { kind: 'Flunder', size });
  };
  const server = createHttps(
    { key: own.key, cert: own.certificate, ca: proxyAuthority, requestCert: true, rejectUnauthorized: false },
    (request, response) => void answer(request, response),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    socket.allowHalfOpen = true;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-User: ${request.headers['x-remote-user']}\r\n\r\n`,
    );
    socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => socket.end('bye'));
  });
  return Object.assign(sample, { port: await listening(t, server) });
}

interface AggregatedWorld {
  readonly world: World;
  readonly sample: Sample;
  readonly credentials: { readonly key: string; readonly cert: string };
  register(spec?: object): Promise<void>;
  /** Waits until the APIService's condition has this reason, and gives it. */
  condition(reason: string): Promise<Readonly<Record<string, string>>>;
}

async function aggregatedWorld(t: ExecutionContext): Promise<AggregatedWorld> {
  const terms = { nowMs: systemClock.now(), validDays: 1 };
  const proxies = await createAuthority('front-proxy-ca', terms);
  const proxy = await issueCertificate(proxies, { commonName: 'front-proxy-client', usages: ['client'] }, terms);
  const world = await worldOf(t, { proxyClient: { key: proxy.key, cert: proxy.certificate } });
  await addNode(world, await fakeAgent(t, world));
  const sample = await sampleServer(t, proxies.certificate);
  const ending = new AbortController();
  const kept = world.server.keepApiServices(ADMIN, ending.signal);
  t.teardown(async () => {
    ending.abort();
    await kept;
  });
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  return {
    world,
    sample,
    credentials: { key: admin.key, cert: admin.certificate },
    async register(spec = {}) {
      await send(world, 'POST', APISERVICES, {
        metadata: { name: NAME },
        spec: {
          group: GROUP,
          version: VERSION,
          groupPriorityMinimum: 2_000,
          versionPriority: 200,
          service: { namespace: 'default', name: 'sample' },
          caBundle: sample.caBundle,
          ...spec,
        },
      });
    },
    async condition(reason) {
      const deadline = systemClock.now() + WAIT_MS;
      for (;;) {
        const { status } = (await send(world, 'GET', `${APISERVICES}/${NAME}`)) as {
          status?: { conditions?: Readonly<Record<string, string>>[] };
        };
        const found = status?.conditions?.find(({ type }) => type === 'Available');
        if (found?.reason === reason) return found;
        if (systemClock.now() > deadline) throw new Error(`still ${JSON.stringify(status)}, not ${reason}`);
        await new Promise<void>(resolve => void systemClock.setTimeout(resolve, 50));
      }
    },
  };
}

const sampleService = (world: World, sample: Sample) =>
  addService(world, { namespace: 'default', name: 'sample', pods: { sample: sample.port } });

test('a group of another server is served through this one, told who asks', async t => {
  const { world, sample, credentials, register, condition } = await aggregatedWorld(t);
  await sampleService(world, sample);
  await register();
  t.like(await condition('Passed'), { status: 'True', message: 'all checks passed' });
  sample.seen.length = 0;
  const path = `${OURS}/namespaces/default/flunders?x=%2F`;
  const got = await ask(world, path, {
    ...credentials,
    method: 'POST',
    body: 'hello',
    headers: { 'x-remote-user': 'evil', 'x-remote-group': 'evil', 'x-own': 'kept', authorization: 'Bearer x' },
  });
  t.is(got.status, 201, got.text);
  t.deepEqual(JSON.parse(got.text), { kind: 'Flunder', size: 5 });
  const [seen] = sample.seen;
  t.like(seen, { url: path, method: 'POST', client: 'front-proxy-client' });
  t.like(seen?.headers, {
    host: 'sample.default.svc:443',
    'x-remote-user': 'root',
    'x-remote-group': 'system:masters, system:authenticated',
    'x-own': 'kept',
    authorization: undefined,
  });
  const jane = await world.issue({ commonName: 'jane', usages: ['client'] });
  const refused = await ask(world, path, { key: jane.key, cert: jane.certificate });
  t.is(refused.status, 403, 'authorization comes first');
  t.is(sample.seen.length, 1);
  const watched = await ask(world, `${OURS}/flunders?watch=true`, credentials);
  t.is(watched.text, '{"type":"ADDED"}\n{"type":"DELETED"}\n');
  const impersonated = await ask(world, `${OURS}/flunders`, {
    ...credentials,
    headers: { 'impersonate-user': 'ann', 'impersonate-group': 'system:masters', 'impersonate-extra-a%2fb': 'c' },
  });
  t.is(impersonated.status, 200, impersonated.text);
  t.like(sample.seen.at(-1)?.headers, {
    'x-remote-user': 'ann',
    'x-remote-extra-a%2fb': 'c',
    'impersonate-user': undefined,
  });
});

test('an upgraded connection goes through', async t => {
  const { world, sample, credentials, register, condition } = await aggregatedWorld(t);
  await sampleService(world, sample);
  await register();
  await condition('Passed');
  const { user, text } = await new Promise<{ user: unknown; text: string }>((resolve, reject) => {
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port: world.port,
      path: `${OURS}/namespaces/default/flunders/f/console`,
      ca: world.authority.certificate,
      agent: false,
      allowHalfOpen: true,
      ...credentials,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
    } as object);
    outgoing.on('error', reject);
    outgoing.on('response', answer => reject(new Error(`status ${answer.statusCode}`)));
    outgoing.on('upgrade', async (answer, socket) => {
      socket.allowHalfOpen = true;
      socket.end('hello ');
      let received = '';
      for await (const chunk of socket) received += chunk.toString();
      resolve({ user: answer.headers['x-user'], text: received });
    });
    outgoing.end();
  });
  t.deepEqual([user, text], ['root', 'HELLO bye']);
});

test('documents tell of all servers as one', async t => {
  const { world, sample, credentials, register, condition } = await aggregatedWorld(t);
  const before = await ask(world, '/apis', credentials);
  t.false(before.text.includes(GROUP));
  await sampleService(world, sample);
  await register();
  await condition('Passed');
  const groups = JSON.parse((await ask(world, '/apis', credentials)).text).groups as { name: string }[];
  const names = groups.map(({ name }) => name);
  t.deepEqual(
    names.filter(name => name !== GROUP),
    JSON.parse(before.text).groups.map(({ name }: { name: string }) => name),
  );
  // The metrics that this server gathers of its node come with the same claim.
  const others = names.filter(name => name !== 'metrics.k8s.io');
  t.is(others.at(-2), GROUP, 'by its priority: behind the built-in groups, before those of the past');
  t.deepEqual(JSON.parse((await ask(world, `/apis/${GROUP}`, credentials)).text), {
    kind: 'APIGroup',
    apiVersion: 'v1',
    name: GROUP,
    versions: [{ groupVersion: `${GROUP}/${VERSION}`, version: VERSION }],
    preferredVersion: { groupVersion: `${GROUP}/${VERSION}`, version: VERSION },
  });
  t.deepEqual(JSON.parse((await ask(world, OURS, credentials)).text), RESOURCES);
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
  const whole = await ask(world, '/apis', { ...credentials, headers: { accept } });
  t.regex(String(whole.headers['content-type']), /as=APIGroupDiscoveryList/);
  const item = JSON.parse(whole.text).items.find(
    ({ metadata }: { metadata: { name?: string } }) => metadata.name === GROUP,
  );
  t.deepEqual(item.versions, [
    {
      version: VERSION,
      freshness: 'Current',
      resources: [
        {
          resource: 'flunders',
          responseKind: { group: GROUP, version: VERSION, kind: 'Flunder' },
          scope: 'Namespaced',
          singularResource: 'flunder',
          verbs: ['get', 'list'],
          subresources: [
            {
              subresource: 'status',
              responseKind: { group: GROUP, version: VERSION, kind: 'Flunder' },
              verbs: ['get'],
            },
          ],
        },
      ],
    },
  ]);
  const etag = String(whole.headers.etag);
  t.is((await ask(world, '/apis', { ...credentials, headers: { accept, 'if-none-match': etag } })).status, 304);
  const v2 = JSON.parse((await ask(world, '/openapi/v2', credentials)).text);
  t.truthy(v2.paths[`${OURS}/flunders`]);
  t.truthy(v2.paths['/api/v1/pods'] ?? v2.paths['/api/v1/namespaces/{namespace}/pods']);
  t.is(v2.paths['/version/'].get.operationId, 'getCodeVersion', 'ours, not the one behind');
  t.deepEqual([v2.definitions.Flunder, v2.definitions.Unused], [{ type: 'object' }, undefined]);
  const v3 = JSON.parse((await ask(world, '/openapi/v3', credentials)).text);
  t.deepEqual(v3.paths[`apis/${GROUP}/${VERSION}`], { serverRelativeURL: `/openapi/v3${OURS}?hash=1` });
  t.truthy(v3.paths['api/v1']);
  t.is((await ask(world, `/openapi/v3${OURS}?hash=1`, credentials)).text, '{"openapi":"3.0.0"}');
});

test('whether a server is there is told with the reason, and one that is not is not asked', async t => {
  const { world, sample, credentials, register, condition } = await aggregatedWorld(t);
  await register();
  t.like(await condition('ServiceNotFound'), {
    status: 'False',
    message: 'service/sample in "default" is not present',
  });
  const missing = await ask(world, `${OURS}/flunders`, credentials);
  t.deepEqual([missing.status, missing.text], [503, 'service unavailable\n']);
  await send(world, 'POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'sample' },
    spec: { ports: [{ port: 80 }] },
  });
  t.like(await condition('ServicePortError'), { message: 'service/sample in "default" is not listening on port 443' });
  await send(world, 'DELETE', '/api/v1/namespaces/default/services/sample');
  await addService(world, { namespace: 'default', name: 'sample', pods: {} });
  await condition('EndpointsNotFound');
  await send(world, 'DELETE', '/api/v1/namespaces/default/services/sample');
  sample.isWell = false;
  await sampleService(world, sample);
  t.like(await condition('FailedDiscoveryCheck'), {
    status: 'False',
    message: `failing or missing response from https://sample.default.svc:443${OURS}: bad status from https://sample.default.svc:443${OURS}: 500`,
  });
  sample.isWell = true;
  await condition('Passed');
  // A certificate of somebody else's is no reason not to be there, but one not to be spoken to.
  await send(world, 'PATCH', `${APISERVICES}/${NAME}`, { spec: { caBundle: null } });
  const untrusted = await ask(world, `${OURS}/flunders`, credentials);
  t.is(untrusted.status, 503);
  t.regex(untrusted.text, /x509: certificate signed by unknown authority/);
  await send(world, 'PATCH', `${APISERVICES}/${NAME}`, { spec: { insecureSkipTLSVerify: true } });
  t.is((await ask(world, `${OURS}/flunders`, credentials)).status, 200);
  await send(world, 'DELETE', `${APISERVICES}/${NAME}`);
  t.is((await ask(world, `${OURS}/flunders`, credentials)).status, 404);
});

test('what the server serves itself is listed, and comes and goes with it', async t => {
  const { world } = await aggregatedWorld(t);
  const list = async () =>
    (
      (await send(world, 'GET', APISERVICES)) as {
        items: { metadata: { name: string; labels: object }; spec: object; status: object }[];
      }
    ).items;
  const deadline = systemClock.now() + WAIT_MS;
  let items = await list();
  while (!items.some(({ metadata }) => metadata.name === 'v1.storage.k8s.io') && systemClock.now() < deadline)
    items = await list();
  const apps = items.find(({ metadata }) => metadata.name === 'v1.apps');
  t.like(apps, {
    metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' } },
    spec: { group: 'apps', version: 'v1', groupPriorityMinimum: 17_800, versionPriority: 15 },
    status: {
      conditions: [
        { type: 'Available', status: 'True', reason: 'Local', message: 'Local APIServices are always available' },
      ],
    },
  });
  t.like(
    items.find(({ metadata }) => metadata.name === 'v1.'),
    { spec: { version: 'v1', groupPriorityMinimum: 18_000 } },
  );
});
