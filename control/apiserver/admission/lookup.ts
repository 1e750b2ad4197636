/** How admission reads objects that others name. */
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourcePrefix } from '../keys.ts';
import { cached } from '../verbs/get.ts';

/** An object without a namespace, by name. One that the cache does not have is looked for again in a fresh one. */
export async function findFresh<T extends KubernetesObject>(
  cache: WatchCache,
  kind: Kind<T>,
  name: string,
): Promise<T | undefined> {
  const declaration = declarationOf<KubernetesObject>(kind);
  const read = () => cached({ cache }, declaration, '', name)?.parse<T>();
  const found = read();
  if (found) return found;
  await cache.freshen();
  return read();
}

/** All objects of a kind that the cache has. For kinds of which there are few. */
export function listAll<T extends KubernetesObject>(cache: WatchCache, kind: Kind<T>): T[] {
  const prefix = resourcePrefix(kind);
  return cache
    .resource(prefix)
    .list(prefix)
    .map(object => object.parse<T>());
}

/** The objects of a kind in one namespace, as the cache has them. Nearly free where there are none. */
export function listInNamespace<T extends KubernetesObject>(cache: WatchCache, kind: Kind<T>, namespace: string): T[] {
  const prefix = resourcePrefix(kind);
  const objects = cache.resource(prefix);
  if (objects.size === 0) return [];
  return objects.list(`${prefix}${namespace}/`).map(object => object.parse<T>());
}
