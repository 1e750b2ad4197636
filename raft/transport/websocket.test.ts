import { once } from 'node:events';
import { connect as connectPlain, createServer } from 'node:net';
import { connect } from 'node:tls';
import test from 'ava';
import type { Message } from '../core/messages.ts';
import type { Logger } from '../driver/logger.ts';
import { systemClock } from '../driver/system-clock.ts';
import { IGNORE, transportContract } from './contract.ts';
import { decodeHello, decodeItems, encodeHello, FrameError } from './frames.ts';
import { TestAuthority, type TestTls } from './testing/certificates.ts';
import { freePort } from './testing/free-port.ts';
import { until } from './testing/until.ts';
import { WebSocketTransport, type WebSocketTransportOptions } from './websocket.ts';

const A = 'a'.repeat(16);
const B = 'b'.repeat(16);
const CLUSTER = 'c'.repeat(16);
const authority = await TestAuthority.create();
const tls = await authority.issue('member');

/** A transport on a port of its own. Log lines are kept. */
function make(memberId: string, options: Partial<WebSocketTransportOptions> = {}) {
  const lines: string[] = [];
  const keep = (fields: object, text: string) => lines.push(`${text}: ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep };
  const transport = new WebSocketTransport({
    clusterId: CLUSTER,
    memberId,
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    clock: systemClock,
    random: Math.random,
    logger,
    ...options,
  });
  return { transport, lines };
}

function addressOf(transport: WebSocketTransport): string {
  return `127.0.0.1:${transport.address.port}`;
}

async function canReach(transport: WebSocketTransport, id: string): Promise<boolean> {
  return transport.request(id, 'hello', new Uint8Array(), { timeoutMs: 1_000 }).then(
    () => true,
    error => error.code !== 'RAFT_PEER_UNREACHABLE',
  );
}

async function untilReached(transport: WebSocketTransport, id: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await canReach(transport, id)) return;
    await new Promise<void>(resolve => {
      systemClock.setTimeout(resolve, 10);
    });
  }
  throw new Error('the members did not find each other');
}

transportContract(test, 'websocket', async () => {
  const [a, b] = [make(A).transport, make(B).transport];
  return {
    a,
    b,
    aId: A,
    bId: B,
    async connect(handlers) {
      let isReady = false;
      const quietUntilReady = (own: Partial<typeof IGNORE> = {}): typeof IGNORE => ({
        ...IGNORE,
        ...own,
        onRequest: (from, method, body) =>
          isReady && own.onRequest ? own.onRequest(from, method, body) : IGNORE.onRequest(from, method, body),
      });
      await a.start(quietUntilReady(handlers.a));
      await b.start(quietUntilReady(handlers.b));
      a.setPeers([{ id: B, peerAddress: addressOf(b) }]);
      b.setPeers([{ id: A, peerAddress: addressOf(a) }]);
      await untilReached(a, B);
      await untilReached(b, A);
      isReady = true;
    },
    until,
    async close() {
      await a.close();
      await b.close();
    },
  };
});

/** Starts `one`, which dials `other`, and resolves with other's log once that says something of a refusal. */
async function refusalOf(
  one: ReturnType<typeof make>,
  other: ReturnType<typeof make>,
  expectedId = B,
): Promise<readonly string[]> {
  await one.transport.start(IGNORE);
  await other.transport.start(IGNORE);
  one.transport.setPeers([{ id: expectedId, peerAddress: addressOf(other.transport) }]);
  try {
    await until(() => [...one.lines, ...other.lines].some(line => line.includes('was refused')));
    return [...one.lines, ...other.lines].filter(line => line.includes('was refused'));
  } finally {
    await one.transport.close();
    await other.transport.close();
  }
}

test('a member of another cluster is refused, with a line in the log', async t => {
  const lines = await refusalOf(make(A, { clusterId: 'd'.repeat(16) }), make(B));
  t.true(lines.some(line => line.includes(`belongs to cluster ${'d'.repeat(16)}`)));
});

test('whatever a caller says of itself, the refusal fits into a frame', async t => {
  const lines = await refusalOf(make(A, { clusterId: 'ü'.repeat(500) }), make(B));
  t.true(
    lines.some(line => line.includes('set the data directory')),
    'and the log says what to do',
  );
});

test('a member that is not the one expected at an address is refused', async t => {
  const lines = await refusalOf(make(A), make(B), 'e'.repeat(16));
  t.true(lines.some(line => line.includes('another member answers there')));
});

test('a certificate of another authority is refused', async t => {
  const foreign = await (await TestAuthority.create('foreign')).issue('intruder');
  const victim = make(B);
  await victim.transport.start(IGNORE);
  const attempt = (own: Partial<TestTls>) =>
    new Promise<string>(resolve => {
      const socket = connect({ port: victim.transport.address.port, host: '127.0.0.1', ca: tls.ca, ...own });
      // Under TLS 1.3 the client learns of its refusal with the first read.
      socket.on('error', error => resolve(`refused: ${error.message}`));
      socket.on('close', () => resolve('refused: closed'));
      socket.on('data', () => resolve('served'));
      socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    });
  t.regex(await attempt({ key: foreign.key, cert: foreign.cert }), /^refused/);
  t.regex(await attempt({}), /^refused/, 'no certificate at all');
  await victim.transport.close();
});

test('a client that says nothing does not hold up the end', async t => {
  const { transport } = make(B);
  await transport.start(IGNORE);
  const silent = connectPlain({ port: transport.address.port, host: '127.0.0.1' });
  silent.on('error', () => undefined);
  t.teardown(() => silent.destroy());
  await once(silent, 'connect');
  const ended = once(silent, 'close');
  silent.resume();
  await transport.close();
  await ended;
  t.pass();
});

test('a client that says nothing is let go in time', async t => {
  const { transport } = make(B, { limits: { handshakeTimeoutMs: 100 } });
  await transport.start(IGNORE);
  t.teardown(() => transport.close());
  const silent = connectPlain({ port: transport.address.port, host: '127.0.0.1' });
  silent.on('error', () => undefined);
  silent.resume();
  await once(silent, 'close');
  t.pass();
});

test('a member that comes back at its address is dialled again', async t => {
  const listen = { host: '127.0.0.1', port: await freePort() };
  const [a, b] = [make(A).transport, make(B, { listen }).transport];
  await a.start(IGNORE);
  await b.start(IGNORE);
  a.setPeers([{ id: B, peerAddress: addressOf(b) }]);
  await untilReached(a, B);
  await b.close();
  await until(() => true);
  t.false(await canReach(a, B));
  const again = make(B, { listen }).transport;
  await again.start(IGNORE);
  await untilReached(a, B);
  await a.close();
  await again.close();
});

test('a member that is not known yet can call, and is answered on its own connection', async t => {
  const [a, b] = [make(A).transport, make(B).transport];
  const received: Message[] = [];
  await a.start({ ...IGNORE, onMessage: message => received.push(message) });
  await b.start(IGNORE);
  a.setPeers([{ id: B, peerAddress: addressOf(b) }]);
  await untilReached(a, B);
  b.send({ type: 'timeoutNow', from: B, to: A, term: 4 });
  await until(() => received.length === 1);
  t.like(received[0], { type: 'timeoutNow', term: 4 });
  await a.close();
  await b.close();
});

test('a message in the name of another member is not believed', async t => {
  const [a, b] = [make(A).transport, make(B).transport];
  const received: Message[] = [];
  await a.start(IGNORE);
  await b.start({ ...IGNORE, onMessage: message => received.push(message) });
  a.setPeers([{ id: B, peerAddress: addressOf(b) }]);
  await untilReached(a, B);
  a.send({ type: 'timeoutNow', from: 'e'.repeat(16), to: B, term: 1 });
  a.send({ type: 'timeoutNow', from: A, to: B, term: 2 });
  await until(() => received.length > 0);
  t.deepEqual(
    received.map(message => message.term),
    [2],
  );
  await a.close();
  await b.close();
});

test('a port in use is reported when the transport starts', async t => {
  const taken = createServer();
  await new Promise<void>(resolve => {
    taken.listen(0, '127.0.0.1', resolve);
  });
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { transport } = make(A, { listen: { host: '127.0.0.1', port } });
  await t.throwsAsync(transport.start(IGNORE), { code: 'EADDRINUSE' });
  await transport.close();
  taken.close();
});

test('frames of another version or of no sense are refused', t => {
  const hello = encodeHello({ clusterId: CLUSTER, memberId: A, purpose: 'messages' });
  t.like(decodeHello(hello), { memberId: A });
  hello[0] = 99;
  t.throws(() => decodeHello(hello), { instanceOf: FrameError, message: /version 99/ });
  t.throws(() => decodeItems(Buffer.from('hello')), { instanceOf: FrameError });
  t.throws(() => decodeItems(Uint8Array.of(0x91, 0x91, 0x09)), { instanceOf: FrameError });
});

test('bytes, round trips, drops and connections are told of, by peer', async t => {
  const seen: Record<string, unknown[][]> = {};
  const note =
    (name: string) =>
    (...values: unknown[]) => {
      seen[name] = [...(seen[name] ?? []), values];
    };
  const observer = {
    peerConnected: note('connected'),
    peerDisconnected: note('disconnected'),
    peerSent: note('sent'),
    peerReceived: note('received'),
    peerSendFailed: note('dropped'),
    peerRoundTrip: note('roundTrip'),
  };
  const a = make(A, { observer }).transport;
  const b = make(B).transport;
  await a.start(IGNORE);
  await b.start({ ...IGNORE, onRequest: async () => new Uint8Array(1_000) });
  a.send({ type: 'timeoutNow', from: A, to: B, term: 1 } as Message);
  t.deepEqual(seen.dropped, [[B]], 'there is no connection yet');
  a.setPeers([{ id: B, peerAddress: addressOf(b) }]);
  await untilReached(a, B);
  const sum = (name: string) => (seen[name] ?? []).reduce((total, [, bytes]) => total + Number(bytes), 0);
  const before = { sent: sum('sent'), received: sum('received') };
  await a.request(B, 'x', new Uint8Array(5_000), { timeoutMs: 1_000 });
  t.true(sum('sent') - before.sent >= 5_000);
  t.true(sum('received') - before.received >= 1_000);
  t.deepEqual(seen.connected, [[B]]);
  await until(() => (seen.roundTrip ?? []).length > 0);
  t.is(seen.roundTrip?.[0]?.[0], B);
  await b.close();
  await until(() => (seen.disconnected ?? []).length > 0);
  await a.close();
});
