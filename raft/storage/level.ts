/**
 * The log on LevelDB, in `directory/log`, one value a `save`, written with fsync. Beside it lies the small file `head`,
 * which says how far the log had come: LevelDB 1.20 silently drops synced records behind a damaged one, and the journal's
 * chain shows a hole but not a missing end.
 */
import assert from 'node:assert';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import type { HardState, Membership, SnapshotMetadata } from '../core/types.ts';
import { type Found, Journal, type Step } from './journal.ts';
import { decodeHead, encodeHead, FORMAT_VERSION, type Head } from './record.ts';
import {
  DataLockedError,
  DataVersionError,
  LogCorruptError,
  type MemberIdentity,
  type RaftStorage,
  type RecoveredState,
  type SalvagedState,
  type SaveRequest,
  StorageFailedError,
} from './storage.ts';

export interface LevelStorageOptions {
  /** Belongs to this storage alone; made if it is not there. */
  readonly directory: string;
}

type Database = Level<string, Uint8Array>;
type State = 'new' | 'open' | 'closed';

const FORMAT_KEY = 'format';
const RECORD = 'r';
const BASE = 'b';
/** Values read at once while opening. */
const READ_BATCH = 256;

export class LevelStorage implements RaftStorage {
  readonly #directory: string;
  readonly #journal = new Journal();
  #database: Database | undefined;
  #headFile: number | undefined;
  #state: State = 'new';
  #isWriting = false;
  #failure: Error | undefined;
  /** Counts the bases; the youngest has the highest number. */
  #baseNumber = 0;
  /** Removal of records that are of no use, in the background. */
  #cleaning: Promise<void> = Promise.resolve();

  constructor(options: LevelStorageOptions) {
    this.#directory = options.directory;
  }

  async open(): Promise<RecoveredState> {
    return this.#read(async database => {
      const head = readHead(this.#headPath);
      const found = await this.#readAll(database);
      if (found.failure !== undefined) throw found.failure;
      const recovered = this.#journal.recover({ ...found, head });
      if (recovered.identity !== undefined && head?.sequence !== this.#journal.head.sequence) {
        this.#writeHead(this.#journal.head);
      }
      // The process before this one died while it removed them.
      const { firstSequence } = this.#journal;
      if (found.records.some(({ sequence }) => sequence < firstSequence)) {
        this.#removeRecordsBelow(database, firstSequence);
      }
      return recovered;
    });
  }

  /**
   * Instead of `open`: reads what is certainly whole of a damaged log, and closes it again. For making a new cluster of what
   * is left; the member itself must never take part again with less than it had.
   * @throws {LogCorruptError} LevelDB cannot open it at all, or its beginning is damaged
   */
  async salvage(): Promise<SalvagedState> {
    try {
      return await this.#read(async database =>
        this.#journal.salvage({ ...(await this.#readAll(database)), head: readHead(this.#headPath) }),
      );
    } finally {
      await this.close();
    }
  }

  async #read<Result>(read: (database: Database) => Promise<Result>): Promise<Result> {
    assert(this.#state === 'new', 'a storage is opened once');
    this.#state = 'open';
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const database: Database = new Level(join(this.#directory, 'log'), { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await database.open();
    } catch (error) {
      throw openingError(this.#directory, error);
    }
    this.#database = database;
    try {
      await this.#checkFormat(database);
      return await read(database);
    } catch (error) {
      await this.close();
      throw error instanceof LogCorruptError || error instanceof DataVersionError
        ? error
        : openingError(this.#directory, error);
    }
  }

  async initialize(identity: MemberIdentity, membership: Membership): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planInitialize(identity, membership));
  }

  async save(request: SaveRequest): Promise<void> {
    this.#refuseIfUnusable();
    const step = this.#journal.planSave(request);
    if (step !== undefined) await this.#write(step);
  }

  async compact(snapshot: SnapshotMetadata): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planCompact(snapshot));
  }

  async reset(snapshot: SnapshotMetadata, hardState: HardState): Promise<void> {
    this.#refuseIfUnusable();
    await this.#write(this.#journal.planReset(snapshot, hardState));
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    await this.#cleaning;
    await this.#database?.close();
    if (this.#headFile !== undefined) closeSync(this.#headFile);
  }

  get #headPath(): string {
    return join(this.#directory, 'head');
  }

  async #write(step: Step): Promise<void> {
    const database = this.#refuseIfUnusable();
    this.#isWriting = true;
    try {
      if (step.base !== undefined) await this.#writeBase(database, step.base);
      else if (step.record !== undefined) {
        await database.put(numbered(RECORD, step.record.sequence), step.record.bytes, { sync: true });
      }
      this.#writeHead(step.head);
      if (step.firstSequence !== undefined) this.#removeRecordsBelow(database, step.firstSequence);
    } catch (error) {
      // Never try again: after a failed fsync nobody knows what is on disk.
      this.#failure ??= failure(this.#directory, error);
      throw this.#failure;
    } finally {
      this.#isWriting = false;
    }
  }

  async #writeBase(database: Database, base: Uint8Array): Promise<void> {
    const number = this.#baseNumber + 1;
    const batch = database.batch().put(numbered(BASE, number), base);
    if (this.#baseNumber === 0) batch.put(FORMAT_KEY, Buffer.from(`${FORMAT_VERSION}`));
    else batch.del(numbered(BASE, this.#baseNumber));
    await batch.write({ sync: true });
    this.#baseNumber = number;
  }

  /** The log is durable before its head says so, hence a head beyond the log proves a loss. No fsync is needed. */
  #writeHead(head: Head): void {
    this.#headFile ??= openSync(this.#headPath, constants.O_RDWR | constants.O_CREAT);
    writeSync(this.#headFile, encodeHead(head), 0, undefined, 0);
  }

  #removeRecordsBelow(database: Database, sequence: number): void {
    this.#cleaning = this.#cleaning
      .then(() => database.clear({ gte: RECORD, lt: numbered(RECORD, sequence) }))
      .catch((error: unknown) => {
        this.#failure ??= failure(this.#directory, error);
      });
  }

  #refuseIfUnusable(): Database {
    if (this.#failure !== undefined) throw this.#failure;
    assert(this.#state === 'open' && this.#database !== undefined, 'the storage is open');
    assert(!this.#isWriting, 'one write at a time');
    return this.#database;
  }

  async #checkFormat(database: Database): Promise<void> {
    const stored = await database.get(FORMAT_KEY);
    const version = stored === undefined ? FORMAT_VERSION : Number(Buffer.from(stored).toString());
    if (version > FORMAT_VERSION) throw new DataVersionError(newerVersion(this.#directory, version));
  }

  /** @returns with `failure`, if LevelDB could not read on: then `records` are those before. */
  async #readAll(database: Database): Promise<Omit<Found, 'head'> & { readonly failure?: unknown }> {
    let base: Uint8Array | undefined;
    for (const [key, value] of await database.iterator({ gte: BASE, lt: `${BASE}g` }).all()) {
      base = value;
      this.#baseNumber = numberOf(key);
    }
    const records: { sequence: number; bytes: Uint8Array }[] = [];
    const iterator = database.iterator({ gte: RECORD, lt: `${RECORD}g` });
    try {
      for (;;) {
        const batch = await iterator.nextv(READ_BATCH);
        if (batch.length === 0) break;
        for (const [key, bytes] of batch) records.push({ sequence: numberOf(key), bytes });
      }
    } catch (failure) {
      return { base, records, failure };
    } finally {
      await iterator.close();
    }
    return { base, records };
  }
}

/** Fourteen hex digits hold every safe integer, and sort as numbers do. */
function numbered(prefix: string, number: number): string {
  return prefix + number.toString(16).padStart(14, '0');
}

function numberOf(key: string): number {
  return Number.parseInt(key.slice(1), 16);
}

function readHead(path: string): Head | undefined {
  try {
    return decodeHead(readFileSync(path));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function newerVersion(directory: string, version: number): string {
  return `the data in ${directory} is of format ${version}, written by a newer raftsman; this one reads up to ${FORMAT_VERSION}: upgrade it`;
}

function openingError(directory: string, error: unknown): Error {
  const { code, message } = rootCause(error);
  if (code === 'LEVEL_LOCKED') {
    return new DataLockedError(`the data in ${directory} is in use by another process: stop it first`, {
      cause: error,
    });
  }
  // LevelDB looks for a file under a name that a flipped bit has made, or at a place that no file can have.
  const isMisled = code === 'LEVEL_IO_ERROR' && /no such file|invalid argument/i.test(message);
  if (code === 'LEVEL_CORRUPTION' || isMisled) {
    const advice = 'remove the data directory and join this member again as a new one';
    return new LogCorruptError(`the Raft log in ${directory} is damaged (${message}): ${advice}`, { cause: error });
  }
  return failure(directory, error);
}

/** Says what failed, and what to do when the disk is full. */
function failure(directory: string, error: unknown): StorageFailedError {
  const { message } = rootCause(error);
  const text = /ENOSPC|no space left/i.test(message)
    ? `the disk that holds ${directory} is full: free some space, then start this member again`
    : `the Raft log in ${directory} could not be written or read (${message}): check the disk, then start this member again`;
  return new StorageFailedError(text, { cause: error });
}

function rootCause(error: unknown): { readonly code: string; readonly message: string } {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return { code: '', message: String(cause) };
  return { code: 'code' in cause ? String(cause.code) : '', message: cause.message };
}
