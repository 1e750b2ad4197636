import test from 'ava';
import { pods } from '../api/generated/kinds.ts';
import { ConnectionLostError, HttpsTransport, NotSentError } from './https.ts';
import { RestClient, readText } from './rest.ts';
import { systemClock } from './system-clock.ts';
import { type Handler, identity, serve } from './testing/https-server.ts';
import { until } from './testing/until.ts';

const connect = async (...servers: string[]) =>
  new HttpsTransport({
    servers,
    clock: systemClock,
    random: () => 0,
    tls: { ca: (await identity).cert },
    token: 'secret',
  });

const answer =
  (name: string): Handler =>
  (request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name, version: request.httpVersion, token: request.headers.authorization }));
  };

for (const http1 of [false, true]) {
  test(`speaks HTTP/${http1 ? '1.1' : '2'} with the token`, async t => {
    const server = await serve(answer('one'), { http1 });
    const transport = await connect(server.url);
    const response = await transport.request({ method: 'GET', path: '/version' });
    t.deepEqual(JSON.parse(await readText(response.body)), {
      name: 'one',
      version: http1 ? '1.1' : '2.0',
      token: 'Bearer secret',
    });
    await transport.close();
    server.kill();
  });
}

test('a server that is down is skipped, also for writes', async t => {
  const dead = await serve(answer('dead'));
  dead.kill();
  const alive = await serve(answer('alive'));
  const transport = await connect(dead.url, alive.url);
  const response = await transport.request({ method: 'POST', path: '/x', body: '{}' });
  t.is(JSON.parse(await readText(response.body)).name, 'alive');
  await transport.close();
  alive.kill();
});

test('a write whose fate is unknown is not repeated; a read is', async t => {
  let asked = 0;
  const rude = await serve(
    request => {
      asked++;
      request.socket.destroy();
    },
    { http1: true },
  );
  const alive = await serve(answer('alive'));
  const transport = await connect(rude.url, alive.url);
  await t.throwsAsync(transport.request({ method: 'POST', path: '/x', body: '{}' }), {
    instanceOf: ConnectionLostError,
  });
  t.is(asked, 1);
  const other = await connect(rude.url, alive.url);
  t.is(JSON.parse(await readText((await other.request({ method: 'GET', path: '/x' })).body)).name, 'alive');
  await Promise.all([transport.close(), other.close()]);
  rude.kill();
  alive.kill();
});

test('a master that answers 503 is passed over for reads', async t => {
  const starting = await serve((_, response) => {
    response.statusCode = 503;
    response.end('starting');
  });
  const alive = await serve(answer('alive'));
  const transport = await connect(starting.url, alive.url);
  t.is(JSON.parse(await readText((await transport.request({ method: 'GET', path: '/x' })).body)).name, 'alive');
  await transport.close();
  starting.kill();
  alive.kill();
});

test('all servers down is one clear error', async t => {
  const dead = await serve(answer('dead'));
  dead.kill();
  const transport = await connect(dead.url);
  await t.throwsAsync(transport.request({ method: 'GET', path: '/x' }), {
    instanceOf: NotSentError,
    message: /ECONNREFUSED/,
  });
  await transport.close();
});

test('an unknown certificate is refused', async t => {
  const server = await serve(answer('one'));
  const transport = new HttpsTransport({ servers: [server.url], clock: systemClock, random: () => 0, tls: {} });
  await t.throwsAsync(transport.request({ method: 'GET', path: '/x' }), {
    instanceOf: NotSentError,
    message: /certificate/,
  });
  await transport.close();
  server.kill();
});

test('a watch ends with an error when its server dies, and can be aborted', async t => {
  const line = `${JSON.stringify({ type: 'ADDED', object: { kind: 'Pod', metadata: { name: 'p' } } })}\n`;
  const server = await serve((_, response) => void response.write(line));
  const transport = await connect(server.url);
  const client = new RestClient({ transport, clock: systemClock, userAgent: 'test' });
  const names: (string | undefined)[] = [];
  const follow = async (signal: AbortSignal) => {
    for await (const event of client.watch(pods, { signal })) {
      if (event.type !== 'BOOKMARK') names.push(event.object.metadata?.name);
    }
  };
  const stop = new AbortController();
  const aborted = follow(stop.signal);
  const broken = follow(new AbortController().signal);
  await until('both watches began', () => names.length === 2);
  stop.abort();
  await t.notThrowsAsync(aborted);
  server.kill();
  await t.throwsAsync(broken);
  await transport.close();
});
