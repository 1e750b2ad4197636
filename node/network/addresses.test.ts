import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { AddressBook, AddressStore } from './addresses.ts';
import { CidrError, contains, formatAddress, formatCidr, parseAddress, parseCidr, sizeOf } from './cidr.ts';
import { AddressesExhaustedError } from './network.ts';

test('addresses and ranges survive writing and reading', t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 32 }), (value, prefixLength) => {
      t.is(parseAddress(formatAddress(value)), value);
      const size = 2 ** (32 - prefixLength);
      const range = { base: Math.floor(value / size) * size, prefixLength };
      t.deepEqual(parseCidr(formatCidr(range)), range);
      t.true(contains(range, value));
      t.is(sizeOf(range), size);
      t.false(contains(range, range.base + size));
    }),
  );
});

for (const text of [
  '10.42.0.0',
  '10.42.0.1/24',
  '10.42.0.0/33',
  '10.42.0/24',
  '10.42.0.256/32',
  'a/8',
  '10.0.0.0/8/8',
  '',
]) {
  test(`${JSON.stringify(text)} is no range`, t => {
    t.throws(() => parseCidr(text), { instanceOf: CidrError });
  });
}

test('no address is given twice, none is the gateway, and a pod keeps its own', t => {
  const range = parseCidr('10.42.7.0/28');
  const pods = fc.constantFrom(...Array.from({ length: 20 }, (_, index) => `pod-${index}`));
  fc.assert(
    fc.property(fc.array(fc.record({ pod: pods, release: fc.boolean() }), { maxLength: 100 }), steps => {
      const book = new AddressBook(range);
      const model = new Map<string, string>();
      for (const { pod, release } of steps) {
        if (release) {
          t.is(book.release(pod), model.delete(pod));
        } else if (!model.has(pod) && model.size === 13) {
          t.throws(() => book.assign(pod), { instanceOf: AddressesExhaustedError });
        } else {
          const { address, isNew } = book.assign(pod);
          t.is(isNew, !model.has(pod));
          t.is(address, model.get(pod) ?? address);
          t.false(isNew && [...model.values()].includes(address));
          t.true(contains(range, parseAddress(address)));
          t.false(['10.42.7.0', '10.42.7.1', '10.42.7.15'].includes(address));
          model.set(pod, address);
        }
      }
      t.deepEqual(book.toRecord(), Object.fromEntries(model));
    }),
  );
});

test('an address rests before it is used again', t => {
  const book = new AddressBook(parseCidr('10.42.7.0/29'));
  const first = book.assign('a').address;
  book.release('a');
  t.not(book.assign('b').address, first);
});

test('what was given under another range is forgotten', t => {
  const book = new AddressBook(parseCidr('10.42.7.0/24'), { a: '10.42.6.5', b: '10.42.7.5', c: '10.42.7.5' });
  t.deepEqual(book.toRecord(), { b: '10.42.7.5' });
});

test('the file keeps the last of many writes; a damaged one is refused', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'raftsman-addresses-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const store = new AddressStore(directory);
  t.deepEqual(await store.load(), {});
  const book = new AddressBook(parseCidr('10.42.7.0/24'));
  const writes = ['a', 'b', 'c'].map(pod => {
    book.assign(pod);
    return store.save('10.42.7.0/24', book);
  });
  await Promise.all(writes);
  t.deepEqual(await store.load(), book.toRecord());
  await writeFile(path.join(directory, 'pod-addresses.json'), '{"version":1,');
  await t.throwsAsync(store.load(), { message: /pod-addresses.json is damaged/ });
});
