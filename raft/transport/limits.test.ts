/** The bounds of the connections between members can be set, and hold where they are set. */
import test from 'ava';
import type { Message } from '../core/messages.ts';
import { systemClock } from '../driver/system-clock.ts';
import { IGNORE } from './contract.ts';
import { resolveTransportLimits, TRANSPORT_LIMITS, type TransportLimits } from './limits.ts';
import { until } from './testing/until.ts';
import type { TransportHandlers } from './transport.ts';
import { WebSocketTransport } from './websocket.ts';

const [A, B] = ['a'.repeat(16), 'b'.repeat(16)];

function make(memberId: string, limits: Partial<TransportLimits> = {}): WebSocketTransport {
  return new WebSocketTransport({
    clusterId: 'c'.repeat(16),
    memberId,
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    random: Math.random,
    limits,
  });
}

/** Two that are connected; `a` dialled. */
async function pair(limits: Partial<TransportLimits>, handlers: Partial<TransportHandlers> = {}) {
  const [a, b] = [make(A, limits), make(B, limits)];
  let isConnected = false;
  await a.start(IGNORE);
  await b.start({
    ...IGNORE,
    onRequest: async (from, method, body) => {
      if (method === 'hello') return new Uint8Array();
      return (handlers.onRequest ?? IGNORE.onRequest)(from, method, body);
    },
    ...(handlers.onMessage && { onMessage: handlers.onMessage }),
    ...(handlers.onSnapshot && { onSnapshot: handlers.onSnapshot }),
  });
  a.setPeers([{ id: B, peerAddress: `127.0.0.1:${b.address.port}` }]);
  // One at a time, so that none is left behind.
  let isAsking = false;
  await until(() => {
    if (isAsking || isConnected) return isConnected;
    isAsking = true;
    a.request(B, 'hello', new Uint8Array(), { timeoutMs: 1_000 }).then(
      () => {
        isConnected = true;
      },
      () => {
        isAsking = false;
      },
    );
    return false;
  });
  return {
    a,
    b,
    async close() {
      await a.close();
      await b.close();
    },
  };
}

test('so many requests may wait for their answers', async t => {
  const { a, close } = await pair({ pendingRequestsMax: 2 }, { onRequest: () => new Promise(() => {}) });
  const calls = Array.from({ length: 3 }, () => a.request(B, 'wait', new Uint8Array(), { timeoutMs: 300 }));
  const outcomes = await Promise.allSettled(calls);
  const reasons = outcomes.map(outcome => (outcome.status === 'rejected' ? String(outcome.reason.message) : ''));
  t.is(reasons.filter(reason => reason.includes('within 300 ms')).length, 2);
  t.regex(reasons[2] ?? '', /queue to the peer is full/);
  await close();
});

test('so many bytes may wait for one peer; the first item may be of any size', async t => {
  const { a, close } = await pair({ queueBytesMax: 1_000 }, { onRequest: async (_from, _method, body) => body });
  const send = () => a.request(B, 'echo', new Uint8Array(700), { timeoutMs: 2_000 });
  const [first, second] = await Promise.allSettled([send(), send()]);
  t.is(first.status, 'fulfilled');
  t.is(second.status === 'rejected' && second.reason.isUnsent, true);
  await close();
});

test('a frame may be so large, or its connection ends', async t => {
  const { a, close } = await pair(
    { frameBytesMax: 10_000, snapshotChunkBytesMax: 1_000 },
    { onRequest: async (_from, _method, body) => body },
  );
  const fits = await a.request(B, 'echo', new Uint8Array(9_000), { timeoutMs: 2_000 });
  t.is(fits.length, 9_000);
  await t.throwsAsync(a.request(B, 'echo', new Uint8Array(11_000), { timeoutMs: 2_000 }), {
    code: 'RAFT_PEER_UNREACHABLE',
  });
  await close();
});

test('a snapshot is cut to chunks of so many bytes', async t => {
  const sizes: number[] = [];
  const { a, close } = await pair(
    { snapshotChunkBytesMax: 100, snapshotWindowChunks: 1 },
    {
      onSnapshot: async ({ chunks }) => {
        for await (const chunk of chunks) sizes.push(chunk.length);
      },
    },
  );
  const membership = { clusterId: 'c'.repeat(16), members: [] };
  async function* chunks() {
    yield new Uint8Array(250);
  }
  await a.sendSnapshot(B, { term: 1, metadata: { index: 1, term: 1, membership }, chunks: chunks() });
  t.deepEqual(sizes, [100, 100, 50]);
  await close();
});

test('so many members that nobody knows may be connected', async t => {
  const target = make(B, { unknownConnectionsMax: 1 });
  const heard = new Set<string>();
  await target.start({ ...IGNORE, onMessage: (message: Message) => heard.add(message.from) });
  const strangers = ['d', 'e'].map(letter =>
    make(letter.repeat(16), { reconnectDelayMsMin: 10, reconnectDelayMsMax: 20 }),
  );
  for (const stranger of strangers) {
    await stranger.start(IGNORE);
    stranger.setPeers([{ id: B, peerAddress: `127.0.0.1:${target.address.port}` }]);
  }
  const speak = (stranger: WebSocketTransport, letter: string) =>
    stranger.send({ type: 'timeoutNow', from: letter.repeat(16), to: B, term: 1 } as Message);
  await until(() => {
    for (const [at, letter] of ['d', 'e'].entries()) speak(strangers[at] ?? target, letter);
    return heard.size === 1;
  });
  const [first] = heard;
  // The other gets in once there is room, so it was trying all the time.
  await strangers[first === 'd'.repeat(16) ? 0 : 1]?.close();
  const other = first === 'd'.repeat(16) ? 'e' : 'd';
  await until(() => {
    speak(strangers[other === 'd' ? 0 : 1] ?? target, other);
    return heard.size === 2;
  });
  for (const stranger of strangers) await stranger.close();
  await target.close();
  t.is(heard.size, 2);
});

test('what makes no sense is refused by name', t => {
  t.deepEqual(resolveTransportLimits(), TRANSPORT_LIMITS);
  t.throws(() => make(A, { pingIntervalMs: 0 }), { instanceOf: RangeError, message: /limit pingIntervalMs must be/ });
  t.throws(() => resolveTransportLimits({ frameBytesMax: 1_000 }), { message: /snapshotChunkBytesMax must be below/ });
  t.throws(() => resolveTransportLimits({ reconnectDelayMsMin: 5_000 }), {
    message: /must not exceed reconnectDelayMsMax/,
  });
  const misspelt = { pingInterval: 5 } as Partial<TransportLimits>;
  t.throws(() => resolveTransportLimits(misspelt), { message: /there is no limit pingInterval/ });
});
