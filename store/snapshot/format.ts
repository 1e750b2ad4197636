/**
 * A snapshot as one file that needs nothing else:
 *
 *   "RAFTSNAP"  uint32 format  uint32 length  header (JSON)  uint32 CRC of the header
 *   { uint32 length  chunk }...  uint32 0
 *   SHA-256 over everything before it
 *
 * The chunks are those of `codec/image.ts`, each with its own CRC, so that damage is found near its place; the digest
 * vouches for the whole. Numbers are big-endian.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_HEADER_BYTES_MAX } from './limits.ts';

/** Format 1: the first. */
const SNAPSHOT_FORMAT = 1;
const MAGIC = Buffer.from('RAFTSNAP');
const DIGEST_BYTES = 32;
const COUNT_BYTES = 4;

const count = z.number().int().nonnegative();
const headerSchema = z.object({
  clusterId: z.string(),
  memberId: z.string(),
  memberName: z.string(),
  revision: count,
  compactedRevision: count,
  /** The log up to here is in it, and the term it had. */
  index: count,
  term: count,
  /** When it was taken: ISO 8601, UTC. */
  takenAt: z.string(),
  keys: count,
  /** Of the keys and values that are there now. */
  liveBytes: count,
  /** What the owner of the store wants to have with it, such as a cluster's keys. Secret. */
  attachments: z.record(z.string(), z.string()).optional(),
});
/** What a snapshot says of itself. */
export type SnapshotHeader = Readonly<z.infer<typeof headerSchema>>;

/** Why a file is no good. */
export type SnapshotFault = 'foreign' | 'newer' | 'cut' | 'damaged';

/** The bytes are not a whole, undamaged snapshot that this version reads. `message` says what they are instead. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly code = 'STORE_SNAPSHOT';
  readonly fault: SnapshotFault;
  constructor(fault: SnapshotFault, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.fault = fault;
  }
}

/**
 * Makes the bytes of a file.
 * @param chunks each with its length before it, as `lengthPrefixed` gives them
 * @param pause called between chunks, so that other work is never held up for longer than one takes
 */
export async function* encodeSnapshot(
  header: SnapshotHeader,
  chunks: AsyncIterable<Uint8Array>,
  pause: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256');
  const head = encodeHeader(header);
  digest.update(head);
  yield head;
  for await (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
    await pause();
  }
  const end = uint32(0);
  digest.update(end);
  yield Buffer.concat([end, digest.digest()]);
}

/** A snapshot that is being read. `chunks` must be read to the end: only there it is known whether all of it is sound. */
export interface SnapshotReading {
  readonly header: SnapshotHeader;
  /** Without their lengths. @throws {SnapshotError} where they are not what was written */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Lets go of the source; for who does not read `chunks`. */
  close(): Promise<void>;
}

/** Reads the header, and offers the rest. @throws {SnapshotError} */
export async function decodeSnapshot(parts: AsyncIterable<Uint8Array>): Promise<SnapshotReading> {
  const source = new ByteSource(parts);
  try {
    const header = await readHeader(source);
    return { header, chunks: readChunks(source), close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function readHeader(source: ByteSource): Promise<SnapshotHeader> {
  const magic = await source.takeAtMost(MAGIC.length);
  if (!MAGIC.subarray(0, magic.length).equals(magic) || magic.length === 0) {
    throw new SnapshotError('foreign', 'it is not a raftsman snapshot');
  }
  if (magic.length < MAGIC.length) throw cut();
  const format = await source.uint32();
  if (format > SNAPSHOT_FORMAT) {
    throw new SnapshotError(
      'newer',
      `it was written by a newer raftsman (format ${format}; this one reads up to ${SNAPSHOT_FORMAT}): use that version`,
    );
  }
  const length = await source.uint32();
  if (format === 0 || length > SNAPSHOT_HEADER_BYTES_MAX) throw damaged('its header makes no sense');
  const bytes = await source.take(length);
  if ((await source.uint32()) !== crc32(bytes)) throw damaged('its header does not match its CRC');
  return parseHeader(bytes);
}

/** Passes bytes on unchanged and checks header, framing and digest on the way. @throws {SnapshotError} at the end at the latest */
export async function* checkedSnapshot(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const tee = new Tee(parts);
  const { chunks } = await decodeSnapshot(tee.observed());
  yield* tee.drain();
  // Left early, this loop closes the reader, which closes what it reads from.
  for await (const _ of chunks) yield* tee.drain();
  yield* tee.drain();
}

async function* readChunks(source: ByteSource): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const length = await source.uint32();
      if (length === 0) break;
      if (length > SNAPSHOT_CHUNK_BYTES_MAX) throw damaged('it holds a chunk of absurd length');
      yield await source.take(length);
    }
    const expected = source.digest();
    const stored = await source.take(DIGEST_BYTES);
    if (!expected.equals(stored)) throw damaged('its SHA-256 does not match');
    if (!(await source.isAtEnd())) throw damaged('something follows its end');
  } finally {
    await source.close();
  }
}

function encodeHeader(header: SnapshotHeader): Buffer {
  const bytes = Buffer.from(JSON.stringify(header));
  return Buffer.concat([MAGIC, uint32(SNAPSHOT_FORMAT), uint32(bytes.length), bytes, uint32(crc32(bytes))]);
}

function parseHeader(bytes: Uint8Array): SnapshotHeader {
  try {
    return headerSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    throw new SnapshotError('damaged', 'it is damaged: its header makes no sense', { cause: error });
  }
}

function uint32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(COUNT_BYTES);
  buffer.writeUInt32BE(value);
  return buffer;
}

function cut(): SnapshotError {
  return new SnapshotError('cut', 'it is cut short: its end is missing');
}

function damaged(what: string): SnapshotError {
  return new SnapshotError('damaged', `it is damaged: ${what}`);
}

/** Takes any number of bytes from parts of any size, and keeps a digest of what was taken. */
class ByteSource {
  readonly #parts: AsyncIterator<Uint8Array>;
  readonly #digest = createHash('sha256');
  #rest: Buffer = Buffer.alloc(0);

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const bytes = await this.takeAtMost(length);
    if (bytes.length < length) throw cut();
    return bytes;
  }

  async takeAtMost(length: number): Promise<Buffer> {
    const pieces = [this.#rest];
    let available = this.#rest.length;
    while (available < length) {
      const { done, value } = await this.#parts.next();
      if (done === true) break;
      pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      available += value.length;
    }
    const all = pieces.length === 1 ? this.#rest : Buffer.concat(pieces);
    const taken = all.subarray(0, length);
    this.#rest = all.subarray(taken.length);
    this.#digest.update(taken);
    return taken;
  }

  async uint32(): Promise<number> {
    return (await this.take(COUNT_BYTES)).readUInt32BE();
  }

  /** The digest of all that was taken so far. */
  digest(): Buffer {
    return this.#digest.copy().digest();
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.takeAtMost(1)).length === 0;
  }

  async close(): Promise<void> {
    await this.#parts.return?.();
  }
}

/** Lets one reader look at parts while another hands them on. */
class Tee {
  readonly #parts: AsyncIterable<Uint8Array>;
  #seen: Uint8Array[] = [];

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.#parts = parts;
  }

  async *observed(): AsyncGenerator<Uint8Array> {
    for await (const part of this.#parts) {
      this.#seen.push(part);
      yield part;
    }
  }

  *drain(): Generator<Uint8Array> {
    const seen = this.#seen;
    this.#seen = [];
    yield* seen;
  }
}
