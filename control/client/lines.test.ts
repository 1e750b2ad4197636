import test from 'ava';
import fc from 'fast-check';
import { LineTooLongError, lineBatches } from './lines.ts';

async function* chunks(parts: readonly Uint8Array[]) {
  yield* parts;
}
async function collect(parts: readonly Uint8Array[], max = 1000): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of lineBatches(chunks(parts), max)) lines.push(...batch);
  return lines;
}

test('lines come out whole however the bytes are cut', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.string({ minLength: 1, unit: 'grapheme' }).filter(line => line.trim() !== '' && !/[\n\r]/.test(line)),
      ),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      async (lines, sizes) => {
        const bytes = new TextEncoder().encode(lines.map(line => `${line}\n`).join(''));
        const parts: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value ?? 1;
          parts.push(bytes.subarray(at, at + size));
          at += size;
        }
        t.deepEqual(await collect(parts, 100_000), lines);
      },
    ),
  );
});

test('a line without an end is bounded', async t => {
  await t.throwsAsync(collect([new Uint8Array(600).fill(65), new Uint8Array(600).fill(65)]), {
    instanceOf: LineTooLongError,
  });
});
