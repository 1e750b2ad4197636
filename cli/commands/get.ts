/** `raftsman get`: the server's tables, or objects in the form that `-o` says. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { resolveTargets, type Target } from '../client/arguments.ts';
import { kindWithGroup, pathOf, type Resource } from '../client/discovery.ts';
import { bareMessage, describeApiError, failure } from '../client/errors.ts';
import { revisionOf } from '../client/history.ts';
import { describeListError, isOfFiles, manifestsOf, metadataOf, resourceOf } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { JsonPath, relaxed } from '../output/jsonpath.ts';
import { objectPrinter, type PrintedObject } from '../output/objects.ts';
import { ServerTable, TABLE_MEDIA_TYPE, type TableDocument } from '../output/server-table.ts';
import { ClusterCommand, integer, list, withGlobalFlags } from './cluster-command.ts';
import {
  fetchObjects,
  fetchTables,
  type GetFlags,
  type GetRequest,
  type ListDocument,
  namespaceOf,
  selection,
  shown,
} from './get-fetch.ts';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('get')
    .argument('[types-and-names...]')
    .usage('TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE/NAME ... [flags]')
    .summary('show objects')
    .description('Shows one or many objects, in tables or whole.')
    .option('-o, --output <format>', 'wide, yaml, json, name, jsonpath=…, go-template=…, custom-columns=…')
    .option('-w, --watch', 'go on and show changes')
    .option('--watch-only', 'show changes only')
    .option('--output-watch-events', 'say what kind of change it was')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('--field-selector <fields>', 'only objects with these field values')
    .option('-A, --all-namespaces', 'objects of all namespaces')
    .option('--show-labels', 'show labels in the last column')
    .option('-L, --label-columns <labels>', 'show these labels in columns', list)
    .option('--sort-by <path>', 'sort by the value of this path')
    .option('--no-headers', 'leave out the header')
    .option('--show-kind', 'name the resource of each object')
    .option('--ignore-not-found', 'objects that do not exist are no error')
    .option('--show-managed-fields', 'keep managedFields in yaml and json')
    .option('-f, --filename <file>', 'show the objects that this file names', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('--chunk-size <number>', 'ask for at most so many at once', integer, 500)
    .option('--subresource <name>', 'show this part of the object')
    .option('--raw <path>', 'print what this path of the server answers')
    .option('--as-of <moment>', 'as it was: at a revision (4711), some time ago (5m), or at a time')
    .option('--template <template>', 'the template for -o go-template or jsonpath')
    .option('--allow-missing-template-keys', 'keys that are missing are empty', true)
    .option('-k, --kustomize <folder>', 'show the objects of a kustomization')
    .option('--server-print', 'have the server make the tables; =false: names and ages only', true)
    .addHelpText(
      'after',
      `
Examples:
  raftsman get pods
  raftsman get pods -A -o wide
  raftsman get deployment/web -o yaml
  raftsman get pods -l app=web -w
  raftsman get svc web -o jsonpath='{.spec.clusterIP}'
  raftsman get deployment/web -o yaml --as-of=5m`,
    )
    .action(withSession<GetFlags>(context, get));
  program.addCommand(withGlobalFlags(command));
}

/** @throws CommandError for what cannot go together. */
function checkFlags(words: readonly string[], flags: GetFlags): void {
  if (flags.raw !== undefined) {
    if (words.length > 0) throw failure('arguments may not be passed when --raw is specified');
    if (flags.watch || flags.watchOnly || flags.selector || flags.filename) {
      throw failure('--raw may not be specified with other flags that filter the server request or alter the output');
    }
    if (flags.output) throw failure('--raw and --output are mutually exclusive');
  }
  if (flags.filename && words.length > 0) {
    throw failure('when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well');
  }
  if (flags.outputWatchEvents && !flags.watch && !flags.watchOnly) {
    throw failure('--output-watch-events option can only be used with --watch or --watch-only');
  }
}

async function get(session: Session, words: readonly string[], flags: GetFlags): Promise<void> {
  checkFlags(words, flags);
  if (flags.raw !== undefined) {
    session.context.stdout.write(await session.api.text('GET', flags.raw));
    return;
  }
  const { targets, isMixed } = isOfFiles(flags)
    ? await targetsOfFiles(session, flags)
    : await resolveTargets(words, session.discovery);
  const isNamed = targets.some(({ name }) => name !== undefined);
  if (isNamed && flags.allNamespaces && !isOfFiles(flags)) {
    throw failure('a resource cannot be retrieved by name across all namespaces');
  }
  if (!isNamed && flags.subresource) throw failure('subresource cannot be used when bulk resources are specified');
  if ((flags.selector || flags.fieldSelector) && isNamed) {
    throw failure('name cannot be provided when a selector is specified');
  }
  const output = !flags.template ? flags.output : `${flags.output || 'go-template'}=${flags.template}`;
  const isTable = output === undefined || output === '' || output === 'wide';
  const request: GetRequest = {
    session,
    flags: output === undefined ? flags : { ...flags, output },
    targets,
    isMixed,
    revision: flags.asOf === undefined ? undefined : await revisionOf(session, flags.asOf),
  };
  if (flags.asOf !== undefined && (flags.watch || flags.watchOnly))
    throw failure('the past does not change: use either --as-of or --watch');
  if (flags.watch || flags.watchOnly) await watch(request, isTable);
  else if (isTable) await printTables(request);
  else await printObjects(request);
}

async function targetsOfFiles(session: Session, flags: GetFlags): Promise<{ targets: Target[]; isMixed: boolean }> {
  const manifests = await manifestsOf(session, flags);
  const targets: Target[] = [];
  for (const manifest of manifests) {
    const { name = '', namespace } = metadataOf(manifest.object);
    const resource = await resourceOf(session, manifest);
    if (!resource) continue;
    targets.push({
      resource,
      name,
      ...(namespace !== undefined && !session.isNamespaceExplicit && { namespace }),
    });
  }
  return { targets, isMixed: new Set(targets.map(({ resource }) => resource.name)).size > 1 };
}

/** Names of one resource that stand together share a table. */
function grouped(targets: readonly Target[]): { resource: Resource; targets: Target[] }[] {
  const groups: { resource: Resource; targets: Target[] }[] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    if (last && last.resource === target.resource) last.targets.push(target);
    else groups.push({ resource: target.resource, targets: [target] });
  }
  return groups;
}

async function printTables(request: GetRequest): Promise<void> {
  const { session, flags, targets, isMixed } = request;
  const errors: string[] = [];
  let printedCount = 0;
  for (const { resource, targets: alike } of grouped(targets)) {
    const documents: TableDocument[] = [];
    for (const target of alike) {
      try {
        documents.push(...(await fetchTables(request, target)));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!(flags.ignoreNotFound && error.reason === 'NotFound')) errors.push(describeApiError(error));
      }
    }
    const rows = documents.flatMap(document => document.rows ?? []);
    if (rows.length === 0 || !canSort(rows, flags)) continue;
    if (printedCount > 0 && isMixed && flags.headers) session.print('');
    tableFor(request, resource).print(documents, sorter(flags));
    printedCount += rows.length;
  }
  // Told bare, as those of the server are.
  errors.push(...session.mistakes.splice(0).map(bareMessage));
  for (const text of errors) session.error(text);
  if (errors.length > 0) session.context.setExitCode(1);
  else if (printedCount === 0 && !flags.ignoreNotFound) sayEmpty(request);
}

function sayEmpty(request: GetRequest): void {
  const { session, flags, targets } = request;
  const isNamespaced = targets.some(({ resource }) => resource.isNamespaced);
  session.error(
    isNamespaced && !flags.allNamespaces
      ? `No resources found in ${session.namespace} namespace.`
      : 'No resources found',
  );
}

function tableFor({ session, flags, isMixed }: GetRequest, resource: Resource): ServerTable {
  return new ServerTable(line => session.print(line), {
    isWide: flags.output === 'wide',
    hasHeaders: flags.headers,
    hasNamespace: (flags.allNamespaces ?? false) && resource.isNamespaced,
    hasLabels: flags.showLabels ?? false,
    labelColumns: flags.labelColumns ?? [],
    namePrefix: isMixed || flags.showKind ? `${kindWithGroup(resource)}/` : '',
    hasEventTypes: flags.outputWatchEvents ?? false,
  });
}

/** Whether any row has what it is to be sorted by. kubectl shows nothing otherwise. */
function canSort(rows: NonNullable<TableDocument['rows']>, flags: GetFlags): boolean {
  if (flags.sortBy === undefined) return true;
  const path = new JsonPath(relaxed(flags.sortBy));
  return rows.some(({ object }) => path.find(object).length > 0);
}

function sorter(flags: GetFlags): ((a: JsonObject, b: JsonObject) => number) | undefined {
  if (flags.sortBy === undefined) return undefined;
  const path = new JsonPath(relaxed(flags.sortBy));
  return (a, b) => compare(path.find(a)[0], path.find(b)[0]);
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

async function printObjects(request: GetRequest): Promise<void> {
  const { session, flags, targets } = request;
  const print = objectPrinter(flags.output ?? '', {
    hasHeaders: flags.headers,
    mayMiss: flags.allowMissingTemplateKeys,
  });
  const objects: PrintedObject[] = [];
  const errors: string[] = [];
  for (const target of targets) {
    try {
      objects.push(...(await fetchObjects(request, target)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!(flags.ignoreNotFound && error.reason === 'NotFound')) errors.push(describeApiError(error));
    }
  }
  const isList = targets.length !== 1 || session.mistakes.length > 0 || targets[0]?.name === undefined;
  const order = sorter(flags);
  if (order) objects.sort((a, b) => order(a.object, b.object));
  // Of a file kubectl shows all objects or none.
  const isWhole = errors.length === 0 || !isOfFiles(flags);
  const isNone = errors.length === 0 && session.mistakes.length === 0;
  if (isWhole && (objects.length > 0 || (isList && isNone))) session.context.stdout.write(print({ objects, isList }));
  for (const text of errors) session.error(text);
  if (errors.length > 0) session.context.setExitCode(1);
}

async function watch(request: GetRequest, isTable: boolean): Promise<void> {
  const { session, flags, targets } = request;
  // Told when the command ends.
  if (session.mistakes.length > 0) return;
  const [target, ...more] = targets;
  if (flags.sortBy !== undefined) {
    session.error('warning: --watch requested, --sort-by will be ignored for watch events received');
  }
  if (!target || more.length > 0) {
    if (isOfFiles(flags)) {
      throw failure(
        'watch is only supported on individual resources and resource collections - more than 1 resource was found',
      );
    }
    if (request.isMixed) throw failure('you may only specify a single resource type');
    if (isTable) await printTables(request);
    throw failure('you may only watch a single resource or type of resource at a time');
  }
  const { resource, name } = target;
  const table = tableFor(request, resource);
  const printer = isTable
    ? undefined
    : objectPrinter(flags.output ?? '', { hasHeaders: flags.headers, mayMiss: flags.allowMissingTemplateKeys });
  const path = pathOf(resource, namespaceOf(request, target));
  const query = { ...selection(flags), ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }) };
  const accept = isTable ? TABLE_MEDIA_TYPE : 'application/json';

  if (name !== undefined) await session.api.json('GET', pathOf(resource, namespaceOf(request, target), name));
  const first = await session.api.json<TableDocument & ListDocument>('GET', path, { accept, query }).catch(error => {
    throw describeListError(error, resource, flags);
  });
  if (!flags.watchOnly) {
    if (printer) {
      for (const item of first.items ?? []) {
        const own = { apiVersion: first.apiVersion ?? '', kind: (first.kind ?? '').replace(/List$/, '') };
        const object = shown({ ...own, ...item }, flags);
        session.context.stdout.write(printer({ objects: [{ resource, object }], isList: false }));
      }
    } else table.print([first], undefined, 'ADDED');
  } else table.remember(first);
  const events = session.api.watch<TableDocument & JsonObject>(path, {
    accept,
    query: { ...query, resourceVersion: first.metadata?.resourceVersion },
  });
  for await (const { type, object } of events) {
    if (type === 'BOOKMARK') continue;
    if (printer)
      session.context.stdout.write(printer({ objects: [{ resource, object: shown(object, flags) }], isList: false }));
    else table.print([object], undefined, type);
  }
}
