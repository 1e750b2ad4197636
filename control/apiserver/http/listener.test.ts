/** The server's port towards clients that do not do their part: that leave, that are silent, that come to a closing server. */
import { type EventEmitter, once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import test from 'ava';
import { DEFAULT_LIMITS } from '../limits.ts';
import { ask, type World, worldOf } from '../testing/tls-world.ts';

/** So long that nothing in these tests ends by it. */
const HEADERS_MS = 120_000;
const CONNECTIONS = 4;
/** Far more than is needed, and far less than {@link HEADERS_MS}. */
const SOON_MS = 10_000;

const limits = { ...DEFAULT_LIMITS, headersMsMax: HEADERS_MS, connectionsMax: CONNECTIONS };
/** A TLS record's beginning: a handshake of TLS 1.0, its length yet to come. */
const RECORD_START = Buffer.from([0x16, 0x03, 0x01]);

/** A client's errors are what the server makes of it; the tests ask the server. */
function quiet<T extends EventEmitter>(socket: T): T {
  return socket.on('error', () => {});
}
async function plain({ port }: World): Promise<Socket> {
  const socket = quiet(connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
  await once(socket, 'connect');
  return socket;
}
function secured({ port, authority }: World, options: ConnectionOptions = {}): TLSSocket {
  return quiet(connectTls({ host: '127.0.0.1', port, ca: authority.certificate, ...options }));
}
async function connected(world: World, protocol: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = secured(world, { ALPNProtocols: [protocol], ...options });
  await once(socket, 'secureConnect');
  return socket;
}
async function administrator({ issue }: World): Promise<ConnectionOptions> {
  const { key, certificate } = await issue({
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  return { key, cert: certificate };
}

const leaving: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  'says nothing and is gone': async world => (await plain(world)).destroy(),
  'says nothing and resets': async world => (await plain(world)).resetAndDestroy(),
  'says nothing and ends': async world => (await plain(world)).end(),
  'ends in the middle of its first record': async world => (await plain(world)).end(RECORD_START),
  'speaks plain HTTP': async world => (await plain(world)).end('GET / HTTP/1.1\r\n\r\n'),
  'is gone in the middle of the handshake': async world => {
    const socket = secured(world);
    // The first secret is there when the server has answered and the client has yet to finish.
    await once(socket, 'keylog');
    socket.destroy();
  },
  'is gone after the handshake, HTTP/1.1': async world => (await connected(world, 'http/1.1')).destroy(),
  'is gone after the handshake, HTTP/2': async world => (await connected(world, 'h2')).destroy(),
  'ends after the handshake, HTTP/1.1': async world => (await connected(world, 'http/1.1')).end(),
  'ends after the handshake, HTTP/2': async world => (await connected(world, 'h2')).end(),
  'ends while it watches, HTTP/1.1': async world => {
    const socket = await connected(world, 'http/1.1', await administrator(world));
    socket.write('GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'data');
    socket.end();
  },
  'ends while it watches, HTTP/2': async world => {
    const socket = await connected(world, 'h2', await administrator(world));
    const session = quiet(connectHttp2('https://localhost', { createConnection: () => socket }));
    const watch = quiet(session.request({ ':path': '/api/v1/namespaces?watch=1' }));
    await once(watch, 'response');
    socket.end();
  },
};
for (const [name, leave] of Object.entries(leaving)) {
  test(`a client that ${name} holds nothing`, async t => {
    const world = await worldOf(t, { limits });
    for (let round = 0; round < CONNECTIONS; round++) await leave(world);
    t.is(await statusSoon(world), 200, 'one more would be refused');
  });
}

/** Asks until there is room: a connection is given up a moment after its client went. */
async function statusSoon(world: World): Promise<number | undefined> {
  const deadline = performance.now() + SOON_MS;
  for (;;) {
    const status = await ask(world, '/livez').then(
      answer => answer.status,
      () => undefined,
    );
    if (status !== undefined || performance.now() > deadline) return status;
    await delay(20);
  }
}

const staying: Readonly<Record<string, (world: World) => Promise<Duplex>>> = {
  'has said nothing': plain,
  'is in the middle of its first record': async world => {
    const socket = await plain(world);
    socket.write(RECORD_START);
    return socket;
  },
  'does not read its answers': async world => {
    const socket = (await connected(world, 'http/1.1', await administrator(world))).pause();
    for (let asked = 0; asked < 20; asked++) socket.write('GET /openapi/v2 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'readable');
    return socket;
  },
  'is silent after the handshake, HTTP/1.1': world => connected(world, 'http/1.1'),
  'is silent after the handshake, HTTP/2': world => connected(world, 'h2'),
};
for (const [name, stay] of Object.entries(staying)) {
  test(`a client that ${name} does not hold up close()`, async t => {
    const world = await worldOf(t, { limits });
    const socket = await stay(world);
    t.teardown(() => socket.destroy());
    t.is(await soon(world.server.close().then(() => 'closed')), 'closed');
  });
}

function soon<T>(work: Promise<T>): Promise<T | 'late'> {
  return Promise.race([work, delay(SOON_MS, 'late' as const, { ref: false })]);
}

test('silence has a time limit, also that of a client that says a byte of its handshake now and then', async t => {
  const world = await worldOf(t, { limits: { ...DEFAULT_LIMITS, headersMsMax: 500 } });
  const [silent, dribbling, secure] = await Promise.all([plain(world), plain(world), connected(world, 'http/1.1')]);
  const ends = [silent, dribbling, secure].map(socket => soon(closedByServer(socket)));
  // A record of 512 bytes, of which one comes every 50 ms: the whole of it takes far longer than the limit.
  dribbling.write(Buffer.from([...RECORD_START, 0x02, 0x00]));
  const timer = setInterval(() => dribbling.write('\x01'), 50);
  t.teardown(() => clearInterval(timer));
  t.deepEqual(await Promise.all(ends), ['closed', 'closed', 'closed']);
});

async function closedByServer(socket: Socket): Promise<'closed'> {
  // Who writes into a connection that was just closed is told so by an error.
  socket.on('error', () => undefined).resume();
  // A machine under load may have come here after the limit.
  if (socket.readableEnded || socket.destroyed) return 'closed';
  await new Promise<void>(resolve => socket.once('end', resolve).once('close', () => resolve()));
  return 'closed';
}
