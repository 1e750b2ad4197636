import test from 'ava';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { Compare, KeyValue, RangeRequest, RequestOp, ResponseHeader, TxnRequest } from './kv.ts';
import { bool, bytes, choice, id, int, list, many, message, nested, optional, text } from './message.ts';
import { WatchCreateRequest } from './watch.ts';
import { ProtoError } from './wire.ts';

/** The same message, described to an independent implementation. */
const theirs = protobuf.parse(`
  syntax = "proto3";
  message Inner { int64 number = 1; repeated string names = 2; }
  message Outer {
    int64 int = 1; uint64 id = 2; bool flag = 3; bytes raw = 4; string text = 5; int32 choice = 6;
    Inner inner = 7; repeated Inner inners = 8; repeated int32 choices = 9; repeated bytes raws = 10;
    oneof one { int64 maybe_int = 64; bytes maybe_raw = 65; }
  }`).root;
const Inner = message('Inner', { number: int(1), names: many(text(2)) });
const Outer = message('Outer', {
  int: int(1),
  id: id(2),
  flag: bool(3),
  raw: bytes(4),
  text: text(5),
  choice: choice(6),
  inner: nested(7, Inner),
  inners: list(8, Inner),
  choices: many(choice(9)),
  raws: many(bytes(10)),
  maybeInt: optional(int(64)),
  maybeRaw: optional(bytes(65)),
});

const someBytes = fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array));
const someInt = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -3, max: 300 }));
const inner = fc.record({ number: someInt, names: fc.array(fc.string({ unit: 'binary' }), { maxLength: 3 }) });
const outer = fc.record({
  int: someInt,
  id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  flag: fc.boolean(),
  raw: someBytes,
  text: fc.string({ unit: 'binary' }),
  choice: fc.integer({ min: 0, max: 9 }),
  inner: fc.option(inner, { nil: undefined }),
  inners: fc.array(inner, { maxLength: 3 }),
  choices: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }),
  raws: fc.array(someBytes, { maxLength: 3 }),
  maybeInt: fc.option(someInt, { nil: undefined }),
  maybeRaw: fc.constant(undefined),
});

test('what is written is read again', t => {
  fc.assert(
    fc.property(outer, value => {
      t.deepEqual(Outer.decode(Outer.encode(value)), value);
    }),
  );
});

test('another implementation understands it, and is understood', t => {
  const Theirs = theirs.lookupType('Outer');
  fc.assert(
    fc.property(outer, value => {
      const read = Theirs.decode(Outer.encode(value));
      t.deepEqual(Outer.decode(Theirs.encode(read).finish()), value);
    }),
  );
});

test('absent fields are what proto3 says; those of a oneof are told apart from zeros', t => {
  t.deepEqual(
    { ...RangeRequest.decode(Buffer.alloc(0)), key: '', rangeEnd: '' },
    {
      key: '',
      rangeEnd: '',
      limit: 0,
      revision: 0,
      sortOrder: 0,
      sortTarget: 0,
      serializable: false,
      keysOnly: false,
      countOnly: false,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    },
  );
  t.is(Compare.decode(Buffer.alloc(0)).version, undefined);
  t.is(Compare.decode(Compare.encode({ version: 0 })).version, 0);
  t.is(Compare.decode(Compare.encode({ value: Buffer.alloc(0) })).value?.length, 0);
  t.is(RequestOp.decode(RequestOp.encode({ requestRange: {} })).requestRange?.limit, 0);
  t.is(RequestOp.decode(RequestOp.encode({ requestRange: {} })).requestPut, undefined);
});

test('what is not known is passed over; lists may come packed', t => {
  const known = message('Known', { name: text(5) });
  const sent = Outer.encode({ int: -1, id: 2n ** 64n - 1n, raw: Buffer.from('x'), text: 'kept', inner: { number: 1 } });
  t.deepEqual(known.decode(sent), { name: 'kept' });
  t.deepEqual(WatchCreateRequest.decode(Buffer.from([0x2a, 2, 0, 1])).filters, [0, 1]);
});

test('numbers beyond what JavaScript holds exactly can be told', t => {
  const lease = 7587869134519961103n;
  const encoded = message('Wide', { lease: id(6) }).encode({ lease });
  t.false(Number.isSafeInteger(KeyValue.decode(encoded).lease));
  t.is(
    ResponseHeader.decode(ResponseHeader.encode({ memberId: 0xfedc_ba98_7654_3210n })).memberId,
    0xfedc_ba98_7654_3210n,
  );
});

test('bytes that are no message are refused, not read past', t => {
  const whole = Outer.encode({ int: 1, text: 'abc', inner: { number: 5, names: ['x'] } });
  for (let length = 1; length < whole.length; length++) {
    try {
      Outer.decode(whole.subarray(0, length));
    } catch (error) {
      t.true(error instanceof ProtoError);
    }
  }
  t.throws(() => Outer.decode(Buffer.from([0x12, 1, 0])), { instanceOf: ProtoError, message: /wire type/ });
  t.throws(() => Outer.decode(Buffer.alloc(12, 0xff)), { instanceOf: ProtoError });
  let deep = {};
  for (let depth = 0; depth < 200; depth++) deep = { success: [{ requestTxn: deep }] };
  t.throws(() => TxnRequest.decode(TxnRequest.encode(deep)), { instanceOf: ProtoError, message: /deep/ });
});
