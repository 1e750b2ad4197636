/**
 * The bytes of the log on disk. A member's log is a sequence of records, each written once and never changed: one record
 * for each `save`, with all its entries and the hard state. Records are numbered without gaps, and each carries the CRC
 * of the one before it, so that a record that is missing, changed or from another history is noticed. A conflicting
 * suffix is not erased: a later record whose first index lies below simply overrules it, and the chain stays whole.
 *
 * Before the records stands one base: identity, format, and what compaction or a snapshot put before the first record.
 */
import { crc32 } from 'node:zlib';
import type { Entry, EntryKind, HardState, MemberId, SnapshotMetadata } from '../core/types.ts';
import { DataVersionError, LogCorruptError, type MemberIdentity } from './storage.ts';

/** The format that this version writes; it reads all up to it. */
export const FORMAT_VERSION = 1;

/** One durable step of the log. */
export interface LogRecord {
  readonly sequence: number;
  /** The chain value of the record before, or of the base. */
  readonly previousChain: number;
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
}

/** What stands before the first record. */
export interface BaseRecord {
  readonly identity: MemberIdentity;
  readonly snapshot: SnapshotMetadata;
  readonly hardState: HardState;
  /** The number of the first record that follows. */
  readonly firstSequence: number;
  /** The chain value that this record carries as its predecessor's. */
  readonly chain: number;
}

/** A record's bytes with its own chain value. */
export interface Encoded {
  readonly bytes: Uint8Array;
  readonly chain: number;
}

const KINDS: readonly EntryKind[] = ['command', 'noop', 'membership'];
const HEADER_BYTES = 1 + 8 + 4 + 1 + 4;
const ENTRY_HEADER_BYTES = 8 + 8 + 1 + 4;
const CRC_BYTES = 4;
const HAS_HARD_STATE = 1;

/** Encodes one record; the entries' data is copied once. */
export function encodeRecord(record: LogRecord): Encoded {
  const { hardState, entries } = record;
  const votedFor = Buffer.from(hardState?.votedFor ?? '', 'latin1');
  let size = HEADER_BYTES + CRC_BYTES + (hardState === undefined ? 0 : 8 + 8 + 1 + votedFor.length);
  for (const entry of entries) size += ENTRY_HEADER_BYTES + entry.data.length;
  const buffer = Buffer.allocUnsafe(size);
  let at = buffer.writeUInt8(FORMAT_VERSION, 0);
  at = writeCount(buffer, record.sequence, at);
  at = buffer.writeUInt32BE(record.previousChain, at);
  at = buffer.writeUInt8(hardState === undefined ? 0 : HAS_HARD_STATE, at);
  at = buffer.writeUInt32BE(entries.length, at);
  if (hardState !== undefined) {
    at = writeCount(buffer, hardState.term, at);
    at = writeCount(buffer, hardState.commit, at);
    at = buffer.writeUInt8(votedFor.length, at);
    buffer.set(votedFor, at);
    at += votedFor.length;
  }
  for (const entry of entries) {
    at = writeCount(buffer, entry.index, at);
    at = writeCount(buffer, entry.term, at);
    at = buffer.writeUInt8(KINDS.indexOf(entry.kind), at);
    at = buffer.writeUInt32BE(entry.data.length, at);
    buffer.set(entry.data, at);
    at += entry.data.length;
  }
  const chain = crc32(buffer.subarray(0, at));
  buffer.writeUInt32BE(chain, at);
  return { bytes: buffer, chain };
}

/**
 * Decodes and checks one record. The entries' data are views into `bytes`.
 * @throws {LogCorruptError} its CRC is wrong
 * @throws {DataVersionError} a newer version wrote it
 */
export function decodeRecord(bytes: Uint8Array): { readonly record: LogRecord; readonly chain: number } {
  const { body, chain } = checked(bytes, HEADER_BYTES);
  const sequence = readCount(body, 1);
  const previousChain = body.readUInt32BE(9);
  const flags = body.readUInt8(13);
  const count = body.readUInt32BE(14);
  let at = HEADER_BYTES;
  let hardState: HardState | undefined;
  if ((flags & HAS_HARD_STATE) !== 0) {
    const voteBytes = body.readUInt8(at + 16);
    const votedFor: MemberId = body.toString('latin1', at + 17, at + 17 + voteBytes);
    const vote = votedFor === '' ? undefined : votedFor;
    hardState = { term: readCount(body, at), commit: readCount(body, at + 8), votedFor: vote };
    at += 17 + voteBytes;
  }
  const entries: Entry[] = [];
  for (let read = 0; read < count; read++) {
    const kind = KINDS[body.readUInt8(at + 16)];
    if (kind === undefined) throw new LogCorruptError(`record ${sequence} holds an entry of unknown kind`);
    const start = at + ENTRY_HEADER_BYTES;
    const end = start + body.readUInt32BE(at + 17);
    entries.push({ index: readCount(body, at), term: readCount(body, at + 8), kind, data: body.subarray(start, end) });
    at = end;
  }
  if (at !== body.length) throw new LogCorruptError(`record ${sequence} has the wrong length`);
  return { record: { sequence, previousChain, hardState, entries }, chain };
}

/** Encodes the base. It is rare and small, so its body is JSON. */
export function encodeBase(base: BaseRecord): Encoded {
  const json = Buffer.from(JSON.stringify(base));
  const buffer = Buffer.allocUnsafe(1 + json.length + CRC_BYTES);
  buffer.writeUInt8(FORMAT_VERSION, 0);
  buffer.set(json, 1);
  const chain = crc32(buffer.subarray(0, 1 + json.length));
  buffer.writeUInt32BE(chain, 1 + json.length);
  return { bytes: buffer, chain };
}

/**
 * Decodes and checks a base.
 * @throws {LogCorruptError} its CRC is wrong
 * @throws {DataVersionError} a newer version wrote it
 */
export function decodeBase(bytes: Uint8Array): BaseRecord {
  const { body } = checked(bytes, 1);
  // The CRC vouches that this is what `encodeBase` wrote; JSON drops a `votedFor` that is undefined.
  const base = JSON.parse(body.toString('utf8', 1)) as BaseRecord;
  return { ...base, hardState: { ...base.hardState, votedFor: base.hardState.votedFor } };
}

/** How far the log had certainly come: kept beside it, so that a log that lost its end can be told from a short one. */
export interface Head {
  readonly sequence: number;
  readonly chain: number;
}

const HEAD_MAGIC = 0x72_66_74_68;
const HEAD_BYTES = 4 + 8 + 4 + CRC_BYTES;

export function encodeHead(head: Head): Uint8Array {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES);
  let at = buffer.writeUInt32BE(HEAD_MAGIC, 0);
  at = writeCount(buffer, head.sequence, at);
  at = buffer.writeUInt32BE(head.chain, at);
  buffer.writeUInt32BE(crc32(buffer.subarray(0, at)), at);
  return buffer;
}

/** The head, or undefined if it cannot be read: it is only a witness, written without fsync. */
export function decodeHead(bytes: Uint8Array): Head | undefined {
  const buffer = view(bytes);
  if (buffer.length !== HEAD_BYTES || buffer.readUInt32BE(0) !== HEAD_MAGIC) return undefined;
  if (crc32(buffer.subarray(0, HEAD_BYTES - CRC_BYTES)) !== buffer.readUInt32BE(HEAD_BYTES - CRC_BYTES))
    return undefined;
  return { sequence: readCount(buffer, 4), chain: buffer.readUInt32BE(12) };
}

function checked(bytes: Uint8Array, bytesMin: number): { readonly body: Buffer; readonly chain: number } {
  const buffer = view(bytes);
  if (buffer.length < bytesMin + CRC_BYTES) throw new LogCorruptError('a record is cut short');
  const end = buffer.length - CRC_BYTES;
  const body = buffer.subarray(0, end);
  const chain = buffer.readUInt32BE(end);
  const isIntact = crc32(body) === chain;
  const version = buffer.readUInt8(0);
  if (isIntact && version > FORMAT_VERSION) {
    throw new DataVersionError(
      `the log was written in format ${version} by a newer raftsman; this one reads up to ${FORMAT_VERSION}: upgrade it`,
    );
  }
  if (!isIntact) throw new LogCorruptError('a record does not match its CRC');
  return { body, chain };
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeCount(buffer: Buffer, value: number, at: number): number {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  return buffer.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function readCount(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
