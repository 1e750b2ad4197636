/**
 * A picture of the whole state as a stream of chunks: on disk as a checkpoint, on the wire as a snapshot. Each chunk ends
 * with its CRC; the last one counts them, so that a stream that breaks off is never taken for a whole one.
 */
import assert from 'node:assert';
import { crc32 } from 'node:zlib';
import type { Alarm } from '../client/client.ts';
import type { AuthChange } from '../mvcc/auth.ts';
import type { Lease } from '../mvcc/command.ts';
import type { Image } from '../mvcc/image.ts';
import { Mvcc } from '../mvcc/mvcc.ts';
import { readAlarm, writeAlarm } from './alarm.ts';
import { readAuthChange, writeAuthChange } from './auth.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { type BatchHead, readBatchHead, readItem, readLease, writeBatchHead, writeItem, writeLease } from './change.ts';

/** About how large a chunk is, unless one item is larger. Of a checkpoint: each waits for the disk. */
const CHECKPOINT_CHUNK_BYTES = 256 * 1024;
/** Of a snapshot: a millisecond's work, since puts wait for that several times each. */
export const SNAPSHOT_CHUNK_BYTES = 64 * 1024;
/** No chunk is larger: one key may have many versions, but they are bounded by its history. */
const CHUNK_BYTES_MAX = 1024 * 1024 * 1024;
const LENGTH_BYTES = 4;
const LEASES_PER_CHUNK = 10_000;
const FORMAT = 1;
const HEAD = 1;
const LEASES = 2;
const ITEMS = 3;
const END = 4;
/** Only where there are alarms, so that an earlier version can read what has none. */
const ALARMS = 5;
/** Users and roles; likewise only where there are some. */
const AUTH = 6;

/** A snapshot or a checkpoint is not what was written. */
export class ImageCorruptError extends Error {
  override readonly name = 'ImageCorruptError';
  readonly code = 'STORE_IMAGE_CORRUPT';
}

/** Gives the chunks of an image one by one, each made when it is asked for. */
export function* encodeImage(
  image: Image,
  head: BatchHead,
  chunkBytes = CHECKPOINT_CHUNK_BYTES,
): Generator<Uint8Array> {
  const writer = new ByteWriter();
  let chunks = 0;
  const chunk = (): Uint8Array => {
    chunks++;
    writer.uint32(crc32(writer.peek()));
    return writer.take();
  };
  writer.byte(HEAD);
  writer.byte(FORMAT);
  writeBatchHead(writer, head);
  yield chunk();
  for (let at = 0; at < image.leases.length; at += LEASES_PER_CHUNK) {
    writer.byte(LEASES);
    for (const lease of image.leases.slice(at, at + LEASES_PER_CHUNK)) writeLease(writer, lease);
    yield chunk();
  }
  if (image.alarms.length > 0) {
    writer.byte(ALARMS);
    for (const alarm of image.alarms) writeAlarm(writer, alarm);
    yield chunk();
  }
  for (let at = 0; at < image.auth.length; ) {
    writer.byte(AUTH);
    for (let change = image.auth[at]; change !== undefined && writer.length < chunkBytes; change = image.auth[++at]) {
      writeAuthChange(writer, change);
    }
    yield chunk();
  }
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = image.read(after, chunkBytes);
    after = page.next;
    if (page.items.length === 0) continue;
    writer.byte(ITEMS);
    for (const item of page.items) writeItem(writer, item);
    yield chunk();
  }
  writer.byte(END);
  writer.count(chunks);
  yield chunk();
}

/** Builds a state from the chunks of an image, checking each. */
export class ImageLoader {
  readonly #leases: Lease[] = [];
  readonly #alarms: Alarm[] = [];
  readonly #auth: AuthChange[] = [];
  #head: BatchHead | undefined;
  #state: Mvcc | undefined;
  #chunks = 0;
  #isComplete = false;

  /** @throws {ImageCorruptError} the chunk is damaged or out of place */
  push(chunk: Uint8Array): void {
    const reader = new ByteReader(intact(chunk));
    const kind = reader.byte();
    if (this.#isComplete || (kind === HEAD) !== (this.#head === undefined)) throw misplaced();
    try {
      this.#take(kind, reader);
    } catch (error) {
      if (error instanceof RangeError || error instanceof assert.AssertionError) {
        throw new ImageCorruptError(`a snapshot makes no sense: ${error.message}`, { cause: error });
      }
      throw error;
    }
    this.#chunks++;
  }

  /** Gives the state once all chunks have come. @throws {ImageCorruptError} some are missing */
  finish(): { readonly state: Mvcc; readonly head: BatchHead } {
    if (!this.#isComplete || this.#head === undefined)
      throw new ImageCorruptError('a snapshot broke off before its end');
    const state = this.#begin(this.#head);
    state.loaded();
    return { state, head: this.#head };
  }

  #take(kind: number, reader: ByteReader): void {
    switch (kind) {
      case HEAD: {
        const format = reader.byte();
        if (format !== FORMAT)
          throw new ImageCorruptError(`a snapshot of format ${format} cannot be read: upgrade this member`);
        this.#head = readBatchHead(reader);
        return;
      }
      case LEASES:
        if (this.#state !== undefined) throw misplaced();
        while (!reader.isAtEnd) this.#leases.push(readLease(reader));
        return;
      case ALARMS:
        if (this.#state !== undefined) throw misplaced();
        while (!reader.isAtEnd) this.#alarms.push(readAlarm(reader));
        return;
      case AUTH:
        if (this.#state !== undefined) throw misplaced();
        while (!reader.isAtEnd) this.#auth.push(readAuthChange(reader));
        return;
      case ITEMS: {
        if (this.#head === undefined) throw misplaced();
        const items = [];
        while (!reader.isAtEnd) items.push(readItem(reader));
        this.#begin(this.#head).load(items);
        return;
      }
      case END:
        if (reader.count() !== this.#chunks) throw new ImageCorruptError('a snapshot has lost chunks');
        this.#isComplete = true;
        return;
      default:
        throw new ImageCorruptError(`a chunk of kind ${kind} is not known`);
    }
  }

  #begin(head: BatchHead): Mvcc {
    this.#state ??= new Mvcc({
      head: { counters: head.counters, leases: this.#leases, alarms: this.#alarms, auth: this.#auth },
    });
    return this.#state;
  }
}

/** Puts its length before each chunk, for a carrier that may cut and join as it likes. */
export async function* lengthPrefixed(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    const framed = Buffer.allocUnsafe(LENGTH_BYTES + chunk.length);
    framed.writeUInt32BE(chunk.length, 0);
    framed.set(chunk, LENGTH_BYTES);
    yield framed;
  }
}

/** Finds the chunks again. @throws {ImageCorruptError} the stream ends within one, or claims an absurd length */
export async function* lengthPrefixRemoved(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of parts) {
    rest = rest.length === 0 ? Buffer.from(part) : Buffer.concat([rest, part]);
    for (;;) {
      if (rest.length < LENGTH_BYTES) break;
      const length = rest.readUInt32BE(0);
      if (length > CHUNK_BYTES_MAX) throw new ImageCorruptError('a snapshot holds a chunk of absurd length');
      if (rest.length < LENGTH_BYTES + length) break;
      yield rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      rest = rest.subarray(LENGTH_BYTES + length);
    }
  }
  if (rest.length > 0) throw new ImageCorruptError('a snapshot broke off within a chunk');
}

function intact(chunk: Uint8Array): Uint8Array {
  const end = chunk.length - 4;
  if (end < 1) throw new ImageCorruptError('a chunk of a snapshot is cut short');
  const body = chunk.subarray(0, end);
  const stored = Buffer.from(chunk.buffer, chunk.byteOffset + end, 4).readUInt32BE(0);
  if (crc32(body) !== stored) throw new ImageCorruptError('a chunk of a snapshot does not match its CRC');
  return body;
}

function misplaced(): ImageCorruptError {
  return new ImageCorruptError('a chunk of a snapshot is out of place');
}
