/** Where an object lies in the store: `/registry/GROUP/RESOURCE/[NAMESPACE/]NAME`, GROUP being `core` for the core group. */
import type { Kind, KindDeclaration, KubernetesObject } from '../api/kind.ts';
import { REGISTRY } from './cache/watch-cache.ts';

/** The kind under which objects of `kind` are stored: itself, or the version that it converts to. */
export function storedKind(kind: KindDeclaration): Kind {
  return kind.storedAs?.kind ?? kind;
}

/** By kind: every request asks for it, and a text that is not made anew need not be hashed anew. It goes with the kind. */
const prefixes = new WeakMap<object, string>();

/** The prefix of all objects of a stored kind. */
export function resourcePrefix(kind: Pick<Kind, 'group' | 'plural'>): string {
  let prefix = prefixes.get(kind);
  if (prefix === undefined) {
    prefix = `${REGISTRY}${kind.group || 'core'}/${kind.plural}/`;
    prefixes.set(kind, prefix);
  }
  return prefix;
}

/** The prefix of the objects in a namespace; of all objects for an empty namespace. */
export function listPrefix(kind: KindDeclaration, namespace: string): string {
  const prefix = resourcePrefix(storedKind(kind));
  return kind.namespaced && namespace ? `${prefix}${namespace}/` : prefix;
}

export function objectKey(kind: KindDeclaration, namespace: string, name: string): string {
  return `${listPrefix(kind, namespace)}${name}`;
}

/** The fields of an object that its key tells, as field selectors name them. */
export function identityOfKey(kind: KindDeclaration, key: string): Readonly<Record<string, string>> {
  const start = resourcePrefix(storedKind(kind)).length;
  const slash = kind.namespaced ? key.indexOf('/', start) : start - 1;
  return { 'metadata.name': key.slice(slash + 1), 'metadata.namespace': key.slice(start, Math.max(slash, start)) };
}

/** The apiVersion of a kind: `v1`, `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}

/** What errors call the resource. */
export function resourceName({ group, plural }: Pick<Kind, 'group' | 'plural'>): { group: string; resource: string } {
  return { group, resource: plural };
}

/** A served object as it is stored. */
export function toStored(kind: KindDeclaration, object: KubernetesObject): KubernetesObject {
  const stored = kind.storedAs ? kind.storedAs.toStored(object) : object;
  const { group, version, kind: name } = storedKind(kind);
  stored.kind = name;
  stored.apiVersion = apiVersionOf({ group, version });
  return stored;
}

/** A stored object in the version that `kind` serves. */
export function fromStored(kind: KindDeclaration, stored: KubernetesObject): KubernetesObject {
  const object = kind.storedAs ? kind.storedAs.fromStored(stored) : stored;
  object.kind = kind.kind;
  object.apiVersion = apiVersionOf(kind);
  return object;
}
