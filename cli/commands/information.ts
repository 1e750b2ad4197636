/** `raftsman version`, `api-resources`, `api-versions`, `cluster-info`: what there is to speak to. */
import type { Command } from 'commander';
import { groupVersionOf, nameWithGroup } from '../client/discovery.ts';
import { describeError, failure } from '../client/errors.ts';
import type { Metadata } from '../client/objects.ts';
import { type Session, tellFailure, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import type { CommandContext } from '../context.ts';
import { jsonText, yamlText } from '../output/documents.ts';
import { TableWriter } from '../output/tables.ts';
import { productVersion } from '../version.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';
import { type DumpFlags, dump } from './cluster-dump.ts';

export function registerVersion(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('version')
    .argument('[words...]')
    .usage('[flags]')
    .summary('print the versions of this program and of the server')
    .description('Prints the versions of this program and of the server.')
    .option('--client', 'only this program’s')
    .option('-o, --output <format>', 'yaml or json')
    .addHelpText('after', '\nExamples:\n  raftsman version\n  raftsman version --client');
  // Without a cluster there is still a version to tell, so that this one looks for the server itself.
  command.action(async (words: readonly string[], flags: { client?: boolean; output?: string }, self: Command) => {
    const mistake =
      words.length > 0
        ? `extra arguments: [${words.join(' ')}]`
        : flags.output && flags.output !== 'json' && flags.output !== 'yaml'
          ? "--output must be 'yaml' or 'json'"
          : undefined;
    if (mistake !== undefined) return tellFailure(context, failure(mistake));
    if (flags.client) {
      printVersions(context, { clientVersion: { gitVersion: `v${productVersion}` } }, flags.output);
      return;
    }
    await withSession(context, version)(words, flags, self);
  });
  program.addCommand(withGlobalFlags(command));
}

interface Versions {
  readonly clientVersion: object & { readonly gitVersion: string };
  readonly serverVersion?: { readonly gitVersion?: string };
}

async function version(
  session: Session,
  _words: readonly string[],
  flags: { readonly output?: string },
): Promise<void> {
  const clientVersion = { gitVersion: `v${productVersion}` };
  try {
    const serverVersion = await session.api.json<{ gitVersion?: string }>('GET', '/version');
    printVersions(session.context, { clientVersion, serverVersion }, flags.output);
  } catch (error) {
    printVersions(session.context, { clientVersion }, flags.output);
    session.error(describeError(error, session.connection.server).text);
    session.context.setExitCode(1);
  }
}

function printVersions(context: CommandContext, versions: Versions, output: string | undefined): void {
  if (output === 'json') context.stdout.write(`${jsonText(versions)}\n`);
  else if (output === 'yaml') context.stdout.write(`${yamlText(versions)}\n`);
  else {
    context.stdout.write(`Client Version: ${versions.clientVersion.gitVersion}\n`);
    if (versions.serverVersion) context.stdout.write(`Server Version: ${versions.serverVersion.gitVersion ?? ''}\n`);
  }
}

interface ResourceFlags {
  readonly output?: string;
  readonly headers: boolean;
  readonly namespaced?: boolean;
  readonly apiGroup?: string;
  readonly verbs?: readonly string[];
  readonly categories?: readonly string[];
  readonly sortBy?: string;
}

export function registerApiResources(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('api-resources')
    .argument('[words...]')
    .usage('[flags]')
    .summary('list what kinds of objects the server knows')
    .description('Lists the resources that the server serves.')
    .option('-o, --output <format>', 'wide or name')
    .option('--no-headers', 'leave out the header')
    .option('--namespaced', 'only those within namespaces; =false: only the others')
    .option('--api-group <group>', 'only those of this group')
    .option('--verbs <verbs>', 'only those that support these verbs', list)
    .option('--categories <categories>', 'only those of these categories', list)
    .option('--sort-by <field>', 'name or kind')
    .option('--cached', 'of no effect: nothing is cached between runs')
    .addHelpText('after', '\nExamples:\n  raftsman api-resources\n  raftsman api-resources --namespaced=false -o name')
    .action(withSession<ResourceFlags>(context, apiResources));
  program.addCommand(withGlobalFlags(command));
}

async function apiResources(
  session: Session,
  words: readonly string[],
  flags: ResourceFlags,
  self: Command,
): Promise<void> {
  if (words.length > 0) throw usageFailure(self, `unexpected arguments: [${words.join(' ')}]`);
  if (flags.output && flags.output !== 'wide' && flags.output !== 'name') {
    throw failure(`--output ${flags.output} is not available`);
  }
  if (flags.sortBy && flags.sortBy !== 'name' && flags.sortBy !== 'kind') {
    throw failure('--sort-by accepts only name or kind');
  }
  const all = await session.discovery.resources();
  const resources = all
    .filter(
      resource =>
        (flags.namespaced === undefined || resource.isNamespaced === flags.namespaced) &&
        (flags.apiGroup === undefined || resource.group === flags.apiGroup) &&
        (flags.verbs ?? []).every(verb => resource.verbs.includes(verb)) &&
        (flags.categories ?? []).every(category => resource.categories.includes(category)) &&
        all.find(other => other.group === resource.group && other.name === resource.name) === resource,
    )
    .sort(
      (a, b) =>
        (flags.sortBy === 'kind' ? compare(a.kind, b.kind) : compare(a.group, b.group)) || compare(a.name, b.name),
    );
  if (flags.output === 'name') {
    for (const resource of resources) session.print(nameWithGroup(resource));
    return;
  }
  const isWide = flags.output === 'wide';
  const rows = resources.map(resource => [
    resource.name,
    resource.shortNames.join(','),
    groupVersionOf(resource),
    String(resource.isNamespaced),
    resource.kind,
    ...(isWide ? [resource.verbs.join(','), resource.categories.join(',')] : []),
  ]);
  const header = ['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND', ...(isWide ? ['VERBS', 'CATEGORIES'] : [])];
  new TableWriter(line => session.print(line)).print(flags.headers ? [header, ...rows] : rows);
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export function registerApiVersions(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('api-versions')
    .argument('[words...]')
    .usage('[flags]')
    .summary('list the API versions of the server')
    .description('Lists the API groups and versions that the server serves.')
    .addHelpText('after', '\nExamples:\n  raftsman api-versions')
    .action(
      withSession(context, async (session, words, _flags, self) => {
        if (words.length > 0) throw usageFailure(self, `unexpected arguments: [${words.join(' ')}]`);
        const versions = (await session.discovery.resources()).map(groupVersionOf);
        for (const text of [...new Set(versions)].sort()) session.print(text);
      }),
    );
  program.addCommand(withGlobalFlags(command));
}

export function registerClusterInfo(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('cluster-info')
    .argument('[words...]')
    .usage('[flags]')
    .summary('show where the control plane is')
    .description('Shows the addresses of the control plane and of the cluster’s services.')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman cluster-info\n  raftsman cluster-info dump --output-directory=./dump',
    )
    .enablePositionalOptions()
    .action(withSession(context, clusterInfo));
  const dumpCommand = new ClusterCommand('dump')
    .argument('[words...]')
    .usage('[flags]')
    .description('Writes objects and logs that tell what a cluster is doing.')
    .option('--output-directory <folder>', 'write files there; otherwise to standard output')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--namespaces <names>', 'of these namespaces', list)
    .option('-o, --output <format>', 'json, yaml or another format of get', 'json')
    .option('--pod-running-timeout <duration>', 'of no effect: logs are asked of each pod by its name')
    .addHelpText('after', '\nExamples:\n  raftsman cluster-info dump --output-directory=./dump -A')
    .action(withSession<DumpFlags>(context, (session, _words, flags) => dump(session, flags)));
  command.addCommand(withGlobalFlags(dumpCommand));
  program.addCommand(withGlobalFlags(command));
}

async function clusterInfo(session: Session): Promise<void> {
  const { server } = session.connection;
  const services = await session.api.json<{
    items?: { metadata?: Metadata; spec?: { ports?: { name?: string }[] } }[];
  }>('GET', '/api/v1/namespaces/kube-system/services', {
    query: { labelSelector: 'kubernetes.io/cluster-service=true' },
  });
  session.print(`Kubernetes control plane is running at ${server}`);
  for (const { metadata, spec } of services.items ?? []) {
    const name = metadata?.labels?.['kubernetes.io/name'] ?? metadata?.name ?? '';
    const port = spec?.ports?.[0]?.name;
    const path = `/api/v1/namespaces/kube-system/services/${metadata?.name}${port ? `:${port}` : ''}/proxy`;
    session.print(`${name} is running at ${server}${path}`);
  }
  session.print('');
  session.print(`To further debug and diagnose cluster problems, use '${session.context.name} cluster-info dump'.`);
}
