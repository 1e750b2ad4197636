/** What every {@link StoreClient} has to do. Each implementation's test file runs this suite against itself. */
import type { ExecutionContext, TestFn } from 'ava';
import { ImageLoader } from '../codec/image.ts';
import { keyFromBytes, OPEN_END, prefixEnd } from '../mvcc/keys.ts';
import { decodeSnapshot } from '../snapshot/format.ts';
import {
  CompactedError,
  type Compare,
  FencedError,
  FutureRevisionError,
  InvalidRequestError,
  KeyNotFoundError,
  LeaseExistsError,
  LeaseNotFoundError,
  MembershipRefusedError,
  type Operation,
  type StoreClient,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';

/** Makes a fresh, empty store; `done` frees it. */
export type MakeStore = () => Promise<{ readonly store: StoreClient; readonly done: () => Promise<void> }>;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** Declares the suite's tests. */
export function storeContract(test: TestFn, name: string, make: MakeStore): void {
  const contract = (title: string, run: (t: ExecutionContext, store: StoreClient) => Promise<void>) =>
    test(`${name}: ${title}`, async t => {
      const { store, done } = await make();
      try {
        await run(t, store);
      } finally {
        await done();
      }
    });

  contract('a put can be read, one revision a write', async (t, store) => {
    const before = (await store.status()).revision;
    const first = await store.put('/a', bytes('1'));
    const second = await store.put('/a', bytes('2'));
    t.is(first.revision, before + 1);
    t.is(second.revision, before + 2);
    const { items, count, more, revision } = await store.range({ key: '/a' });
    t.is(revision, second.revision);
    t.deepEqual([count, more], [1, false]);
    t.is(text(items[0]!.value), '2');
    t.like(items[0], { key: '/a', createRevision: first.revision, modRevision: second.revision, version: 2, lease: 0 });
    const old = await store.range({ key: '/a', revision: first.revision });
    t.is(text(old.items[0]!.value), '1');
  });

  contract('ranges are ordered by UTF-8 bytes, limited, counted', async (t, store) => {
    const keys = ['/p/b', '/p/a', '/p/\u{1f600}', '/p/\uffee', '/q/z', '/p/c'];
    for (const key of keys) await store.put(key, bytes(key));
    const all = await store.range({ key: '/p/', end: prefixEnd('/p/') });
    t.deepEqual(
      all.items.map(item => item.key),
      ['/p/a', '/p/b', '/p/c', '/p/\uffee', '/p/\u{1f600}'],
    );
    const page = await store.range({ key: '/p/', end: prefixEnd('/p/'), limit: 2, keysOnly: true });
    t.deepEqual([page.items.length, page.more, page.count], [2, true, 5]);
    t.true(page.items.every(item => item.value.length === 0));
    const counted = await store.range({ key: '', end: OPEN_END, countOnly: true });
    t.deepEqual([counted.items.length, counted.count, counted.more], [0, 6, false]);
  });

  contract('a delete tells what it deleted; deleting nothing makes no revision', async (t, store) => {
    await store.put('/a', bytes('1'));
    const put = await store.put('/b', bytes('2'));
    const gone = await store.delete('/', { end: prefixEnd('/') });
    t.is(gone.revision, put.revision + 1);
    const [result] = gone.results;
    t.true(result?.type === 'delete' && result.deleted.map(item => item.key).join() === '/a,/b');
    t.is((await store.delete('/a')).revision, gone.revision);
    t.is((await store.range({ key: '/', end: prefixEnd('/') })).count, 0);
    t.is((await store.range({ key: '/', end: prefixEnd('/'), revision: put.revision })).count, 2);
  });

  contract('a transaction takes the branch that its compares choose, atomically', async (t, store) => {
    const put = await store.put('/a', bytes('1'));
    const won = await store.transaction({
      compare: [{ key: '/a', target: 'modRevision', op: '=', value: put.revision }],
      then: [
        { type: 'put', key: '/a', value: bytes('2') },
        { type: 'put', key: '/b', value: bytes('2') },
        { type: 'range', range: { key: '/', end: prefixEnd('/') } },
      ],
    });
    t.true(won.succeeded);
    t.is(won.revision, put.revision + 1);
    const [first, , third] = won.results;
    t.true(first?.type === 'put' && text(first.previous!.value) === '1');
    t.true(third?.type === 'range' && third.result.count === 2);
    const lost = await store.transaction({
      compare: [
        { key: '/a', target: 'modRevision', op: '=', value: put.revision },
        { key: '/b', target: 'value', op: '=', value: bytes('2') },
      ],
      then: [{ type: 'put', key: '/a', value: bytes('3') }],
      otherwise: [{ type: 'range', range: { key: '/a' } }],
    });
    t.false(lost.succeeded);
    t.is(lost.revision, won.revision);
    const [seen] = lost.results;
    t.true(seen?.type === 'range' && text(seen.result.items[0]!.value) === '2');
  });

  contract('an absent key compares as zeros', async (t, store) => {
    const create = () =>
      store.transaction({
        compare: [{ key: '/new', target: 'createRevision', op: '=', value: 0 }],
        then: [{ type: 'put', key: '/new', value: bytes('x') }],
      });
    t.true((await create()).succeeded);
    t.false((await create()).succeeded);
  });

  contract('requests that make no sense are refused and change nothing', async (t, store) => {
    const before = (await store.status()).revision;
    const put = (key: string) => ({ type: 'put', key, value: bytes('x') }) as const;
    const bad = [
      [put('')],
      [put('/a'), put('/a')],
      [put('/a'), { type: 'delete', key: '/', end: prefixEnd('/') }] as const,
      [{ type: 'put', key: '/big', value: new Uint8Array(2 * 1024 * 1024) }] as const,
      Array.from({ length: 129 }, (_, index) => put(`/${index}`)),
    ];
    for (const then of bad) await t.throwsAsync(store.transaction({ then }), { instanceOf: InvalidRequestError });
    t.is((await store.status()).revision, before);
    await t.throwsAsync(store.range({ key: '/a', revision: before + 10 }), { instanceOf: FutureRevisionError });
  });

  contract('a write under a passed term is fenced, under the present one it is done', async (t, store) => {
    const { term } = await store.status();
    await t.throwsAsync(store.put('/a', bytes('1'), { fenceTerm: term + 7 }), { instanceOf: FencedError });
    await store.put('/a', bytes('2'), { fenceTerm: term });
    t.is(text((await store.range({ key: '/a' })).items[0]!.value), '2');
  });

  contract('a watch sees each revision once, whole and in order, from the past on', async (t, store) => {
    const first = await store.put('/w/a', bytes('1'));
    await store.put('/other', bytes('-'));
    await using watch = open(store, { key: '/w/', end: prefixEnd('/w/'), startRevision: first.revision });
    const initial = await watch.until(first.revision);
    t.is(initial[0]!.item.key, '/w/a');
    const both = await store.transaction({
      then: [
        { type: 'put', key: '/w/a', value: bytes('2') },
        { type: 'put', key: '/w/b', value: bytes('2') },
      ],
    });
    const gone = await store.delete('/w/a');
    const events = [...initial, ...(await watch.until(gone.revision))];
    t.deepEqual(
      events.map(event => [event.type, event.item.key, event.item.modRevision]),
      [
        ['put', '/w/a', first.revision],
        ['put', '/w/a', both.revision],
        ['put', '/w/b', both.revision],
        ['delete', '/w/a', gone.revision],
      ],
    );
    t.is(text(events[1]!.previous!.value), '1');
    t.is(events[2]!.previous, undefined);
    t.is(events[3]!.item.value.length, 0);
    t.is(text(events[3]!.previous!.value), '2');
  });

  contract('an idle watch gets progress notices', async (t, store) => {
    await using watch = open(store, { key: '/w', progressMs: 20 });
    const { revision } = await store.put('/elsewhere', bytes('1'));
    let batch = await watch.next();
    while (batch.revision < revision) batch = await watch.next();
    t.deepEqual(batch.events, []);
  });

  contract('compaction keeps what is readable at its revision and refuses what lies before', async (t, store) => {
    const first = await store.put('/a', bytes('1'));
    const second = await store.put('/a', bytes('2'));
    const gone = await store.put('/gone', bytes('x'));
    await store.delete('/gone');
    const last = await store.put('/a', bytes('3'));
    await store.compact(gone.revision);
    await t.throwsAsync(store.range({ key: '/a', revision: first.revision }), { instanceOf: CompactedError });
    const kept = await store.range({ key: '/', end: prefixEnd('/'), revision: gone.revision });
    t.deepEqual(kept.items.map(item => item.modRevision).sort(), [second.revision, gone.revision].sort());
    t.is((await store.range({ key: '/a' })).items[0]!.modRevision, last.revision);
    await using early = open(store, { key: '/a', startRevision: first.revision });
    const error = await t.throwsAsync(early.next(), { instanceOf: CompactedError });
    t.is(error.compactedRevision, gone.revision);
    await using fine = open(store, { key: '/', end: prefixEnd('/'), startRevision: gone.revision });
    t.is((await fine.until(last.revision)).length, 3);
    await t.throwsAsync(store.compact(last.revision + 100), { instanceOf: FutureRevisionError });
  });

  contract('a lease takes its keys with it', async (t, store) => {
    const lease = await store.grantLease(600);
    t.true(lease.id > 0);
    await store.put('/l/a', bytes('1'), { lease: lease.id });
    await store.put('/l/b', bytes('1'), { lease: lease.id });
    await store.put('/l/c', bytes('1'), { lease: lease.id });
    const kept = await store.put('/l/c', bytes('2'));
    t.deepEqual(await store.keepLeaseAlive(lease.id), { ttlSeconds: 600 });
    await store.revokeLease(lease.id);
    const { items, revision } = await store.range({ key: '/l/', end: prefixEnd('/l/') });
    t.deepEqual(
      items.map(item => item.key),
      ['/l/c'],
    );
    t.is(revision, kept.revision + 1);
    await t.throwsAsync(store.keepLeaseAlive(lease.id), { instanceOf: LeaseNotFoundError });
    await t.throwsAsync(store.put('/l/d', bytes('1'), { lease: lease.id }), { instanceOf: LeaseNotFoundError });
    await t.throwsAsync(store.grantLease(0), { instanceOf: InvalidRequestError });
  });

  contract('keys are any bytes, in their order', async (t, store) => {
    const keys = [[0x01], [0x61, 0x80], [0x61, 0xff], [0x61, 0xff, 0x00], [0xc3], [0xc3, 0xa4], [0xff]];
    const names = keys.map(key => keyFromBytes(Uint8Array.from(key)));
    for (const name of names.toReversed()) await store.put(name, bytes('1'));
    const all = await store.range({ key: '', end: OPEN_END });
    t.deepEqual(
      all.items.map(item => item.key),
      names,
    );
    const prefix = keyFromBytes(Uint8Array.of(0x61, 0xff));
    await using watch = open(store, { key: prefix, end: prefixEnd(prefix), startRevision: all.revision + 1 });
    const gone = await store.delete(prefix, { end: prefixEnd(prefix) });
    const [result] = gone.results;
    t.deepEqual(result?.type === 'delete' && result.deleted.map(item => item.key), names.slice(2, 4));
    t.deepEqual((await watch.next()).events.map(event => event.item.key).sort(), names.slice(2, 4));
  });

  contract('a lease tells what is on it and how long it lives; its id may be chosen', async (t, store) => {
    const chosen = await store.grantLease(600, { id: 7_777_777 });
    t.deepEqual(chosen, { id: 7_777_777, ttlSeconds: 600 });
    await t.throwsAsync(store.grantLease(600, { id: chosen.id }), { instanceOf: LeaseExistsError });
    const other = await store.grantLease(300);
    t.not(other.id, chosen.id);
    await store.put('/t/b', bytes('1'), { lease: chosen.id });
    await store.put('/t/a', bytes('1'), { lease: chosen.id });
    const time = await store.leaseTimeToLive(chosen.id);
    t.deepEqual([time?.grantedSeconds, time?.keys], [600, ['/t/a', '/t/b']]);
    t.true(time !== undefined && time.remainingSeconds > 500 && time.remainingSeconds <= 600);
    const known = await store.leases();
    t.true(known.includes(chosen.id) && known.includes(other.id));
    await store.revokeLease(chosen.id);
    t.is(await store.leaseTimeToLive(chosen.id), undefined);
    t.false((await store.leases()).includes(chosen.id));
    await store.revokeLease(other.id);
  });

  contract('a compare of a range holds if it holds for all its keys', async (t, store) => {
    await store.put('/c/a', bytes('1'));
    await store.put('/c/b', bytes('2'));
    const range = { key: '/c/', end: prefixEnd('/c/') };
    const holds = async (compare: Compare) => (await store.transaction({ compare: [compare], then: [] })).succeeded;
    t.true(await holds({ ...range, target: 'version', op: '=', value: 1 }));
    t.false(await holds({ ...range, target: 'value', op: '=', value: bytes('1') }));
    t.true(await holds({ ...range, target: 'value', op: '<', value: bytes('3') }));
    t.true(await holds({ key: '/d/', end: prefixEnd('/d/'), target: 'createRevision', op: '=', value: 0 }));
    t.false(await holds({ key: '/d/', end: prefixEnd('/d/'), target: 'value', op: '!=', value: bytes('1') }));
  });

  contract('a transaction within a transaction sees what was there before both', async (t, store) => {
    await store.put('/n/a', bytes('1'));
    const within: Operation = {
      type: 'transaction',
      compare: [{ key: '/n/b', target: 'version', op: '=', value: 0 }],
      then: [{ type: 'put', key: '/n/c', value: bytes('then') }],
      otherwise: [{ type: 'put', key: '/n/c', value: bytes('else') }],
    };
    const done = await store.transaction({ then: [{ type: 'put', key: '/n/b', value: bytes('1') }, within] });
    const [, nested] = done.results;
    t.true(nested?.type === 'transaction' && nested.succeeded && nested.results.length === 1);
    t.is(text((await store.range({ key: '/n/c' })).items[0]!.value), 'then');
    const again = await store.transaction({ then: [within] });
    t.true(again.results[0]?.type === 'transaction' && !again.results[0].succeeded);
    t.is(again.revision, done.revision + 1);
    const clash: Operation = { type: 'put', key: '/n/c', value: bytes('x') };
    await t.throwsAsync(store.transaction({ then: [clash, within] }), { instanceOf: InvalidRequestError });
  });

  contract('a put may keep the value or the lease of its key', async (t, store) => {
    const lease = await store.grantLease(600);
    await store.put('/k', bytes('1'), { lease: lease.id });
    await store.transaction({ then: [{ type: 'put', key: '/k', value: bytes('2'), keepLease: true }] });
    const [kept] = (await store.range({ key: '/k' })).items;
    t.deepEqual([text(kept!.value), kept!.lease, kept!.version], ['2', lease.id, 2]);
    await store.transaction({ then: [{ type: 'put', key: '/k', value: bytes(''), keepValue: true }] });
    const [freed] = (await store.range({ key: '/k' })).items;
    t.deepEqual([text(freed!.value), freed!.lease, freed!.version], ['2', 0, 3]);
    const absent: Operation = { type: 'put', key: '/absent', value: bytes(''), keepValue: true };
    await t.throwsAsync(store.transaction({ then: [absent] }), { instanceOf: KeyNotFoundError });
    await store.revokeLease(lease.id);
    t.is((await store.range({ key: '/k' })).count, 1);
  });

  contract('a lease ends by itself', async (t, store) => {
    const lease = await store.grantLease(1);
    const put = await store.put('/l', bytes('1'), { lease: lease.id });
    await using watch = open(store, { key: '/l', startRevision: put.revision + 1 });
    const batch = await watch.next();
    t.is(batch.events[0]!.type, 'delete');
    t.is((await store.range({ key: '/l' })).count, 0);
  });

  contract('a watch ends when its signal aborts', async (t, store) => {
    const watch = open(store, { key: '/a' });
    const next = watch.iterator.next();
    await watch[Symbol.asyncDispose]();
    t.true((await next).done);
  });

  contract('many writes at once all get their own revision', async (t, store) => {
    const results = await Promise.all(Array.from({ length: 200 }, (_, n) => store.put(`/many/${n}`, bytes(`${n}`))));
    t.is(new Set(results.map(result => result.revision)).size, 200);
    t.is((await store.range({ key: '/many/', end: prefixEnd('/many/'), countOnly: true })).count, 200);
  });

  contract(
    'members are listed as the status has them, and a change that makes no sense is refused',
    async (t, store) => {
      const { clusterId, leaderId, members } = await store.members();
      const status = await store.status();
      t.deepEqual(members, status.members);
      t.is(clusterId, status.clusterId);
      t.true(members.some(({ id }) => id === leaderId));
      const stranger = 'ffffffffffffffff';
      await t.throwsAsync(store.removeMember(stranger), { instanceOf: MembershipRefusedError });
      await t.throwsAsync(store.promoteMember(stranger), { instanceOf: MembershipRefusedError });
      await t.throwsAsync(store.updateMember(stranger, { name: 'x' }), { instanceOf: MembershipRefusedError });
      const by = { id: 'eeeeeeeeeeeeeeee', name: 'new', peerAddress: '127.0.0.1:1', clientUrl: 'https://127.0.0.1:2' };
      await t.throwsAsync(store.replaceMember(stranger, by), { instanceOf: MembershipRefusedError });
      t.deepEqual((await store.members()).members, members);
    },
  );

  contract('a snapshot holds all that was acknowledged, and says what it is', async (t, store) => {
    for (let n = 0; n < 50; n++) await store.put(`/snap/${n}`, bytes(`${n}`.repeat(1000)));
    await store.delete('/snap/7');
    const { revision } = await store.put('/last', bytes('x'));
    const { header, chunks } = await decodeSnapshot(store.saveSnapshot());
    const loader = new ImageLoader();
    for await (const chunk of chunks) loader.push(chunk);
    const { state } = loader.finish();
    t.like(header, { revision, keys: 50, clusterId: (await store.status()).clusterId });
    t.false(Number.isNaN(Date.parse(header.takenAt)));
    const outcome = state.range({ key: '', end: OPEN_END });
    t.is(outcome.ok && outcome.value.count, 50);
    const now = await store.range({ key: '', end: OPEN_END });
    t.deepEqual(
      outcome.ok && outcome.value.items.map(item => [item.key, text(item.value), item.modRevision]),
      now.items.map(item => [item.key, text(item.value), item.modRevision]),
    );
  });

  contract('a snapshot that is read half does no harm', async (t, store) => {
    for (let n = 0; n < 20; n++) await store.put(`/half/${n}`, bytes('x'.repeat(100_000)));
    for (let n = 0; n < 3; n++) {
      for await (const part of store.saveSnapshot()) {
        t.true(part.length > 0);
        break;
      }
    }
    t.is((await store.range({ key: '/half/', end: prefixEnd('/half/'), countOnly: true })).count, 20);
  });
}

/** A watch that a test reads step by step. */
export function open(store: StoreClient, request: Omit<WatchRequest, 'signal'>) {
  const abort = new AbortController();
  const iterator = store.watch({ ...request, signal: abort.signal })[Symbol.asyncIterator]();
  const next = async (): Promise<WatchBatch> => {
    const result = await iterator.next();
    if (result.done === true) throw new Error('the watch ended');
    return result.value;
  };
  return {
    iterator,
    next,
    /** All events up to a revision. */
    async until(revision: number) {
      const events: WatchBatch['events'][number][] = [];
      for (let reached = 0; reached < revision; ) {
        const batch = await next();
        events.push(...batch.events);
        reached = batch.revision;
      }
      return events;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await iterator.return?.();
    },
  };
}
