/** `raftsman down`: stops a cluster that `raftsman up` runs. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../cluster/errors.ts';
import { type ClusterPlan, loadPlan, paths } from '../cluster/layout.ts';
import { Progress } from '../cluster/progress.ts';
import { isAlive, readPid, signalProcess } from '../cluster/supervisor.ts';
import type { CommandContext } from '../context.ts';
import { dataDirOption } from './options.ts';

const POLL_MS = 50;
const STOP_TIMEOUT_MS = 90_000;

export function register(program: Command, context: CommandContext): void {
  program
    .command('down')
    .summary('stop the cluster on this machine')
    .description('Stops the masters, nodes and pods that `raftsman up` runs. The data stays, unless --purge is given.')
    .addOption(dataDirOption(context))
    .option('--purge', 'remove the data as well')
    .addHelpText('after', '\nExamples:\n  raftsman down\n  raftsman down --data-dir ./lab --purge')
    .action(async (flags: { readonly dataDir: string; readonly purge?: boolean }) => {
      const directory = resolve(flags.dataDir);
      const plan = await loadPlan(directory).catch(error => {
        // What cannot be read can still be removed.
        if (flags.purge) return undefined;
        throw error;
      });
      if (!plan && !existsSync(paths.plan(directory)))
        throw new UsageError(`there is no cluster in ${directory}: name it with --data-dir`);
      const progress = new Progress(context.stdout);
      const wasRunning = await stop(directory, plan, { context, progress });
      if (!wasRunning) progress.note('The cluster was not running.');
      if (flags.purge) {
        await rm(directory, { recursive: true, force: true });
        progress.note(`Removed ${directory}.`);
      } else progress.note(`Stopped. The data is in ${directory}.`);
    });
}

interface Tools {
  readonly context: CommandContext;
  readonly progress: Progress;
}

/** Stops the supervisor, and whatever it left behind if it was killed. */
async function stop(directory: string, plan: ClusterPlan | undefined, { context, progress }: Tools): Promise<boolean> {
  const supervisor = await alivePid(paths.supervisorPid(directory));
  if (supervisor !== undefined) {
    await progress.step('stopping', () => end({ pid: supervisor, signal: 'SIGTERM', context }));
  }
  const orphans = [
    ...(plan?.nodes ?? []).map(({ name }) => ({ name, signal: 'SIGUSR2' as const })),
    ...(plan?.masters ?? []).map(({ name }) => ({ name, signal: 'SIGTERM' as const })),
  ];
  let found = supervisor !== undefined;
  for (const { name, signal } of orphans) {
    const pid = await alivePid(paths.pid(directory, name));
    if (pid === undefined) continue;
    found = true;
    await progress.step(`stopping ${name}`, () => end({ pid, signal, context }));
    await rm(paths.pid(directory, name), { force: true });
  }
  // An agent that was killed could not tidy up after itself.
  for (const { name } of plan?.nodes ?? []) {
    const { removeNodeRemains } = await import('../../node/main.ts');
    await removeNodeRemains({
      name,
      dataDir: paths.process(directory, name),
      runtime: plan?.runtime ?? 'fake',
      runtimeEndpoint: plan?.runtimeEndpoint,
      env: context.env,
    });
  }
  return found;
}

async function alivePid(path: string): Promise<number | undefined> {
  const pid = await readPid(path);
  return pid !== undefined && isAlive(pid) ? pid : undefined;
}

async function end({
  pid,
  signal,
  context,
}: {
  readonly pid: number;
  readonly signal: NodeJS.Signals;
  readonly context: CommandContext;
}): Promise<void> {
  const deadline = context.clock.now() + STOP_TIMEOUT_MS;
  signalProcess(pid, signal);
  while (isAlive(pid)) {
    if (context.clock.now() > deadline) {
      signalProcess(pid, 'SIGKILL');
      throw new UsageError(
        `process ${pid} did not stop within ${STOP_TIMEOUT_MS / 1000} s and was killed; run \`raftsman down\` again to tidy up`,
      );
    }
    await context.delay(POLL_MS);
  }
}
