/** The proxy before real servers on loopback: plain requests, streams, errors, limits. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { until } from '../../control/client/testing/until.ts';
import { endpointslices } from '../api.ts';
import { newIngressBench, startBackend } from './testing/bench.ts';
import { ingressOf, sliceOf } from './testing/objects.ts';

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
function ask(port: number, options: RequestOptions & { readonly body?: string } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ host: '127.0.0.1', port, agent: false, ...options });
    outgoing.on('error', reject);
    outgoing.on('response', response => {
      text(response).then(body => resolve({ status: response.statusCode, headers: response.headers, body }), reject);
    });
    outgoing.end(options.body);
  });
}
const host = (name: string) => ({ headers: { host: name } });

/** Sends bytes as they are, and gives all that comes back until the connection ends. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  socket.write(bytes);
  return text(socket);
}

test('a request arrives as it was sent, with who sent it; an answer too', async t => {
  const bench = await newIngressBench(t);
  const seen: IncomingMessage[] = [];
  const backend = await startBackend(t, (request, response) => {
    seen.push(request);
    response.writeHead(
      201,
      'Made',
      [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['X-Own', 'x'],
        ['Keep-Alive', 'timeout=99'],
      ].flat(),
    );
    response.end(`${request.method} ${request.url}`);
  });
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['web.test / Prefix web:80']));
  const reply = await ask(bench.http, {
    method: 'PATCH',
    path: '/a/%2e%2e/b?c=%20d',
    body: 'body',
    headers: {
      host: 'Web.Test:8080',
      connection: 'close, x-hop',
      'x-hop': 'stays behind',
      'x-forwarded-for': '6.6.6.6',
      'x-real-ip': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      'proxy-authorization': 'secret',
      'x-custom': ['1', '2'],
    },
  });
  t.like(reply, { status: 201, body: 'PATCH /a/%2e%2e/b?c=%20d' });
  t.deepEqual(reply.headers['set-cookie'], ['a=1', 'b=2']);
  t.is(reply.headers['x-own'], 'x');
  t.not(reply.headers['keep-alive'], 'timeout=99');
  const { headers } = seen[0] ?? {};
  t.like(headers, {
    host: 'Web.Test:8080',
    'x-forwarded-for': '127.0.0.1',
    'x-real-ip': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'Web.Test:8080',
    'x-forwarded-port': String(bench.http),
    'x-custom': '1, 2',
    'content-length': '4',
  });
  for (const name of ['x-hop', 'forwarded', 'proxy-authorization', 'transfer-encoding'])
    t.is(headers?.[name], undefined, name);
});

test('what meets nothing: plain sentences and the right codes', async t => {
  const bench = await newIngressBench(t);
  await bench.serve('empty', []);
  await bench.route(
    ingressOf('a', ['h /missing Prefix nobody:80', 'h /empty Prefix empty:80', 'h /port Prefix empty:81']),
  );
  const closed = await startBackend(t, () => undefined);
  closed.server.close();
  await bench.serve('down', [closed.port]);
  await bench.route(ingressOf('b', ['d / Prefix down:80']));
  const cases = [
    ['other', '/', 404, 'no Ingress has a rule'],
    ['h', '/missing', 503, 'does not exist or has no such port'],
    ['h', '/port', 503, 'does not exist or has no such port'],
    ['h', '/empty', 503, 'has no ready endpoint'],
    ['d', '/', 502, 'could not be reached'],
  ] as const;
  for (const [name, path, status, words] of cases) {
    const reply = await ask(bench.http, { ...host(name), path });
    t.is(reply.status, status, path);
    t.true(reply.body.includes(words), reply.body);
    t.is(reply.headers['content-type'], 'text/plain; charset=utf-8');
  }
  const head = await ask(bench.http, { ...host('other'), method: 'HEAD' });
  t.like(head, { status: 404, body: '' });
  t.regex(await raw(bench.http, 'OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'), /^HTTP\/1.1 400 /);
});

test('the authority of an absolute target counts, for the route and for the backend', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (request, response) => response.end(request.headers.host));
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['inner / Prefix web:80']));
  const answer = await raw(bench.http, 'GET http://inner/x HTTP/1.1\r\nHost: outer\r\nConnection: close\r\n\r\n');
  t.regex(answer, /^HTTP\/1.1 200 /);
  t.true(answer.includes('inner') && !answer.includes('outer'));
});

test('requests that could be read in two ways are refused', async t => {
  const bench = await newIngressBench(t);
  const seen: string[] = [];
  const backend = await startBackend(t, (request, response) => {
    seen.push(request.url ?? '');
    request.resume();
    response.end('ok');
  });
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  const start = 'POST /first HTTP/1.1\r\nHost: h\r\n';
  const hidden = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';
  const attacks = [
    `${start}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${start}Content-Length: 6\r\nContent-Length: 7\r\n\r\nabcdefg${hidden}`,
    `${start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
    `${start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
    `${start}Content-Length: +6\r\n\r\nabcdef${hidden}`,
    `${start}X: a\nContent-Length: 0\r\n\r\n${hidden}`,
    `${start}Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    `GET /first HTTP/1.1\r\n\r\n${hidden}`,
  ];
  for (const attack of attacks) t.regex(await raw(bench.http, attack), /^HTTP\/1.1 400 /, JSON.stringify(attack));
  t.deepEqual(seen, []);
});

test('bodies stream both ways, without being kept', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (request, response) => {
    response.writeHead(200);
    request.pipe(response);
  });
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  const outgoing = httpRequest({ host: '127.0.0.1', port: bench.http, method: 'POST', agent: false, ...host('h') });
  outgoing.write('one');
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  // Each part comes back before the next is sent: nobody waits for the end.
  for (const part of ['one', 'two', 'three']) {
    if (part !== 'one') outgoing.write(part);
    const [chunk] = await once(response, 'data');
    t.is(String(chunk), part);
  }
  outgoing.end();
  await once(response, 'end');
  const large = 'x'.repeat(8 * 1024 * 1024);
  t.is((await ask(bench.http, { ...host('h'), method: 'PUT', body: large })).body.length, large.length);
});

test('who leaves is noticed on the other side', async t => {
  const bench = await newIngressBench(t);
  let gone = 0;
  const backend = await startBackend(t, (request, response) => {
    response.on('close', () => gone++);
    if (request.url === '/slow') return;
    response.writeHead(200, { 'content-length': '100' });
    response.write('some', () => {
      if (request.url === '/cut') response.destroy();
    });
  });
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  for (const path of ['/slow', '/stream']) {
    const before = gone;
    const outgoing = httpRequest({ host: '127.0.0.1', port: bench.http, path, agent: false, ...host('h') });
    outgoing.on('error', () => undefined);
    outgoing.end();
    await until(
      'it is at the backend',
      async () =>
        (await new Promise<number>(resolve => backend.server.getConnections((_, count) => resolve(count)))) > 0,
    );
    outgoing.destroy();
    await until('the backend notices', () => gone > before);
  }
  await t.throwsAsync(ask(bench.http, { ...host('h'), path: '/cut' }), { message: /aborted|socket hang up/ });
});

test('an endpoint that cannot be reached is passed over, also for a request with a body', async t => {
  const bench = await newIngressBench(t);
  const closed = await startBackend(t, () => undefined);
  closed.server.close();
  const backend = await startBackend(t, async (request, response) => response.end(await text(request)));
  await bench.serve('web', [closed.port, backend.port]);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  for (let request = 0; request < 6; request++) {
    t.like(await ask(bench.http, { ...host('h'), method: 'POST', body: 'kept' }), { status: 200, body: 'kept' });
  }
});

test('a connection that ends before the answer: again for GET, not for POST', async t => {
  const bench = await newIngressBench(t);
  const seen: string[] = [];
  const broken = createTcpServer(socket =>
    socket.once('data', data => {
      seen.push(String(data).slice(0, 4));
      socket.destroy();
    }),
  );
  await new Promise<void>(resolve => broken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void broken.close());
  const backend = await startBackend(t, (_request, response) => response.end('well'));
  await bench.serve('web', [(broken.address() as AddressInfo).port, backend.port]);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  for (let request = 0; request < 4; request++) t.is((await ask(bench.http, host('h'))).body, 'well');
  const codes = new Set<number | undefined>();
  for (let request = 0; request < 4; request++)
    codes.add((await ask(bench.http, { ...host('h'), method: 'POST', body: 'x' })).status);
  t.deepEqual([...codes].sort(), [200, 502]);
  t.is(seen.filter(method => method === 'POST').length, 2);
});

test('a slice that is given to another Service takes its endpoints along', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (_request, response) => response.end('here'));
  await bench.serve('blue', [backend.port]);
  await bench.serve('green', []);
  await bench.route(ingressOf('a', ['h /blue Prefix blue:80', 'h /green Prefix green:80']));
  const status = async (path: string) => (await ask(bench.http, { ...host('h'), path })).status;
  t.deepEqual([await status('/blue'), await status('/green')], [200, 503]);
  const { metadata, ...slice } = sliceOf('green', { port: backend.port });
  await bench.put(endpointslices, { ...slice, metadata: { ...metadata, name: `blue-${backend.port}` } });
  await until('green has it', async () => (await status('/green')) === 200);
  t.is(await status('/blue'), 503);
});

test('a backend that is silent, one that speaks no HTTP, and a body that is too large', async t => {
  const bench = await newIngressBench(t);
  const silent = await startBackend(t, () => undefined);
  const babbling = createTcpServer(socket => socket.end('SSH-2.0-x\r\n'));
  await new Promise<void>(resolve => babbling.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void babbling.close());
  await bench.serve('silent', [silent.port]);
  await bench.serve('ssh', [(babbling.address() as AddressInfo).port]);
  const eager = await startBackend(t, async (request, response) =>
    response.end(String((await text(request).catch(() => '')).length)),
  );
  await bench.serve('eager', [eager.port]);
  const annotations = {
    'ingress.raftsman.io/response-timeout-seconds': '1',
    'ingress.raftsman.io/max-body-bytes': '1000',
  };
  await bench.route(
    ingressOf('a', ['h /silent Prefix silent:80', 'h /ssh Prefix ssh:80', 'h / Prefix eager:80'], {
      metadata: { annotations },
    }),
  );
  t.is((await ask(bench.http, { ...host('h'), path: '/silent' })).status, 504);
  t.is((await ask(bench.http, { ...host('h'), path: '/ssh' })).status, 502);
  t.is((await ask(bench.http, { ...host('h'), method: 'POST', body: 'x'.repeat(1000) })).body, '1000');
  t.is((await ask(bench.http, { ...host('h'), method: 'POST', body: 'x'.repeat(1001) })).status, 413);
  const chunked = await raw(
    bench.http,
    `POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
  );
  t.regex(chunked, /^HTTP\/1.1 413 /);
  t.regex(await raw(bench.http, `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`), /^HTTP\/1.1 431 /);
});

test('many connections at once, evenly spread, and pooled towards the backends', async t => {
  const bench = await newIngressBench(t);
  const counts = [0, 0, 0];
  let connections = 0;
  const ports: number[] = [];
  for (const index of counts.keys()) {
    const { port, server } = await startBackend(t, (_request, response) => {
      counts[index] = (counts[index] ?? 0) + 1;
      response.end('ok');
    });
    server.on('connection', () => connections++);
    ports.push(port);
  }
  await bench.serve('web', ports);
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  const replies = await Promise.all(Array.from({ length: 600 }, () => ask(bench.http, host('h'))));
  t.true(replies.every(({ status }) => status === 200));
  t.deepEqual(counts, [200, 200, 200]);
  connections = 0;
  for (let request = 0; request < 30; request++) await ask(bench.http, host('h'));
  t.true(connections <= 3, `${connections} new connections for 30 requests`);
});

test('rolling update under load: not one request is lost', async t => {
  const bench = await newIngressBench(t);
  const start = () =>
    startBackend(t, async (request, response) => {
      await text(request);
      setTimeout(() => response.end('ok'), 20);
    });
  let current = [await start(), await start()];
  await bench.serve(
    'web',
    current.map(({ port }) => port),
  );
  await bench.route(ingressOf('a', ['h / Prefix web:80']));
  const statuses = new Map<number | undefined, number>();
  const pending = new Set<Promise<void>>();
  let sent = 0;
  const send = () => {
    const method = sent++ % 2 === 0 ? 'GET' : 'POST';
    const one = ask(bench.http, { ...host('h'), method, ...(method === 'POST' && { body: 'x' }) })
      .then(
        ({ status }) => status,
        () => undefined,
      )
      .then(status => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        pending.delete(one);
      });
    pending.add(one);
  };
  const load = setInterval(send, 10);
  t.teardown(() => clearInterval(load));
  const put = (port: number, state: 'ready' | 'draining' | 'gone') =>
    bench.put(endpointslices, sliceOf('web', { port, state }));
  for (let round = 0; round < 4; round++) {
    const next = await start();
    await put(next.port, 'ready');
    const [old, ...rest] = current;
    current = [...rest, next];
    if (!old) break;
    const before = sent;
    await put(old.port, 'draining');
    await until('requests meanwhile', () => sent > before + 20);
    // As a server does at SIGTERM: what is under way ends, nothing new is taken.
    await new Promise(resolve => old.server.close(resolve));
    await put(old.port, 'gone');
  }
  await until('300 requests', () => sent >= 300);
  clearInterval(load);
  await Promise.all(pending);
  t.deepEqual([...statuses.keys()], [200]);
});
