/** Logs and watches that are read over WebSockets. */
import test from 'ava';
import WebSocket from 'ws';
import { until } from '../client/testing/until.ts';
import { worldWithPod } from './testing/pod-world.ts';
import { ask, type World } from './testing/tls-world.ts';

/** All messages that come over a WebSocket, of text as text, until it is closed, and how it was. */
function messages(world: World, path: string, protocols: readonly string[], options: object) {
  const { port } = world.server.address;
  const webSocket = new WebSocket(`wss://127.0.0.1:${port}${path}`, [...protocols], {
    ca: world.authority.certificate,
    ...options,
  });
  const got: (string | Buffer)[] = [];
  webSocket.on('message', (data, isBinary) => got.push(isBinary ? (data as Buffer) : data.toString()));
  return new Promise<{ readonly code: number; readonly protocol: string; readonly got: typeof got }>(
    (resolve, reject) => {
      webSocket.once('error', reject);
      webSocket.once('close', code => resolve({ code, protocol: webSocket.protocol, got }));
    },
  );
}

test('a log may be read over a WebSocket, as bytes or as base64; a failure is an answer of HTTP', async t => {
  const { world, credentials } = await worldWithPod(t);
  const log = '/api/v1/namespaces/default/pods/p/log';
  const expected = Buffer.from('line 1\nline 2\n');
  for (const protocols of [[], ['binary.k8s.io'], ['nobody-knows', 'binary.k8s.io']]) {
    const { code, protocol, got } = await messages(world, `${log}?container=c`, protocols, credentials);
    t.deepEqual([code, protocol, got[0]], [1000, protocols.at(-1) ?? '', Buffer.alloc(0)]);
    t.deepEqual(Buffer.concat(got as Buffer[]), expected);
  }
  const { got } = await messages(world, `${log}?container=c`, ['base64.binary.k8s.io'], credentials);
  t.deepEqual(Buffer.concat(got.map(text => Buffer.from(text as string, 'base64'))), expected);
  await t.throwsAsync(messages(world, `${log}?container=gone`, [], credentials), { message: /404/ });
});

test('a watch may be read over a WebSocket, an event a message', async t => {
  const { world, credentials } = await worldWithPod(t);
  const { code, got } = await messages(
    world,
    '/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1',
    [],
    credentials,
  );
  t.is(code, 1000);
  t.like(JSON.parse(got[0] as string), { type: 'ADDED', object: { metadata: { name: 'p' } } });
});

/** A WebSocket on which the first message has come. */
async function following(world: World, path: string, options: object): Promise<WebSocket> {
  const webSocket = new WebSocket(`wss://127.0.0.1:${world.server.address.port}${path}`, {
    ca: world.authority.certificate,
    ...options,
  });
  await new Promise((resolve, reject) => webSocket.once('message', resolve).once('error', reject));
  return webSocket;
}

test('a log counts as a stream for as long as it is followed, a watch as a watch, over WebSockets too', async t => {
  const { world, credentials } = await worldWithPod(t, { streamsMax: 1, watchersMax: 1 });
  const pods = '/api/v1/namespaces/default/pods';
  for (const path of [`${pods}/p/log?container=endless&follow=1`, `${pods}?watch=1`]) {
    const one = await following(world, path, credentials);
    const refused = await ask(world, path, credentials);
    t.is(refused.status, 429, path);
    t.is(refused.headers['retry-after'], '1');
    await t.throwsAsync(following(world, path, credentials), { message: /429/ });
    one.terminate();
    await until('there is room again', async () => {
      const another = await following(world, path, credentials).catch(() => undefined);
      another?.terminate();
      return another !== undefined;
    });
  }
  const short = `${pods}/p/log?container=c`;
  for (let time = 0; time < 3; time++) {
    await until(
      'a log that has ended has left room',
      async () => (await ask(world, short, credentials)).status === 200,
    );
    await until(
      'a failure has',
      async () => (await ask(world, `${pods}/p/log?container=gone`, credentials)).status === 404,
    );
  }
});
