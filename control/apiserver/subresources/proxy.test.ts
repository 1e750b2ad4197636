/** Proxies: names, paths, methods, bodies and upgrades, through an agent that opens tunnels and by dialling. */
import { createServer as createHttp, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttps, request as httpsRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { ADMIN } from '../testing/harness.ts';
import { ask, type World, worldOf } from '../testing/tls-world.ts';
import { relocate } from './proxy.ts';
import { splitSchemeNamePort } from './proxy-target.ts';

test('names are taken apart as Kubernetes does', t => {
  for (const [text, expected] of [
    ['web', { scheme: '', name: 'web', port: '' }],
    ['web:80', { scheme: '', name: 'web', port: '80' }],
    ['https:web:', { scheme: 'https', name: 'web', port: '' }],
    ['http:web:http', { scheme: 'http', name: 'web', port: 'http' }],
    ['', undefined],
    [':80', undefined],
    ['ftp:web:21', undefined],
    ['a:b:c:d', undefined],
  ] as const) {
    t.deepEqual(splitSchemeNamePort(text), expected, text);
  }
});

test('redirections stay behind the proxy', t => {
  const at = { prefix: '/p/proxy', host: 'api:6443' };
  t.is(relocate('/login', at), '/p/proxy/login');
  t.is(relocate('http://api:6443/login?x=1', at), 'https://api:6443/p/proxy/login?x=1');
  t.is(relocate('https://example.com/login', at), 'https://example.com/login');
  t.is(relocate('next', at), 'next');
  t.is(relocate('/p/proxy/login', at), '/p/proxy/login');
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;
const listening = (server: Server) => new Promise<void>(resolve => void server.listen(0, '127.0.0.1', () => resolve()));

/** What runs in the pod: tells what it was asked, and echoes upgraded connections in capitals. */
async function podServer(t: ExecutionContext): Promise<number> {
  const server = createHttp(async (request, response) => {
    if (request.url === '/redirect') return void response.writeHead(302, { location: '/there' }).end();
    if (request.url === '/page') {
      const html = '<a href="/rewriteme">test</a>';
      return void response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': html.length })
        .end(html);
    }
    let size = 0;
    for await (const chunk of request) size += chunk.length;
    const { method, url, headers } = request;
    response.writeHead(url?.startsWith('/teapot') ? 418 : 200, {
      'content-type': 'application/json',
      'set-cookie': ['a=1', 'b=2'],
    });
    response.end(JSON.stringify({ method, url, size, headers }));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    if (request.url === '/refused') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    socket.allowHalfOpen = true;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Of: pod\r\n\r\n');
    socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => socket.end('bye'));
  });
  await listening(server);
  t.teardown(() => new Promise<void>(resolve => void server.close(() => resolve()).closeAllConnections()));
  return portOf(server);
}

/** A node's agent as far as proxies need it. */
async function agentServer(t: ExecutionContext, world: World): Promise<number> {
  const own = await world.issue({
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    usages: ['server'],
  });
  const server = createHttps(
    { key: own.key, cert: own.certificate, ca: world.authority.certificate, requestCert: true },
    (request, response) => void response.end(`agent ${request.url}`),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const [, kind, namespace, name, port] = (request.url ?? '').split('/');
    t.deepEqual([kind, namespace, name, request.headers.upgrade], ['tunnel', 'default', 'p', 'tcp']);
    const pod = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true });
    const refuse = () => {
      const text = `dial tcp 127.0.0.1:${port}: connect: connection refused`;
      socket.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    };
    pod.once('error', refuse);
    pod.once('connect', () => {
      pod.off('error', refuse);
      pod.on('error', () => socket.destroy());
      socket.on('error', () => pod.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.allowHalfOpen = true;
      socket.pipe(pod).pipe(socket);
    });
  });
  await listening(server);
  t.teardown(() => new Promise<void>(resolve => void server.close(() => resolve()).closeAllConnections()));
  return portOf(server);
}

async function proxyWorld(t: ExecutionContext) {
  const world = await worldOf(t);
  const port = await podServer(t);
  const agentPort = await agentServer(t, world);
  const send = async (method: string, path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const response = await world.server.handle({ method, path, headers, body: JSON.stringify(body) }, ADMIN);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    t.true(response.status < 300, `${path}: ${Buffer.concat(chunks)}`);
  };
  await send('POST', '/api/v1/nodes', {
    metadata: { name: 'n1' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: agentPort } },
    },
  });
  const pods = '/api/v1/namespaces/default/pods';
  const containers = [{ name: 'c', image: 'a:1', ports: [{ containerPort: port }] }];
  await send('POST', pods, { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers } });
  await send('PUT', `${pods}/p/status`, {
    metadata: { name: 'p' },
    spec: { containers },
    status: { phase: 'Running', podIP: '10.244.0.5' },
  });
  await send('POST', pods, { metadata: { name: 'waiting' }, spec: { containers } });
  await send('POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'web' },
    spec: {
      ports: [
        { name: 'http', port: 80, targetPort: port },
        { name: 'other', port: 81, targetPort: 9 },
      ],
    },
  });
  await send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.244.0.6'], conditions: { ready: false } },
      { addresses: ['10.244.0.5'], conditions: { ready: true }, targetRef: { kind: 'Pod', name: 'p' } },
    ],
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  });
  const admin = await world.issue({ commonName: 'root', organizations: ['system:masters'], usages: ['client'] });
  return { world, port, credentials: { key: admin.key, cert: admin.certificate } };
}

const PODS = '/api/v1/namespaces/default/pods';

test('requests of any method reach the pod with path, query and body', async t => {
  const { world, port, credentials } = await proxyWorld(t);
  const name = `p:${port}`;
  const got = await ask(world, `${PODS}/${name}/proxy/a%2Fb/c/?x=1&y=%20`, {
    ...credentials,
    headers: { authorization: 'Bearer mine', 'x-own': 'kept', cookie: 'c=1' },
  });
  t.is(got.status, 200, got.text);
  const seen = JSON.parse(got.text);
  t.is(seen.url, '/a%2Fb/c/?x=1&y=%20');
  t.is(seen.headers['x-own'], 'kept');
  t.is(seen.headers.cookie, 'c=1');
  t.is(seen.headers.authorization, undefined);
  t.is(seen.headers['x-forwarded-uri'], `${PODS}/${name}/proxy/a%2Fb/c/`);
  t.deepEqual(got.headers['set-cookie'], ['a=1', 'b=2']);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const body = Buffer.alloc(5_000_000, 'x');
    const headers = method === 'PUT' ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length };
    const answer = await ask(world, `${PODS}/${name}/proxy/teapot`, { ...credentials, method, body, headers });
    t.is(answer.status, 418, method);
    t.like(JSON.parse(answer.text), { method, size: body.length });
  }
  const head = await ask(world, `${PODS}/${name}/proxy/`, { ...credentials, method: 'HEAD' });
  t.deepEqual([head.status, head.text], [200, '']);
});

test('the declared port is the default, and a path without a slash is sent to one with', async t => {
  const { world, credentials } = await proxyWorld(t);
  t.is((await ask(world, `${PODS}/p/proxy/`, credentials)).status, 200);
  const moved = await ask(world, `${PODS}/p/proxy?x=1`, credentials);
  t.deepEqual([moved.status, moved.headers.location], [301, `${PODS}/p/proxy/?x=1`]);
  t.is((await ask(world, `${PODS}/p/proxy`, { ...credentials, method: 'HEAD' })).status, 301);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const there = await ask(world, `${PODS}/p/proxy?x=1`, { ...credentials, method });
    t.is(there.status, 200, method);
    t.like(JSON.parse(there.text), { method, url: '/?x=1' });
  }
  const redirected = await ask(world, `${PODS}/p/proxy/redirect`, credentials);
  t.deepEqual([redirected.status, redirected.headers.location], [302, `${PODS}/p/proxy/there`]);
});

test('links of a page stay behind the proxy', async t => {
  const { world, credentials } = await proxyWorld(t);
  for (const prefix of [`${PODS}/p/proxy`, '/api/v1/namespaces/default/services/web:http/proxy']) {
    const page = await ask(world, `${prefix}/page`, credentials);
    t.deepEqual([page.status, page.text], [200, `<a href="${prefix}/rewriteme">test</a>`]);
    const head = await ask(world, `${prefix}/page`, { ...credentials, method: 'HEAD' });
    t.deepEqual([head.status, head.headers['content-length'], head.text], [200, '29', '']);
  }
});

test('a service leads to a ready pod, by the name or number of its port', async t => {
  const { world, credentials } = await proxyWorld(t);
  const services = '/api/v1/namespaces/default/services';
  for (const name of ['web:http', 'web:80', 'http:web:http']) {
    const answer = await ask(world, `${services}/${name}/proxy/x`, credentials);
    t.is(answer.status, 200, answer.text);
  }
  const message = async (name: string) => {
    const { status, text } = await ask(world, `${services}/${name}/proxy/`, credentials);
    return [status, JSON.parse(text).message];
  };
  t.deepEqual(await message('web'), [503, 'no endpoints available for service "web"']);
  t.deepEqual(await message('web:other'), [503, 'no endpoints available for service "web:other"']);
  t.deepEqual(await message('web:82'), [503, 'no service port 82 found for service "web"']);
  t.deepEqual(await message('none:80'), [404, 'services "none" not found']);
  t.deepEqual(await message('ftp:web:80'), [400, 'invalid service request "ftp:web:80"']);
});

test('a node without a port, or with its agent’s, is its agent', async t => {
  const { world, port, credentials } = await proxyWorld(t);
  t.is((await ask(world, '/api/v1/nodes/n1/proxy/pods?a=b', credentials)).text, 'agent /pods?a=b');
  t.is((await ask(world, `/api/v1/nodes/n1:${port}/proxy/`, credentials)).status, 200);
  t.is((await ask(world, '/api/v1/nodes/n2/proxy/', credentials)).status, 404);
});

test('what cannot be reached is told', async t => {
  const { world, credentials } = await proxyWorld(t);
  const refused = await ask(world, `${PODS}/p:1/proxy/`, credentials);
  t.is(refused.status, 503);
  t.like(JSON.parse(refused.text), {
    reason: 'ServiceUnavailable',
    message: 'error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused',
  });
  t.is((await ask(world, `${PODS}/nobody/proxy/`, credentials)).status, 404);
  const waiting = await ask(world, `${PODS}/waiting/proxy/`, credentials);
  t.deepEqual([waiting.status, JSON.parse(waiting.text).message], [400, 'address not allowed']);
  const jane = await world.issue({ commonName: 'jane', usages: ['client'] });
  const forbidden = await ask(world, `${PODS}/p/proxy/`, { key: jane.key, cert: jane.certificate });
  t.regex(forbidden.text, /User \\"jane\\" cannot get resource \\"pods\/proxy\\"/);
});

test('a pod may speak TLS with a certificate of its own making', async t => {
  const { world, credentials } = await proxyWorld(t);
  const own = await world.issue({ commonName: 'whoever', usages: ['server'] });
  const server = createHttps({ key: own.key, cert: own.certificate }, (request, response) => {
    response.end(`secret ${request.url}`);
  });
  await listening(server);
  t.teardown(() => new Promise<void>(resolve => void server.close(() => resolve()).closeAllConnections()));
  const answer = await ask(world, `${PODS}/https:p:${portOf(server)}/proxy/x`, credentials);
  t.is(answer.text, 'secret /x');
  const plain = await ask(world, `${PODS}/p:${portOf(server)}/proxy/x`, credentials);
  t.true(plain.status >= 400, plain.text);
});

test('an upgraded connection passes bytes both ways, and an end stays an end', async t => {
  const { world, credentials } = await proxyWorld(t);
  const upgrade = (path: string) =>
    new Promise<{ head: IncomingMessage; text: string }>((resolve, reject) => {
      const outgoing = httpsRequest({
        host: '127.0.0.1',
        port: world.port,
        path,
        ca: world.authority.certificate,
        agent: false,
        allowHalfOpen: true,
        ...credentials,
        headers: { connection: 'Upgrade', upgrade: 'echo' },
      } as object);
      const collect = async (head: IncomingMessage, body: AsyncIterable<Buffer>) => {
        let text = '';
        for await (const chunk of body) text += chunk.toString();
        resolve({ head, text });
      };
      outgoing.on('error', reject);
      outgoing.on('response', answer => void collect(answer, answer));
      outgoing.on('upgrade', (answer, socket) => {
        socket.allowHalfOpen = true;
        void collect(answer, socket);
        socket.end('hello ');
      });
      outgoing.end();
    });
  const { head, text } = await upgrade(`${PODS}/p/proxy/socket`);
  t.deepEqual([head.statusCode, head.headers.upgrade, head.headers['x-of']], [101, 'echo', 'pod']);
  t.is(text, 'HELLO bye');
  const refused = await upgrade(`${PODS}/p/proxy/refused`);
  t.deepEqual([refused.head.statusCode, refused.text], [403, 'no']);
});

test('CVE-2018-1002105: an upgrade that was refused leaves no way to who refused it', async t => {
  const { world, credentials } = await proxyWorld(t);
  const server = createHttp();
  let heard = '';
  // It says no, and would go on listening.
  server.on('upgrade', (_request, socket: Duplex) => {
    socket.on('data', chunk => {
      heard += chunk;
    });
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    t.teardown(() => socket.destroy());
  });
  await listening(server);
  t.teardown(() => void server.close());
  const client = connectTls({ host: '127.0.0.1', port: world.port, ca: world.authority.certificate, ...credentials });
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`;
  client.write(request(`${PODS}/p:${portOf(server)}/proxy/`));
  const answer = text(client);
  client.once('data', () => client.write(request('/planted')));
  t.regex(await answer, /^HTTP\/1\.1 403 Forbidden\r\n.*\r\n\r\nno$/s);
  t.is(heard, '');
});
