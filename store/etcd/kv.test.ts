import { Metadata, status } from '@grpc/grpc-js';
import test from 'ava';
import { STORE_LIMITS } from '../limits.ts';
import * as proto from './proto/kv.ts';
import type { Init } from './proto/message.ts';
import { KV } from './proto/services.ts';
import { makeDoor } from './testing/door.ts';

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const ALL = { key: Buffer.of(0), rangeEnd: Buffer.of(0) };

test('a put is read again, with the header of the member', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  const put = await etcd.call(KV.put, { key: b('a'), value: b('1') });
  t.like(put.header, { clusterId: 0xccn, memberId: 0xaan, revision: 2, raftTerm: 1 });
  const again = await etcd.call(KV.put, { key: b('a'), value: b('2'), prevKv: true });
  t.is(s(again.prevKv?.value), '1');
  const { kvs, count, more, header } = await etcd.call(KV.range, { key: b('a') });
  t.deepEqual([s(kvs[0]?.key), s(kvs[0]?.value), count, more], ['a', '2', 1, false]);
  t.like(kvs[0], { createRevision: 2, modRevision: 3, version: 2, lease: 0 });
  const old = await etcd.call(KV.range, { key: b('a'), revision: 2 });
  t.is(s(old.kvs[0]?.value), '1');
  t.is(old.header?.revision, header?.revision);
});

test('ranges: order, target, limit, filters, counts', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  for (const [key, value] of [
    ['b', '1'],
    ['a', '3'],
    ['c', '2'],
    ['a', '0'],
  ] as const) {
    await etcd.call(KV.put, { key: b(key), value: b(value) });
  }
  const read = async (more: Init<typeof proto.RangeRequest>) => {
    const { kvs, count, more: isMore } = await etcd.call(KV.range, { ...ALL, ...more });
    return [kvs.map(({ key, value }) => s(key) + s(value)).join(), count, isMore];
  };
  const cases: readonly (readonly [Init<typeof proto.RangeRequest>, string, boolean])[] = [
    [{}, 'a0,b1,c2', false],
    [{ limit: 2 }, 'a0,b1', true],
    [{ sortOrder: proto.SORT_DESCEND }, 'c2,b1,a0', false],
    [{ sortOrder: proto.SORT_DESCEND, limit: 1 }, 'c2', true],
    [{ sortTarget: proto.TARGET_VALUE }, 'a0,b1,c2', false],
    [{ sortTarget: proto.TARGET_MOD, sortOrder: proto.SORT_ASCEND }, 'b1,c2,a0', false],
    [{ sortTarget: proto.TARGET_CREATE }, 'b1,a0,c2', false],
    [{ sortTarget: proto.TARGET_VERSION, sortOrder: proto.SORT_DESCEND, limit: 1 }, 'a0', true],
    [{ minModRevision: 4 }, 'a0,c2', false],
    [{ maxModRevision: 4, minCreateRevision: 2 }, 'b1,c2', false],
    [{ maxCreateRevision: 2 }, 'b1', false],
    [{ keysOnly: true, sortTarget: proto.TARGET_VALUE }, 'a,b,c', false],
    [{ keysOnly: true }, 'a,b,c', false],
    [{ countOnly: true, sortOrder: proto.SORT_DESCEND }, '', false],
    [{ key: b('b'), rangeEnd: Buffer.of(0) }, 'b1,c2', false],
    [{ key: b('c'), rangeEnd: b('a') }, '', false],
  ];
  for (const [request, keys, more] of cases) {
    const [read1, , more1] = await read(request);
    t.deepEqual([read1, more1], [keys, more], JSON.stringify(request));
  }
  t.is((await read({ minModRevision: 4 }))[1], 3);
});

test('keys and the ends of ranges are any bytes', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  for (const key of [[0x7f], [0x7f, 0xff], [0x80], [0xff, 0xff], [0xc3, 0xa4]]) {
    await etcd.call(KV.put, { key: Buffer.from(key), value: b('x') });
  }
  const { kvs } = await etcd.call(KV.range, { key: Buffer.of(0x7f), rangeEnd: Buffer.of(0x80) });
  t.deepEqual(
    kvs.map(({ key }) => Buffer.from(key).toString('hex')),
    ['7f', '7fff'],
  );
  const gone = await etcd.call(KV.deleteRange, { key: Buffer.of(0x80), rangeEnd: Buffer.of(0), prevKv: true });
  t.deepEqual(
    gone.prevKvs.map(({ key }) => Buffer.from(key).toString('hex')),
    ['80', 'c3a4', 'ffff'],
  );
  t.is(gone.deleted, 3);
});

test('transactions: branches, compares of ranges and of all targets, nesting', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  await etcd.call(KV.put, { key: b('a'), value: b('1') });
  const holds = async (compare: Init<typeof proto.Compare>) => {
    const { succeeded } = await etcd.call(KV.txn, { compare: [{ key: b('a'), ...compare }] });
    return succeeded;
  };
  const { COMPARE_EQUAL, COMPARE_GREATER, COMPARE_LESS, COMPARE_NOT_EQUAL } = proto;
  t.true(await holds({ target: proto.COMPARE_VERSION, result: COMPARE_EQUAL, version: 1 }));
  t.true(await holds({ target: proto.COMPARE_CREATE, result: COMPARE_GREATER, createRevision: 1 }));
  t.true(await holds({ target: proto.COMPARE_MOD, result: COMPARE_LESS, modRevision: 3 }));
  t.true(await holds({ target: proto.COMPARE_VALUE, result: COMPARE_NOT_EQUAL, value: b('2') }));
  t.true(await holds({ target: proto.COMPARE_LEASE, result: COMPARE_EQUAL, lease: 0 }));
  t.true(await holds({ target: proto.COMPARE_MOD, result: COMPARE_GREATER, modRevision: -5 }));
  t.false(await holds({ target: proto.COMPARE_MOD, result: COMPARE_LESS, modRevision: -5 }));
  t.false(await holds({ target: proto.COMPARE_VALUE, result: COMPARE_GREATER, value: b('1') }));
  t.true(await holds({ rangeEnd: b('b'), target: proto.COMPARE_VERSION, result: COMPARE_EQUAL, version: 1 }));
  const done = await etcd.call(KV.txn, {
    compare: [{ key: b('a'), target: proto.COMPARE_VALUE, result: COMPARE_EQUAL, value: b('1') }],
    success: [
      { requestPut: { key: b('b'), value: b('2'), prevKv: true } },
      { requestRange: { ...ALL, sortOrder: proto.SORT_DESCEND, limit: 1 } },
      { requestTxn: { success: [{ requestDeleteRange: { key: b('a'), prevKv: true } }] } },
    ],
  });
  const [put, range, nested] = done.responses;
  t.true(done.succeeded);
  t.is(put?.responsePut?.header?.revision, 3);
  t.is(s(range?.responseRange?.kvs[0]?.key), 'b');
  t.is(s(nested?.responseTxn?.responses[0]?.responseDeleteRange?.prevKvs[0]?.value), '1');
});

test('ignore_value and ignore_lease keep what is there', async t => {
  await using door = await makeDoor();
  const { etcd, store } = door;
  const lease = await store.grantLease(600);
  await etcd.call(KV.put, { key: b('a'), value: b('1'), lease: lease.id });
  await etcd.call(KV.put, { key: b('a'), value: b('2'), ignoreLease: true });
  await etcd.call(KV.put, { key: b('a'), ignoreValue: true });
  const { kvs } = await etcd.call(KV.range, { key: b('a') });
  t.like(kvs[0], { lease: 0, version: 3 });
  t.is(s(kvs[0]?.value), '2');
});

test('errors have the codes and the words of etcd', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  for (let value = 0; value < 4; value++) await etcd.call(KV.put, { key: b('a'), value: b(String(value)) });
  await etcd.call(KV.compact, { revision: 4 });
  const put = (more: Init<typeof proto.PutRequest>) => etcd.call(KV.put, { key: b('a'), ...more });
  const twice = { success: [{ requestPut: { key: b('x') } }, { requestPut: { key: b('x') } }] };
  const many = { success: Array.from({ length: 129 }, () => ({ requestRange: { key: b('x') } })) };
  const cases: readonly (readonly [Promise<unknown>, number, string | RegExp])[] = [
    [etcd.call(KV.put, {}), status.INVALID_ARGUMENT, 'etcdserver: key is not provided'],
    [etcd.call(KV.range, {}), status.INVALID_ARGUMENT, 'etcdserver: key is not provided'],
    [etcd.call(KV.txn, { success: [{}] }), status.INVALID_ARGUMENT, 'etcdserver: key is not provided'],
    [
      etcd.call(KV.range, { key: b('a'), revision: 3 }),
      status.OUT_OF_RANGE,
      'etcdserver: mvcc: required revision has been compacted',
    ],
    [
      etcd.call(KV.range, { key: b('a'), revision: 99 }),
      status.OUT_OF_RANGE,
      'etcdserver: mvcc: required revision is a future revision',
    ],
    [etcd.call(KV.range, { key: b('a'), sortOrder: 9 }), status.INVALID_ARGUMENT, 'etcdserver: invalid sort option'],
    [
      etcd.call(KV.compact, { revision: 4 }),
      status.OUT_OF_RANGE,
      'etcdserver: mvcc: required revision has been compacted',
    ],
    [
      etcd.call(KV.compact, { revision: 99 }),
      status.OUT_OF_RANGE,
      'etcdserver: mvcc: required revision is a future revision',
    ],
    [put({ lease: 77 }), status.NOT_FOUND, 'etcdserver: requested lease not found'],
    [put({ value: b('x'), ignoreValue: true }), status.INVALID_ARGUMENT, 'etcdserver: value is provided'],
    [put({ lease: 1, ignoreLease: true }), status.INVALID_ARGUMENT, 'etcdserver: lease is provided'],
    [put({ key: b('new'), ignoreValue: true }), status.INVALID_ARGUMENT, 'etcdserver: key not found'],
    [
      put({ value: Buffer.alloc(STORE_LIMITS.requestBytesMax) }),
      status.INVALID_ARGUMENT,
      'etcdserver: request is too large',
    ],
    [put({ value: Buffer.alloc(3 * 1024 * 1024) }), status.RESOURCE_EXHAUSTED, /larger than max/],
    [etcd.call(KV.txn, twice), status.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request'],
    [etcd.call(KV.txn, many), status.INVALID_ARGUMENT, 'etcdserver: too many operations in txn request'],
    [etcd.call({ ...KV.put, path: '/etcdserverpb.KV/Nothing' }, {}), status.UNIMPLEMENTED, /unknown method/],
  ];
  for (const [call, code, details] of cases) {
    const error = await t.throwsAsync<Error & { code: number; details: string }>(call);
    t.is(error?.code, code, String(details));
    if (typeof details === 'string') t.is(error?.details, details);
    else t.regex(error?.details ?? '', details);
  }
});

test('what may have been done is not said to have failed; a client can ask for a leader', async t => {
  await using door = await makeDoor();
  const { etcd, raft } = door;
  raft.mishaps.push('doneButLost');
  await t.throwsAsync(etcd.call(KV.put, { key: b('a') }), { message: /request timed out/ });
  t.is((await etcd.call(KV.range, { key: b('a') })).count, 1);
  const metadata = new Metadata();
  metadata.set('hasleader', 'true');
  t.is((await etcd.call(KV.range, { key: b('a') }, { metadata })).count, 1);
});

test('a thousand calls at a time on one connection', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  const value = Buffer.alloc(4_000, 'v');
  await Promise.all(Array.from({ length: 1_000 }, (_, at) => etcd.call(KV.put, { key: b(`k${at}`), value })));
  // Four megabytes: beyond the windows of stream and connection, so this also tests flow control.
  const { kvs, count } = await etcd.call(KV.range, ALL);
  t.is(count, 1_000);
  t.true(kvs.every(kv => Buffer.compare(kv.value, value) === 0));
});
