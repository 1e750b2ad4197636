/** `raftsman get`: the server's tables, or objects in the form that `-o` says. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { resolveTargets, type Target } from '../client/arguments.ts';
import { nameWithGroup, pathOf, type Resource, singularWithGroup } from '../client/discovery.ts';
import { describeApiError, failure } from '../client/errors.ts';
import { explainExpired, revisionOf } from '../client/history.ts';
import { readManifests } from '../client/manifests.ts';
import { describeListError } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { JsonPath, relaxed } from '../output/jsonpath.ts';
import { objectPrinter, type PrintedObject } from '../output/objects.ts';
import { ServerTable, TABLE_MEDIA_TYPE, type TableDocument } from '../output/server-table.ts';
import { ClusterCommand, integer, list, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly output?: string;
  readonly watch?: boolean;
  readonly watchOnly?: boolean;
  readonly outputWatchEvents?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly allNamespaces?: boolean;
  readonly showLabels?: boolean;
  readonly labelColumns?: readonly string[];
  readonly sortBy?: string;
  readonly headers: boolean;
  readonly showKind?: boolean;
  readonly ignoreNotFound?: boolean;
  readonly showManagedFields?: boolean;
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly chunkSize: number;
  readonly raw?: string;
  readonly subresource?: string;
  readonly asOf?: string;
  readonly template?: string;
  readonly kustomize?: string;
}

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
    .option('--server-print', 'accepted for kubectl’s sake', true)
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
    .action(withSession<Flags>(context, get));
  program.addCommand(withGlobalFlags(command));
}

async function get(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (flags.raw !== undefined) {
    session.context.stdout.write(await session.api.text('GET', flags.raw));
    return;
  }
  const { targets, isMixed } = flags.filename
    ? await targetsOfFiles(session, flags)
    : await resolveTargets(words, session.discovery);
  if ((flags.selector || flags.fieldSelector) && targets.some(({ name }) => name !== undefined)) {
    throw failure('name cannot be provided when a selector is specified');
  }
  const isTable = flags.output === undefined || flags.output === '' || flags.output === 'wide';
  const output = flags.template && flags.output ? `${flags.output}=${flags.template}` : flags.output;
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

interface GetRequest {
  readonly session: Session;
  readonly flags: Flags;
  readonly targets: readonly Target[];
  readonly isMixed: boolean;
  /** The moment to read at; undefined: now. */
  readonly revision: number | undefined;
}

async function targetsOfFiles(session: Session, flags: Flags): Promise<{ targets: Target[]; isMixed: boolean }> {
  const manifests = await readManifests(flags.filename ?? [], {
    stdin: session.context.stdin,
    isRecursive: flags.recursive ?? false,
  });
  const targets: Target[] = [];
  for (const { object, source } of manifests) {
    const { name } = object.metadata as { name: string };
    targets.push({
      resource: await session.discovery.ofKind(
        String(object.apiVersion),
        String(object.kind),
        `name: "${name}" from "${source}"`,
      ),
      name,
    });
  }
  return { targets, isMixed: new Set(targets.map(({ resource }) => resource.name)).size > 1 };
}

const namespaceOf = ({ session, flags }: GetRequest) => (flags.allNamespaces ? undefined : session.namespace);

/** The query of a list. */
function selection(flags: Flags): Record<string, string | undefined> {
  return { labelSelector: flags.selector, fieldSelector: flags.fieldSelector };
}

/** Names of one resource that stand together share a table. */
function grouped(targets: readonly Target[]): { resource: Resource; names: (string | undefined)[] }[] {
  const groups: { resource: Resource; names: (string | undefined)[] }[] = [];
  for (const { resource, name } of targets) {
    const last = groups.at(-1);
    if (last && last.resource === resource) last.names.push(name);
    else groups.push({ resource, names: [name] });
  }
  return groups;
}

async function printTables(request: GetRequest): Promise<void> {
  const { session, flags, targets, isMixed } = request;
  const errors: string[] = [];
  let printedCount = 0;
  for (const { resource, names } of grouped(targets)) {
    const documents: TableDocument[] = [];
    for (const name of names) {
      try {
        documents.push(...(await fetchTables(request, resource, name)));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!(flags.ignoreNotFound && error.reason === 'NotFound')) errors.push(describeApiError(error));
      }
    }
    const rows = documents.flatMap(document => document.rows ?? []);
    if (rows.length === 0) continue;
    if (printedCount > 0 && isMixed) session.print('');
    tableFor(request, resource).print(documents, sorter(flags));
    printedCount += rows.length;
  }
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
    namePrefix: isMixed || flags.showKind ? `${singularWithGroup(resource)}/` : '',
    hasEventTypes: flags.outputWatchEvents ?? false,
  });
}

function sorter(flags: Flags): ((a: JsonObject, b: JsonObject) => number) | undefined {
  if (flags.sortBy === undefined) return undefined;
  const path = new JsonPath(relaxed(flags.sortBy));
  return (a, b) => compare(path.find(a)[0], path.find(b)[0]);
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

/** The tables of one name, or the chunks of a list. */
async function fetchTables(
  request: GetRequest,
  resource: Resource,
  name: string | undefined,
): Promise<readonly TableDocument[]> {
  const { session, flags } = request;
  if (request.revision !== undefined) return [await pastTable(request, resource, name)];
  const path = pathOf(resource, namespaceOf(request), name, flags.subresource);
  const includeObject = flags.sortBy === undefined ? undefined : 'Object';
  if (name !== undefined) {
    return [await session.api.json<TableDocument>('GET', path, { accept: TABLE_MEDIA_TYPE, query: { includeObject } })];
  }
  const documents: TableDocument[] = [];
  for (let token: string | undefined; ; ) {
    const document = await session.api
      .json<TableDocument>('GET', path, {
        accept: TABLE_MEDIA_TYPE,
        query: { ...selection(flags), includeObject, limit: flags.chunkSize || undefined, continue: token },
      })
      .catch(error => {
        throw describeListError(error, resource, flags);
      });
    documents.push(document);
    token = document.metadata?.continue;
    if (!token) return documents;
  }
}

async function printObjects(request: GetRequest): Promise<void> {
  const { session, flags, targets } = request;
  const print = objectPrinter(flags.output ?? '', { hasHeaders: flags.headers });
  const objects: PrintedObject[] = [];
  const errors: string[] = [];
  for (const { resource, name } of targets) {
    try {
      objects.push(...(await fetchObjects(request, resource, name)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!(flags.ignoreNotFound && error.reason === 'NotFound')) errors.push(describeApiError(error));
    }
  }
  const isList = targets.length !== 1 || targets[0]?.name === undefined;
  const order = sorter(flags);
  if (order) objects.sort((a, b) => order(a.object, b.object));
  if (objects.length > 0 || (isList && errors.length === 0)) session.context.stdout.write(print({ objects, isList }));
  for (const text of errors) session.error(text);
  if (errors.length > 0) session.context.setExitCode(1);
}

/** The query of a list as of a past revision. */
const pastQuery = ({ flags, revision }: GetRequest, name: string | undefined) => ({
  labelSelector: flags.selector,
  fieldSelector: name === undefined ? flags.fieldSelector : `metadata.name=${name}`,
  resourceVersion: revision,
  resourceVersionMatch: 'Exact',
});

async function past<T>(
  request: GetRequest,
  resource: Resource,
  { name, accept }: { readonly name: string | undefined; readonly accept: string },
): Promise<T> {
  const { session, revision = 0 } = request;
  return session.api
    .json<T>('GET', pathOf(resource, namespaceOf(request)), { accept, query: pastQuery(request, name) })
    .catch(error => {
      throw explainExpired(describeListError(error, resource, request.flags), revision);
    });
}

const wasMissing = (resource: Resource, name: string, revision: number | undefined) =>
  new ApiError('NotFound', `${nameWithGroup(resource)} ${JSON.stringify(name)} not found at revision ${revision}`);

async function pastTable(request: GetRequest, resource: Resource, name: string | undefined): Promise<TableDocument> {
  const table = await past<TableDocument>(request, resource, { name, accept: TABLE_MEDIA_TYPE });
  if (name !== undefined && !table.rows?.length) throw wasMissing(resource, name, request.revision);
  return table;
}

async function pastObjects(
  request: GetRequest,
  resource: Resource,
  name: string | undefined,
): Promise<PrintedObject[]> {
  const list = await past<ListDocument>(request, resource, { name, accept: 'application/json' });
  if (name !== undefined && !list.items?.length) throw wasMissing(resource, name, request.revision);
  const own = { apiVersion: list.apiVersion ?? '', kind: (list.kind ?? '').replace(/List$/, '') };
  return (list.items ?? []).map(item => ({ resource, object: shown({ ...own, ...item }, request.flags) }));
}

interface ListDocument {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items?: readonly JsonObject[];
}

async function fetchObjects(
  request: GetRequest,
  resource: Resource,
  name: string | undefined,
): Promise<PrintedObject[]> {
  const { session, flags } = request;
  if (request.revision !== undefined) return pastObjects(request, resource, name);
  const path = pathOf(resource, namespaceOf(request), name, flags.subresource);
  if (name !== undefined) return [{ resource, object: shown(await session.api.json('GET', path), flags) }];
  const objects: PrintedObject[] = [];
  for (let token: string | undefined; ; ) {
    const document: ListDocument = await session.api
      .json('GET', path, {
        query: { ...selection(flags), limit: flags.chunkSize || undefined, continue: token },
      })
      .catch(error => {
        throw describeListError(error, resource, flags);
      });
    // Lists leave kind and apiVersion out of their items.
    const own = { apiVersion: document.apiVersion ?? '', kind: (document.kind ?? '').replace(/List$/, '') };
    objects.push(...(document.items ?? []).map(item => ({ resource, object: shown({ ...own, ...item }, flags) })));
    token = document.metadata?.continue;
    if (!token) return objects;
  }
}

/** Who set which field interests few: kubectl hides it as well. */
function shown(object: JsonObject, flags: Flags): JsonObject {
  if (flags.showManagedFields || typeof object.metadata !== 'object' || object.metadata === null) return object;
  const { managedFields: _hidden, ...metadata } = object.metadata as JsonObject;
  return { ...object, metadata };
}

async function watch(request: GetRequest, isTable: boolean): Promise<void> {
  const { session, flags, targets } = request;
  const [target, ...more] = targets;
  if (!target || more.length > 0) throw failure('you may only specify a single resource type');
  const { resource, name } = target;
  const table = tableFor(request, resource);
  const printer = isTable ? undefined : objectPrinter(flags.output ?? '', { hasHeaders: flags.headers });
  const path = pathOf(resource, namespaceOf(request));
  const query = { ...selection(flags), ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }) };
  const accept = isTable ? TABLE_MEDIA_TYPE : 'application/json';

  if (name !== undefined) await session.api.json('GET', pathOf(resource, namespaceOf(request), name));
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
