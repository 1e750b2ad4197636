/** Messages as bytes: whatever arrives is read or turned down, and what is cut or kept stays whole. */
import test from 'ava';
import { type Answer, decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { AnswerCache } from './cache.ts';
import { CACHE_ENTRIES_MAX, DATAGRAM_BYTES_MAX } from './limits.ts';
import { aged, encodeResponse, finish, parseQuery, type Query, secondsToKeep, withoutEdns } from './message.ts';
import { queryOf } from './test-client.ts';

function queryFor(name: string, ednsBytes?: number): Query {
  const query = parseQuery(queryOf(name, 'A', { port: 0, ...(ednsBytes !== undefined && { ednsBytes }) }));
  if (!('asked' in query)) throw new Error('a query could not be read');
  return query;
}
const ipAddress = (name: string, data: string, ttl = 5): Answer => ({ type: 'A', name, ttl, data });
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$/);
const domain = fc.array(label, { minLength: 1, maxLength: 5 }).map(labels => labels.join('.'));

test('any bytes are read or turned down', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
      t.is(typeof parseQuery(Buffer.from(bytes)), 'object');
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(domain, fc.nat(), fc.integer({ min: 0, max: 255 }), (name, at, value) => {
      const query = queryOf(name, 'AAAA', { port: 0, ednsBytes: 900 });
      query.writeUInt8(value, at % query.length);
      t.is(typeof parseQuery(query), 'object');
    }),
    { numRuns: 2_000 },
  );
});

test('a query says what it asks', t => {
  fc.assert(
    fc.property(domain, fc.integer({ min: 0, max: 65_535 }), (name, id) => {
      const query = parseQuery(queryOf(name, 'SRV', { port: 0, id, ednsBytes: 700 }));
      if (!('asked' in query)) return t.fail();
      t.deepEqual([query.asked, query.type, query.id, query.edns?.sizeBytes], [name, 'SRV', id, 700]);
    }),
  );
});

test('a dot inside a label makes no other name', t => {
  const bytes = queryOf('axb.cluster.local', 'A', { port: 0 });
  bytes.write('.', bytes.indexOf('x'));
  const query = parseQuery(bytes);
  t.is('asked' in query ? query.asked : '', 'a\\.b.cluster.local');
});

test('whatever the size, a response is whole, within its limit, and says if something is missing', t => {
  fc.assert(
    fc.property(domain, fc.nat(120), fc.option(fc.integer({ min: 1, max: 9_000 })), (name, count, size) => {
      const query = queryFor(name, size ?? undefined);
      const answers = Array.from({ length: count }, (_, index) => ipAddress(name, `10.0.0.${index}`));
      const additionals = [ipAddress('other.example', '10.9.9.9')];
      const message = finish(encodeResponse(query, { rcode: 0, answers, additionals }), query, { stream: false });
      t.true(message.length <= Math.min(DATAGRAM_BYTES_MAX, Math.max(512, size ?? 0)), String(message.length));
      const read = decode(message);
      const got = read.answers?.length ?? 0;
      t.is(read.flag_tc, got < count);
      t.deepEqual(
        read.answers?.map(({ name: owner }) => owner),
        answers.slice(0, got).map(one => one.name),
      );
    }),
  );
});

/** A response with EDNS, as a resolver sends it. */
function resolved(ttls: readonly number[]): Buffer {
  const name = 'www.example.org';
  return encode({
    type: 'response',
    id: 1,
    questions: [{ name, type: 'A' }],
    answers: ttls.map((ttl, index) => ipAddress(name, `192.0.2.${index}`, ttl)),
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4_096,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
}

test('EDNS of another connection is taken out; times are read and shortened', t => {
  const plain = withoutEdns(resolved([30, 20, 90]));
  t.deepEqual(decode(plain).additionals, []);
  t.deepEqual(secondsToKeep(plain), { seconds: 20, negative: false });
  const ttls = decode(aged(plain, 25)).answers?.map(record => ('ttl' in record ? record.ttl : 0));
  t.deepEqual(ttls, [5, 0, 65]);
});

test('a broken response is a RangeError, whatever is broken', t => {
  const message = resolved([30, 20]);
  for (let length = 12; length < message.length; length += 1)
    t.throws(() => withoutEdns(message.subarray(0, length)), { instanceOf: RangeError }, String(length));
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const broken = Buffer.from(message);
      broken.writeUInt8(value, at % message.length);
      try {
        const plain = withoutEdns(broken);
        // What is accepted can be sent on.
        const sent = finish(plain, queryFor('www.example.org'), { stream: true });
        t.true(sent.length >= 12 && secondsToKeep(plain).seconds >= 0 && aged(plain, 1).length === plain.length);
      } catch (error) {
        t.true(error instanceof RangeError, String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});

test('the cache has its bound; who was asked for longest ago goes first', t => {
  const cache = new AnswerCache(() => 0);
  const message = withoutEdns(resolved([30]));
  for (let index = 0; index < CACHE_ENTRIES_MAX; index += 1) cache.put(String(index), message);
  t.truthy(cache.get('0'));
  cache.put('one more', message);
  t.is(cache.size, CACHE_ENTRIES_MAX);
  t.truthy(cache.get('0'));
  t.is(cache.get('1'), undefined);
});
