/**
 * The state on LevelDB. Keys, every one of them written once (LevelDB 1.20 can resurrect old versions of a key):
 *
 *   format                    the version of this layout
 *   c<generation>/<number>    a chunk of a checkpoint
 *   g<generation>             "this checkpoint is whole": how many chunks it has, and the last batch it stands for
 *   b<number>                 an applied batch
 *   d<number>                 "all batches up to this one are durable"
 */
import assert from 'node:assert';
import { existsSync } from 'node:fs';
import { mkdir, open as openFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import {
  type CheckpointWriter,
  type StateBackend,
  StateCorruptError,
  StateFailedError,
  StateLockedError,
  StateVersionError,
  type StoredState,
} from './backend.ts';
import { seal, unseal } from './sealed.ts';

/** In Node, `level` is classic-level, which can compact ranges; its shared types leave that out. */
type Database = Level<string, Uint8Array> & { compactRange(start: string, end: string): Promise<void> };

const FORMAT_VERSION = 1;
/** Values read at once while opening. */
const READ_BATCH = 64;
/** No key lies here. Compacting an empty range makes LevelDB put its memory into synced files, which a synced write alone
 * does not do for what went into an earlier log file. */
const EMPTY_RANGE = ['~', '~~'] as const;

interface Generation {
  readonly number: number;
  readonly chunks: number;
  readonly throughBatch: number;
}

export class LevelBackend implements StateBackend {
  readonly #directory: string;
  #database: Database | undefined;
  #failure: StateFailedError | undefined;
  #lastBatch = 0;
  #flushedBatch = 0;
  #generation: Generation = { number: 0, chunks: 0, throughBatch: 0 };
  /** The highest number that a checkpoint, finished or not, was begun with: no key is to be written twice. */
  #lastNumber = 0;
  #isCheckpointing = false;
  /** The end of the queue of writes. */
  #writes: Promise<void> = Promise.resolve();

  constructor(options: { readonly directory: string }) {
    this.#directory = options.directory;
  }

  async open(): Promise<StoredState> {
    assert(this.#database === undefined, 'a backend is opened once');
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // See the type.
    if (existsSync(this.#condemnedPath)) throw corrupt(this.#directory, await readFile(this.#condemnedPath, 'utf8'));
    const database = new Level(this.#directory, { keyEncoding: 'utf8', valueEncoding: 'view' }) as Database;
    try {
      await database.open();
    } catch (error) {
      throw openingError(this.#directory, error);
    }
    this.#database = database;
    try {
      await this.#checkFormat(database);
      await this.#readMarks(database);
      await this.#removeLeftovers(database);
    } catch (error) {
      await this.close();
      throw readingError(this.#directory, error);
    }
    const checkpoint = this.#generation.number === 0 ? undefined : this.#guarded(this.#readCheckpoint(database));
    return { checkpoint, batches: this.#guarded(this.#readBatches(database)) };
  }

  append(batch: Uint8Array): Promise<void> {
    const number = ++this.#lastBatch;
    return this.#enqueue(database => database.put(numbered('b', number), seal(batch)));
  }

  flush(): Promise<void> {
    return this.#enqueue(async database => {
      const through = this.#lastBatch;
      if (through === this.#flushedBatch) return;
      await database.compactRange(...EMPTY_RANGE);
      // This write fails if LevelDB could not write its files.
      const batch = database.batch().put(numbered('d', through), new Uint8Array());
      if (this.#flushedBatch > 0) batch.del(numbered('d', this.#flushedBatch));
      await batch.write({ sync: true });
      this.#flushedBatch = through;
    });
  }

  beginCheckpoint(): CheckpointWriter {
    assert(!this.#isCheckpointing, 'one checkpoint at a time');
    this.#isCheckpointing = true;
    const number = ++this.#lastNumber;
    const throughBatch = this.#lastBatch;
    let chunks = 0;
    return {
      write: chunk => {
        const key = chunkKey(number, chunks++);
        return this.#enqueue(database => database.put(key, chunk));
      },
      commit: async () => {
        await this.#enqueue(database => this.#commitCheckpoint(database, { number, chunks, throughBatch }));
        this.#isCheckpointing = false;
      },
      abandon: async () => {
        this.#isCheckpointing = false;
        await this.#enqueue(database => database.clear({ gte: numbered('c', number), lt: numbered('c', number + 1) }));
      },
    };
  }

  async condemn(reason: string): Promise<void> {
    // A file of its own, which LevelDB leaves alone: it must be there even if the database takes no write any more.
    const file = await openFile(this.#condemnedPath, 'w', 0o600);
    try {
      await file.writeFile(reason);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    const database = this.#database;
    if (database === undefined || database.status === 'closed') return;
    await this.#writes;
    await database.close();
  }

  get #condemnedPath(): string {
    return join(this.#directory, 'CONDEMNED');
  }

  async #commitCheckpoint(database: Database, generation: Generation): Promise<void> {
    const old = this.#generation;
    await database.compactRange(...EMPTY_RANGE);
    const mark = Buffer.from(JSON.stringify(generation));
    const batch = database.batch().put(numbered('g', generation.number), seal(mark));
    if (old.number > 0) batch.del(numbered('g', old.number));
    await batch.write({ sync: true });
    this.#generation = generation;
    await this.#removeLeftovers(database);
  }

  /** Runs one write after those before it. After a failure nothing is written any more. */
  #enqueue(write: (database: Database) => Promise<void>): Promise<void> {
    const done = this.#writes.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      assert(this.#database !== undefined, 'the backend is open');
      try {
        await write(this.#database);
      } catch (error) {
        this.#failure = failure(this.#directory, error);
        throw this.#failure;
      }
    });
    this.#writes = done.catch(() => {});
    return done;
  }

  async #checkFormat(database: Database): Promise<void> {
    const stored = await database.get('format');
    if (stored === undefined) {
      await database.put('format', Buffer.from(`${FORMAT_VERSION}`), { sync: true });
      return;
    }
    const version = Number(Buffer.from(stored).toString());
    if (version > FORMAT_VERSION) {
      throw new StateVersionError(
        `the data in ${this.#directory} is of format ${version}, written by a newer raftsman; this one reads up to ${FORMAT_VERSION}: upgrade it`,
      );
    }
  }

  async #readMarks(database: Database): Promise<void> {
    for (const value of await database.values({ gte: 'g', lt: 'h' }).all()) {
      const mark = unseal(value);
      if (mark === undefined) throw corrupt(this.#directory, 'the mark of a checkpoint does not match its CRC');
      // The CRC vouches that this is what was written.
      this.#generation = JSON.parse(Buffer.from(mark).toString()) as Generation;
    }
    for (const key of await database.keys({ gte: 'd', lt: 'e' }).all()) this.#flushedBatch = numberOf(key);
    this.#lastBatch = this.#generation.throughBatch;
  }

  /** Removes what the present checkpoint has made useless, and checkpoints that were never finished. */
  async #removeLeftovers(database: Database): Promise<void> {
    const { number, throughBatch } = this.#generation;
    const [last] = await database.keys({ gte: 'c', lt: 'd', reverse: true, limit: 1 }).all();
    this.#lastNumber = Math.max(this.#lastNumber, number, last === undefined ? 0 : numberOf(last.split('/')[0] ?? ''));
    await database.clear({ gte: 'c', lt: numbered('c', number) });
    await database.clear({ gte: numbered('c', number + 1), lt: 'd' });
    await database.clear({ gte: 'b', lte: numbered('b', throughBatch) });
  }

  /** Says in our own words what LevelDB finds while it reads. */
  async *#guarded(values: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* values;
    } catch (error) {
      throw readingError(this.#directory, error);
    }
  }

  async *#readCheckpoint(database: Database): AsyncGenerator<Uint8Array> {
    const { number, chunks } = this.#generation;
    let expected = 0;
    for await (const [key, chunk] of read(database, numbered('c', number), numbered('c', number + 1))) {
      if (key !== chunkKey(number, expected)) break;
      expected++;
      yield chunk;
    }
    if (expected !== chunks) throw corrupt(this.#directory, `chunk ${expected} of the checkpoint is missing`);
  }

  /** Gives the batches up to the first that is missing or damaged; what comes after never happened. */
  async *#readBatches(database: Database): AsyncGenerator<Uint8Array> {
    let stopped = false;
    for await (const [key, value] of read(database, 'b', 'c')) {
      const batch = numberOf(key) === this.#lastBatch + 1 ? unseal(value) : undefined;
      if (batch === undefined) {
        stopped = true;
        break;
      }
      this.#lastBatch++;
      yield batch;
    }
    if (this.#lastBatch < this.#flushedBatch) {
      throw corrupt(this.#directory, `batch ${this.#lastBatch + 1} is missing or damaged`);
    }
    if (stopped) await database.clear({ gt: numbered('b', this.#lastBatch), lt: 'c' });
  }
}

/** Makes a new file in a directory durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await openFile(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* read(database: Database, from: string, to: string): AsyncGenerator<[string, Uint8Array]> {
  const iterator = database.iterator({ gte: from, lt: to });
  try {
    for (;;) {
      const pairs = await iterator.nextv(READ_BATCH);
      if (pairs.length === 0) return;
      yield* pairs;
    }
  } finally {
    await iterator.close();
  }
}

/** Fourteen hex digits hold every safe integer, and sort as numbers do. */
function numbered(prefix: string, number: number): string {
  return prefix + number.toString(16).padStart(14, '0');
}

function numberOf(key: string): number {
  return Number.parseInt(key.slice(1), 16);
}

function chunkKey(generation: number, number: number): string {
  return `${numbered('c', generation)}/${number.toString(16).padStart(8, '0')}`;
}

function corrupt(directory: string, what: string): StateCorruptError {
  return new StateCorruptError(
    `the data in ${directory} is damaged: ${what}. Remove the data directory of this member and join it again as a new one`,
  );
}

function openingError(directory: string, error: unknown): Error {
  const { code, message } = rootCause(error);
  if (code === 'LEVEL_LOCKED') {
    return new StateLockedError(`the data in ${directory} is in use by another process: stop it first`, {
      cause: error,
    });
  }
  // LevelDB looks for a file under a name that a flipped bit has made, or at a place that no file can have.
  const isMisled = code === 'LEVEL_IO_ERROR' && /no such file|invalid argument/i.test(message);
  return code === 'LEVEL_CORRUPTION' || isMisled ? corrupt(directory, message) : failure(directory, error);
}

function readingError(directory: string, error: unknown): unknown {
  const isOurs = error instanceof StateCorruptError || error instanceof StateVersionError;
  return isOurs || !isOfLevel(error) ? error : openingError(directory, error);
}

function isOfLevel(error: unknown): boolean {
  return rootCause(error).code.startsWith('LEVEL_');
}

function failure(directory: string, error: unknown): StateFailedError {
  const { message } = rootCause(error);
  const text = /ENOSPC|no space left/i.test(message)
    ? `the disk that holds ${directory} is full: free some space, then start this member again`
    : `the data in ${directory} could not be written or read (${message}): check the disk, then start this member again`;
  return new StateFailedError(text, { cause: error });
}

function rootCause(error: unknown): { readonly code: string; readonly message: string } {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return { code: '', message: String(cause) };
  return { code: 'code' in cause ? String(cause.code) : '', message: cause.message };
}
