/**
 * Exec and attach for native containers. An exec enters the container's namespaces with `nsenter`; a terminal is made
 * by the machine's `script` (util-linux), which is the one way to a pseudo-terminal on every Linux without a compiled
 * addon. It has no size of its own to follow, so `stty` sets the size of the terminal's device.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readlink, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import path from 'node:path';
import { type Clock, delay } from '../clock.ts';
import { type RunCommand, systemEnvironment } from '../command.ts';
import { signalProcess } from '../processes.ts';
import type { ExecRequest, ExecSession } from '../runtime.ts';
import { sessionOver } from '../sessions.ts';
import type { ContainerRecord, ProcessRecord, SandboxRecord } from './layout.ts';
import { settlePollMs, settleTimeoutMs } from './limits.ts';
import { childrenOf, descendantsOf } from './proc.ts';
import { withTerminal } from './process.ts';
import type { Architecture } from './program/numbers.ts';
import { execDescriptor, renderExec } from './setup-program.ts';
import { quote, quoteAll } from './shell.ts';

export interface ExecTarget {
  readonly record: ContainerRecord;
  readonly sandbox: SandboxRecord;
  readonly init: ProcessRecord;
  readonly architecture: Architecture;
  /** For the exec's program. */
  readonly directory: string;
  readonly cgroupFiles: readonly string[];
}
interface Tools {
  readonly run: RunCommand;
  readonly clock: Clock;
}

const signalledExitCode = 137;

let execs = 0;

/**
 * Starts a command inside. Its program is a file of its own that is gone from the disk before it runs: the container can
 * reach a running program's file (CVE-2019-5736), and finds one that nobody runs again.
 */
export async function startExec(tools: Tools, target: ExecTarget, request: ExecRequest): Promise<ExecSession> {
  const { record, sandbox, init, directory } = target;
  execs += 1;
  const file = path.join(directory, `exec-${execs}`);
  const process = request.tty ? withTerminal(record.process) : record.process;
  const program = renderExec({ architecture: target.architecture, spec: record.spec, process }, request.command);
  await writeFile(file, program, { mode: 0o700 });
  const enter = ['nsenter', '--target', String(init.pid), '--mount', '--uts', '--ipc', '--net', '--cgroup'];
  if (!sandbox.hostPid) enter.push('--pid');
  const words = [...enter, '--', `/proc/self/fd/${execDescriptor}`];
  const inner = request.tty ? ['script', '-qefc', `exec ${quoteAll(words)}`, '/dev/null'] : words;
  // In the container's groups first, then inside.
  const join = target.cgroupFiles.map(group => `echo 0 > ${quote(group)} && `).join('');
  const open = `exec ${execDescriptor}<${quote(file)} && rm ${quote(file)} && `;
  const child = spawn('sh', ['-c', `${join}${open}exec ${quoteAll(inner)}`], {
    detached: true,
    env: systemEnvironment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = new Promise<number>(resolve => {
    child.once('error', () => resolve(signalledExitCode));
    child.once('close', code => resolve(code ?? signalledExitCode));
  });
  child.stdin.on('error', () => undefined);
  // A terminal stays open while its program runs, also without input.
  if (!request.stdin && !request.tty) child.stdin.end();
  return {
    stdin: request.stdin ? child.stdin : undefined,
    stdout: child.stdout,
    stderr: request.tty ? undefined : child.stderr,
    resize: size => resizeTerminal(tools, { init, child }, size),
    exitCode: exited,
    async kill() {
      if (child.pid === undefined) return;
      for (const pid of [...(await descendantsOf(child.pid)), child.pid]) signalProcess(pid, 'SIGKILL');
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    },
  };
}

/** Joins a container through the supervisor, which holds its streams. */
export function attachOver(
  tools: Tools,
  socket: Socket,
  parts: {
    readonly tty: boolean;
    readonly stdin: boolean;
    readonly init: ProcessRecord;
    readonly exitCode: () => Promise<number>;
  },
): ExecSession {
  const session = sessionOver({
    socket,
    // The supervisor frames all output; with a terminal there is none on stderr.
    tty: false,
    stdin: parts.stdin,
    resize: size => resizeTerminal(tools, { init: parts.init }, size),
    exitCode: parts.exitCode,
    // The process is the container's: it lives on.
    kill: () => Promise.resolve(),
  });
  if (!parts.tty) return session;
  session.stderr?.resume();
  return { ...session, stderr: undefined };
}

/**
 * Sets the size of the terminal that the session's program has. The device is found by the program's own input: that of the
 * container's first process, or of the child of `script` that came in with the exec.
 */
async function resizeTerminal(
  tools: Tools,
  where: { readonly init: ProcessRecord; readonly child?: ChildProcess },
  size: { readonly columns: number; readonly rows: number },
): Promise<void> {
  const deadline = tools.clock.now() + settleTimeoutMs;
  const ended = () => where.child !== undefined && (where.child.exitCode ?? where.child.signalCode) !== null;
  while (!ended() && tools.clock.now() < deadline) {
    const pids =
      where.child?.pid === undefined
        ? [where.init.pid, ...(await childrenOf(where.init.pid))]
        : await descendantsOf(where.child.pid);
    for (const pid of pids) {
      const device = await readlink(`/proc/${pid}/fd/0`).catch(() => '');
      if (!/^\/dev\/pts\/\d+$/.test(device)) continue;
      // By its descriptor: the device's name means something else inside.
      const result = await tools.run('stty', [
        '-F',
        `/proc/${pid}/fd/0`,
        'rows',
        String(size.rows),
        'columns',
        String(size.columns),
      ]);
      if (result.code === 0) return;
    }
    await delay(tools.clock, settlePollMs);
  }
}
