/** A rotation that breaks off at any step, with masters writing all the while: every master reads everything, always. */
import test from 'ava';
import fc from 'fast-check';
import { createMemoryStore, type StoreClient } from '../../store/index.ts';
import { encryptingClient } from '../apiserver/encryption/encrypting-client.ts';
import { Encryption, ownRules } from '../apiserver/encryption/encryption.ts';
import { countByKey, rewriteStale } from '../apiserver/encryption/rewrite.ts';
import {
  createEncryptionKey,
  createEncryptionKeys,
  type EncryptionKeys,
  mergeEncryptionKeys,
  NO_KEYS,
  pendingKey,
} from '../pki/encryption-keys.ts';
import { OperationError } from './errors.ts';
import { type KeyHolder, rotateKeys, settleKeys } from './secrets-rotation.ts';

const now = () => 1_700_000_000_000;

/** A master as far as keys go. */
class Master implements KeyHolder {
  readonly name: string;
  readonly encryption = new Encryption([]);
  readonly client: StoreClient;
  keys: EncryptionKeys;

  constructor(name: string, store: StoreClient, keys: EncryptionKeys) {
    this.name = name;
    this.keys = keys;
    this.client = encryptingClient({ store, encryption: this.encryption });
    this.#use();
  }
  async read() {
    return this.keys;
  }
  async merge(keys: EncryptionKeys) {
    this.keys = mergeEncryptionKeys(this.keys, keys);
    this.#use();
    return this.keys;
  }
  #use() {
    this.encryption.use(ownRules(this.keys.keys, this.keys.active));
  }
}

class Crash extends Error {}

/** Counts what is done to the masters; each of them writes a Secret after every step; breaks off at step `crashAt`. */
function watched(masters: readonly Master[], crashAt: number) {
  let steps = 0;
  const step = async <T>(run: () => Promise<T>): Promise<T> => {
    if (steps++ >= crashAt) throw new Crash();
    const answer = await run();
    for (const { name, client } of masters) {
      await client.put(`/registry/core/secrets/default/${name}-${steps}`, new TextEncoder().encode(`{"by":"${name}"}`));
    }
    await everyoneReadsAll(masters);
    return answer;
  };
  return masters.map(
    (master): KeyHolder => ({
      name: master.name,
      read: () => step(() => master.read()),
      merge: keys => step(() => master.merge(keys)),
    }),
  );
}

async function everyoneReadsAll(masters: readonly Master[]): Promise<void> {
  for (const { client } of masters) {
    const { items } = await client.range({ key: '/registry/', end: '/registry0' });
    for (const { value } of items) JSON.parse(Buffer.from(value).toString());
  }
}

test('at whatever step a rotation breaks off, all masters read everything, and the next one finishes it', async t => {
  for (const isUpgrade of [false, true]) {
    for (let crashAt = 0; crashAt < 14; crashAt++) {
      const store = createMemoryStore();
      const keys = isUpgrade ? NO_KEYS : createEncryptionKeys(now());
      const masters = ['a', 'b', 'c'].map(name => new Master(name, store, keys));
      const holders = watched(masters, crashAt);
      const outcome = await rotateKeys({ holders: () => holders, now }).catch((error: unknown) => error);
      if (outcome instanceof Error) t.true(outcome instanceof OperationError, String(outcome));
      await everyoneReadsAll(masters);
      // A leader that looks after it.
      await settleKeys({ holders: () => masters, now });
      await everyoneReadsAll(masters);
      t.is(new Set(masters.map(master => master.keys.active)).size, 1);
      const [master] = masters;
      if (!master) return t.fail();
      t.truthy(master.keys.active);
      t.is(pendingKey(master.keys), undefined);
      await rewriteStale({ store, encryption: master.encryption });
      t.is((await countByKey({ store, encryption: master.encryption })).stale, 0);
      await everyoneReadsAll(masters);
      await store.close();
    }
  }
});

test('an interrupted rotation is taken up, not begun a second time', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const first = createEncryptionKeys(now());
  const next = createEncryptionKey(first, now());
  const masters = [
    new Master('a', store, mergeEncryptionKeys(first, { keys: [next], active: null })),
    new Master('b', store, first),
  ];
  t.is((await rotateKeys({ holders: () => masters, now })).key, next.id);
  t.is(masters[1]?.keys.keys.length, 2);
});

test('a master that joins between two steps has the key before it is used', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const first = createEncryptionKeys(now());
  const masters = [new Master('a', store, first)];
  const late = new Master('b', store, first);
  let asked = 0;
  const holders = () => (asked++ === 0 ? masters : [...masters, late]);
  const { key, masters: reached } = await rotateKeys({ holders, now });
  t.deepEqual(reached, ['a', 'b']);
  t.is(late.keys.active, key);
});

test('who does not answer is named, and nothing is in use that he lacks', async t => {
  const store = createMemoryStore();
  t.teardown(() => store.close());
  const first = createEncryptionKeys(now());
  const a = new Master('a', store, first);
  const deaf: KeyHolder = { name: 'b', read: async () => first, merge: () => Promise.reject(new Error('no route')) };
  const error = await t.throwsAsync(rotateKeys({ holders: () => [a, deaf], now }), { instanceOf: OperationError });
  t.regex(error.message, /b cannot be reached \(no route\)/);
  t.is(a.keys.active, first.active);
});

test('key sets merge in any order to the same, and twice to no more', t => {
  const keys = Array.from({ length: 4 }, (_, index) => ({
    ...createEncryptionKey(NO_KEYS, now()),
    generation: 1 + (index % 3),
  }));
  const set = fc
    .record({
      keys: fc.subarray(keys),
      active: fc.constantFrom(null, ...keys.map(({ id }) => id)),
    })
    .map(({ keys: some, active }) => ({ keys: some, active: some.some(({ id }) => id === active) ? active : null }));
  fc.assert(
    fc.property(set, set, set, (a, b, c) => {
      const ab = mergeEncryptionKeys(a, b);
      t.deepEqual(ab, mergeEncryptionKeys(b, a));
      t.deepEqual(mergeEncryptionKeys(ab, b), ab);
      t.deepEqual(mergeEncryptionKeys(ab, c), mergeEncryptionKeys(a, mergeEncryptionKeys(b, c)));
    }),
  );
});
