/** TLS, HTTP/2, redirects, upgrades and ports, with real clients on loopback. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import WebSocket, { WebSocketServer } from 'ws';
import { until } from '../../control/client/testing/until.ts';
import { ingresses, nodes, secrets } from '../api.ts';
import { newIngressBench, startBackend, tlsSecret } from './testing/bench.ts';
import { ingressOf } from './testing/objects.ts';

function makeCertificate(name: string): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-ingress-'));
  try {
    const at = (file: string) => join(folder, file);
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync(
      'openssl',
      ['req', '-x509', ...curve, '-keyout', at('key'), '-out', at('crt'), '-subj', `/CN=${name}`, '-days', '2'],
      { stdio: 'ignore' },
    );
    return { cert: readFileSync(at('crt'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The common name that a client is shown. */
async function shown(port: number, servername: string): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...(servername && { servername }) });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return [subject.CN].flat().join();
}

test('each host has its certificate, and a new one from the next handshake on', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (_request, response) => response.end('ok'));
  await bench.serve('web', [backend.port]);
  await bench.put(secrets, tlsSecret('one', makeCertificate('one')));
  const tls = [
    { hosts: ['a.test', '*.wild.test'], secretName: 'one' },
    { hosts: ['b.test'], secretName: 'two' },
  ];
  await bench.route(ingressOf('a', ['a.test / Prefix web:80'], { spec: { tls } }));
  await until('the certificate', async () => (await shown(bench.https, 'a.test')) === 'one');
  t.is(await shown(bench.https, 'x.wild.test'), 'one');
  const fallback = await shown(bench.https, '');
  t.not(fallback, 'one');
  t.is(await shown(bench.https, 'b.test'), fallback, 'its Secret is not there yet');
  t.is(await shown(bench.https, 'x.y.wild.test'), fallback);
  t.true(
    bench.told.some(
      one =>
        one === 'CertificateUnavailable: the Secret default/two does not exist, or is not of type kubernetes.io/tls',
    ),
  );
  await bench.put(secrets, tlsSecret('two', makeCertificate('two')));
  await until('the second one', async () => (await shown(bench.https, 'B.test')) === 'two');
  await bench.put(secrets, tlsSecret('one', makeCertificate('renewed')));
  await until('the new one', async () => (await shown(bench.https, 'a.test')) === 'renewed');
  const [{ cert }, { key }] = [makeCertificate('x'), makeCertificate('y')];
  await bench.put(secrets, tlsSecret('one', { cert, key }));
  await until('the complaint', () => bench.told.some(one => one.includes('no certificate with its key')));
  t.is(await shown(bench.https, 'a.test'), 'renewed', 'what does not fit leaves the old one');
  await bench.client.delete(secrets, { namespace: 'default', name: 'two' });
  await until('it is gone', async () => (await shown(bench.https, 'b.test')) === fallback);
});

test('a certificate without hosts is for clients that name none', async t => {
  const bench = await newIngressBench(t);
  await bench.put(secrets, tlsSecret('all', makeCertificate('all')));
  await bench.route(ingressOf('a', ['- / Prefix web:80'], { spec: { tls: [{ secretName: 'all' }] } }));
  await until('it is shown', async () => (await shown(bench.https, '')) === 'all');
  t.is(await shown(bench.https, 'whoever.test'), 'all');
});

test('HTTP/2: headers, bodies, errors, many streams', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, async (request, response) => {
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.end(
      JSON.stringify({
        headers: request.headers,
        body: await text(request),
        version: request.httpVersion,
        url: request.url,
      }),
    );
  });
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h.test / Prefix web:80']));
  const session = connectHttp2(`https://127.0.0.1:${bench.https}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  const ask = async (headers: Record<string, string | string[]>, body?: string) => {
    const stream = session.request({ ':authority': 'h.test', ...headers });
    stream.end(body);
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
    return { answer, body: await text(stream) };
  };
  const posted = await ask({ ':method': 'POST', ':path': '/x?y', cookie: ['c=1', 'd=2'], te: 'trailers' }, 'sent');
  t.is(posted.answer[':status'], 200);
  t.deepEqual(posted.answer['set-cookie'], ['a=1', 'b=2']);
  const seen = JSON.parse(posted.body);
  t.like(seen, { body: 'sent', version: '1.1', url: '/x?y' });
  t.like(seen.headers, {
    host: 'h.test',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'h.test',
    cookie: 'c=1; d=2',
    te: 'trailers',
    'transfer-encoding': 'chunked',
  });
  t.is((await ask({ ':path': '/', ':authority': 'other.test' })).answer[':status'], 404);
  const many = await Promise.all(Array.from({ length: 100 }, () => ask({ ':path': '/' })));
  t.true(many.every(({ answer }) => answer[':status'] === 200));
});

test('HTTP/2: an answer that cannot be said in it is no answer, and the endpoint is let go', async t => {
  const bench = await newIngressBench(t);
  const connections = new Set<Socket>();
  // HTTP/1.1 has no upper bound for codes of its own.
  const odd = createServer(socket => {
    connections.add(socket.on('close', () => connections.delete(socket)).on('error', () => socket.destroy()));
    socket.once('data', () => socket.write('HTTP/1.1 799 Odd\r\nContent-Length: 1000\r\n\r\nbegun'));
  });
  await new Promise<void>(resolve => odd.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void odd.close());
  await bench.serve('odd', [(odd.address() as AddressInfo).port]);
  await bench.route(ingressOf('a', ['h.test / Prefix odd:80']));
  const session = connectHttp2(`https://127.0.0.1:${bench.https}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  const [answer] = await once(session.request({ ':authority': 'h.test' }), 'response');
  t.is(answer[':status'], 502);
  await until('the connection is let go', () => connections.size === 0);
});

test('HTTP is sent to HTTPS where the Ingress has TLS, unless it says otherwise', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (_request, response) => response.end('clear'));
  await bench.serve('web', [backend.port]);
  const tls = [{ hosts: ['tls.test'], secretName: 'none' }];
  await bench.route(ingressOf('a', ['tls.test / Prefix web:80'], { spec: { tls } }));
  await bench.route(ingressOf('b', ['tls.test /.well-known Prefix web:80']));
  const ask = async (path: string) => {
    const outgoing = httpRequest({
      host: '127.0.0.1',
      port: bench.http,
      path,
      agent: false,
      headers: { host: 'tls.test' },
    });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    return { status: response.statusCode, location: response.headers.location, body: await text(response) };
  };
  t.like(await ask('/a?b=c'), { status: 308, location: `https://tls.test:${bench.https}/a?b=c` });
  await until('the other Ingress', async () => (await ask('/.well-known/x')).status === 200);
  const annotations = { 'ingress.raftsman.io/ssl-redirect': 'false' };
  await bench.put(
    ingresses,
    ingressOf('a', ['tls.test / Prefix web:80'], { spec: { tls }, metadata: { annotations } }),
  );
  await until('no redirect', async () => (await ask('/')).body === 'clear');
});

test('WebSockets in clear and under TLS, and a backend that declines', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (_request, response) => response.writeHead(404).end('no'));
  const sockets = new WebSocketServer({ noServer: true });
  backend.server.on('upgrade', (request, socket, head) => {
    if (request.url === '/no') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied');
      return;
    }
    sockets.handleUpgrade(request, socket, head, client => {
      client.send(`hello ${request.headers['x-forwarded-proto']} ${request.headers.host}`);
      client.on('message', data => client.send(data));
    });
  });
  t.teardown(() => sockets.close());
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h.test / Prefix web:80']));
  for (const [scheme, port] of [
    ['ws', bench.http],
    ['wss', bench.https],
  ] as const) {
    const client = new WebSocket(`${scheme}://127.0.0.1:${port}/`, {
      headers: { host: 'h.test' },
      rejectUnauthorized: false,
    });
    const [hello] = await once(client, 'message');
    t.is(String(hello), `hello ${scheme === 'ws' ? 'http' : 'https'} h.test`);
    const large = Buffer.alloc(1024 * 1024, 'x');
    client.send(large);
    const [echo] = await once(client, 'message');
    t.true(large.equals(echo));
    client.close(1001);
    t.is((await once(client, 'close'))[0], 1001);
  }
  for (const [path, status] of [
    ['/no', 403],
    ['/other', 404],
  ] as const) {
    const client = new WebSocket(`ws://127.0.0.1:${bench.http}${path}`, {
      headers: { host: path === '/no' ? 'h.test' : 'x' },
    });
    const [, response] = await once(client, 'unexpected-response');
    t.is(response.statusCode, status);
    t.true((await text(response)).length > 0);
  }
});

test('an upgraded connection ends one direction at a time', async t => {
  const bench = await newIngressBench(t);
  const backend = createServer({ allowHalfOpen: true }, async socket => {
    socket.once('data', async () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n');
      let received = '';
      socket.on('data', data => {
        received += data;
      });
      socket.on('end', () => socket.end(`all of ${received}`));
    });
  });
  await new Promise<void>(resolve => backend.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void backend.close());
  await bench.serve('web', [(backend.address() as AddressInfo).port]);
  await bench.route(ingressOf('a', ['h.test / Prefix web:80']));
  const request = 'GET / HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n';
  const socket = connect({ host: '127.0.0.1', port: bench.http, allowHalfOpen: true });
  socket.write(request);
  const [head] = await once(socket, 'data');
  t.regex(String(head), /^HTTP\/1\.1 101 .*upgrade: own/is);
  socket.end('what was said');
  t.is(await text(socket), 'all of what was said');
});

test('Upgrade: h2c is not taken up', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (request, response) => response.end(`${request.headers.upgrade}`));
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h.test / Prefix web:80']));
  const headers = {
    host: 'h.test',
    connection: 'Upgrade, HTTP2-Settings',
    upgrade: 'h2c',
    'http2-settings': 'AAMAAABkAAQAAP__',
  };
  const outgoing = httpRequest({ host: '127.0.0.1', port: bench.http, agent: false, headers });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  t.is(await text(response), 'undefined');
});

test('a taken port is told and tried again, and the node says where it listens', async t => {
  const holder = createServer();
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  t.teardown(() => void holder.close());
  const bench = await newIngressBench(t, { http: port });
  t.is(bench.http, 0);
  t.true(bench.https > 0);
  const [first = ''] = bench.told;
  t.regex(
    first,
    new RegExp(`^IngressPortUnavailable: .*port ${port} could not be had \\(another program listens there\\)`),
  );
  const annotation = async () =>
    (await bench.client.get(nodes, { name: 'node-1' })).metadata?.annotations?.['raftsman.io/ingress-ports'];
  await until('the node says so', async () => (await annotation()) === `0,${bench.https}`);
  holder.close();
  await until('it listens', () => bench.http === port, 20_000);
  await until('the node says so', async () => (await annotation()) === `${port},${bench.https}`);
});

test('clients that leave in the middle of a handshake hold nothing', async t => {
  const bench = await newIngressBench(t);
  for (let client = 0; client < 20; client++) {
    const socket = connectTls({
      host: '127.0.0.1',
      port: bench.https,
      rejectUnauthorized: false,
      servername: 'a.test',
    });
    socket.on('error', () => undefined);
    await once(socket, client % 2 === 0 ? 'connect' : 'secureConnect');
    socket.destroy();
  }
  const startedAt = performance.now();
  await bench.ingress.close();
  t.true(performance.now() - startedAt < 4_000);
});

test('a node whose operator forbids it routes nothing', async t => {
  const bench = await newIngressBench(t);
  const backend = await startBackend(t, (_request, response) => response.end('ok'));
  await bench.serve('web', [backend.port]);
  await bench.route(ingressOf('a', ['h.test / Prefix web:80']));
  const labels = { 'node-restriction.kubernetes.io/ingress': 'off' };
  await bench.put(nodes, { metadata: { name: 'node-1', labels } });
  await until(
    'it has gone',
    () => bench.ingress.route({ host: 'h.test', path: '/', forwarded: '/', authority: '' }) === undefined,
  );
  await until('the node says so', async () => {
    const { metadata } = await bench.client.get(nodes, { name: 'node-1' });
    return metadata?.annotations?.['raftsman.io/ingress-ports'] === '0,0';
  });
  t.true(bench.ingress.isReady);
});
