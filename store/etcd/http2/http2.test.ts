/** Our HTTP/2 against node's own client, which shares no code with it, and against bytes that break the rules. */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Server } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { systemClock } from '../../clock.ts';
import { Http2Connection } from './connection.ts';
import { FRAME, FRAME_HEADER_BYTES, frameBytes, PREFACE } from './frames.ts';
import { type Header, HpackDecoder, HpackEncoder } from './hpack.ts';

/** Answers each request with what came: its `x` field, and its body. */
async function makeEcho() {
  const problems: Error[] = [];
  const connections = new Set<Http2Connection>();
  const server: Server = createServer(socket => {
    const connection = new Http2Connection({
      socket,
      clock: systemClock,
      accept: (stream, headers) => {
        const body: Buffer[] = [];
        return {
          data(chunk) {
            body.push(chunk);
            stream.taken(chunk.length);
          },
          end() {
            const others: Header[] = [['x', headers.get('x') ?? '']];
            const all = Buffer.concat(body);
            if (all.length > 0) stream.reply({ constants: OK, others }, all, { constants: [], others: [['y', 'z']] });
            else {
              stream.respond({ constants: OK, others });
              stream.end({ constants: [], others: [['y', 'z']] });
            }
          },
          aborted() {},
        };
      },
      onClose: () => connections.delete(connection),
      onProblem: error => problems.push(error),
    });
    connections.add(connection);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    problems,
    connections,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
const OK: readonly Header[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];

function ask(session: ClientHttp2Session, x: string, body: Buffer): Promise<{ x: unknown; body: Buffer; y: unknown }> {
  return new Promise((resolve, reject) => {
    const request = session.request({ ':method': 'POST', ':path': '/echo', x });
    const parts: Buffer[] = [];
    let [head, trailer]: unknown[] = [];
    request.on('response', headers => {
      head = headers.x;
    });
    request.on('trailers', headers => {
      trailer = headers.y;
    });
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => resolve({ x: head, body: Buffer.concat(parts), y: trailer }));
    request.on('error', reject);
    request.end(body);
  });
}

test('requests of all sizes come back whole, many at a time', async t => {
  await using echo = await makeEcho();
  const session = connectHttp2(`http://127.0.0.1:${echo.port}`);
  const sizes = [0, 1, 100, 16_384, 16_385, 70_000, 1_500_000, 3_000_000];
  const answers = await Promise.all(sizes.map(size => ask(session, `size ${size}`, Buffer.alloc(size, 'b'))));
  for (const [at, { x, body, y }] of answers.entries()) {
    t.deepEqual([x, body.length, y], [`size ${sizes[at]}`, sizes[at], 'z']);
  }
  const many = await Promise.all(Array.from({ length: 2_000 }, (_, at) => ask(session, `${at}`, Buffer.of(1))));
  t.true(many.every(({ x }, at) => x === `${at}`));
  session.close();
});

test('a client with narrow windows gets everything, at its own pace', async t => {
  await using echo = await makeEcho();
  const settings = { initialWindowSize: 100, headerTableSize: 0, maxFrameSize: 16_384 };
  const session = connectHttp2(`http://127.0.0.1:${echo.port}`, { settings });
  const { body, x } = await ask(session, 'narrow', Buffer.alloc(20_000, 'n'));
  t.deepEqual([body.length, x], [20_000, 'narrow']);
  session.close();
});

test('fields of any kind are read as they were written', async t => {
  await using echo = await makeEcho();
  const session = connectHttp2(`http://127.0.0.1:${echo.port}`);
  const text = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 200,
  });
  await fc.assert(
    fc.asyncProperty(text, async value => (await ask(session, value, Buffer.alloc(0))).x === value),
    { numRuns: 300 },
  );
  t.pass();
  session.close();
});

test('what our encoder writes our decoder reads, with and without a table', t => {
  const field = fc.tuple(
    fc.constantFrom('a', 'grpc-status', 'x-long-name'),
    fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(field, { maxLength: 4 }), { maxLength: 8 }), fc.boolean(), (blocks, hasTable) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      if (!hasTable) encoder.setTableSize(0);
      for (const block of blocks) {
        const constants = block.map((one): Header => one);
        for (let round = 0; round < 2; round++) {
          const read = decoder.decode(encoder.encode(constants, [['z', '1']]));
          const last = new Map<string, string>();
          for (const [name, value] of constants) {
            const before = last.get(name);
            last.set(name, before === undefined ? value : `${before},${value}`);
          }
          for (const [name, value] of last) if (read.get(name) !== value) return false;
          if (read.get('z') !== '1') return false;
        }
      }
      return true;
    }),
  );
  t.pass();
});

/** Sends bytes; resolves with what came back once the server has closed. */
function throwAt(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise(resolve => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', part => parts.push(part));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(parts)));
  });
}

test('who breaks the rules is told, and cut off', async t => {
  await using echo = await makeEcho();
  const settings = frameBytes(FRAME.settings, 0, 0);
  const hostile: Readonly<Record<string, Buffer>> = {
    'no HTTP/2': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    'a frame that is too large': Buffer.concat([PREFACE, Buffer.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)]),
    'an even stream': Buffer.concat([PREFACE, settings, frameBytes(FRAME.headers, 4, 2, Buffer.of(0x83))]),
    'DATA of no stream': Buffer.concat([PREFACE, settings, frameBytes(FRAME.data, 1, 9, Buffer.of(1))]),
    'fields that make no sense': Buffer.concat([
      PREFACE,
      settings,
      frameBytes(FRAME.headers, 5, 1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
    ]),
    'a header block without end': Buffer.concat([
      PREFACE,
      settings,
      frameBytes(FRAME.headers, 0, 1, Buffer.alloc(10_000)),
      ...Array.from({ length: 10 }, () => frameBytes(FRAME.continuation, 0, 1, Buffer.alloc(10_000))),
    ]),
    'a window of nothing': Buffer.concat([PREFACE, settings, frameBytes(FRAME.windowUpdate, 0, 0, Buffer.alloc(4))]),
    'a window beyond all bounds': Buffer.concat([
      PREFACE,
      settings,
      frameBytes(FRAME.windowUpdate, 0, 0, Buffer.of(0x7f, 0xff, 0xff, 0xff)),
    ]),
    'a push': Buffer.concat([PREFACE, settings, frameBytes(FRAME.pushPromise, 4, 1, Buffer.alloc(8))]),
  };
  let count = 0;
  for (const [what, bytes] of Object.entries(hostile)) {
    const answer = await throwAt(echo.port, bytes);
    t.is(echo.problems.length, ++count, what);
    // The last frame is GOAWAY: a head, the last stream, the reason.
    t.is(answer[answer.length - 8 - FRAME_HEADER_BYTES + 3], FRAME.goAway, what);
  }
  t.is(echo.connections.size, 0);
});

test('random bytes after a good beginning never bring the server down', async t => {
  await using echo = await makeEcho();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 9, maxLength: 200 }), async bytes => {
      const socket = connect(echo.port, '127.0.0.1');
      socket.on('error', () => {});
      await new Promise<void>(resolve => socket.end(Buffer.concat([PREFACE, bytes]), () => resolve()));
      socket.destroy();
    }),
    { numRuns: 200 },
  );
  const session = connectHttp2(`http://127.0.0.1:${echo.port}`);
  t.is((await ask(session, 'alive', Buffer.of(1))).x, 'alive');
  session.close();
});
