/** Names for objects in caches and queues: `namespace/name`, or `name` alone where there is no namespace. */
import type { KubernetesObject } from '../api/kind.ts';
import type { ObjectKey } from './client.ts';

export function keyOf(object: KubernetesObject): string {
  const { namespace, name } = object.metadata ?? {};
  return namespace ? `${namespace}/${name}` : (name ?? '');
}

export function formatKey({ namespace, name }: ObjectKey): string {
  return namespace ? `${namespace}/${name}` : name;
}

export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function objectKey(object: KubernetesObject): ObjectKey {
  return parseKey(keyOf(object));
}
