/** What a client of etcd owes its callers when there are other users, several servers, failing ones, and TLS. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ImplementationFn } from 'ava';
import { TestAuthority } from '../../../raft/transport/testing/certificates.ts';
import {
  CompactedError,
  FencedError,
  InvalidRequestError,
  type TransactionResult,
  UnavailableError,
  UnknownOutcomeError,
  WatchLostError,
} from '../../client/client.ts';
import { bytes, open } from '../../client/contract.ts';
import { systemClock } from '../../clock.ts';
import { OPEN_END } from '../../mvcc/keys.ts';
import { findEtcd, TestEtcd } from '../../testing/etcd.ts';
import { type EtcdStore, LEADER_KEY, openEtcd } from './client.ts';
import { Election } from './election.ts';

const program = findEtcd();
function etcdTest(title: string, run: ImplementationFn<[]>): void {
  if (program === undefined) test.skip(`${title} (needs etcd on the PATH or in RAFTSMAN_ETCD)`, run);
  else test.serial(title, run);
}
const clock = systemClock;
const ALL = { key: '', end: OPEN_END } as const;

let single: TestEtcd;
let three: TestEtcd;
test.before(async () => {
  if (program === undefined) return;
  single = await TestEtcd.start(program);
  three = await TestEtcd.start(program, { members: 3 });
});
test.after.always(async () => {
  await single?.stop();
  await three?.stop();
});

let spaces = 0;
function connect(etcd: TestEtcd, options: { readonly prefix?: string; readonly timeoutMs?: number } = {}): EtcdStore {
  return openEtcd({
    endpoints: etcd.endpoints,
    prefix: `/test/${++spaces}`,
    clock,
    random: Math.random,
    ...options,
  });
}

async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

etcdTest('users with prefixes of their own do not meet, nor what a store holds and what its client keeps', async t => {
  const [one, two] = [connect(single, { prefix: '/p' }), connect(single, { prefix: '/p2' })];
  for (const { client, own } of [one, two]) {
    await client.put('/a', bytes('1'));
    await own.put('/b', bytes('2'));
  }
  for (const { client, own } of [one, two]) {
    t.deepEqual(
      (await client.range(ALL)).items.map(({ key }) => key),
      ['/a'],
    );
    t.deepEqual(
      (await own.range(ALL)).items.map(({ key }) => key),
      ['/b'],
    );
  }
  await two.client.delete('', { end: OPEN_END });
  t.is((await one.client.range(ALL)).count, 1);
  t.is((await two.own.range(ALL)).count, 1);
  for (const store of [one, two]) await store.close();
});

etcdTest(
  'a passed leadership is told apart from a compare that does not hold, and nothing is written under it',
  async t => {
    const { client, own, close } = connect(single);
    const { revision: term } = await own.put(LEADER_KEY, bytes('one'));
    t.is((await client.status()).term, term);
    const put = (key: string) => ({ type: 'put', key, value: bytes('x') }) as const;
    const never = { key: '/none', target: 'version', op: '=', value: 7 } as const;
    const lost = await client.transaction({
      compare: [never],
      then: [put('/then')],
      otherwise: [put('/otherwise'), { type: 'range', range: ALL }],
      fenceTerm: term,
    });
    t.false(lost.succeeded);
    const [first, second] = lost.results;
    t.is(first?.type, 'put');
    t.true(second?.type === 'range' && second.result.items.map(({ key }) => key).join() === '/otherwise');

    // The same holder, but a new leadership.
    await own.delete(LEADER_KEY);
    await t.throwsAsync(client.put('/between', bytes('x'), { fenceTerm: term }), { instanceOf: FencedError });
    await own.put(LEADER_KEY, bytes('one'));
    for (const compare of [[], [never]]) {
      const passed = { compare, then: [put('/a')], otherwise: [put('/b')], fenceTerm: term };
      await t.throwsAsync(client.transaction(passed), { instanceOf: FencedError });
    }
    t.is((await client.range(ALL)).count, 1);
    const most = Array.from({ length: 128 }, (_, n) => put(`/${n}`));
    const present = (await client.status()).term;
    await t.throwsAsync(client.transaction({ then: most, fenceTerm: present }), { instanceOf: InvalidRequestError });
    t.true((await client.transaction({ then: most.slice(1), fenceTerm: present })).succeeded);
    await close();
  },
);

etcdTest(
  'a watch keeps up with revisions that others make, and never says so before it has seen its own events',
  async t => {
    const [one, two] = [connect(single), connect(single)];
    const written: number[] = [];
    const seen: number[] = [];
    await using watch = open(one.client, {
      key: '/',
      end: '0',
      progressMs: 50,
      startRevision: 1 + (await one.client.status()).revision,
    });
    const stop = new AbortController();
    const foreign = (async () => {
      while (!stop.signal.aborted) await two.client.put('/noise', bytes('x'));
    })();
    const writing = (async () => {
      for (let n = 0; n < 300; n++) written.push((await one.client.put(`/${n % 7}`, bytes(`${n}`))).revision);
    })();
    let notices = 0;
    let reached = 0;
    const claims: { readonly revision: number; readonly seen: number }[] = [];
    const read = async () => {
      const batch = await watch.next();
      t.true(batch.revision >= reached);
      reached = batch.revision;
      for (const { item } of batch.events) seen.push(item.modRevision);
      if (batch.events.length === 0) notices++;
      claims.push({ revision: batch.revision, seen: seen.length });
    };
    while (seen.length < 300) await read();
    await writing;
    stop.abort();
    await foreign;
    const { revision } = await two.client.put('/last', bytes('x'));
    await one.client.range({ key: '/' });
    while (reached < revision) await read();
    t.deepEqual(seen, written);
    for (const claim of claims) t.is(claim.seen, written.filter(one => one <= claim.revision).length);
    t.true(notices > 0);
    for (const store of [one, two]) await store.close();
  },
);

etcdTest('a reader who comes late finds everything, though little of it waits here', async t => {
  const { client, close } = connect(single);
  const { revision } = await client.put('/first', bytes('x'));
  await using watch = open(client, { key: '/', end: '0', startRevision: revision });
  await watch.until(revision);
  let last = 0;
  for (let n = 0; n < 300; n++) last = (await client.put('/a', new Uint8Array(20_000).fill(n))).revision;
  const events = await watch.until(last);
  t.deepEqual(
    events.map(({ item }) => item.version),
    Array.from({ length: 300 }, (_, n) => n + 1),
  );
  await close();
});

etcdTest('compaction by another user is told with the oldest revision that is left', async t => {
  const { client, close } = connect(single);
  const first = await client.put('/a', bytes('1'));
  for (let n = 0; n < 40; n++) await client.put('/a', bytes(`${n}`));
  const [other, late] = [connect(single), connect(single)];
  const target = first.revision + 17;
  await other.client.compact(target);
  const error = await t.throwsAsync(client.range({ key: '/a', revision: first.revision }), {
    instanceOf: CompactedError,
  });
  t.is(error.compactedRevision, target);
  t.is((await late.client.status()).compactedRevision, target);
  await t.throwsAsync(late.client.compact(target - 1), { instanceOf: CompactedError });
  await t.notThrowsAsync(late.client.compact(target));
  for (const store of [other, late]) await store.close();
  await close();
});

etcdTest('leases are listed and say what they have left', async t => {
  const { client, own, close } = connect(single);
  const lease = await client.grantLease(600);
  await client.put('/l', bytes('1'), { lease: lease.id });
  await own.put('/other', bytes('1'), { lease: lease.id });
  t.true((await client.leases()).includes(lease.id));
  const left = await client.leaseTimeToLive(lease.id);
  t.deepEqual(left?.keys, ['/l']);
  t.is(left?.grantedSeconds, 600);
  t.true((left?.remainingSeconds ?? 0) > 590);
  await client.revokeLease(lease.id);
  t.is(await client.leaseTimeToLive(lease.id), undefined);
  await close();
});

etcdTest(
  'a write whose answer does not come is never repeated; what nobody can answer is certainly not done',
  async t => {
    const { client, close } = connect(single, { timeoutMs: 700 });
    await client.put('/a', bytes('1'));
    await single.pause(0);
    try {
      await t.throwsAsync(client.put('/a', bytes('2')), { instanceOf: UnknownOutcomeError });
      await t.throwsAsync(client.range({ key: '/a' }), { instanceOf: UnavailableError });
      // By now the client knows that nobody is there.
      await t.throwsAsync(client.put('/b', bytes('3')), { instanceOf: UnavailableError });
    } finally {
      single.resume(0);
    }
    const { items } = await client.range(ALL);
    t.deepEqual(
      items.map(({ key }) => key),
      ['/a'],
    );
    t.true((items[0]?.version ?? 0) <= 2);
    await close();
  },
);

etcdTest('with three servers the death of any one stops neither writes nor watches nor the leader', async t => {
  const store = connect(three);
  const { client, own } = store;
  const first = await client.put('/n', bytes('start'));
  const election = new Election({
    store: own,
    key: LEADER_KEY,
    name: 'one',
    announcement: { key: '/masters/one', value: bytes('one') },
    clock,
  });
  const terms: number[] = [];
  election.onLeadership(({ term }) => terms.push(term));
  election.start();
  await until('leadership', () => election.leadership.isLeader);
  const { term: fenceTerm } = election.leadership;

  // A watcher that starts again where it was, as client.ts tells callers to.
  const stop = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    for (let next = first.revision + 1; !stop.signal.aborted; ) {
      try {
        for await (const batch of client.watch({ key: '/n', startRevision: next, signal: stop.signal })) {
          seen.push(...batch.events.map(({ item }) => item.modRevision));
          next = batch.revision + 1;
        }
      } catch (error) {
        if (!(error instanceof WatchLostError)) throw error;
      }
    }
  })();
  const acknowledged: number[] = [];
  const put = async (n: number) => {
    const result: TransactionResult | undefined = await client.put('/n', bytes(`${n}`), { fenceTerm }).catch(error => {
      if (error instanceof UnknownOutcomeError || error instanceof UnavailableError) return undefined;
      throw error;
    });
    if (result !== undefined) acknowledged.push(result.revision);
    return result !== undefined;
  };
  for (let victim = 0; victim < 3; victim++) {
    for (let n = 0; n < 20; n++) await put(n);

    await three.kill(victim);

    await until('a write without it', () => put(victim));
    for (let n = 0; n < 20; n++) await put(n);

    three.startServer(victim);
    await until('all three', async () => {
      const probe = openEtcd({
        endpoints: [three.endpoints[victim] ?? ''],
        prefix: '/probe',
        clock,
        random: Math.random,
      });
      const isUp = await probe.client.range({ key: '/x' }).then(
        () => true,
        () => false,
      );
      await probe.close();
      return isUp;
    });
  }
  const { revision } = await client.put('/n', bytes('end'));
  await until('the watcher', () => seen.at(-1) === revision);
  stop.abort();
  await watching;
  const missing = acknowledged.filter(one => !seen.includes(one));
  t.deepEqual(missing, []);
  t.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  t.is(new Set(seen).size, seen.length);
  t.deepEqual(terms, [0, fenceTerm]);
  t.true(acknowledged.length >= 120);
  await election.close();
  await store.close();
});

etcdTest('a leader whose etcd hangs stops leading before its lease can have ended', async t => {
  const store = connect(single, { timeoutMs: 2_000 });
  const election = new Election({
    store: store.own,
    key: LEADER_KEY,
    name: 'one',
    announcement: { key: '/masters/one', value: bytes('one') },
    clock,
    ttlSeconds: 2,
  });
  election.start();
  await until('leadership', () => election.leadership.isLeader);
  const { term } = election.leadership;
  const hungAt = performance.now();
  await single.pause(0);
  try {
    await until('the end of leadership', () => !election.leadership.isLeader);
    // Its lease is of two seconds; the rest is for a busy machine.
    t.true(performance.now() - hungAt < 5_000);
  } finally {
    single.resume(0);
  }
  await until('leadership again', () => election.leadership.isLeader);
  t.true(election.leadership.term >= term);
  await election.close();
  await store.close();
});

etcdTest('TLS: only with the right authority and a client certificate', async t => {
  if (program === undefined) return;
  const authority = await TestAuthority.create();
  const server = await authority.issue('etcd');
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-etcd-tls-'));
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  for (const name of ['ca', 'cert', 'key'] as const) await writeFile(files[name], server[name]);
  const etcd = await TestEtcd.start(program, {
    scheme: 'https',
    args: ['--cert-file', files.cert, '--key-file', files.key, '--client-cert-auth', '--trusted-ca-file', files.ca],
  });
  const tlsStore = (tls: object, timeoutMs = 10_000) =>
    openEtcd({ endpoints: etcd.endpoints, tls, clock, random: Math.random, timeoutMs });
  const mine = await authority.issue('client');
  const good = tlsStore(mine);
  t.is((await good.client.put('/a', bytes('1'))).revision, 2);
  const stranger = await (await TestAuthority.create()).issue('stranger');
  for (const tls of [{ ca: mine.ca }, stranger, { ...stranger, ca: mine.ca }]) {
    const bad = tlsStore(tls, 1_000);
    await t.throwsAsync(bad.client.put('/a', bytes('2')), { instanceOf: UnavailableError });
    await bad.close();
  }
  t.is((await good.client.range({ key: '/a' })).items[0]?.version, 1);
  await good.close();
  await etcd.stop();
  await rm(folder, { recursive: true });
});

test('an address, a prefix that makes no sense is refused at once', t => {
  const make =
    (endpoints: readonly string[], prefix = '/raftsman') =>
    () =>
      openEtcd({ endpoints, prefix, clock, random: Math.random });
  for (const endpoints of [[], ['127.0.0.1:2379'], ['ftp://127.0.0.1:2379'], ['https://127.0.0.1:2379/v3']]) {
    t.throws(make(endpoints), { instanceOf: InvalidRequestError });
  }
  for (const prefix of ['', '/', 'raftsman', '/raftsman/', '/a//b']) {
    t.throws(make(['http://127.0.0.1:2379'], prefix), { instanceOf: InvalidRequestError });
  }
});
