/** Opens gzip and zstd by what the bytes begin with: archives and registries are not always right about it. */
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

const gzipMagic = Buffer.from([0x1f, 0x8b]);
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** The plain bytes. An error of either stream breaks the result. */
export async function decompressed(source: Readable): Promise<Readable> {
  const iterator = source.iterator({ destroyOnReturn: true })[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < zstdMagic.length) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, Buffer.from(next.value)]);
  }
  const whole = Readable.from(rejoin(head, iterator), { objectMode: false });
  const decoder = head.subarray(0, 2).equals(gzipMagic)
    ? createGunzip()
    : head.subarray(0, 4).equals(zstdMagic)
      ? createZstdDecompress()
      : undefined;
  if (decoder === undefined) return whole;
  whole.once('error', error => decoder.destroy(error));
  decoder.once('close', () => whole.destroy());
  return whole.pipe(decoder);
}

async function* rejoin(head: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}
