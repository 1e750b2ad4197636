/** Failures as the operator reads them: one line that says what is wrong, as kubectl words it, and an exit code. */
import { StartError } from './cluster/errors.ts';

export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** Errors of the operating system that mean one thing to a person. */
const SYSTEM: Readonly<Record<string, string>> = {
  EACCES: 'permission denied: run it as a user who may, or choose another path',
  EPERM: 'not permitted: run it as root',
  ENOSPC: 'the disk is full: free some space, then start again',
  EROFS: 'the file system is read-only: choose another path',
  EADDRINUSE: 'the port is in use: stop what listens there, or choose another one',
  EADDRNOTAVAIL: 'this machine does not have that address: listen on 0.0.0.0 or on one of its own',
};

/** Turns whatever was thrown into one line. With RAFTSMAN_DEBUG the stack follows, for a bug report. */
export function describeFailure(error: unknown, env: Readonly<Record<string, string | undefined>>): Failure {
  const debug = env.RAFTSMAN_DEBUG && error instanceof Error ? `\n${error.stack}` : '';
  if (!(error instanceof Error)) return { text: `error: ${String(error)}`, exitCode: 1 };
  const more = error instanceof StartError ? `; its log says why: ${error.log}` : '';
  const system = 'syscall' in error && 'code' in error ? SYSTEM[String(error.code)] : undefined;
  const exitCode = 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : 1;
  return { text: `error: ${error.message}${more}${system ? ` (${system})` : ''}${debug}`, exitCode };
}
