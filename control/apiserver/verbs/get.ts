/** GET of one object. */
import type { KindDeclaration } from '../../api/kind.ts';
import { notFound } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { negotiate } from '../http/negotiate.ts';
import { objectReply } from '../http/replies.ts';
import { objectKey, resourceName, resourcePrefix, storedKind } from '../keys.ts';
import type { Exchange, Reply } from '../types.ts';
import { type Freshness, readGetFreshness } from './options.ts';
import {
  parseAs,
  partialObject,
  prepareView,
  readIncludeObject,
  readyOf,
  refuseListForm,
  table,
} from './representation.ts';

/** Waits until the cache is as fresh as asked. Exact reads of lists are answered elsewhere. */
export async function waitUntil(core: Core, freshness: Freshness): Promise<void> {
  switch (freshness.type) {
    case 'consistent':
      await core.cache.freshen();
      return;
    case 'any':
      await core.cache.waitFor(0);
      return core.cache.freshenSoon();
    case 'notOlderThan':
    case 'exact':
      return core.cache.waitFor(freshness.revision);
  }
}

/** The object as the cache has it now. */
export function cached(
  { cache }: Pick<Core, 'cache'>,
  kind: KindDeclaration,
  namespace: string,
  name: string,
): CachedObject | undefined {
  return cache.resource(resourcePrefix(storedKind(kind))).get(objectKey(kind, namespace, name));
}

/** The object as of now, having seen every acknowledged write. Throws 404. */
export async function readConsistent(
  core: Core,
  kind: KindDeclaration,
  at: { readonly namespace: string; readonly name: string },
): Promise<CachedObject> {
  await core.cache.freshen();
  const object = cached(core, kind, at.namespace, at.name);
  if (!object) throw notFound(resourceName(kind), at.name);
  return object;
}

export async function get(core: Core, { exchange, info, kind }: ResourceRequest): Promise<Reply> {
  const representation = negotiate(exchange.headers.accept);
  refuseListForm(representation, kind);
  await waitUntil(core, readGetFreshness(exchange.query));
  const object = cached(core, kind, info.namespace, info.name);
  if (!object) throw notFound(resourceName(kind), info.name);
  return singleReply(core, { exchange, kind }, object);
}

/** One object in the form that the client accepts. */
export async function singleReply(
  core: Core,
  { exchange, kind }: { readonly exchange: Exchange; readonly kind: KindDeclaration },
  object: CachedObject,
  status = 200,
): Promise<Reply> {
  const { form, mediaType, metaVersion } = negotiate(exchange.headers.accept);
  await prepareView(core, kind, object);
  if (form === 'Object') return objectReply(status, readyOf(kind, object).bytes, mediaType);
  const parsed = parseAs(kind, object);
  const shown =
    form === 'Table'
      ? table(kind, [parsed], {
          now: core.clock.now(),
          include: readIncludeObject(exchange.query),
          metaVersion,
          metadata: { resourceVersion: String(object.revision) },
          hasColumns: true,
        })
      : partialObject(parsed, metaVersion);
  return objectReply(status, Buffer.from(JSON.stringify(shown)), mediaType);
}
