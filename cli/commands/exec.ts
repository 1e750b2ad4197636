/** `raftsman exec`: runs a command in a container. */
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
  const command = new ClusterCommand('exec')
    .argument('[words...]')
    .usage('(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]')
    .summary('run a command in a container')
    .description('Runs a command in a container and ends with its exit code.')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'standard input is a terminal')
    .option('-c, --container <name>', 'which container')
    .option('-q, --quiet', 'only print what the command prints')
    .option('--pod-running-timeout <duration>', 'how long to wait for a pod of what is named', durationMs, 60_000)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman exec web-1 -- date\n  raftsman exec -it deploy/web -- sh\n  tar c . | raftsman exec -i web-1 -- tar x -C /tmp',
    )
    .action(withSession<Flags>(context, exec));
  program.addCommand(withGlobalFlags(command));
}

async function exec(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  const [target, ...command] = words;
  if (target === undefined) throw failure('pod, type/name or --filename must be specified');
  if (command.length > 0 && self instanceof ClusterCommand && !self.hasSeparator) {
    throw failure(
      "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'raftsman exec -h' for help and examples",
    );
  }
  if (command.length === 0) throw failure('you must specify at least one command for the container');
  const { stdin, stdout, stderr } = session.context;
  const isTerminal = 'isTTY' in stdin && stdin.isTTY === true;
  if (flags.tty && flags.stdin && !isTerminal && !flags.quiet) {
    session.error('Unable to use a TTY - input is not a terminal or the right kind of file');
  }
  const isTty = Boolean(flags.tty && flags.stdin && isTerminal);
  checkPodTimeout(self, flags.podRunningTimeout);
  const pod = await findPod(session, target, { timeoutMs: flags.podRunningTimeout });
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    throw failure(`cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`);
  }
  // A container that was named is the server's to find.
  const container = flags.container ?? findContainer(session, pod, undefined);
  const query = new URLSearchParams();
  for (const word of command) query.append('command', word);
  query.append('container', container);
  if (flags.stdin) query.append('stdin', 'true');
  query.append('stdout', 'true');
  if (isTty) query.append('tty', 'true');
  else query.append('stderr', 'true');
  const pods = await session.discovery.find('pods');
  const path = `${pathOf(pods, pod.metadata?.namespace ?? session.namespace, pod.metadata?.name ?? '', 'exec')}?${query}`;
  const exitCode = await execute(session.connection, path, {
    stdin: flags.stdin ? stdin : undefined,
    stdout,
    stderr,
    isTty,
  });
  if (exitCode !== 0) throw new CommandError(`command terminated with exit code ${exitCode}`, { exitCode });
}
