/** `raftsman __complete WORDS…`: what the last word may become. Shell scripts ask this; see `completion.ts`. */
import { Command } from 'commander';
import type { Resource } from '../client/discovery.ts';
import { readKubeconfig } from '../client/kubeconfig-file.ts';
import { listObjects, metadataOf } from '../client/objects.ts';
import { Session } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';
import { kubernetesCommands, registerClusterCommands } from './kubernetes.ts';
import { operationNames } from './operation-names.ts';

/** One thing that the word may become, and what that is. */
interface Candidate {
  readonly text: string;
  readonly about?: string;
}

/** A shell waits for the answer: a server that does not answer within this is left out. */
const ANSWER_TIMEOUT_MS = 3_000;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('__complete')
    .argument('[words...]')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      const candidates = await complete(context, words).catch(() => []);
      for (const { text, about } of candidates) context.stdout.write(about ? `${text}\t${about}\n` : `${text}\n`);
    });
  program.addCommand(command, { hidden: true });
}

/** The candidates for the last word, those that it begins. */
export async function complete(context: CommandContext, words: readonly string[]): Promise<Candidate[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const found = await candidatesFor(context, before, last);
  return found.filter(({ text }) => text.startsWith(last));
}

async function candidatesFor(context: CommandContext, before: readonly string[], last: string): Promise<Candidate[]> {
  const { command, operands, flags } = await parse(context, before);
  const pending = before.at(-1);
  const wanted = pending === undefined ? undefined : valuedFlag(command, pending);
  if (wanted) return valuesOf(context, wanted, flags);
  const inline = /^(--[\w-]+)=/.exec(last);
  if (inline?.[1]) {
    const name = inline[1];
    return (await valuesOf(context, name, flags)).map(({ text }) => ({ text: `${name}=${text}` }));
  }
  if (last.startsWith('-')) return flagsOf(command);
  if (command.commands.length > 0 && operands.length === 0) return subcommandsOf(command);
  return objectsFor(context, commandPath(command), { operands, last, flags });
}

interface Parsed {
  readonly command: Command;
  readonly operands: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
}

/** Which command the words have come to, and what was given to it. */
async function parse(context: CommandContext, words: readonly string[]): Promise<Parsed> {
  const program = withGlobalFlags(new Command(context.name).enablePositionalOptions());
  await registerClusterCommands(program, context, words);
  let command: Command = program;
  const operands: string[] = [];
  const flags = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const inline = /^(--?[\w-]+)=(.*)$/s.exec(word);
    if (inline) flags.set(inline[1] ?? '', inline[2] ?? '');
    else if (word.startsWith('-')) {
      const flag = valuedFlag(command, word);
      if (flag) flags.set(flag, words[++index] ?? '');
    } else {
      const sub = operands.length === 0 ? command.commands.find(each => namesOf(each).includes(word)) : undefined;
      if (sub) command = sub;
      else operands.push(word);
    }
  }
  return { command, operands, flags };
}

const namesOf = (command: Command): string[] => [command.name(), ...command.aliases()];

/** The long name of a flag that takes the next word. */
function valuedFlag(command: Command, word: string): string | undefined {
  const option = command.options.find(({ short, long }) => short === word || long === word);
  return option?.required ? (option.long ?? undefined) : undefined;
}

function commandPath(command: Command): string {
  const names: string[] = [];
  for (let current: Command | null = command; current?.parent; current = current.parent) names.unshift(current.name());
  return names.join(' ');
}

const flagsOf = (command: Command): Candidate[] =>
  command.options
    .filter(({ long }) => long)
    .map(({ long, description, required }) => ({ text: `${long}${required ? '=' : ''}`, about: description }));

function subcommandsOf(command: Command): Candidate[] {
  const own = command.commands
    .filter(each => !each.name().startsWith('__'))
    .map(each => ({ text: each.name(), about: each.summary() || each.description() }));
  if (command.parent) return own;
  const known = new Set(own.map(({ text }) => text));
  const rest = [...Object.keys(kubernetesCommands), ...operationNames].filter(
    name => !known.has(name) && !name.startsWith('__'),
  );
  return [...own, ...rest.map(text => ({ text }))].sort((a, b) => (a.text < b.text ? -1 : 1));
}

const FORMATS = ['json', 'yaml', 'name', 'wide', 'jsonpath=', 'custom-columns=', 'go-template='];

async function valuesOf(
  context: CommandContext,
  flag: string,
  flags: ReadonlyMap<string, string>,
): Promise<Candidate[]> {
  const named = (names: Iterable<string>) => [...names].map(text => ({ text }));
  switch (flag) {
    case '--namespace':
      return objectNames(context, 'namespaces', flags);
    case '--output':
      return named(FORMATS);
    case '--context':
      return named(readKubeconfig(flags.get('--kubeconfig'), context.env).contexts.keys());
    case '--cluster':
      return named(readKubeconfig(flags.get('--kubeconfig'), context.env).clusters.keys());
    case '--user':
      return named(readKubeconfig(flags.get('--kubeconfig'), context.env).users.keys());
    case '--container':
      return [];
    case '--dry-run':
      return named(['none', 'client', 'server']);
    case '--cascade':
      return named(['background', 'foreground', 'orphan']);
    default:
      return [];
  }
}

/** Commands whose words are names of one resource. */
const NAMED: Readonly<Record<string, string>> = {
  logs: 'pods',
  exec: 'pods',
  attach: 'pods',
  debug: 'pods',
  'port-forward': 'pods',
  'top pod': 'pods',
  'top node': 'nodes',
  cordon: 'nodes',
  uncordon: 'nodes',
  drain: 'nodes',
  'certificate approve': 'certificatesigningrequests',
  'certificate deny': 'certificatesigningrequests',
};
/** Commands whose words are a type and names of it. */
const TYPED: ReadonlySet<string> = new Set([
  'get',
  'history',
  'describe',
  'delete',
  'edit',
  'label',
  'annotate',
  'patch',
  'scale',
  'autoscale',
  'expose',
  'wait',
  'diff',
  'explain',
  'taint',
  'rollout status',
  'rollout history',
  'rollout undo',
  'rollout restart',
  'rollout pause',
  'rollout resume',
  'set image',
  'set env',
  'set resources',
  'set selector',
  'set serviceaccount',
  'set subject',
]);

async function objectsFor(
  context: CommandContext,
  path: string,
  { operands, last, flags }: { operands: readonly string[]; last: string; flags: ReadonlyMap<string, string> },
): Promise<Candidate[]> {
  if (path.startsWith('config ') && operands.length === 0) return configNames(context, path, flags);
  const slash = last.indexOf('/');
  if (slash > 0 && (TYPED.has(path) || NAMED[path])) {
    const type = last.slice(0, slash);
    return (await objectNames(context, type, flags)).map(({ text }) => ({ text: `${type}/${text}` }));
  }
  const fixed = NAMED[path];
  if (fixed) return operands.length === 0 || fixed === 'nodes' ? objectNames(context, fixed, flags) : [];
  if (!TYPED.has(path)) return [];
  const [type, ...names] = operands;
  if (type === undefined) return types(context, flags);
  if (type.includes('/') || path === 'explain') return [];
  return (await objectNames(context, type, flags)).filter(({ text }) => !names.includes(text));
}

function configNames(context: CommandContext, path: string, flags: ReadonlyMap<string, string>): Candidate[] {
  const config = readKubeconfig(flags.get('--kubeconfig'), context.env);
  const section = /-clusters?$/.test(path) ? 'clusters' : /-(?:users?|credentials)$/.test(path) ? 'users' : 'contexts';
  return [...config[section].keys()].map(text => ({ text }));
}

async function withServer<T>(
  context: CommandContext,
  flags: ReadonlyMap<string, string>,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const value = (name: string) => flags.get(name);
  const session = new Session(context, {
    requestTimeout: `${ANSWER_TIMEOUT_MS}ms`,
    ...(value('--kubeconfig') && { kubeconfig: value('--kubeconfig') }),
    ...(value('--context') && { context: value('--context') }),
    ...(value('--namespace') && { namespace: value('--namespace') }),
    ...(value('--server') && { server: value('--server') }),
  } as ConstructorParameters<typeof Session>[1]); // only what was given
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

function types(context: CommandContext, flags: ReadonlyMap<string, string>): Promise<Candidate[]> {
  return withServer(context, flags, async session => {
    const resources = await session.discovery.resources();
    const names = new Set(
      resources.filter(isListed).map(({ name, group }) => (group === '' ? name : `${name}.${group}`)),
    );
    return [...names].sort().map(text => ({ text }));
  });
}

const isListed = ({ verbs }: Resource): boolean => verbs.length === 0 || verbs.includes('list');

function objectNames(context: CommandContext, type: string, flags: ReadonlyMap<string, string>): Promise<Candidate[]> {
  return withServer(context, flags, async session => {
    const resource = await session.discovery.find(type);
    const objects = await listObjects(session, resource, {});
    return objects.map(object => ({ text: metadataOf(object).name ?? '' }));
  });
}
