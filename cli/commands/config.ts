/** `raftsman config`: shows and changes kubeconfig files. The sub-commands that change entries are in `config-change.ts`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import type { GlobalFlags } from '../client/kubeconfig.ts';
import {
  type ClusterEntry,
  type ContextEntry,
  type Entry,
  type Kubeconfig,
  type KubeconfigDocument,
  readKubeconfig,
  type UserEntry,
} from '../client/kubeconfig-file.ts';
import { flagsOf, tellFailure } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { jsonText, yamlText } from '../output/documents.ts';
import { objectPrinter, PLAIN_FORMATS } from '../output/objects.ts';
import { TableWriter } from '../output/tables.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';
import { configChanges } from './config-change.ts';
import { type ConfigCommand, configCommand } from './config-command.ts';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('config')
    .summary('show and change kubeconfig files')
    .description('Shows and changes kubeconfig files: clusters, users, and contexts that join them.')
    .asGroup(context)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman config get-contexts\n  raftsman config use-context prod\n  raftsman config set-context --current --namespace=team-a',
    );
  for (const spec of [...shows, ...configChanges]) command.addCommand(configSubcommand(spec, context));
  program.addCommand(command);
}

function configSubcommand(spec: ConfigCommand, context: CommandContext): Command {
  const command = new ClusterCommand(spec.name)
    .argument('[words...]')
    .usage(spec.usage)
    .summary(spec.description.charAt(0).toLowerCase() + spec.description.slice(1, -1))
    .description(spec.description)
    .addHelpText('after', `\nExamples:\n  ${spec.example}`);
  spec.flags?.(command);
  // Its own --cluster or --user means another thing than the global one: those that it has are not added again.
  withGlobalFlags(command);
  return command.action(async (words: readonly string[], _flags: unknown, self: Command) => {
    try {
      if (spec.isWordless && words.length > 0) throw usageFailure(self, `unexpected arguments: [${words.join(' ')}]`);
      await spec.work(context, words, flagsOf<GlobalFlags>(self));
    } catch (error) {
      tellFailure(context, error);
    }
  });
}

interface ViewFlags {
  readonly raw?: boolean;
  readonly minify?: boolean;
  readonly flatten?: boolean;
  readonly merge?: boolean;
  readonly output?: string;
}

const shows: readonly ConfigCommand[] = [
  configCommand<ViewFlags>({
    name: 'view',
    usage: '[flags]',
    description: 'Show the kubeconfig, with secrets left out.',
    example: 'raftsman config view --minify',
    isWordless: true,
    flags: command =>
      command
        .option('--raw', 'with keys, certificates and tokens')
        .option('--minify', 'only what the current context needs')
        .option('--flatten', 'with the content of files in place of their paths')
        .option('--merge', 'of all files', true)
        .option('-o, --output <format>', 'yaml, json, jsonpath=…'),
    work: view,
  }),
  configCommand({
    name: 'current-context',
    usage: '[flags]',
    description: 'Show the current context.',
    example: 'raftsman config current-context',
    work: (context, _words, flags) => {
      const { currentContext } = readKubeconfig(flags.kubeconfig, context.env);
      if (currentContext === undefined) throw failure('current-context is not set');
      context.stdout.write(`${currentContext}\n`);
    },
  }),
  configCommand<{ readonly output?: string; readonly headers: boolean }>({
    name: 'get-contexts',
    usage: '[NAME...] [flags]',
    description: 'List contexts.',
    example: 'raftsman config get-contexts -o name',
    flags: command => command.option('-o, --output <format>', 'name').option('--no-headers', 'leave out the header'),
    work: getContexts,
  }),
  ...(['clusters', 'users'] as const).map(section =>
    configCommand({
      name: `get-${section}`,
      usage: '[flags]',
      description: `List ${section}.`,
      example: `raftsman config get-${section}`,
      work: (context, _words, flags) => {
        const names = [...readKubeconfig(flags.kubeconfig, context.env)[section].keys()].sort();
        context.stdout.write(`${['NAME', ...names].join('\n')}\n`);
      },
    }),
  ),
];

function getContexts(
  context: CommandContext,
  words: readonly string[],
  flags: { readonly output?: string; readonly headers: boolean } & GlobalFlags,
): void {
  const config = readKubeconfig(flags.kubeconfig, context.env);
  if (flags.output && flags.output !== 'name') {
    throw failure(`output must be one of '' or 'name': ${flags.output}`);
  }
  const wanted = words.length > 0 ? words : [...config.contexts.keys()].sort();
  const names = wanted.filter(name => config.contexts.has(name));
  if (flags.output === 'name') {
    for (const name of names) context.stdout.write(`${name}\n`);
  } else printContexts(context, config, { names, hasHeader: flags.headers });
  const [missing, ...more] = wanted.filter(name => !config.contexts.has(name)).map(name => `context ${name} not found`);
  if (missing !== undefined) throw failure(more.length === 0 ? missing : `[${[missing, ...more].join(', ')}]`);
}

function printContexts(
  context: CommandContext,
  config: Kubeconfig,
  { names, hasHeader }: { readonly names: readonly string[]; readonly hasHeader: boolean },
): void {
  const rows = names.map(name => {
    const value = config.contexts.get(name)?.value;
    return [
      name === config.currentContext ? '*' : '',
      name,
      value?.cluster ?? '',
      value?.user ?? '',
      value?.namespace ?? '',
    ];
  });
  const header = ['CURRENT', 'NAME', 'CLUSTER', 'AUTHINFO', 'NAMESPACE'];
  new TableWriter(line => context.stdout.write(`${line}\n`)).print(hasHeader ? [header, ...rows] : rows);
}

function view(context: CommandContext, _words: readonly string[], flags: ViewFlags & GlobalFlags): void {
  const whole = readKubeconfig(flags.kubeconfig, context.env);
  const config = flags.minify ? minified(whole, flags.context ?? whole.currentContext) : whole;
  const document = documentOf(config, flags);
  const shown = flags.raw ? document : redacted(document);
  const format = flags.output ?? 'yaml';
  if (format === 'yaml') context.stdout.write(`${yamlText(shown)}\n`);
  else if (format === 'json') context.stdout.write(`${jsonText(shown)}\n`);
  else {
    const resource = { ...NO_RESOURCE };
    context.stdout.write(
      objectPrinter(format, { allowed: PLAIN_FORMATS })({
        objects: [{ resource, object: { ...shown } }],
        isList: false,
      }),
    );
  }
}

/** A kubeconfig is no resource of a server. */
const NO_RESOURCE = {
  group: '',
  version: 'v1',
  kind: 'Config',
  name: 'configs',
  singular: 'config',
  isNamespaced: false,
  verbs: [],
  shortNames: [],
  categories: [],
};

function minified(config: Kubeconfig, name: string | undefined): Kubeconfig {
  if (name === undefined) throw failure('cannot locate context: current-context must exist in order to minify');
  const context = config.contexts.get(name);
  if (!context) throw failure(`cannot locate context ${name}`);
  const only = <T>(map: ReadonlyMap<string, Entry<T>>, key: string | undefined) =>
    new Map([...map].filter(([each]) => each === key));
  return {
    ...config,
    currentContext: name,
    contexts: only(config.contexts, name),
    clusters: only(config.clusters, context.value.cluster),
    users: only(config.users, context.value.user),
  };
}

function documentOf(config: Kubeconfig, flags: ViewFlags): KubeconfigDocument {
  const list = <T extends ClusterEntry | UserEntry | ContextEntry>(
    map: ReadonlyMap<string, Entry<T>>,
    content: string,
  ) =>
    map.size === 0
      ? null
      : [...map]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, { value }]) => ({ name, [content]: flags.flatten ? flattened(value) : value }));
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: list(config.clusters, 'cluster'),
    contexts: list(config.contexts, 'context'),
    users: list(config.users, 'user'),
    'current-context': config.currentContext ?? '',
    preferences: {},
  };
}

const FILES = ['certificate-authority', 'client-certificate', 'client-key'];

/** The content of files in place of their paths. */
function flattened(value: object): object {
  const flat: Record<string, unknown> = { ...value };
  for (const key of FILES) {
    const path = flat[key];
    if (typeof path !== 'string' || path === '') continue;
    delete flat[key];
    flat[`${key}-data`] = readFileSync(path).toString('base64');
  }
  return flat;
}

const SECRETS: Readonly<Record<string, string>> = {
  'certificate-authority-data': 'DATA+OMITTED',
  'client-certificate-data': 'DATA+OMITTED',
  'client-key-data': 'DATA+OMITTED',
  token: 'REDACTED',
  password: 'REDACTED',
};

function redacted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(redacted) as T; // the same list, item by item
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, field && SECRETS[key] ? SECRETS[key] : redacted(field)]),
  ) as T; // the same fields
}
