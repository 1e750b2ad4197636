/** What `raftsman get` asks the server: tables and objects, one by one or in chunks, now or in the past. */
import { ageOf } from '../../control/api/printers/human-duration.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import type { Target } from '../client/arguments.ts';
import { nameWithGroup, pathOf, type Resource } from '../client/discovery.ts';
import { explainExpired } from '../client/history.ts';
import { describeListError, metadataOf, tellMissingNamespace } from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { hidesManagedFields } from '../client/write.ts';
import type { PrintedObject } from '../output/objects.ts';
import { TABLE_MEDIA_TYPE, type TableDocument } from '../output/server-table.ts';

export interface GetFlags {
  readonly allowMissingTemplateKeys: boolean;
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
  readonly serverPrint: boolean;
}

export interface GetRequest {
  readonly session: Session;
  readonly flags: GetFlags;
  readonly targets: readonly Target[];
  readonly isMixed: boolean;
  /** The moment to read at; undefined: now. */
  readonly revision: number | undefined;
}

export const namespaceOf = ({ session, flags }: GetRequest) => (flags.allNamespaces ? undefined : session.namespace);

/** The query of a list. */
export function selection(flags: GetFlags): Record<string, string | undefined> {
  return { labelSelector: flags.selector, fieldSelector: flags.fieldSelector };
}

/** A document as a table: objects of servers that print none, and answers such as a scale, have a name and an age. */
function tableOf(document: JsonObject, now: number): TableDocument {
  if (document.kind === 'Table') return document as TableDocument;
  const { items, metadata } = document as ListDocument;
  return {
    metadata: metadata ?? {},
    columnDefinitions: [{ name: 'Name', format: 'name' }, { name: 'Age' }],
    rows: (items ?? [document]).map(object => ({
      cells: [metadataOf(object).name ?? '', ageOf(metadataOf(object).creationTimestamp, now)],
      object,
    })),
  };
}

/** The tables of one name, or the chunks of a list. */
export async function fetchTables(
  request: GetRequest,
  resource: Resource,
  name: string | undefined,
): Promise<readonly TableDocument[]> {
  const { session, flags } = request;
  if (request.revision !== undefined) return [await pastTable(request, resource, name)];
  const path = pathOf(resource, namespaceOf(request), name, flags.subresource);
  const includeObject = flags.sortBy === undefined ? undefined : 'Object';
  const accept = flags.serverPrint ? TABLE_MEDIA_TYPE : 'application/json';
  if (name !== undefined) {
    return [
      tableOf(
        await tellMissingNamespace(
          session,
          { resource, namespace: session.namespace },
          session.api.json('GET', path, { accept, query: { includeObject } }),
        ),
        session.context.clock.now(),
      ),
    ];
  }
  const documents: TableDocument[] = [];
  for (let token: string | undefined; ; ) {
    const document = await session.api
      .json('GET', path, {
        accept,
        query: { ...selection(flags), includeObject, limit: flags.chunkSize || undefined, continue: token },
      })
      .catch(error => {
        throw describeListError(error, resource, flags);
      });
    const table = tableOf(document, session.context.clock.now());
    documents.push(table);
    token = table.metadata?.continue;
    if (!token) return documents;
  }
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

export interface ListDocument {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items?: readonly JsonObject[];
}

export async function fetchObjects(
  request: GetRequest,
  resource: Resource,
  name: string | undefined,
): Promise<PrintedObject[]> {
  const { session, flags } = request;
  if (request.revision !== undefined) return pastObjects(request, resource, name);
  const path = pathOf(resource, namespaceOf(request), name, flags.subresource);
  if (name !== undefined) {
    return [
      {
        resource,
        object: shown(
          await tellMissingNamespace(
            session,
            { resource, namespace: session.namespace },
            session.api.json('GET', path),
          ),
          flags,
        ),
      },
    ];
  }
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

/** Who set which field interests few: kubectl hides it as well, but not from templates, which may ask for it. */
export function shown(object: JsonObject, flags: GetFlags): JsonObject {
  if (!hidesManagedFields(flags) || typeof object.metadata !== 'object' || object.metadata === null) return object;
  const { managedFields: _hidden, ...metadata } = object.metadata as JsonObject;
  return { ...object, metadata };
}
