/** Both ends of the port together: what is asked on one thread is answered on the other. */
import { MessageChannel } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { ConnectionLostError } from '../client/body.ts';
import type { ApiRequest, ApiResponse } from '../client/client.ts';
import { readText } from '../client/rest.ts';
import { BODY_WINDOW_BYTES } from './limits.ts';
import { servePort } from './port-server.ts';
import { PortTransport } from './port-transport.ts';

const ACCOUNT = 'system:kube-scheduler';
const defer = (call: () => void) => void setImmediate(call);
const turn = () => new Promise<void>(resolve => setImmediate(resolve));
const bytes = (text: string) => new TextEncoder().encode(text);
async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield bytes(text);
}
const whole = (text: string): ApiResponse => ({ status: 200, headers: {}, body: once(text), whole: bytes(text) });

function open(t: ExecutionContext, handle: (account: string, request: ApiRequest) => Promise<ApiResponse>) {
  const { port1, port2 } = new MessageChannel();
  const stop = servePort({ port: port1, defer, handle });
  const port = new PortTransport({ port: port2, defer });
  t.teardown(() => {
    stop();
    port.close();
  });
  return { port, stop, transport: port.transportFor(ACCOUNT) };
}

test('a request arrives as it was sent, under the name of who asks', async t => {
  const seen: unknown[] = [];
  const { transport, port } = open(t, async (account, { signal: _, body, ...request }) => {
    seen.push({ account, ...request, body: body && new TextDecoder().decode(body as Uint8Array) });
    return whole('ok');
  });
  const headers = { accept: 'application/json' };
  await transport.request({ method: 'POST', path: '/api/v1/pods?x=1', headers, body: '{"ü":1}' });
  await port.transportFor('another').request({ method: 'PUT', path: '/a', body: bytes('b') });
  await transport.request({ method: 'GET', path: '/b' });
  t.deepEqual(seen, [
    { account: ACCOUNT, method: 'POST', path: '/api/v1/pods?x=1', headers, body: '{"ü":1}' },
    { account: 'another', method: 'PUT', path: '/a', headers: {}, body: 'b' },
    { account: ACCOUNT, method: 'GET', path: '/b', headers: {}, body: undefined },
  ]);
});

test('answers of one turn come together, each with its own bytes', async t => {
  const { transport } = open(t, async (_, { path }) => ({ ...whole(`this is ${path}`), status: 201 }));
  const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
  const answers = await Promise.all(paths.map(path => transport.request({ method: 'GET', path })));
  t.deepEqual(
    await Promise.all(answers.map(({ body }) => readText(body))),
    paths.map(path => `this is ${path}`),
  );
  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
  t.is(new TextDecoder().decode(answers[7]?.whole), 'this is /7');
});

test('an empty answer is whole', async t => {
  const { transport } = open(t, async () => whole(''));
  const { whole: body } = await transport.request({ method: 'GET', path: '/' });
  t.is(body?.byteLength, 0);
});

test('a body that is made as it goes arrives chunk by chunk, before its end', async t => {
  const next = Promise.withResolvers<void>();
  const { transport } = open(t, async () => ({
    status: 200,
    headers: {},
    body: (async function* () {
      yield bytes('first');
      await next.promise;
      yield bytes('second');
    })(),
  }));
  const { body } = await transport.request({ method: 'GET', path: '/?watch=true' });
  const seen: string[] = [];
  for await (const chunk of body) {
    seen.push(new TextDecoder().decode(chunk));
    next.resolve();
  }
  t.deepEqual(seen, ['first', 'second']);
});

test('nobody is sent more than a window ahead of what is read', async t => {
  const CHUNK = BODY_WINDOW_BYTES / 8;
  const CHUNKS = 40;
  let made = 0;
  const { transport } = open(t, async () => ({
    status: 200,
    headers: {},
    body: (async function* () {
      for (; made < CHUNKS; made++) yield new Uint8Array(CHUNK);
    })(),
  }));
  const { body } = await transport.request({ method: 'GET', path: '/' });
  for (let turns = 0; turns < 100; turns++) await turn();
  t.true(made * CHUNK <= BODY_WINDOW_BYTES + CHUNK, `${made} chunks were made for nobody`);
  let read = 0;
  for await (const chunk of body) read += chunk.byteLength;
  t.is(read, CHUNKS * CHUNK);
});

test('who goes away in the middle stops what makes the body', async t => {
  const stopped = Promise.withResolvers<void>();
  const { transport } = open(t, async (_, { signal }) => ({
    status: 200,
    headers: {},
    body: (async function* () {
      try {
        yield bytes('a');
        await new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve()));
      } finally {
        stopped.resolve();
      }
    })(),
  }));
  const { body } = await transport.request({ method: 'GET', path: '/' });
  for await (const _ of body) break;
  await t.notThrowsAsync(stopped.promise);
});

test('an abort rejects with its own reason, before the answer and in the middle of it, and is told', async t => {
  const told: string[] = [];
  const { transport } = open(t, async (_, { path, signal }) => {
    const aborted = new Promise<void>(resolve =>
      signal?.addEventListener('abort', () => {
        told.push(path);
        resolve();
      }),
    );
    if (path === '/head') await aborted;
    const body = (async function* () {
      yield bytes('a');
      await aborted;
    })();
    return { status: 200, headers: {}, body };
  });
  const stop = new AbortController();
  const reason = new Error('no longer wanted');
  const head = transport.request({ method: 'GET', path: '/head', signal: stop.signal });
  const { body } = await transport.request({ method: 'GET', path: '/body', signal: stop.signal });
  const reading = readText(body);
  stop.abort(reason);
  t.is(await t.throwsAsync(head), reason);
  t.is(await t.throwsAsync(reading), reason);
  t.is(await t.throwsAsync(transport.request({ method: 'GET', path: '/late', signal: stop.signal })), reason);
  while (told.length < 2) await turn();
  t.deepEqual(told.sort(), ['/body', '/head']);
});

test('what the server throws is a lost connection: it may have acted', async t => {
  const { transport } = open(t, async (_, { path }) => {
    if (path === '/head') throw new Error('not today');
    const body = (async function* () {
      yield bytes('a');
      throw new Error('half way');
    })();
    return { status: 200, headers: {}, body };
  });
  const failed = { instanceOf: ConnectionLostError };
  await t.throwsAsync(transport.request({ method: 'GET', path: '/head' }), { ...failed, message: 'not today' });
  const { body } = await transport.request({ method: 'GET', path: '/body' });
  await t.throwsAsync(readText(body), { ...failed, message: 'half way' });
});

test('when the server’s end closes, what is under way fails, and what comes later too', async t => {
  const aborted = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { transport, stop } = open(t, async (_, { signal }) => {
    signal?.addEventListener('abort', () => aborted.resolve());
    asked.resolve();
    return new Promise(() => {});
  });
  const waiting = transport.request({ method: 'GET', path: '/' });
  await asked.promise;
  stop();
  await t.throwsAsync(waiting, { instanceOf: ConnectionLostError });
  await t.notThrowsAsync(aborted.promise);
  await t.throwsAsync(transport.request({ method: 'GET', path: '/' }), { instanceOf: ConnectionLostError });
});
