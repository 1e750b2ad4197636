/** For tests: machines and pods in network namespaces of their own, so that the machine under test stays as it is. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type RunCommand, runCommand } from '../runtime/command.ts';

export interface Namespace {
  readonly pid: number;
  /** Runs programs inside. */
  readonly run: RunCommand;
  /** Starts a program inside that goes on; it ends with the namespace. */
  readonly spawn: (program: string, args: readonly string[]) => ChildProcess;
  readonly remove: () => Promise<void>;
}

/** Why such tests cannot run here; undefined if they can. */
export function namespacesUnavailable(programs: readonly string[] = []): string | undefined {
  try {
    execFileSync('unshare', ['--net', 'ip', 'link', 'set', 'dev', 'lo', 'up'], { stdio: 'pipe' });
  } catch {
    return 'needs root, unshare (util-linux) and ip (iproute2)';
  }
  for (const program of programs) {
    try {
      execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'pipe' });
    } catch {
      return `needs ${program}`;
    }
  }
  return undefined;
}

/** A namespace, empty but for `lo`, that a sleeping process holds. */
export async function makeNamespace(): Promise<Namespace> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 3600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { pid } = holder;
  if (pid === undefined) throw new Error('unshare cannot be started');
  await once(holder.stdout, 'data');
  const enter = [`--net=/proc/${pid}/ns/net`, '--'];
  const children: ChildProcess[] = [holder];
  return {
    pid,
    run: (program, args, options) => runCommand('nsenter', [...enter, program, ...args], options),
    spawn(program, args) {
      const child = spawn('nsenter', [...enter, program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      return child;
    },
    async remove() {
      for (const child of children.reverse()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
}
