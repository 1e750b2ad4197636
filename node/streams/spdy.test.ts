import { constants, createDeflate, createInflate } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { until } from '../../control/client/testing/until.ts';
import { ByteQueue } from './byte-queue.ts';
import type { ByteChannel } from './channel.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';

/** A client's end: bytes in pieces of the test's choosing, answers collected. */
function connect() {
  const incoming = new ByteQueue(Number.MAX_SAFE_INTEGER);
  const closing = new AbortController();
  const sent: Uint8Array[] = [];
  const close = () => {
    closing.abort();
    incoming.end();
  };
  const channel: ByteChannel = {
    incoming,
    write: async bytes => {
      sent.push(bytes);
    },
    end: close,
    destroy: close,
    signal: closing.signal,
  };
  const streams: SpdyStream[] = [];
  const connection = new SpdyConnection(channel, stream => streams.push(stream));
  return { incoming, sent, streams, running: connection.run(), closing };
}
const deflater = () => createDeflate({ dictionary: SPDY_DICTIONARY });

async function headerBlock(deflate: ReturnType<typeof deflater>, headers: Record<string, string>): Promise<Buffer> {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const entries = Object.entries(headers);
  const text = entries.flatMap(pair => pair.flatMap(part => [number(Buffer.byteLength(part)), Buffer.from(part)]));
  const chunks: Buffer[] = [];
  const take = (chunk: Buffer) => chunks.push(chunk);
  deflate.on('data', take);
  deflate.write(Buffer.concat([number(entries.length), ...text]));
  await new Promise<void>(resolve => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
  deflate.off('data', take);
  return Buffer.concat(chunks);
}
function frame(first: number, flags: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(first >>> 0);
  head.writeUInt32BE(((flags << 24) | body.length) >>> 0, 4);
  return Buffer.concat([head, body]);
}
async function synStream(
  deflate: ReturnType<typeof deflater>,
  id: number,
  headers: Record<string, string>,
): Promise<Buffer> {
  const head = Buffer.alloc(10);
  head.writeUInt32BE(id);
  return frame(0x8003_0001, 0, Buffer.concat([head, await headerBlock(deflate, headers)]));
}
async function all(stream: SpdyStream | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream?.incoming ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('streams open with their headers, carry data, and half-close', async t => {
  const { incoming, sent, streams, running, closing } = connect();
  const deflate = deflater();
  await incoming.push(await synStream(deflate, 1, { streamtype: 'error' }));
  await incoming.push(await synStream(deflate, 3, { streamtype: 'stdin', Port: '80' }));
  await incoming.push(frame(3, 0, Buffer.from('hello ')));
  await incoming.push(frame(3, 1, Buffer.from('world')));
  await until('both are open', () => streams.length === 2);
  t.is(streams[0]?.headers.get('streamtype'), 'error');
  t.is(streams[1]?.headers.get('port'), '80');
  t.is(await all(streams[1]), 'hello world');
  await streams[1]?.write(Buffer.from('answer'));
  await streams[1]?.end();
  const out = Buffer.concat(sent);
  const replies = sent.filter(bytes => Buffer.from(bytes).readUInt32BE(0) === 0x8003_0002);
  t.is(replies.length, 2);
  t.true(out.includes(frame(3, 0, Buffer.from('answer'))));
  t.true(out.subarray(-8).equals(frame(3, 1, Buffer.alloc(0))));
  // The reply's header block is empty, and inflates with the same dictionary.
  const inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  const block = await new Promise<Buffer>(resolve => inflate.once('data', resolve).write(replies[0]?.subarray(12)));
  t.deepEqual([...block], [0, 0, 0, 0]);
  closing.abort();
  incoming.end();
  await running;
});

test('the client’s pings come back, ours would not', async t => {
  const { incoming, sent, running } = connect();
  const ping = (id: number) => frame(0x8003_0006, 0, Buffer.from([0, 0, 0, id]));
  await incoming.push(ping(1));
  await incoming.push(ping(2));
  await incoming.push(ping(3));
  incoming.end();
  await running;
  t.deepEqual(Buffer.concat(sent), Buffer.concat([ping(1), ping(3)]));
});

test('a peer that breaks the protocol is hung up on', async t => {
  const broken: Record<string, Buffer> = {
    'a frame without bounds': frame(1, 0, Buffer.alloc(0)).fill(0xff, 5),
    'a header block that is none': frame(
      0x8003_0001,
      0,
      Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.alloc(6), Buffer.from('rubbish')]),
    ),
    'an even stream id': frame(0x8003_0001, 0, Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.alloc(6)])),
    'a SYN_STREAM that is too short': frame(0x8003_0001, 0, Buffer.alloc(3)),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    const { incoming, running, closing, streams } = connect();
    await incoming.push(bytes);
    await running;
    t.true(closing.signal.aborted, what);
    t.is(streams.length, 0, what);
  }
});

test('property: however the bytes are cut, the streams say the same', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      fc.array(fc.string(), { maxLength: 5 }),
      async (cuts, texts) => {
        const { incoming, streams, running } = connect();
        const deflate = deflater();
        const parts = [await synStream(deflate, 1, { streamtype: 'stdin' })];
        for (const text of texts) parts.push(frame(1, 0, Buffer.from(text)));
        parts.push(frame(1, 1, Buffer.alloc(0)));
        const whole = Buffer.concat(parts);
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          await incoming.push(whole.subarray(at, at + size));
          at += size;
        }
        incoming.end();
        await running;
        t.is(await all(streams[0]), texts.join(''));
      },
    ),
    { numRuns: 50 },
  );
});

test('a queue makes its writer wait, and lets go when the reader leaves', async t => {
  const queue = new ByteQueue(4);
  await queue.push(Buffer.from('1234'));
  let isThrough = false;
  const pushing = queue.push(Buffer.from('5')).then(() => {
    isThrough = true;
  });
  await Promise.resolve();
  t.false(isThrough);
  for await (const chunk of queue) {
    t.is(Buffer.from(chunk).toString(), '1234');
    break;
  }
  await pushing;
  t.true(isThrough);
});
