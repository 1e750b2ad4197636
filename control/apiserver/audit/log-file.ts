/**
 * The audit log on disk: lines are appended in order, a file that has grown too large is set aside under the time, and old
 * ones go. What waits to be written is bounded: beyond that, lines are dropped and counted, so that a slow disk costs the log
 * and not the API.
 */
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

export interface LogFileOptions {
  readonly path: string;
  /** A file is set aside before it grows beyond this. */
  readonly sizeBytesMax: number;
  /** How many that were set aside are kept; 0 for all. */
  readonly backupsMax: number;
  /** How long they are kept; 0 for ever. */
  readonly ageMsMax: number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

const WAITING_BYTES_MAX = 32 * 1024 * 1024;
const FILE_MODE = 0o600;

export class LogFile {
  readonly #options: LogFileOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #handle: FileHandle | undefined;
  #sizeBytes = 0;
  /** Lines that were not written. */
  dropped = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Appends a line, soon. Never throws. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > WAITING_BYTES_MAX) {
      this.dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Waits until all is written, and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #drain(): Promise<void> {
    // What comes in one turn of the loop goes out in one write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      try {
        await this.#append(bytes);
      } catch (error) {
        this.dropped += lines.length;
        this.#options.onError(error);
        await this.#handle?.close().catch(() => {});
        this.#handle = undefined;
      }
    }
  }

  async #append(bytes: Buffer): Promise<void> {
    const { path, sizeBytesMax } = this.#options;
    if (this.#handle && this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > sizeBytesMax) await this.#rotate();
    if (!this.#handle) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      this.#handle = await open(path, 'a', FILE_MODE);
      this.#sizeBytes = (await stat(path)).size;
      if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > sizeBytesMax) {
        await this.#rotate();
        this.#handle = await open(path, 'a', FILE_MODE);
      }
    }
    await this.#handle.write(bytes);
    this.#sizeBytes += bytes.length;
  }

  async #rotate(): Promise<void> {
    const { path, now, backupsMax, ageMsMax } = this.#options;
    await this.#handle?.close();
    this.#handle = undefined;
    this.#sizeBytes = 0;
    await rename(path, join(dirname(path), this.#backupName(now())));
    const backups = (await this.#backups()).sort();
    const oldest = ageMsMax === 0 ? '' : this.#backupName(now() - ageMsMax);
    const surplus = backupsMax === 0 ? [] : backups.slice(0, -backupsMax);
    for (const name of backups) {
      if (name < oldest || surplus.includes(name)) await rm(join(dirname(path), name), { force: true });
    }
  }

  /** `audit-2026-11-21T03-04-05.678.log`, as Kubernetes names them. */
  #backupName(ms: number): string {
    const extension = extname(this.#options.path);
    const time = new Date(ms).toISOString().slice(0, 23).replaceAll(':', '-');
    return `${basename(this.#options.path, extension)}-${time}${extension}`;
  }

  async #backups(): Promise<string[]> {
    const { path } = this.#options;
    const extension = extname(path);
    const prefix = `${basename(path, extension)}-`;
    const names = await readdir(dirname(path));
    return names.filter(name => {
      const time = name.slice(prefix.length, name.length - extension.length);
      return (
        name.startsWith(prefix) && name.endsWith(extension) && /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/.test(time)
      );
    });
  }
}
