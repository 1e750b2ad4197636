/** Commands in kubectl's grammar: the flags that all of them take, and Go's way of writing boolean flags. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { tellFailure } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { parseDurationMs } from '../output/durations.ts';
import { type FlagDefinition, type GivenFlag, parseWords } from './go-flags.ts';

/** A command that reads its flags as kubectl does. */
export class ClusterCommand extends Command {
  /** Whether the words were given behind a `--`. */
  hasSeparator = false;
  /** Whether it does nothing itself: its flags are those of the commands that it holds. */
  isGroup = false;

  override createCommand(name?: string): ClusterCommand {
    return new ClusterCommand(name);
  }

  /** Words as pflag reads them. Flags of the commands that this one stands under may stand behind its name. */
  override parseOptions(argv: readonly string[]): { operands: string[]; unknown: string[] } {
    const helps: string[] = [];
    const { flags, operands, rest, hasSeparator, mistake } = parseWords<CommandFlag>(argv, {
      find: name =>
        this.#flag(name) ?? (HELP.has(name) ? { required: false, optional: false, command: this } : undefined),
      isCommand: word => (word === 'help' ? this.commands.length > 0 : this.#subcommand(word) !== undefined),
    });
    this.hasSeparator = hasSeparator;
    this.#tellDeprecated(flags.map(({ flag }) => flag.long ?? ''));
    if (this.options.some(({ long }) => long === '--record')) {
      this.setOptionValue('changeCause', [...this.#path(), ...operands, ...flags.map(flagText)].join(' '));
    }
    for (const { flag, value } of flags) {
      if (!flag.option) helps.push('--help');
      else if (typeof value === 'boolean') {
        const { negate } = flag.option;
        flag.command.setOptionValueWithSource(flag.option.attributeName(), negate ? !value : value, 'cli');
      } else {
        const word = value === null ? `${flag.long}` : `${flag.long}=${value}`;
        if (flag.command === this) super.parseOptions([word]);
        else flag.command.parseOptions([word]);
      }
    }
    if (mistake !== undefined && helps.length === 0) this.error(`error: ${mistake}`);
    return { operands: [...operands], unknown: [...helps, ...rest] };
  }

  /**
   * Makes it a command that only holds others: alone it prints its help.
   * @param isLenient Words that name no command print help as well.
   */
  asGroup(context: CommandContext, isLenient = false): this {
    this.isGroup = true;
    this.enablePositionalOptions()
      .argument('[words...]')
      .usage('COMMAND')
      .action((words: readonly string[]) => {
        if (isLenient) this.outputHelp();
        else if (words.length === 0) {
          this.outputHelp({ error: true });
          context.setExitCode(1);
        } else tellFailure(context, usageFailure(this, `unknown command ${JSON.stringify(words.join(' '))}`));
      });
    return this;
  }

  /** Once each, whatever the flag says. */
  #tellDeprecated(names: readonly string[]): void {
    for (const name of new Set(names)) {
      const notice = Object.hasOwn(DEPRECATED, name) ? DEPRECATED[name] : undefined;
      if (notice) this.configureOutput().writeErr?.(`Flag ${name} has been deprecated, ${notice}\n`);
    }
  }

  /** The names of the commands down to this one, without the program's. */
  #path(): string[] {
    const names: string[] = [];
    for (let command: Command = this; command.parent; command = command.parent) names.unshift(command.name());
    return names;
  }

  #flag(name: string): CommandFlag | undefined {
    for (let command: Command | null = this; command; command = command.parent) {
      const option = command.options.find(({ long, short }) => long === name || short === name);
      // `create deployment` has not what `create -f` has.
      const isForeign = command !== this && command instanceof ClusterCommand && !command.isGroup;
      if (option && !isForeign) return { ...nameParts(option), command, option };
    }
    return undefined;
  }

  #subcommand(word: string): Command | undefined {
    return this.commands.find(command => command.name() === word || command.aliases().includes(word));
  }
}

/** A flag with the command that it belongs to. Without an option it asks for help. */
interface CommandFlag extends FlagDefinition {
  readonly command: Command;
  readonly option?: Option;
}

const HELP: ReadonlySet<string> = new Set(['-h', '--help']);

/** Flags that kubectl means to give up, and what it says of them. */
const DEPRECATED: Readonly<Record<string, string>> = {
  '--record': '--record will be removed in the future',
};

/** A flag as a change's cause has it. */
const flagText = ({ flag, value }: GivenFlag<CommandFlag>): string =>
  `${flag.long ?? flag.short ?? '--help'}=${value === null ? '' : String(value)}`;

const nameParts = ({ long, short, required, optional }: Option): FlagDefinition => ({
  long,
  short,
  required,
  optional,
});

/** Collects a flag that may be repeated, or hold several values between commas. */
export function list(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...value.split(',')];
}

/** Collects a flag that may be repeated, each with one value. */
export function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Reads a whole number, which may be negative. */
export function integer(text: string): number {
  if (!/^[-+]?\d+$/.test(text)) {
    throw new InvalidArgumentError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

/** Reads a duration as Go does, in whose words mistakes are told; gives milliseconds. */
export function durationMs(text: string): number {
  const duration = parseDurationMs(text);
  if (duration !== undefined) return duration;
  const problem = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) ? 'missing unit in duration' : 'invalid duration';
  throw new InvalidArgumentError(`time: ${problem} ${JSON.stringify(text)}`);
}

/**
 * A flag of a command whose name is that of a global one but means something else there, such as `--user` of a role binding.
 * @param attribute The name under which its value is found.
 */
export function ownOption(
  flags: string,
  description: string,
  { attribute, parse }: { readonly attribute: string; readonly parse: typeof list },
): Option {
  const option = new Option(flags, description).argParser(parse);
  option.attributeName = () => attribute;
  return option;
}

/** Adds the flags that say which server, as whom and where. Hidden in help but for the most common. */
export function withGlobalFlags<T extends Command>(command: T): T {
  const taken = new Set(command.options.flatMap(({ short, long }) => [short, long]));
  for (const option of globalFlags()) {
    if (!taken.has(option.long) && !(option.short && taken.has(option.short))) command.addOption(option);
  }
  return command;
}

function globalFlags(): Option[] {
  const hidden = (flags: string, description: string) => new Option(flags, description).hideHelp();
  return [
    new Option('-n, --namespace <namespace>', 'the namespace to work in'),
    new Option('--kubeconfig <file>', 'the kubeconfig to use'),
    hidden('--context <name>', 'the context of the kubeconfig to use'),
    hidden('--cluster <name>', 'the cluster of the kubeconfig to use'),
    hidden('--user <name>', 'the user of the kubeconfig to be'),
    hidden('-s, --server <url>', 'the address of the API server'),
    hidden('--token <token>', 'a bearer token'),
    hidden('--certificate-authority <file>', 'the certificate that signed the server’s'),
    hidden('--client-certificate <file>', 'a certificate to prove who one is'),
    hidden('--client-key <file>', 'the key of that certificate'),
    hidden('--insecure-skip-tls-verify', 'trust any server'),
    hidden('--tls-server-name <name>', 'the name that the server’s certificate must have'),
    hidden('--as <user>', 'act as this user'),
    hidden('--as-group <group>', 'act as a member of this group').argParser(repeated),
    hidden('--as-uid <uid>', 'act as the user with this uid'),
    hidden('--username <name>', 'the user of basic authentication'),
    hidden('--password <password>', 'the password of basic authentication'),
    hidden('--request-timeout <duration>', 'how long to wait for one answer'),
    hidden('-v, --v <level>', 'from 6 on: tell of each request').argParser(integer),
    hidden('--warnings-as-errors', 'warnings of the server end the command with an error'),
    hidden('--cache-dir <dir>', 'of no effect: nothing is cached'),
    hidden('--disable-compression', 'of no effect: nothing is compressed'),
    hidden('--match-server-version', 'of no effect: this program has versions of its own'),
    hidden('--profile <name>', 'of no effect: Node’s own flags profile'),
    hidden('--profile-output <file>', 'of no effect, as --profile'),
    hidden('--log-flush-frequency <duration>', 'of no effect: no log is kept back'),
    hidden('--vmodule <patterns>', 'of no effect: -v tells of requests alone'),
  ];
}
