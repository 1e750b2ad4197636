/** Reads a container's log back: all of it, its tail, or on and on. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { type Clock, delay } from '../clock.ts';
import type { LogOptions } from '../runtime.ts';
import { logFilesMax, logPollMs } from './limits.ts';
import { nameOf } from './log-file.ts';
import { type LogEntry, parseEntry } from './log-format.ts';

const newline = 0x0a;
const chunkBytes = 64 * 1024;

export interface LogSource {
  readonly path: string;
  readonly clock: Clock;
  /** Whether more may come. */
  readonly isOpen: () => Promise<boolean>;
}

export async function* readLog(source: LogSource, options: LogOptions): AsyncGenerator<Uint8Array> {
  const lines = new LineFormatter(options);
  let skip = await linesToSkip(source.path, options);
  for (let age = logFilesMax - 1; age > 0; age -= 1) {
    for await (const entry of entriesOf(nameOf(source.path, age))) {
      if (!isWanted(entry, options)) continue;
      if (skip > 0) skip -= Number(entry.full);
      else yield lines.format(entry);
    }
  }
  for await (const entry of follow(source, options)) {
    if (!isWanted(entry, options)) continue;
    if (skip > 0) skip -= Number(entry.full);
    else yield lines.format(entry);
  }
}

/** Writes entries as the container wrote them; a time goes before a line, not before each part of it. */
class LineFormatter {
  readonly #timestamps: boolean;
  readonly #open = { stdout: false, stderr: false };

  constructor(options: LogOptions) {
    this.#timestamps = options.timestamps;
  }

  format(entry: LogEntry): Uint8Array {
    const continues = this.#open[entry.stream];
    this.#open[entry.stream] = !entry.full;
    const time = this.#timestamps && !continues ? `${entry.time} ` : '';
    return Buffer.concat([Buffer.from(time), entry.text, Buffer.from(entry.full ? '\n' : '')]);
  }
}

function isWanted(entry: LogEntry, options: LogOptions): boolean {
  return options.sinceMs === undefined || Date.parse(entry.time) >= options.sinceMs;
}

/** How many whole lines come before the tail that is asked for. */
async function linesToSkip(path: string, options: LogOptions): Promise<number> {
  if (options.tailLines === undefined) return 0;
  let lines = 0;
  let isPartial = false;
  for (let age = logFilesMax - 1; age >= 0; age -= 1) {
    for await (const entry of entriesOf(nameOf(path, age))) {
      if (!isWanted(entry, options)) continue;
      lines += Number(entry.full);
      isPartial = !entry.full;
    }
  }
  // A last line without an end counts as one.
  return Math.max(0, lines + Number(isPartial) - options.tailLines);
}

/** Nothing if there is no such file. */
async function* entriesOf(path: string): AsyncGenerator<LogEntry> {
  const splitter = new LineSplitter();
  const file = await openIfThere(path);
  if (file === undefined) return;
  for await (const chunk of file.createReadStream({ highWaterMark: chunkBytes })) {
    for (const line of splitter.push(chunk)) yield* parsed(line);
  }
}

/** The file that is written, through its rotations, until the container has ended or the reader goes. */
async function* follow(source: LogSource, options: LogOptions): AsyncGenerator<LogEntry> {
  let file = await openIfThere(source.path);
  let splitter = new LineSplitter();
  try {
    while (!options.signal.aborted) {
      // Asked first: what was written before the end is read after it was told.
      const more = options.follow && (await source.isOpen());
      file ??= await openIfThere(source.path);
      for (let chunk = await readSome(file); chunk.length > 0; chunk = await readSome(file)) {
        for (const line of splitter.push(chunk)) yield* parsed(line);
      }
      if (file !== undefined && (await wasRotated(source.path, file))) {
        await file.close();
        file = undefined;
        splitter = new LineSplitter();
        continue;
      }
      if (!more) return;
      await delay(source.clock, logPollMs, options.signal);
    }
  } finally {
    await file?.close();
  }
}

/** Not through a link, nor a pipe: whoever gets at the folder of logs must not have the agent read what it may not itself. */
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readSome(file: FileHandle | undefined): Promise<Buffer> {
  if (file === undefined) return Buffer.alloc(0);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, null);
  return buffer.subarray(0, bytesRead);
}

async function wasRotated(path: string, file: FileHandle): Promise<boolean> {
  const [named, opened] = await Promise.all([lstat(path).catch(() => undefined), file.stat()]);
  return named !== undefined && named.ino !== opened.ino;
}

function parsed(line: Buffer): LogEntry[] {
  const entry = parseEntry(line);
  return entry === undefined ? [] : [entry];
}

/** Whole lines, without their ends. */
class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = data.indexOf(newline); end !== -1; end = data.indexOf(newline, start)) {
      lines.push(data.subarray(start, end));
      start = end + 1;
    }
    this.#rest = data.subarray(start);
    return lines;
  }
}
