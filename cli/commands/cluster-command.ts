/** Commands in kubectl's grammar: the flags that all of them take, and Go's way of writing boolean flags. */
import { Command, InvalidArgumentError, Option } from 'commander';

/** A command whose boolean flags may have a value, as in `--wait=false`, and whose short ones an equals sign: `-o=json`. */
export class ClusterCommand extends Command {
  /** Whether the words were given behind a `--`. */
  hasSeparator = false;

  override createCommand(name?: string): ClusterCommand {
    return new ClusterCommand(name);
  }

  override parseOptions(argv: readonly string[]): { operands: string[]; unknown: string[] } {
    const end = argv.indexOf('--');
    this.hasSeparator = end >= 0;
    const flags = end < 0 ? argv : argv.slice(0, end);
    const rest = end < 0 ? [] : argv.slice(end);
    return super.parseOptions([...flags.flatMap(word => this.#normalised(word)), ...rest]);
  }

  #normalised(word: string): string[] {
    // A flag with an optional value takes it behind an equals sign only: `--dry-run server` has a word too many.
    const bare = this.options.find(({ long, optional }) => optional && long === word);
    if (bare) return [`${word}=${String(bare.presetArg ?? 'true')}`];
    const short = /^(-\w)=(.*)$/s.exec(word);
    if (short)
      return this.options.some(option => option.short === short[1] && option.required)
        ? [`${short[1]}${short[2]}`]
        : [word];
    const long = /^(--[\w-]+)=(true|false|1|0|t|f|T|F|True|False|TRUE|FALSE)$/.exec(word);
    const option = long && this.options.find(({ long: name }) => name === long[1]);
    if (!long || !option?.isBoolean()) return [word];
    this.setOptionValueWithSource(option.attributeName(), /^(?:1|t|true)$/i.test(long[2] ?? ''), 'cli');
    return [];
  }
}

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
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number.');
  return Number(text);
}

/** Reads a duration as Go writes it, `1m30s`, or plain seconds; gives milliseconds. */
export function durationMs(text: string): number {
  const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (/^-?\d+$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text.replace(/^-/, '')) {
    throw new InvalidArgumentError('it must be a duration such as 30s or 1m30s.');
  }
  const sum = parts.reduce((total, [, number, unit]) => total + Number(number) * (UNITS[unit ?? ''] ?? 0), 0);
  return text.startsWith('-') ? -sum : sum;
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
    hidden('--request-timeout <duration>', 'how long to wait for one answer').argParser(durationMs),
    hidden('-v, --verbosity <level>', 'from 6 on: tell of each request').argParser(integer),
    hidden('--v <level>', 'as -v').argParser(integer),
    hidden('--warnings-as-errors', 'warnings of the server end the command with an error'),
    hidden('--cache-dir <dir>', 'accepted for kubectl’s sake; nothing is cached'),
    hidden('--disable-compression', 'accepted for kubectl’s sake; nothing is compressed'),
    hidden('--match-server-version', 'accepted for kubectl’s sake'),
    hidden('--profile <name>', 'accepted for kubectl’s sake'),
    hidden('--profile-output <file>', 'accepted for kubectl’s sake'),
    hidden('--log-flush-frequency <duration>', 'accepted for kubectl’s sake'),
    hidden('--vmodule <patterns>', 'accepted for kubectl’s sake'),
  ];
}
