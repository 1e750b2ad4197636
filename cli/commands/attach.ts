/** `raftsman attach`: joins the terminal with a process that runs in a container already. */
import type { Command } from 'commander';
import { pathOf } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { execute } from '../client/exec-stream.ts';
import { checkPodTimeout, findContainer, findPod } from '../client/pods.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly container?: string;
  readonly quiet?: boolean;
  readonly podRunningTimeout: number;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('attach')
    .argument('[words...]')
    .usage('(POD | TYPE/NAME) [-c CONTAINER] [flags]')
    .summary('join a process that runs in a container')
    .description('Joins standard output, and with -i standard input, with the process of a container.')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'standard input is a terminal')
    .option('-c, --container <name>', 'which container')
    .option('-q, --quiet', 'only print what the process prints')
    .option('--pod-running-timeout <duration>', 'how long to wait for a pod of what is named', durationMs, 60_000)
    .addHelpText('after', '\nExamples:\n  raftsman attach web-1\n  raftsman attach -it deploy/shell -c sh')
    .action(withSession<Flags>(context, attach));
  program.addCommand(withGlobalFlags(command));
}

async function attach(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  checkPodTimeout(self, flags.podRunningTimeout);
  const [target, ...more] = words;
  if (target === undefined) throw failure('at least 1 argument is required for attach');
  if (more.length > 0)
    throw failure(
      `expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw ${words.length}: [${words.join(' ')}]`,
    );
  const { stdin, stdout, stderr } = session.context;
  const pod = await findPod(session, target, { timeoutMs: flags.podRunningTimeout });
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    throw failure(`cannot attach a container in a completed pod; current phase is ${pod.status.phase}`);
  }
  const name = findContainer(session, pod, flags.container);
  const container = pod.spec?.containers?.find(each => each.name === name);
  const isTerminal = 'isTTY' in stdin && stdin.isTTY === true;
  if (flags.tty && !container?.tty && !flags.quiet) {
    session.error(`error: Unable to use a TTY - container ${name} did not allocate one`);
  }
  const isTty = Boolean(flags.tty && flags.stdin && container?.tty && isTerminal);
  const query = new URLSearchParams({ container: name, stdout: 'true' });
  if (flags.stdin) query.append('stdin', 'true');
  query.append(isTty || container?.tty ? 'tty' : 'stderr', 'true');
  if (!flags.quiet) {
    session.error(
      'All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.',
    );
    if (flags.stdin) session.error("If you don't see a command prompt, try pressing enter.");
  }
  const pods = await session.discovery.find('pods');
  const { namespace = session.namespace, name: podName = '' } = pod.metadata ?? {};
  const exitCode = await execute(session.connection, `${pathOf(pods, namespace, podName, 'attach')}?${query}`, {
    stdin: flags.stdin ? stdin : undefined,
    stdout,
    stderr,
    isTty,
  });
  if (exitCode !== 0) throw new CommandError(`command terminated with exit code ${exitCode}`, { exitCode });
}
