/** `raftsman agent`: a node. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CommandContext } from '../context.ts';
import { hostAndPort, urls } from './options.ts';

interface Flags {
  readonly name: string;
  readonly dataDir: string;
  readonly server: readonly string[];
  readonly token?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly runtime: 'auto' | 'docker' | 'native' | 'fake';
  readonly nodeLabel: Readonly<Record<string, string>>;
  readonly nodeTaint: readonly Taint[];
  readonly nodeIp?: string;
}
interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function register(program: Command, context: CommandContext): void {
  program
    .command('agent')
    .summary('run a node')
    .description('Runs a node: registers it and runs the pods that the scheduler gives it.')
    .requiredOption('--name <name>', 'the node’s name')
    .requiredOption('--data-dir <dir>', 'where the agent keeps its data')
    .requiredOption('--server <urls>', 'one or more masters, separated by commas; the others are learned', urls)
    .option('--token <token>', 'the token to join with; needed at the first start only (or in RAFTSMAN_TOKEN)')
    .option('--listen <host:port>', 'where masters reach the agent', hostAndPort, { host: '0.0.0.0', port: 10_250 })
    .addOption(
      new Option('--runtime <runtime>', 'what runs the pods')
        .choices(['auto', 'docker', 'native', 'fake'])
        .default('auto'),
    )
    .option('--node-label <key=value>', 'a label of the node (repeatable)', label, {})
    .option('--node-taint <key=value:effect>', 'a taint of the node (repeatable)', taint, [])
    .option('--node-ip <address>', 'the node’s address (default: the machine’s first)')
    .addHelpText(
      'after',
      `
Examples:
  raftsman agent --name node-1 --data-dir /var/lib/raftsman --server https://10.0.0.1:6443 --token raftsman:…
  raftsman agent --name gpu-1 --data-dir /var/lib/raftsman --server https://10.0.0.1:6443 --token raftsman:… \\
      --node-label hardware=gpu --node-taint hardware=gpu:NoSchedule

SIGTERM and Ctrl-C stop the agent and leave its pods running; SIGUSR2 removes them, with their network, first.`,
    )
    .action(async (flags: Flags) => {
      const { runAgent } = await import('../../node/main.ts');
      await runAgent(
        {
          name: flags.name,
          dataDir: flags.dataDir,
          servers: flags.server,
          token: flags.token ?? context.env.RAFTSMAN_TOKEN,
          listen: flags.listen,
          runtime: flags.runtime,
          labels: flags.nodeLabel,
          taints: flags.nodeTaint,
          nodeIp: flags.nodeIp,
        },
        context,
      );
    });
}

function label(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const match = /^([^=]+)=(.*)$/.exec(text);
  if (!match) throw new InvalidArgumentError('it must be key=value.');
  return { ...before, [match[1] ?? '']: match[2] ?? '' };
}

function taint(text: string, before: readonly Taint[]): readonly Taint[] {
  const match = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text);
  if (!match || !EFFECTS.includes(match[3] ?? '')) {
    throw new InvalidArgumentError(`it must be key=value:effect, with one of ${EFFECTS.join(', ')} as the effect.`);
  }
  return [
    ...before,
    { key: match[1] ?? '', ...(match[2] !== undefined && { value: match[2] }), effect: match[3] ?? '' },
  ];
}
