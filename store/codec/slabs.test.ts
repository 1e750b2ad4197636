import test from 'ava';
import fc from 'fast-check';
import { Slabs } from './slabs.ts';

test('copies are equal to what was copied, whatever comes after', t => {
  const lengths = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 8_000, max: 9_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, all => {
      const slabs = new Slabs();
      const source = Buffer.alloc(9_000);
      const copies = all.map((length, index) => {
        source.fill(index + 1);
        return slabs.copy(source.subarray(0, length));
      });
      return copies.every((copy, index) => copy.length === all[index] && copy.every(byte => byte === index + 1));
    }),
  );
  t.pass();
});

test('small copies share a slab; a large one does not', t => {
  const slabs = new Slabs();
  const [a, b] = [slabs.copy(Buffer.alloc(100)), slabs.copy(Buffer.alloc(100))];
  t.is(a.buffer, b.buffer);
  const large = slabs.copy(Buffer.alloc(20_000));
  t.not(large.buffer, a.buffer);
  t.is(large.buffer.byteLength, 20_000);
});
