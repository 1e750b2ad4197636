/** What a command may touch: streams, environment and the way out, all handed in by `main.ts`. */
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../control/client/clock.ts';

export interface CommandContext {
  /** Results go here, and nothing else. */
  readonly stdout: Writable;
  /** All else: progress, warnings, errors. */
  readonly stderr: Writable;
  readonly stdin: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name that the program was called by: `raftsman`, or `kubectl` where a link of that name leads to it. */
  readonly name: string;
  /** The program itself, to run more of it. */
  readonly command: readonly [string, ...string[]];
  readonly pid: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Resolves after `ms`; rejects when the signal aborts. */
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly every: (intervalMs: number, callback: () => void) => { [Symbol.dispose](): void };
  /** Calls back when the process is asked to do so; the answer ends that. */
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
  /** For a process that stays: gives memory back once it is quiet, until it is disposed of. */
  readonly collectWhenIdle: () => Disposable;
  /** Sets the exit code with which the process will end. */
  readonly setExitCode: (code: number) => void;
}
