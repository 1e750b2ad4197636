/** Runs commands of exec and attach as plain processes of the test's machine: what streams carry is then real. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { ExecRequest, ExecSession, SandboxStatus } from '../runtime/runtime.ts';
import type { StreamingRuntime } from '../server-streams.ts';

export class ProcessRuntime implements StreamingRuntime {
  /** Sizes that were asked for. */
  readonly sizes: { columns: number; rows: number }[] = [];
  /** Sessions that were killed because their client left. */
  kills = 0;
  running = 0;
  sandboxes: readonly SandboxStatus[] = [];
  log: (follow: boolean, signal: AbortSignal, id: string) => AsyncIterable<Uint8Array> = async function* () {};

  async exec(_id: string, { command, stdin }: ExecRequest): Promise<ExecSession> {
    const [program = '', ...args] = command;
    const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    if (!stdin) child.stdin.end();
    this.running++;
    const exitCode = new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.running--;
        resolve(signal ? 137 : (code ?? 0));
      });
    });
    exitCode.catch(() => undefined);
    return {
      stdin: stdin ? child.stdin : undefined,
      stdout: child.stdout,
      stderr: child.stderr,
      resize: async size => {
        this.sizes.push(size);
      },
      exitCode,
      kill: async () => {
        this.kills++;
        // The whole group: the shell's children hold the pipes open too.
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      },
    };
  }
  attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    return this.exec(id, { ...request, command: ['cat'] });
  }
  async list() {
    return this.sandboxes;
  }
  logs(id: string, { follow, signal }: { follow: boolean; signal: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.log(follow, signal, id);
  }
  async usage() {
    return [];
  }
}
