import test from 'ava';
import { giveUp } from '../apiserver/http/connection.ts';
import { ConnectionLostError } from './body.ts';
import { ServerConnection } from './connection.ts';
import { readText } from './rest.ts';
import { systemClock } from './system-clock.ts';
import { type Handler, identity, serve } from './testing/https-server.ts';
import { until } from './testing/until.ts';

async function connectTo(url: string) {
  const { cert } = await identity;
  return new ServerConnection({ url, clock: systemClock, credentials: () => ({ ca: cert }) });
}

/** Sends the head and part of the answer, then waits to be cut. */
const beginAnswer: Handler = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('{"items":[1,2,');
};

for (const http1 of [false, true]) {
  const version = http1 ? '1.1' : '2';

  for (const [what, request] of [
    ['read', { method: 'GET', path: '/x' }],
    ['write', { method: 'POST', path: '/x', body: '{}' }],
  ] as const) {
    test(`HTTP/${version}: an answer to a ${what} that breaks off is no complete answer`, async t => {
      const server = await serve(beginAnswer, { http1 });
      const connection = await connectTo(server.url);
      const { body } = await connection.request(request);
      let text = '';
      const reading = (async () => {
        for await (const chunk of body) {
          text += Buffer.from(chunk).toString();
          server.kill();
        }
      })();
      await t.throwsAsync(reading, { instanceOf: ConnectionLostError });
      t.is(text, '{"items":[1,2,');
      connection.close();
    });
  }

  test(`HTTP/${version}: an answer that the server gives up is no complete answer`, async t => {
    const server = await serve(
      (request, response) => {
        beginAnswer(request, response);
        setImmediate(() => giveUp(response));
      },
      { http1 },
    );
    const connection = await connectTo(server.url);
    const { body } = await connection.request({ method: 'GET', path: '/x' });
    await t.throwsAsync(readText(body), { instanceOf: ConnectionLostError });
    connection.close();
    server.kill();
  });

  test(`HTTP/${version}: an answer that came whole is whole, whatever happens to the server before it is read`, async t => {
    const text = 'x'.repeat(500_000);
    let isSent = false;
    const server = await serve((_, response) => response.end(text, () => (isSent = true)), { http1 });
    const connection = await connectTo(server.url);
    const { body } = await connection.request({ method: 'GET', path: '/x' });
    const chunks = body[Symbol.asyncIterator]();
    const first = await chunks.next();
    await until('all is sent', () => isSent);
    let sizeBytes = first.done ? 0 : first.value.length;
    let hasKilled = false;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      sizeBytes += next.value.length;
      if (hasKilled || sizeBytes < text.length) continue;
      hasKilled = true;
      server.kill();
    }
    t.is(sizeBytes, text.length);
    connection.close();
    server.kill();
  });

  for (const [what, text] of [
    ['of some text', '{"kind":"Pod"}'],
    ['of nothing', ''],
  ] as const) {
    test(`HTTP/${version}: an answer ${what} that has ended before its reader begins is whole`, async t => {
      const server = await serve((_, response) => response.end(text), { http1 });
      const connection = await connectTo(server.url);
      const first = await connection.request({ method: 'PATCH', path: '/x', body: '{}' });
      // Over HTTP/2 the answers of one connection come in turn: behind a later one, the first has come to its end.
      const second = await connection.request({ method: 'GET', path: '/x' });
      t.is(await readText(second.body), text);
      t.is(await readText(first.body), text);
      connection.close();
      server.kill();
    });
  }

  test(`HTTP/${version}: a body is sent with its length, with every method`, async t => {
    const seen: unknown[] = [];
    const server = await serve(
      (request, response) => {
        seen.push([request.method, request.headers['content-length'], request.headers['transfer-encoding']]);
        request.resume().on('end', () => response.end('{}'));
      },
      { http1 },
    );
    const connection = await connectTo(server.url);
    for (const method of ['POST', 'DELETE', 'PATCH', 'PUT'] as const) {
      const { body } = await connection.request({ method, path: '/x', body: '{"kind":"ü"}' });
      await readText(body);
    }
    t.deepEqual(
      seen,
      ['POST', 'DELETE', 'PATCH', 'PUT'].map(method => [method, '13', undefined]),
    );
    connection.close();
    server.kill();
  });
}

test('a body that its reader leaves early is cancelled at the server', async t => {
  let isClosed = false;
  const server = await serve((request, response) => {
    beginAnswer(request, response);
    response.on('close', () => (isClosed = true));
  });
  const connection = await connectTo(server.url);
  const { body } = await connection.request({ method: 'GET', path: '/x' });
  for await (const chunk of body) {
    t.true(chunk.length > 0);
    break;
  }
  await until('the server hears of it', () => isClosed);
  const unread = await connection.request({ method: 'GET', path: '/x' });
  isClosed = false;
  await unread.body[Symbol.asyncIterator]().return?.();
  await until('also where nothing was read', () => isClosed);
  connection.close();
  server.kill();
});

test.serial('many requests at a time on one connection leave no warning', async t => {
  const warnings: string[] = [];
  const onWarning = (warning: Error) => warnings.push(warning.message);
  process.on('warning', onWarning);
  const held: (() => void)[] = [];
  const server = await serve((_, response) => held.push(() => response.end('{}')));
  const connection = await connectTo(server.url);
  const all = Array.from({ length: 50 }, () => connection.request({ method: 'GET', path: '/x' }));
  await until('all are there', () => held.length === all.length);
  for (const release of held) release();
  for (const { body } of await Promise.all(all)) t.is(await readText(body), '{}');
  // Warnings are emitted a tick later.
  await new Promise<void>(resolve => setImmediate(resolve));
  process.off('warning', onWarning);
  t.deepEqual(warnings, []);
  connection.close();
  server.kill();
});

test('a request that a leaving server has not taken was not sent; the next one opens a new connection', async t => {
  let served = 0;
  const server = await serve((_, response) => {
    served++;
    if (served === 1) beginAnswer(_, response);
    else response.end('{}');
  });
  const connection = await connectTo(server.url);
  const first = await connection.request({ method: 'GET', path: '/x' });
  const [session] = server.sessions;
  // Says that it has taken everything up to the first request, and takes no other.
  session?.goaway(0, 1);
  const second = await connection.request({ method: 'GET', path: '/x' }).catch((error: Error) => error);
  if (second instanceof Error) t.is(second.name, 'NotSentError');
  const third = await connection.request({ method: 'GET', path: '/x' });
  t.is(await readText(third.body), '{}');
  await first.body[Symbol.asyncIterator]().return?.();
  connection.close();
  server.kill();
});
