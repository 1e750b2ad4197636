import test from 'ava';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { bytes, flag, int, ints, many, message, one, text, textMap, texts } from './proto.ts';

const inner = message({ value: int(1) });
const ours = message({
  name: text(1),
  count: int(2),
  yes: flag(3),
  words: texts(4),
  numbers: ints(5),
  labels: textMap(6),
  inner: one(7, inner),
  inners: many(8, inner),
  data: bytes(20),
});
/** The same message as protobufjs reads it from its text. */
const theirs = protobuf
  .parse(
    `syntax = "proto3";
     message Inner { int64 value = 1; }
     message Outer {
       string name = 1; int64 count = 2; bool yes = 3; repeated string words = 4; repeated int64 numbers = 5;
       map<string, string> labels = 6; Inner inner = 7; repeated Inner inners = 8; bytes data = 20;
     }`,
  )
  .root.lookupType('Outer');

const number = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
const value = fc.record({
  name: fc.string(),
  count: number,
  yes: fc.boolean(),
  words: fc.array(fc.string()),
  numbers: fc.array(number),
  labels: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
  inner: fc.option(fc.record({ value: number }), { nil: undefined }),
  inners: fc.array(fc.record({ value: number })),
  data: fc.uint8Array(),
});

test('what is written is what protobufjs reads, and the other way round', t => {
  fc.assert(
    fc.property(value, sample => {
      const decoded = theirs.toObject(theirs.decode(ours.encode(sample)), { longs: Number, defaults: true });
      t.deepEqual(
        { ...decoded, data: [...decoded.data], inner: decoded.inner ?? undefined, labels: { ...decoded.labels } },
        {
          ...sample,
          data: [...sample.data],
        },
      );
      const back = ours.decode(theirs.encode(theirs.fromObject({ ...sample, inner: sample.inner ?? null })).finish());
      t.deepEqual({ ...back, data: [...back.data] }, { ...sample, data: [...sample.data] });
    }),
    { numRuns: 200 },
  );
});

test('what is absent is empty, what is unknown is passed over, unpacked numbers are read', t => {
  const empty = ours.decode(new Uint8Array());
  t.deepEqual(
    { ...empty, data: [...empty.data] },
    {
      name: '',
      count: 0,
      yes: false,
      words: [],
      numbers: [],
      labels: {},
      inner: undefined,
      inners: [],
      data: [],
    },
  );
  t.deepEqual(inner.decode(ours.encode({ name: 'x', count: 1 }).subarray(3)), { value: 0 });
  t.deepEqual(ours.decode(Buffer.from([0x28, 1, 0x28, 2])).numbers, [1, 2]);
});
