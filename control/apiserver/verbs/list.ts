/**
 * LIST. The first page comes from the cache, as of one moment; further pages keep that moment's revision and come from the
 * cache while the resource has not changed since, else from the store's history. Long lists go out in slices, with a turn
 * of the event loop between two, so that neither a large list nor a slow selector holds up others.
 */
import { CompactedError } from '../../../store/index.ts';
import { ApiError, expired } from '../../api/status.ts';
import { CachedObject } from '../cache/cached-object.ts';
import { nextTurn } from '../clock.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { negotiate, type Representation } from '../http/negotiate.ts';
import { bytesReply, JSON_TYPE, jsonReply, objectReply } from '../http/replies.ts';
import { resourcePrefix, storedKind } from '../keys.ts';
import { Pace } from '../pace.ts';
import type { Reply } from '../types.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { waitUntil } from './get.ts';
import { type ListOptions, readListOptions } from './options.ts';
import {
  columnDefinitions,
  listKind,
  parseAs,
  partialParts,
  prepareViews,
  readIncludeObject,
  readyOf,
  refuseObjectForm,
  tableRow,
} from './representation.ts';
import { readSelection, type Selection } from './selection.ts';

/** The objects of one page. */
export interface Page {
  readonly revision: number;
  readonly objects: readonly CachedObject[];
  /** Where the next page starts, behind the prefix; undefined on the last page. */
  readonly next: string | undefined;
  /** How many objects follow; only known without selectors. */
  readonly remaining: number | undefined;
}

export async function list(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange } = request;
  const representation = negotiate(exchange.headers.accept, { isCollection: true });
  refuseObjectForm(representation, request.kind);
  const options = readListOptions(exchange.query, false);
  let page: Page;
  try {
    page = await readPage(core, request, options);
  } catch (error) {
    if (error instanceof CompactedError) return expiredReply(options);
    throw error;
  }
  return pageReply(core, request, { page, representation });
}

/** Finds the objects of a page. Throws CompactedError where the revision asked for is gone. */
export async function readPage(core: Core, request: ResourceRequest, options: ListOptions): Promise<Page> {
  const selection = readSelection(request, options);
  if (options.continueToken) {
    const token = decodeContinue(options.continueToken);
    if (options.resourceVersion !== '' && options.resourceVersion !== '0') {
      throw new ApiError('BadRequest', 'specifying resource version is not allowed when using continue');
    }
    const start = selection.prefix + token.start;
    if (token.revision < 0) {
      await core.cache.freshen();
      return pageFromCache(core, request, { selection, start, limit: options.limit, revision: core.cache.revision });
    }
    return pageAt(core, request, { selection, start, limit: options.limit, revision: token.revision });
  }
  const start = selection.prefix;
  await waitUntil(core, options.freshness);
  if (options.freshness.type === 'exact') {
    return pageAt(core, request, { selection, start, limit: options.limit, revision: options.freshness.revision });
  }
  return pageFromCache(core, request, { selection, start, limit: options.limit, revision: core.cache.revision });
}

interface PageRequest {
  readonly selection: Selection;
  readonly start: string;
  /** 0 for all. */
  readonly limit: number;
  /** What the list is told to be as of. */
  readonly revision: number;
}

/** A page as of a past revision. */
async function pageAt(core: Core, request: ResourceRequest, wanted: PageRequest): Promise<Page> {
  await core.cache.waitFor(wanted.revision);
  const resource = core.cache.resource(resourcePrefix(storedKind(request.kind)));
  if (resource.lastChange <= wanted.revision && resource.canReplayFrom(wanted.revision)) {
    // The cache may remember longer than the store; to clients a revision is gone when the store has compacted it, on every master.
    await core.store.range({ key: wanted.start, revision: wanted.revision, serializable: true });
    return pageFromCache(core, request, wanted);
  }
  return pageFromStore(core, request, wanted);
}

/** The state is taken in one step, so it is that of one moment; only the looking through it takes turns. */
async function pageFromCache(core: Core, request: ResourceRequest, wanted: PageRequest): Promise<Page> {
  const { selection, start, limit, revision } = wanted;
  const resource = core.cache.resource(resourcePrefix(storedKind(request.kind)));
  if (!selection.isSelective) {
    const { items, remaining } = resource.page(selection.prefix, start, limit > 0 ? limit : undefined);
    return makePage(wanted, items, remaining, remaining);
  }
  const all = resource.list(selection.prefix, start);
  if (selection.looksAtFields) await prepareViews(core, request.kind, all);
  const objects: CachedObject[] = [];
  const pace = new Pace(core.clock);
  for (const object of all) {
    if (pace.isDue()) await pace.turn();
    if (!selection.matches(object)) continue;
    if (limit > 0 && objects.length === limit) return makePage(wanted, objects, 1, undefined);
    objects.push(object);
  }
  return { revision, objects, next: undefined, remaining: undefined };
}

async function pageFromStore(core: Core, { kind }: ResourceRequest, wanted: PageRequest): Promise<Page> {
  const { selection, limit, revision } = wanted;
  const end = `${selection.prefix.slice(0, -1)}0`;
  const objects: CachedObject[] = [];
  let key = wanted.start;
  for (;;) {
    const pageKeys = core.limits.storePageKeys;
    const result = await core.store.range({ key, end, revision, limit: pageKeys, serializable: true });
    const found = result.items.map(item => CachedObject.fromStored(item.key, item.value, item.modRevision));
    if (selection.looksAtFields) await prepareViews(core, kind, found);
    for (const [index, object] of found.entries()) {
      if (!selection.matches(object)) continue;
      if (limit > 0 && objects.length === limit) {
        return makePage(wanted, objects, 1, selection.isSelective ? undefined : result.count - index);
      }
      objects.push(object);
    }
    const last = result.items.at(-1);
    if (!result.more || !last) return { revision, objects, next: undefined, remaining: undefined };
    key = `${last.key}\0`;
    await nextTurn(core.clock);
  }
}

function makePage(wanted: PageRequest, objects: readonly CachedObject[], more: number, remaining?: number): Page {
  const last = objects.at(-1);
  const next = more > 0 && last ? `${last.key.slice(wanted.selection.prefix.length)}\0` : undefined;
  return { revision: wanted.revision, objects, next, remaining: next === undefined ? undefined : remaining };
}

/** 410, with a token that goes on from the same place in the latest state. */
function expiredReply({ continueToken }: ListOptions): Reply {
  if (!continueToken) throw expired('The resourceVersion for the provided list is too old.');
  const { start } = decodeContinue(continueToken);
  const error = expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
  );
  return jsonReply(410, { ...error.toStatus(), metadata: { continue: encodeContinue({ revision: -1, start }) } });
}

/** The page's ListMeta. */
export function listMeta(page: Page): object {
  return {
    resourceVersion: String(page.revision),
    ...(page.next !== undefined && { continue: encodeContinue({ revision: page.revision, start: page.next }) }),
    ...(page.remaining !== undefined && { remainingItemCount: page.remaining }),
  };
}

/** Writes a page in the form that the client accepts. */
export async function pageReply(
  core: Core,
  request: ResourceRequest,
  { page, representation }: { readonly page: Page; readonly representation: Representation },
): Promise<Reply> {
  const shape = shapeOf(core, request, { page, representation });
  await prepareViews(core, request.kind, page.objects);
  const body = join(core, page.objects, shape);
  if (representation.mediaType === 'application/yaml' || isSmall(core, page)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return objectReply(200, Buffer.concat(chunks), representation.mediaType);
  }
  return bytesReply(200, body, { 'content-type': JSON_TYPE });
}

/** Small lists go out whole, with their length. */
function isSmall(core: Core, page: Page): boolean {
  let size = 0;
  for (const { ready } of page.objects) {
    size += ready.bytes.length;
    if (size > core.limits.listSliceBytes) return false;
  }
  return true;
}

interface ListShape {
  readonly head: string;
  readonly tail: string;
  item(object: CachedObject): readonly Uint8Array[];
}

function shapeOf(
  core: Core,
  { kind, exchange }: ResourceRequest,
  { page, representation }: { readonly page: Page; readonly representation: Representation },
): ListShape {
  const { form, metaVersion } = representation;
  const metadata = JSON.stringify(listMeta(page));
  const apiVersion = `meta.k8s.io/${metaVersion}`;
  if (form === 'Table') {
    const options = { now: core.clock.now(), include: readIncludeObject(exchange.query), metaVersion };
    const columns = JSON.stringify(columnDefinitions(kind));
    return {
      head: `{"kind":"Table","apiVersion":"${apiVersion}","metadata":${metadata},"columnDefinitions":${columns},"rows":[`,
      tail: ']}\n',
      item: object => [Buffer.from(JSON.stringify(tableRow(kind, parseAs(kind, object), options)))],
    };
  }
  if (form === 'PartialObjectMetadataList') {
    return {
      head: `{"kind":"PartialObjectMetadataList","apiVersion":"${apiVersion}","metadata":${metadata},"items":[`,
      tail: ']}\n',
      item: object => partialParts(kind, object, metaVersion),
    };
  }
  const names = listKind(kind);
  return {
    head: `{"kind":"${names.kind}","apiVersion":"${names.apiVersion}","metadata":${metadata},"items":[`,
    tail: ']}\n',
    item: object => {
      const ready = readyOf(kind, object);
      // Custom resources say in a list too what they are.
      return kind.form ? [ready.bytes] : [OPEN, ready.bytes.subarray(ready.itemOffset)];
    },
  };
}

const OPEN = Buffer.from('{');
const COMMA = Buffer.from(',');

/** Joins a list's parts into slices of a bounded size. */
async function* join(core: Core, objects: readonly CachedObject[], shape: ListShape): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [Buffer.from(shape.head)];
  let size = 0;
  const pace = new Pace(core.clock);
  for (const [index, object] of objects.entries()) {
    if (pace.isDue()) await pace.turn();
    if (index > 0) parts.push(COMMA);
    for (const part of shape.item(object)) {
      parts.push(part);
      size += part.length;
    }
    if (size < core.limits.listSliceBytes) continue;
    yield Buffer.concat(parts);
    parts = [];
    size = 0;
    await pace.turn();
  }
  parts.push(Buffer.from(shape.tail));
  yield Buffer.concat(parts);
}
