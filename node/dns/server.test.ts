/** The server over loopback: what clients see on UDP and TCP, what is forwarded, and what is refused. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';
import { systemClock } from '../clock.ts';
import { type Metric, renderMetrics } from '../metrics/text.ts';
import { createAccess } from './access.ts';
import { Forwarder } from './forwarder.ts';
import { CONNECTION_REQUESTS_MAX, CONNECTIONS_PER_CLIENT_MAX, MESSAGE_BYTES_MAX } from './limits.ts';
import { Measures } from './measures.ts';
import { Responder } from './responder.ts';
import { DnsServer } from './server.ts';
import { type Asked, ask, dataOf, exchangeBytes, framed, queryOf } from './test-client.ts';
import { sampleServices, sampleSlices, service, slice, testView, testZone } from './test-view.ts';
import type { ServiceView } from './view.ts';

const LOCAL = '127.0.0.1';
const many = Array.from({ length: 60 }, (_, index) => ({ addresses: [`10.42.7.${index + 1}`] }));
const wholeView = testView(
  [...sampleServices, service('many', { clusterIP: 'None', ports: [] })],
  [...sampleSlices, slice({ service: 'many', endpoints: many })],
);

/** A resolver whose answers the test makes; it counts what it is asked. */
class Upstream {
  readonly #socket: Socket = createSocket('udp4');
  asked: string[] = [];
  answer: (
    name: string,
    type: RecordType,
  ) => { answers?: Answer[]; authorities?: Answer[]; flags?: number } | undefined = () => undefined;

  async listen(): Promise<{ address: string; port: number }> {
    this.#socket.bind(0, LOCAL);
    await once(this.#socket, 'listening');
    this.#socket.on('message', (message, from) => {
      const { id = 0, questions = [] } = decode(message);
      const [question] = questions;
      if (!question) return;
      this.asked.push(question.name);
      const content = this.answer(question.name.toLowerCase(), question.type);
      if (content) this.#socket.send(encode({ type: 'response', id, questions, ...content }), from.port, from.address);
    });
    return { address: LOCAL, port: this.#socket.address().port };
  }
  close(): void {
    this.#socket.close();
  }
}

interface Setup {
  readonly view?: ServiceView;
  readonly mayAsk?: (address: string) => boolean;
  readonly now?: () => number;
}

async function start(t: ExecutionContext, { view = wholeView, mayAsk = () => true, now }: Setup = {}) {
  const upstream = new Upstream();
  const stub = new Upstream();
  const measures = new Measures();
  const clock = now ? { ...systemClock, now } : systemClock;
  const forwarder = new Forwarder({
    resolvers: [await upstream.listen()],
    stubZones: { 'corp.example': [await stub.listen()] },
    clock,
    random: Math.random,
    measures,
  });
  const responder = new Responder({ zone: testZone, view, forwarder, random: Math.random });
  const server = new DnsServer({
    responder,
    mayAsk,
    measures,
    now: () => clock.now(),
    onError: error => t.fail(String(error)),
  });
  const port = await server.listen({ address: LOCAL, port: 0 });
  t.teardown(async () => {
    await server.close();
    upstream.close();
    stub.close();
  });
  const question = (name: string, type: RecordType, asked: Partial<Asked> = {}) => ask(name, type, { port, ...asked });
  return { upstream, stub, port, question, measures };
}

const rcodeOf = ({ rcode }: DecodedPacket & { rcode?: string }) => rcode;
const address = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, ttl, data });

for (const transport of ['udp', 'tcp'] as const) {
  test(`names of the cluster over ${transport}`, async t => {
    const { question } = await start(t);
    const answer = await question('kubernetes.default.svc.cluster.local', 'A', { transport, id: 4711 });
    t.deepEqual(dataOf(answer), ['10.43.0.1']);
    t.is(answer.id, 4711);
    t.true(answer.flag_aa && answer.flag_ra && answer.flag_rd && answer.flag_qr);
    t.is(answer.answers?.[0] && 'ttl' in answer.answers[0] ? answer.answers[0].ttl : undefined, 5);
    const reverse = await question('1.0.43.10.in-addr.arpa', 'PTR', { transport });
    t.deepEqual(dataOf(reverse), ['kubernetes.default.svc.cluster.local']);
  });
}

test('what is missing is told from what has other records, both with the SOA', async t => {
  const { question } = await start(t);
  const missing = await question('nobody.default.svc.cluster.local', 'A');
  t.is(rcodeOf(missing), 'NXDOMAIN');
  const other = await question('kubernetes.default.svc.cluster.local', 'AAAA');
  t.is(rcodeOf(other), 'NOERROR');
  for (const answer of [missing, other]) {
    t.deepEqual(answer.answers, []);
    t.deepEqual(
      answer.authorities?.map(({ type, name }) => `${type} ${name}`),
      ['SOA cluster.local'],
    );
  }
});

test('the spelling of a question comes back', async t => {
  const { question, upstream } = await start(t);
  const local = 'kuBERnetes.Default.SVC.cluster.local';
  const answer = await question(local, 'A');
  t.is(answer.questions?.[0]?.name, local);
  t.is(answer.answers?.[0]?.name, local);
  upstream.answer = name => ({ answers: [address(name, '192.0.2.1')] });
  t.is((await question('wWw.eXample.ORG', 'A')).questions?.[0]?.name, 'wWw.eXample.ORG');
  // The second comes from the cache, in the spelling of its own question.
  t.is((await question('www.example.org', 'A')).questions?.[0]?.name, 'www.example.org');
  t.deepEqual(upstream.asked, ['wWw.eXample.ORG']);
});

test('each endpoint comes first as often', async t => {
  const { question } = await start(t);
  const firsts = new Map<string, number>();
  const rounds = 600;
  for (let round = 0; round < rounds; round += 1) {
    const answer = await question('db.default.svc.cluster.local', 'A', { ednsBytes: 1_232 });
    const [first] = answer.answers ?? [];
    const data = first && 'data' in first ? String(first.data) : '';
    firsts.set(data, (firsts.get(data) ?? 0) + 1);
  }
  t.is(firsts.size, 3);
  const expected = rounds / 3;
  const chiSquared = [...firsts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // Two degrees of freedom: more than this happens once in a million runs.
  t.true(chiSquared < 27.6, JSON.stringify([...firsts]));
});

test('answers are cut to what the client takes, at a whole record, and whole over TCP', async t => {
  const { question } = await start(t);
  const name = 'many.default.svc.cluster.local';
  const short = await question(name, 'A');
  t.true(short.flag_tc);
  t.true((short.answers?.length ?? 0) > 20 && (short.answers?.length ?? 0) < 60, String(short.answers?.length));
  const long = await question(name, 'A', { ednsBytes: 4_096 });
  t.false(long.flag_tc);
  t.is(long.answers?.length, 60);
  t.is(long.additionals?.[0]?.type, 'OPT');
  const stream = await question(name, 'A', { transport: 'tcp' });
  t.false(stream.flag_tc);
  t.is(stream.answers?.length, 60);
  t.deepEqual(stream.additionals, [], 'who does not speak EDNS is not spoken to in it');
});

test('an alias is followed inside and outside, and stands alone if it is what was asked for', async t => {
  const { question, upstream } = await start(t);
  upstream.answer = name => ({
    answers: [{ type: 'CNAME', name, ttl: 9, data: 'bar.example.com' }, address('bar.example.com', '192.0.2.9')],
  });
  const outside = await question('outside.default.svc.cluster.local', 'A');
  t.deepEqual(dataOf(outside), ['192.0.2.9', 'bar.example.com', 'foo.example.com']);
  t.deepEqual(upstream.asked, ['foo.example.com']);
  t.deepEqual(dataOf(await question('outside.default.svc.cluster.local', 'CNAME')), ['foo.example.com']);
  const inside = await question('inside.default.svc.cluster.local', 'A');
  t.deepEqual(dataOf(inside), ['10.42.0.5', '10.42.1.6', '10.42.1.7', 'db.default.svc.cluster.local']);
  t.is(rcodeOf(await question('loop.default.svc.cluster.local', 'A')), 'SERVFAIL');
});

test('what is behind an alias comes whatever its type is', async t => {
  const { question, upstream } = await start(t);
  const mail: Answer = { type: 'MX', name: 'foo.example.com', ttl: 9, data: { preference: 10, exchange: 'm.example' } };
  const service = {
    type: 'UNKNOWN_65',
    name: 'foo.example.com',
    ttl: 9,
    data: Buffer.from([0, 1, 0]),
  } as unknown as Answer;
  for (const record of [mail, service]) {
    upstream.answer = () => ({ answers: [record] });
    const { answers = [] } = await question('outside.default.svc.cluster.local', record.type as RecordType);
    t.deepEqual(
      answers.map(({ type }) => type),
      ['CNAME', record.type],
    );
    t.like(answers[1], record);
  }
});

test('other names are forwarded and remembered for as long as they hold', async t => {
  let nowMs = 1_000_000;
  const { question, upstream } = await start(t, { now: () => nowMs });
  upstream.answer = name =>
    name === 'gone.example.org'
      ? { flags: 3, authorities: [soa(7)] }
      : { answers: [address(name, '192.0.2.7', 20)], flags: AUTHORITATIVE_ANSWER };
  t.deepEqual(dataOf(await question('www.example.org', 'A')), ['192.0.2.7']);
  nowMs += 5_000;
  const cached = await question('www.example.org', 'A', { id: 99 });
  t.is(cached.id, 99);
  t.is(cached.answers?.[0] && 'ttl' in cached.answers[0] ? cached.answers[0].ttl : 0, 15);
  t.is(upstream.asked.length, 1);
  nowMs += 15_000;
  await question('www.example.org', 'A');
  t.is(upstream.asked.length, 2, 'after its time it is asked again');
  t.is(rcodeOf(await question('gone.example.org', 'A')), 'NXDOMAIN');
  nowMs += 6_999;
  t.is(rcodeOf(await question('gone.example.org', 'A')), 'NXDOMAIN');
  t.is(upstream.asked.length, 3, 'that it is missing is remembered too');
  nowMs += 1;
  await question('gone.example.org', 'A');
  t.is(upstream.asked.length, 4);
});

test('a stub zone has resolvers of its own', async t => {
  const { question, upstream, stub } = await start(t);
  upstream.answer = name => ({ answers: [address(name, '192.0.2.1')] });
  stub.answer = name => ({ answers: [address(name, '192.0.2.2')] });
  t.deepEqual(dataOf(await question('db.corp.example', 'A')), ['192.0.2.2']);
  t.deepEqual(dataOf(await question('db.notcorp.example', 'A')), ['192.0.2.1']);
});

test('the same question is asked once at a time', async t => {
  const { question, upstream } = await start(t);
  upstream.answer = name => ({ answers: [address(name, '192.0.2.1', 0)] });
  const answers = await Promise.all(Array.from({ length: 20 }, () => question('a.example.org', 'A')));
  t.true(answers.every(answer => dataOf(answer)[0] === '192.0.2.1'));
  t.true(upstream.asked.length < 20, String(upstream.asked.length));
  const before = upstream.asked.length;
  await question('a.example.org', 'A');
  t.is(upstream.asked.length, before + 1, 'what holds for no time is not remembered');
});

test('a server that does not answer makes a failure in time, and soon again at once', async t => {
  const { question, upstream } = await start(t);
  t.is(rcodeOf(await askSlowly(question)), 'SERVFAIL');
  t.is(upstream.asked.length, 2, 'asked twice, for a datagram may get lost');
  t.is(rcodeOf(await question('slow.example.org', 'A')), 'SERVFAIL');
  t.is(upstream.asked.length, 2);
});
/** The server gives up after the client of the tests does: asked again, it answers from what it has learnt. */
async function askSlowly(question: (name: string, type: RecordType) => Promise<DecodedPacket>): Promise<DecodedPacket> {
  try {
    return await question('slow.example.org', 'A');
  } catch {
    return question('slow.example.org', 'A');
  }
}

test('answers are counted by protocol and code, with their times', async t => {
  const { question, measures } = await start(t);
  await question('kubernetes.default.svc.cluster.local', 'A');
  await question('nobody.default.svc.cluster.local', 'A', { transport: 'tcp' });
  const found: Metric[] = measures.list();
  const samples = (name: string) => found.find(metric => metric.name === name)?.samples;
  const one = (label: string, value: string) => ({ labels: { [label]: value }, value: 1 });
  t.deepEqual(samples('coredns_dns_requests_total'), [one('proto', 'udp'), one('proto', 'tcp')]);
  t.deepEqual(samples('coredns_dns_responses_total'), [one('rcode', 'NOERROR'), one('rcode', 'NXDOMAIN')]);
  t.regex(renderMetrics(found), /^coredns_dns_responses_total\{rcode="NXDOMAIN"\} 1$/m);
  t.deepEqual(samples('coredns_dns_request_duration_seconds_bucket')?.at(-1), {
    labels: { le: '+Inf' },
    value: 2,
  });
});

test('before all services are known nothing is said to be missing', async t => {
  const view = { ...wholeView, ready: false };
  const { question } = await start(t, { view });
  t.is(rcodeOf(await question('nobody.default.svc.cluster.local', 'A')), 'SERVFAIL');
  t.deepEqual(dataOf(await question('kubernetes.default.svc.cluster.local', 'A')), ['10.43.0.1']);
});

test('what is no plain query is refused in its own way', async t => {
  const { port } = await start(t);
  const bytes = async (change: (query: Buffer) => Buffer) => {
    const query = queryOf('kubernetes.default.svc.cluster.local', 'A', { port, ednsBytes: 1_232 });
    return exchangeBytes(change(query), { port });
  };
  const changed = (at: number, value: number) => (query: Buffer) => {
    query.writeUInt8(value, at);
    return query;
  };
  const codeOf = (message: Buffer) => message.readUInt16BE(2) & 0xf;
  t.is(codeOf(await bytes(changed(2, 0x28))), 4, 'an update is not implemented');
  t.is(codeOf(await bytes(changed(5, 2))), 1, 'two questions');
  t.is(codeOf(await bytes(query => query.subarray(0, 20))), 1, 'cut short');
  t.is(codeOf(await bytes(changed(12, 0xc0))), 1, 'a pointer in a question');
  const version = await bytes(query => {
    query.writeUInt8(1, query.length - 5);
    return query;
  });
  t.is((version.readUInt8(version.length - 6) << 4) | codeOf(version), 16, 'a later EDNS');
  t.is(codeOf(await exchangeBytes(queryOf('cluster.local', 'AXFR', { port }), { port, transport: 'tcp' })), 5);
});

test('responses and noise get no answer, and the server lives on', async t => {
  const { port, question } = await start(t);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  let received = 0;
  socket.on('message', () => (received += 1));
  for (const message of [Buffer.alloc(0), Buffer.alloc(5), encode({ type: 'response', id: 1, questions: [] })])
    socket.send(message, port, LOCAL);
  t.deepEqual(dataOf(await question('kubernetes.default.svc.cluster.local', 'A')), ['10.43.0.1']);
  t.is(received, 0);
});

test('strangers get no answer at all', async t => {
  const { port, question } = await start(t, { mayAsk: () => false });
  const socket = connect(port, LOCAL);
  socket.on('error', () => undefined);
  socket.write(framed(queryOf('kubernetes.default.svc.cluster.local', 'A', { port })));
  await once(socket, 'close');
  t.is(socket.bytesRead, 0);
  await t.throwsAsync(question('kubernetes.default.svc.cluster.local', 'A'), { name: 'AbortError' });
});

test('pods and the machine may ask, others not', t => {
  let nowMs = 0;
  let addresses = new Set(['198.51.100.2']);
  const [clusterRange] = testZone.ranges;
  if (!clusterRange) return t.fail();
  const mayAsk = createAccess({
    clusterRange,
    own: ['10.43.0.10'],
    now: () => nowMs,
    localAddresses: () => addresses,
  });
  for (const one of ['10.42.3.4', '::ffff:10.42.3.4', '127.0.0.1', '10.43.0.10', '198.51.100.2'])
    t.true(mayAsk(one), one);
  for (const one of ['198.51.100.3', '10.43.0.1', '10.41.255.255', 'fd00::1']) t.false(mayAsk(one), one);
  addresses = new Set(['198.51.100.3']);
  nowMs += 10_000;
  t.true(mayAsk('198.51.100.3'), 'the machine may get new addresses');
});

test('several questions on one connection, in pieces, and a bound on connections', async t => {
  const { port } = await start(t);
  const socket = connect(port, LOCAL);
  t.teardown(() => socket.destroy());
  const both = Buffer.concat(
    [1, 2].map(id => framed(queryOf('kubernetes.default.svc.cluster.local', 'A', { port, id }))),
  );
  for (const byte of both.subarray(0, 5)) socket.write(Buffer.from([byte]));
  socket.write(both.subarray(5));
  let received = Buffer.alloc(0);
  const ids = new Set<number>();
  while (ids.size < 2) {
    const [chunk] = await once(socket, 'data', { signal: AbortSignal.timeout(3_000) });
    received = Buffer.concat([received, chunk as Buffer]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      ids.add(received.readUInt16BE(2));
      received = received.subarray(2 + received.readUInt16BE(0));
    }
  }
  t.deepEqual([...ids].sort(), [1, 2]);
  const sockets = Array.from({ length: CONNECTIONS_PER_CLIENT_MAX }, () => connect(port, LOCAL));
  t.teardown(() => {
    for (const one of sockets) one.destroy();
  });
  const last = sockets.at(-1);
  if (last) await once(last, 'close', { signal: AbortSignal.timeout(3_000) });
  t.pass('one too many is hung up on');
});

function soa(minimum: number): Answer {
  return {
    type: 'SOA',
    name: 'example.org',
    ttl: 900,
    data: { mname: 'ns', rname: 'x', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
  };
}

test('a client that asks much, reads nothing and breaks off takes nothing along', async t => {
  const answer = Buffer.alloc(MESSAGE_BYTES_MAX);
  let answered = 0;
  const server = new DnsServer({
    responder: {
      respond: async () => {
        answered += 1;
        return answer;
      },
      refuse: () => undefined,
    },
    mayAsk: () => true,
    measures: new Measures(),
    now: () => systemClock.now(),
    onError: error => t.fail(String(error)),
  });
  const port = await server.listen({ address: LOCAL, port: 0 });
  t.teardown(() => server.close());
  const client = connect({ host: LOCAL, port });
  await once(client, 'connect');
  const question = framed(queryOf('many.default.svc.cluster.local', 'A', { port }));
  for (let asked = 1; asked < CONNECTION_REQUESTS_MAX; asked += 1) client.write(question);
  // All answers together are more than the two sockets hold: at some point the server waits for room.
  for (let before = -1; answered !== before; ) {
    before = answered;
    await delay(50);
  }
  client.resetAndDestroy();
  const next = connect({ host: LOCAL, port });
  t.teardown(() => next.destroy());
  next.write(question);
  const [first] = await once(next, 'data');
  t.true(first.length > 0, 'others are answered');
});
