/**
 * A container's log on disk, bounded: `log` is written, `log.1` … are older. Written with blocking calls: a line is on
 * its way to the disk before the next is read, in the order in which lines came.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { logFileBytesMax, logFilesMax } from './limits.ts';
import { formatEntry, type LogEntry } from './log-format.ts';

export class LogFile {
  readonly #path: string;
  #descriptor: number;
  #sizeBytes: number;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, 'a', 0o600);
    this.#sizeBytes = fstatSync(this.#descriptor).size;
  }

  /** A disk that takes no more costs lines, never the one process that hears all of a node's containers. */
  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      const bytes = formatEntry(entry);
      try {
        if (this.#sizeBytes >= logFileBytesMax) this.#rotate();
        writeSync(this.#descriptor, bytes);
        this.#sizeBytes += bytes.length;
      } catch {
        // The next line may find room again.
      }
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): void {
    const fresh = `${this.#path}.new`;
    // First of all: where none can be opened, the one that there is goes on.
    const descriptor = openSync(fresh, 'w', 0o600);
    for (let age = logFilesMax - 2; age >= 0; age -= 1) {
      try {
        renameSync(nameOf(this.#path, age), nameOf(this.#path, age + 1));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      }
    }
    renameSync(fresh, this.#path);
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#sizeBytes = 0;
  }
}

/** 0 is the one that is written. */
export function nameOf(path: string, age: number): string {
  return age === 0 ? path : `${path}.${age}`;
}
