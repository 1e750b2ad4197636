import test from 'ava';
import fc from 'fast-check';
import type { Alarm, Compare, Operation, RangeRequest } from '../client/client.ts';
import type { AuthAction, KeyPermission } from '../mvcc/auth.ts';
import type { Change, Command } from '../mvcc/command.ts';
import { keyFromBytes } from '../mvcc/keys.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { decodeBatch, writeBatchHead, writeChange } from './change.ts';
import { decodeCommand, decodeLogged, encodeCommand } from './command.ts';
import {
  encodeImage,
  ImageCorruptError,
  ImageLoader,
  lengthPrefixed,
  lengthPrefixRemoved,
  SNAPSHOT_CHUNK_BYTES,
} from './image.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 80 });
const key = fc.oneof(text, fc.uint8Array({ maxLength: 12 }).map(keyFromBytes));
const count = fc.maxSafeNat();
const value = fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array));

test('numbers, texts and bytes come back', t => {
  fc.assert(
    fc.property(fc.array(fc.oneof(count, text, value)), items => {
      const writer = new ByteWriter();
      for (const item of items) {
        if (typeof item === 'number') writer.count(item);
        else if (typeof item === 'string') writer.text(item);
        else writer.bytes(item);
      }
      const reader = new ByteReader(writer.take());
      for (const item of items) {
        if (typeof item === 'number') t.is(reader.count(), item);
        else if (typeof item === 'string') t.is(reader.text(), item);
        else t.deepEqual(reader.bytes(), item);
      }
      t.true(reader.isAtEnd);
    }),
  );
});

const range: fc.Arbitrary<RangeRequest> = fc.record(
  { key, end: key, revision: count, limit: count, keysOnly: fc.boolean(), countOnly: fc.boolean() },
  { requiredKeys: ['key', 'revision', 'limit', 'keysOnly', 'countOnly'] },
);
const simpleOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), key, value, lease: count }),
  fc
    .oneof(fc.constant({ keepValue: true, keepLease: false }), fc.constant({ keepValue: true, keepLease: true }))
    .chain(keeps =>
      fc.record({ type: fc.constant('put' as const), key, value, lease: count }).map(put => ({ ...put, ...keeps })),
    ),
  fc.record({ type: fc.constant('delete' as const), key, end: key }, { requiredKeys: ['type', 'key'] }),
  fc.record({ type: fc.constant('range' as const), range }),
);
const op = fc.constantFrom('=', '!=', '<', '>');
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record(
    { key, end: key, target: fc.constant('value' as const), op, value },
    { requiredKeys: ['key', 'target', 'op', 'value'] },
  ),
  fc.record({
    key,
    target: fc.constantFrom('modRevision' as const, 'createRevision' as const, 'version' as const, 'lease' as const),
    op,
    value: count,
  }),
  fc.record({ key, target: fc.constant('value' as const), op, value }),
);
const branches = (one: fc.Arbitrary<Operation>) => ({
  compare: fc.array(compare, { maxLength: 4 }),
  then: fc.array(one, { maxLength: 4 }),
  otherwise: fc.array(one, { maxLength: 2 }),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: simpleOperation },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('transaction' as const), ...branches(simpleOperation) }) },
);
const alarm = {
  type: fc.constantFrom('NOSPACE' as const, 'CORRUPT' as const),
  memberId: fc.constantFrom('', 'a'.repeat(16)),
  cause: fc.constantFrom('quota' as const, 'disk' as const, 'divergence' as const),
};
const permission: fc.Arbitrary<KeyPermission> = fc.record(
  { access: fc.constantFrom('read' as const, 'write' as const, 'readwrite' as const), key, end: key },
  { requiredKeys: ['access', 'key'] },
);
function authAction(): fc.Arbitrary<AuthAction> {
  const [name, role] = [text, text];
  return fc.oneof(
    fc.record({ action: fc.constant('enable' as const), secret: fc.uint8Array({ maxLength: 64 }) }),
    fc.record({ action: fc.constant('disable' as const) }),
    fc.record({ action: fc.constantFrom('userAdd' as const, 'userPassword' as const), name, password: text }),
    fc.record({ action: fc.constant('userDelete' as const), name }),
    fc.record({ action: fc.constantFrom('roleAdd' as const, 'roleDelete' as const), name }),
    fc.record({ action: fc.constantFrom('userGrant' as const, 'userRevoke' as const), name, role }),
    fc.record({ action: fc.constant('roleGrant' as const), name, permission }),
    fc.record(
      { action: fc.constant('roleRevoke' as const), name, key, end: key },
      { requiredKeys: ['action', 'name', 'key'] },
    ),
  );
}
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant('transaction' as const),
    transaction: fc.record(
      { compare: fc.array(compare), then: fc.array(operation), otherwise: fc.array(operation), fenceTerm: fc.nat() },
      { requiredKeys: ['compare', 'then', 'otherwise'] },
    ),
  }),
  fc.record({ type: fc.constant('leaseGrant' as const), ttlSeconds: count }),
  fc.record({ type: fc.constantFrom('leaseKeepAlive' as const, 'leaseRevoke' as const), id: count }),
  fc.record({
    type: fc.constant('leaseExpire' as const),
    fenceTerm: count,
    leases: fc.array(fc.record({ id: count, renewals: count })),
  }),
  fc.record({ type: fc.constant('compact' as const), revision: count }),
  fc.record({ type: fc.constant('alarm' as const), action: fc.constant('raise' as const), alarm: fc.record(alarm) }),
  fc.record({
    type: fc.constant('alarm' as const),
    action: fc.constant('disarm' as const),
    filter: fc.record(alarm, { requiredKeys: [] }),
  }),
  fc.record({ type: fc.constant('auth' as const), change: authAction() }),
);

test('commands come back', t => {
  fc.assert(
    fc.property(command, one => {
      t.deepEqual(decodeCommand(encodeCommand(one)), one);
    }),
  );
});

test('commands on somebody’s behalf come back; the others are as earlier versions wrote them', t => {
  fc.assert(
    fc.property(command, fc.option(fc.record({ user: text, authRevision: count }), { nil: undefined }), (one, by) => {
      const encoded = encodeCommand(one, by);
      t.is(encoded[0], by === undefined ? 1 : 2);
      t.deepEqual(decodeLogged(encoded), { command: one, by });
    }),
  );
});

test('bytes that are no command are refused, never misread for ever', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), garbage => {
      try {
        decodeCommand(garbage);
      } catch (error) {
        t.true(error instanceof RangeError);
      }
    }),
    { numRuns: 2_000 },
  );
  t.throws(() => decodeCommand(Buffer.from([9, 0])), { message: /format 9/ });
});

const AUTH: readonly Change[] = [
  { type: 'authHead', head: { isEnabled: true, revision: 7, secret: Uint8Array.of(7) } },
  {
    type: 'authRole',
    role: {
      name: 'r',
      permissions: [
        { access: 'read', key: '', end: '' },
        { access: 'readwrite', key: 'k' },
      ],
    },
  },
  { type: 'authUser', user: { name: 'u', password: 'h', roles: ['r', 'root'], since: 3 } },
];

test('a batch of changes comes back', t => {
  const item = { key: 'k', value: Buffer.from('v'), createRevision: 3, modRevision: 4, version: 2, lease: 9 };
  const gone = { key: 'g', value: new Uint8Array(0), createRevision: 0, modRevision: 4, version: 0, lease: 0 };
  const changes: Change[] = [
    { type: 'revision', revision: 4, items: [item, gone] },
    { type: 'lease', lease: { id: 1, ttlSeconds: 60, renewals: 2 } },
    { type: 'leaseGone', id: 1 },
    { type: 'compacted', revision: 3 },
    { type: 'alarm', alarm: { type: 'NOSPACE', memberId: '', cause: 'quota' } },
    { type: 'alarmGone', alarm: { type: 'CORRUPT', memberId: 'a'.repeat(16), cause: 'divergence' } },
    ...AUTH,
    { type: 'authUserGone', name: 'u' },
    { type: 'authRoleGone', name: 'r' },
  ];
  const head = { appliedIndex: 77, counters: { revision: 4, compactedRevision: 3, leaseCounter: 1 }, hash: 0xfedcba98 };
  const writer = new ByteWriter();
  writeBatchHead(writer, head);
  for (const change of changes) writeChange(writer, change);
  t.deepEqual(decodeBatch(writer.take()), { head, changes });
});

const NO_SPACE: Alarm = { type: 'NOSPACE', memberId: 'a'.repeat(16), cause: 'disk' };

function imageChunks(alarms = false, auth = 0): Uint8Array[] {
  const state = new Mvcc();
  state.apply({ type: 'leaseGrant', ttlSeconds: 60 }, { term: 1 });
  for (let n = 0; n < 500; n++) {
    const then = [{ type: 'put', key: `${n}`, value: Buffer.alloc(2_000, n), lease: 1 }] as const;
    state.apply({ type: 'transaction', transaction: { then } }, { term: 1 });
  }
  if (alarms) state.apply({ type: 'alarm', action: 'raise', alarm: NO_SPACE }, { term: 1 });
  for (let n = 0; n < auth; n++) {
    state.apply({ type: 'auth', change: { action: 'roleAdd', name: `${n}${'r'.repeat(250)}` } }, { term: 1 });
  }
  return [...encodeImage(state.image(), { appliedIndex: 5, counters: state.counters, hash: 1 }, SNAPSHOT_CHUNK_BYTES)];
}

test('alarms travel in an image; one without any is as earlier versions wrote it', t => {
  t.deepEqual(load(imageChunks(true)).state.alarms, [NO_SPACE]);
  const kinds = (chunks: readonly Uint8Array[]) => new Set(chunks.map(chunk => chunk[0]));
  t.deepEqual(kinds(imageChunks()), new Set([1, 2, 3, 4]));
  t.deepEqual(kinds(imageChunks(true)), new Set([1, 2, 5, 3, 4]));
  t.deepEqual(load(imageChunks()).state.alarms, []);
});

test('users and roles travel in an image, in as many chunks as they need; one without any is as before', t => {
  const chunks = imageChunks(true, 1_000);
  const { auth } = load(chunks).state;
  t.is(auth.roleNames.length, 1_000);
  t.deepEqual([auth.head.revision, auth.head.isEnabled], [1_001, false]);
  t.deepEqual(new Set(chunks.map(chunk => chunk[0])), new Set([1, 2, 5, 6, 3, 4]));
  t.true(chunks.every(({ length }) => length < 2 * SNAPSHOT_CHUNK_BYTES));
  t.false(load(imageChunks(true)).state.auth.isTouched);
});

function load(chunks: readonly Uint8Array[]) {
  const loader = new ImageLoader();
  for (const chunk of chunks) loader.push(chunk);
  return loader.finish();
}

test('an image that lost, repeated, swapped, cut or changed a chunk is refused', t => {
  const chunks = imageChunks();
  t.true(chunks.length > 5);
  t.is(load(chunks).state.liveCount, 500);
  const changed = chunks.map((chunk, at) => {
    const copy = Uint8Array.from(chunk);
    if (at === 3) copy[100] = (copy[100] ?? 0) ^ 1;
    return copy;
  });
  const spoiled: Record<string, readonly Uint8Array[]> = {
    empty: [],
    beheaded: chunks.slice(1),
    cut: chunks.slice(0, -1),
    lost: chunks.toSpliced(3, 1),
    repeated: [...chunks.slice(0, 4), ...chunks.slice(3)],
    swapped: [chunks[0]!, chunks[2]!, chunks[1]!, ...chunks.slice(3)],
    short: [chunks[0]!, chunks[1]!.subarray(0, 3)],
    changed,
  };
  for (const [title, bad] of Object.entries(spoiled)) {
    t.throws(() => load(bad), { instanceOf: ImageCorruptError }, title);
  }
});

test('length prefixes survive any cutting and joining', async t => {
  const chunks = [Buffer.from('one'), Buffer.alloc(0), Buffer.from('three'), Buffer.alloc(10_000, 7)];
  const stream = await collect(lengthPrefixed(chunks));
  const joined = Buffer.concat(stream);
  for (const size of [1, 2, 3, 7, 5_000, 100_000]) {
    const parts = Array.from({ length: Math.ceil(joined.length / size) }, (_, n) =>
      joined.subarray(n * size, (n + 1) * size),
    );
    t.deepEqual(
      (await collect(lengthPrefixRemoved(each(parts)))).map(chunk => Buffer.from(chunk)),
      chunks,
    );
    await t.throwsAsync(collect(lengthPrefixRemoved(each([joined.subarray(0, -1)]))), {
      instanceOf: ImageCorruptError,
    });
  }
});

async function* each(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return all;
}
