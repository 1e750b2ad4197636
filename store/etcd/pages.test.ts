import { once } from 'node:events';
import { Agent, get, request } from 'node:http';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { get as secureGet } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { KV } from './proto/services.ts';
import { makeDoor } from './testing/door.ts';

const metricsText = { contentType: 'text/plain; version=0.0.4', metrics: async () => 'one 1\n' };

async function overHttp1(port: number, path: string) {
  const [response] = await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response');
  return [response.statusCode, response.headers['content-type'], await text(response)];
}

async function overHttp2(session: ReturnType<typeof connect>, headers: OutgoingHttpHeaders) {
  const stream = session.request(headers);
  const [fields] = await once(stream, 'response');
  return [fields[':status'], fields['content-type'], await text(stream)];
}

const PAGES = [
  ['/metrics', 200, 'text/plain; version=0.0.4', 'one 1\n'],
  ['/health', 200, 'application/json', '{"health":"true","reason":""}'],
  ['/health?serializable=true', 200, 'application/json', '{"health":"true","reason":""}'],
  ['/version', 200, 'application/json', '{"etcdserver":"3.5.21","etcdcluster":"3.5.0"}'],
  ['/nothing', 404, 'text/plain; charset=utf-8', '404 page not found\n'],
] as const;

test('figures, health and version are served on the port of gRPC, over HTTP/1.1 and HTTP/2', async t => {
  await using door = await makeDoor({ metricsText });
  const session = connect(`http://127.0.0.1:${door.port}`);
  for (const [path, ...wanted] of PAGES) {
    t.deepEqual(await overHttp1(door.port, path), [...wanted], path);
    t.deepEqual(await overHttp2(session, { ':path': path }), [...wanted], path);
  }
  t.deepEqual(await overHttp2(session, { ':path': '/version', ':method': 'HEAD' }), [200, 'application/json', '']);
  session.close();
  t.is((await door.etcd.call(KV.range, { key: Buffer.from('k') })).count, 0);
});

test('one connection of HTTP/1.1 asks again and again; what is no GET is refused', async t => {
  await using door = await makeDoor();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const [method, wanted] of [
    ['GET', 200],
    ['HEAD', 200],
    ['POST', 405],
    ['GET', 200],
  ] as const) {
    const asked = request({ host: '127.0.0.1', port: door.port, path: '/version', method, agent });
    asked.end(method === 'POST' ? 'some body' : undefined);
    const [response] = await once(asked, 'response');
    response.resume();
    t.is(response.statusCode, wanted, method);
    await once(response, 'end');
  }
  agent.destroy();
  const [metrics] = await overHttp1(door.port, '/metrics');
  t.is(metrics, 404, 'whoever keeps no figures says so');
});

test('an alarm is a reason to be unwell, unless it is left out', async t => {
  await using door = await makeDoor();
  const alarm = { type: 'NOSPACE', memberId: '00000000000000aa', cause: 'disk' } as const;
  await door.store.execute({ type: 'alarm', action: 'raise', alarm });
  t.deepEqual((await overHttp1(door.port, '/health')).slice(0, 1), [503]);
  t.regex(String((await overHttp1(door.port, '/health'))[2]), /"health":"false","reason":"ALARM NOSPACE"/);
  t.is((await overHttp1(door.port, '/health?exclude=NOSPACE'))[0], 200);
});

test('over TLS too, to clients that agree on a protocol and to those that do not; not without a certificate', async t => {
  const tls = await (await TestAuthority.create()).issue('client');
  await using door = await makeDoor({ tls });
  const ask = async (more: object) => {
    const options = { host: '127.0.0.1', port: door.port, path: '/version', agent: false, ...more };
    const [response] = await once(secureGet(options), 'response');
    response.resume();
    return response.statusCode;
  };
  t.is(await ask({ ...tls }), 200);
  t.is(await ask({ ...tls, ALPNProtocols: ['http/1.1'] }), 200);
  await t.throwsAsync(ask({ ca: tls.ca }));
  const session = connect(`https://127.0.0.1:${door.port}`, { ...tls });
  t.is((await overHttp2(session, { ':path': '/version' }))[0], 200);
  session.close();
});

test('first bytes that come one by one are waited for; the server closes though somebody has said nothing', async t => {
  const door = await makeDoor();
  const silent = connectTcp(door.port, '127.0.0.1');
  await once(silent, 'connect');
  // Hands on what node's client says byte by byte.
  const relay = createServer(near => {
    const far = connectTcp(door.port, '127.0.0.1').setNoDelay(true);
    far.pipe(near).on('error', () => far.destroy());
    near.on('data', (chunk: Buffer) => {
      for (const byte of chunk) far.write(Buffer.of(byte));
    });
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  const session = connect(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
  t.is((await overHttp2(session, { ':path': '/version' }))[0], 200);
  const closed = once(silent, 'close');
  session.destroy();
  relay.close();
  await door[Symbol.asyncDispose]();
  await closed;
  t.pass();
});
