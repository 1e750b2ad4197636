/** What every transport must do; run by `memory.test.ts` and `websocket.test.ts` on their own implementations. */
import type { ExecutionContext, TestFn } from 'ava';
import type { Message } from '../core/messages.ts';
import type { MemberId, SnapshotMetadata } from '../core/types.ts';
import { TRANSPORT_LIMITS } from './limits.ts';
import { type IncomingSnapshot, PeerUnreachableError, type Transport } from './transport.ts';

/** Two members that know each other. */
export interface TransportPair {
  readonly a: Transport;
  readonly b: Transport;
  readonly aId: MemberId;
  readonly bId: MemberId;
  /** Starts both and resolves once each can reach the other. */
  connect(handlers: { a?: Partial<Handlers>; b?: Partial<Handlers> }): Promise<void>;
  /** Resolves when the condition holds; rejects after some seconds. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface Handlers {
  onMessage(message: Message): void;
  onSnapshot(snapshot: IncomingSnapshot): void;
  onRequest(from: MemberId, method: string, body: Uint8Array): Promise<Uint8Array>;
  onRemoved(by: MemberId): void;
}

export const IGNORE: Handlers = {
  onMessage() {},
  onSnapshot() {},
  async onRequest() {
    return new Uint8Array();
  },
  onRemoved() {},
};

export function transportContract(test: TestFn, name: string, makePair: () => Promise<TransportPair>): void {
  const withPair = (title: string, body: (t: ExecutionContext, pair: TransportPair) => Promise<void>) =>
    test(`${name}: ${title}`, async t => {
      t.timeout(20_000);
      const pair = await makePair();
      try {
        await body(t, pair);
      } finally {
        await pair.close();
      }
    });

  withPair('carries every kind of message unchanged, in order', async (t, pair) => {
    const received: Message[] = [];
    await pair.connect({ b: { onMessage: message => received.push(message) } });
    const sent = everyMessage(pair.aId, pair.bId);
    for (const message of sent) pair.a.send(message);
    await pair.until(() => received.length === sent.length);
    t.deepEqual(received.map(comparable), sent.map(comparable));
  });

  withPair('gives entries that stay whole while more arrives', async (t, pair) => {
    const received: Message[] = [];
    await pair.connect({ b: { onMessage: message => received.push(message) } });
    for (let round = 0; round < 200; round++) {
      pair.a.send(append(pair, Buffer.alloc(100, round)));
      if (round % 20 === 0) await pair.until(() => received.length === round + 1);
    }
    await pair.until(() => received.length === 200);
    t.true(received.every((message, round) => isFilledWith(message, round)));
  });

  withPair('answers requests, each with its own answer', async (t, pair) => {
    await pair.connect({
      b: { onRequest: async (from, method, body) => Buffer.from(`${from} ${method} ${Buffer.from(body).toString()}`) },
    });
    const answers = await Promise.all(
      ['x', 'y', 'z'].map(text => pair.a.request(pair.bId, 'echo', Buffer.from(text), { timeoutMs: 5_000 })),
    );
    t.deepEqual(
      answers.map(answer => Buffer.from(answer).toString()),
      ['x', 'y', 'z'].map(text => `${pair.aId} echo ${text}`),
    );
  });

  withPair('brings back an error by its code', async (t, pair) => {
    const error = Object.assign(new Error('not me'), { code: 'RAFT_NOT_LEADER' });
    await pair.connect({ b: { onRequest: () => Promise.reject(error) } });
    await t.throwsAsync(pair.a.request(pair.bId, 'propose', new Uint8Array(), { timeoutMs: 5_000 }), {
      code: 'RAFT_NOT_LEADER',
      message: 'not me',
    });
  });

  withPair('gives up a request that is not answered: the outcome is not known', async (t, pair) => {
    await pair.connect({ b: { onRequest: () => new Promise(() => {}) } });
    const error = await t.throwsAsync(pair.a.request(pair.bId, 'hang', new Uint8Array(), { timeoutMs: 50 }), {
      instanceOf: PeerUnreachableError,
    });
    t.false(error?.isUnsent);
  });

  withPair('says that nothing was sent to a member it cannot reach', async (t, pair) => {
    await pair.connect({});
    const error = await t.throwsAsync(pair.a.request('f'.repeat(16), 'x', new Uint8Array(), { timeoutMs: 1_000 }), {
      instanceOf: PeerUnreachableError,
    });
    t.true(error?.isUnsent);
    t.notThrows(() => pair.a.send({ type: 'timeoutNow', from: pair.aId, to: 'f'.repeat(16), term: 1 }));
  });

  withPair('streams a snapshot, however large, as fast as it is taken', async (t, pair) => {
    const parts = Array.from({ length: 20 }, (_, part) => Buffer.alloc(300_000, part));
    const taken: Buffer[] = [];
    let metadata: SnapshotMetadata | undefined;
    await pair.connect({
      b: {
        onSnapshot: async snapshot => {
          metadata = snapshot.metadata;
          for await (const chunk of snapshot.chunks) taken.push(Buffer.from(chunk));
        },
      },
    });
    await pair.a.sendSnapshot(pair.bId, { metadata: METADATA, term: 3, chunks: toAsync(parts) });
    t.deepEqual(metadata, METADATA);
    t.true(Buffer.concat(taken).equals(Buffer.concat(parts)));
  });

  withPair('does not read ahead of a slow receiver', async (t, pair) => {
    let given = 0;
    let release = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; given < 200; given++) yield Buffer.alloc(100_000);
    }
    let taken = 0;
    await pair.connect({
      b: {
        onSnapshot: async snapshot => {
          for await (const chunk of snapshot.chunks) {
            taken += chunk.length;
            await held;
          }
        },
      },
    });
    const sending = pair.a.sendSnapshot(pair.bId, { metadata: METADATA, term: 1, chunks: endless() });
    await pair.until(() => taken > 0);
    // Messages pass meanwhile, on a connection that the snapshot does not clog.
    await t.notThrowsAsync(pair.a.request(pair.bId, 'ping', new Uint8Array(), { timeoutMs: 5_000 }));
    t.true(given < 50, `${given} chunks were read ahead`);
    release();
    await sending;
    t.is(taken, 200 * 100_000);
  });

  withPair('tells the sender that a snapshot was refused', async (t, pair) => {
    await pair.connect({
      b: {
        onSnapshot: snapshot => {
          void snapshot.chunks[Symbol.asyncIterator]().return?.();
        },
      },
    });
    const chunks = toAsync([Buffer.alloc(10)]);
    await t.throwsAsync(pair.a.sendSnapshot(pair.bId, { metadata: METADATA, term: 1, chunks }), {
      instanceOf: PeerUnreachableError,
    });
  });

  withPair('tells the receiver that a snapshot broke off', async (t, pair) => {
    const outcomes: string[] = [];
    await pair.connect({
      b: {
        onSnapshot: async snapshot => {
          try {
            for await (const _ of snapshot.chunks);
            outcomes.push('whole');
          } catch {
            outcomes.push('broken');
          }
        },
      },
    });
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      throw new Error('the disk failed');
    }
    await t.throwsAsync(pair.a.sendSnapshot(pair.bId, { metadata: METADATA, term: 1, chunks: failing() }));
    await pair.until(() => outcomes.length > 0);
    t.deepEqual(outcomes, ['broken']);
  });

  withPair('does not hear a member that was removed', async (t, pair) => {
    const received: Message[] = [];
    await pair.connect({ b: { onMessage: message => received.push(message) } });
    pair.b.setPeers([], [pair.aId]);
    pair.a.send({ type: 'timeoutNow', from: pair.aId, to: pair.bId, term: 1 });
    await t.throwsAsync(pair.a.request(pair.bId, 'x', new Uint8Array(), { timeoutMs: 500 }));
    t.deepEqual(received, []);
  });

  withPair('copies what it sends: the sender may use its buffer again (swarmkit 069a030)', async (t, pair) => {
    const sizes = [TRANSPORT_LIMITS.snapshotChunkBytesMax + 1, 10, 4_000_000];
    const digest = (bytes: Uint8Array) => bytes.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 7);
    const received: Uint8Array[] = [];
    let isDone = false;
    await pair.connect({
      b: {
        async onSnapshot(snapshot) {
          for await (const chunk of snapshot.chunks) received.push(chunk);
          isDone = true;
        },
      },
    });
    const sent: number[] = [];
    async function* chunks(): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(4_000_000);
      for (const [number, size] of sizes.entries()) {
        const chunk = buffer.subarray(0, size).fill(number + 1);
        sent.push(digest(chunk));
        yield chunk;
        chunk.fill(0);
      }
    }
    await pair.a.sendSnapshot(pair.bId, { metadata: METADATA, term: 1, chunks: chunks() });
    await pair.until(() => isDone);
    const all = Buffer.concat(received);
    let at = 0;
    for (const [number, size] of sizes.entries()) {
      t.is(digest(all.subarray(at, at + size)), sent[number] ?? 0);
      at += size;
    }
    t.is(at, all.length);
  });

  withPair('tells a member that was removed, and nobody else', async (t, pair) => {
    const told: MemberId[] = [];
    await pair.connect({
      a: { onRemoved: by => told.push(`a by ${by}`) },
      b: { onRemoved: by => told.push(`b by ${by}`) },
    });
    pair.b.setPeers([], [pair.aId]);
    await pair.until(() => {
      pair.a.send({ type: 'timeoutNow', from: pair.aId, to: pair.bId, term: 1 });
      return told.length > 0;
    });
    t.is(told[0], `a by ${pair.bId}`);
    t.false(told.some(line => line.startsWith('b')));
  });

  withPair('tells a member that was removed, though it says nothing', async (t, pair) => {
    const told: MemberId[] = [];
    await pair.connect({ a: { onRemoved: by => told.push(by) } });
    pair.b.setPeers([], [pair.aId]);
    await pair.until(() => told.length > 0);
    t.is(told[0], pair.bId);
  });
}

const METADATA: SnapshotMetadata = {
  index: 9,
  term: 2,
  membership: {
    clusterId: 'c'.repeat(16),
    members: [{ id: '1'.repeat(16), name: 'm', peerAddress: 'h:1', clientUrl: 'https://h', role: 'voter' }],
  },
};

function everyMessage(from: MemberId, to: MemberId): Message[] {
  const head = { from, to, term: 7 };
  return [
    { ...head, type: 'preVoteRequest', lastLogIndex: 3, lastLogTerm: 2, transfer: false },
    { ...head, type: 'voteRequest', lastLogIndex: 3, lastLogTerm: 2, transfer: true },
    { ...head, type: 'preVoteResponse', granted: true },
    { ...head, type: 'voteResponse', granted: false },
    {
      ...head,
      type: 'appendRequest',
      previousIndex: 4,
      previousTerm: 2,
      commit: 3,
      acknowledgedIndex: 2,
      readContext: 5,
      entries: [
        { index: 5, term: 6, kind: 'noop', data: new Uint8Array() },
        { index: 6, term: 7, kind: 'command', data: Buffer.from('set') },
        { index: 7, term: 7, kind: 'membership', data: Buffer.from('who') },
      ],
    },
    {
      ...head,
      type: 'appendResponse',
      success: false,
      matchIndex: 2,
      hintTerm: 1,
      previousIndex: 4,
      readContext: 2 ** 40,
      needsSnapshot: true,
    },
    { ...head, type: 'snapshotStatus', success: true, matchIndex: 9 },
    { ...head, type: 'timeoutNow' },
  ];
}

/** Bytes are bytes, whichever class holds them. */
function comparable(message: Message): unknown {
  if (message.type !== 'appendRequest') return message;
  return {
    ...message,
    entries: message.entries.map(entry => ({ ...entry, data: Buffer.from(entry.data).toString('hex') })),
  };
}

function append(pair: TransportPair, data: Uint8Array): Message {
  return {
    type: 'appendRequest',
    from: pair.aId,
    to: pair.bId,
    term: 1,
    previousIndex: 0,
    previousTerm: 0,
    commit: 0,
    acknowledgedIndex: 0,
    readContext: 0,
    entries: [{ index: 1, term: 1, kind: 'command', data }],
  };
}

function isFilledWith(message: Message, value: number): boolean {
  if (message.type !== 'appendRequest') return false;
  const data = message.entries[0]?.data;
  return data?.length === 100 && data.every(byte => byte === value);
}

async function* toAsync(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}
