/** Digests of content: `sha256:` and 64 hexadecimal digits. */
import { createHash, type Hash } from 'node:crypto';
import { Transform } from 'node:stream';

export function digestOf(bytes: string | Uint8Array): string {
  return formatDigest(createHash('sha256').update(bytes));
}

export function formatDigest(hash: Hash): string {
  return `sha256:${hash.digest('hex')}`;
}

/** Passes bytes on and counts and digests them. `onEnd` may throw, which breaks the stream. */
export function digesting(options: {
  readonly bytesMax: number;
  readonly onEnd: (digest: string, sizeBytes: number) => void;
}): Transform {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length;
      if (sizeBytes > options.bytesMax) return done(new RangeError(`more than ${options.bytesMax} bytes`));
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      try {
        options.onEnd(formatDigest(hash), sizeBytes);
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
}

/** The name of a stack of layers (OCI Image Specification, "Layer ChainID"), lowest first. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
