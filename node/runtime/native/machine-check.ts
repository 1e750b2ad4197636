/** Whether this machine can run native containers. */
import { commandExists, mustRun, type RunCommand } from '../command.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import type { Architecture } from './program/numbers.ts';

/** Gives what its programs have to be made for. Throws {@link RuntimeUnavailableError} with what is missing. */
export async function checkMachine(run: RunCommand): Promise<Architecture> {
  for (const program of ['unshare', 'nsenter', 'setpriv', 'script']) {
    if (await commandExists(run, program, ['--version'])) continue;
    throw new RuntimeUnavailableError(`the native runtime needs ${program}: install util-linux`);
  }
  const trial = await run('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'true']);
  if (trial.code === 0) return architectureOf((await mustRun(run, 'uname', ['-m'])).trim());
  throw new RuntimeUnavailableError(
    `the native runtime cannot make namespaces (${trial.stderr.trim()}): run the agent as root on Linux, or use Docker`,
  );
}

function architectureOf(machine: string): Architecture {
  if (machine === 'x86_64') return 'amd64';
  if (machine === 'aarch64') return 'arm64';
  throw new RuntimeUnavailableError(`the architecture ${machine} is not supported: use x86-64 or AArch64`);
}
