/** Objects on their way through kustomizations, the names they had on it, and who is meant by a selection. */

import { matchesLabels, parseLabelSelector } from '../../control/api/selectors.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { builtinKinds } from './builtin-kinds.ts';
import type { Target } from './kustomization.ts';

/** Who an object is: its kind, namespace ('' for none) and name. */
export interface Identity {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Resource {
  /** Changed in place by what a kustomization does. */
  object: JsonObject;
  /** Who it was before each of its renamings, the first at first. */
  readonly earlier: Identity[];
  /** Its name gets a hash of its content in the end. */
  needsHash: boolean;
  /** Whom it means by the names in its fields, as far as that is known (`references.ts`). */
  readonly refersTo: Map<string, Resource>;
}

export const newResource = (object: JsonObject, needsHash = false): Resource => ({
  object,
  earlier: [],
  needsHash,
  refersTo: new Map(),
});

export interface Metadata {
  name?: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The metadata of an object, made where it is missing. */
export function metadataOf(object: JsonObject): Metadata {
  if (!isObject(object.metadata)) object.metadata = {};
  return object.metadata as Metadata;
}

export function identityOf(object: JsonObject): Identity {
  const [version = '', group = ''] = String(object.apiVersion ?? '')
    .split('/')
    .reverse();
  const { name = '', namespace = '' } = (isObject(object.metadata) ? object.metadata : {}) as Metadata;
  return { group, version, kind: String(object.kind ?? ''), namespace, name };
}

/** As kustomize's messages write it: `Deployment.v1.apps/web.[noNs]`. */
export function identityText({ group, version, kind, namespace, name }: Identity): string {
  return `${kind}.${version || '[noVer]'}.${group || '[noGrp]'}/${name || '[noName]'}.${namespace || '[noNs]'}`;
}

/** Kinds of other groups than the built-in ones count as namespaced. */
export function isNamespaced({ group, kind }: Pick<Identity, 'group' | 'kind'>): boolean {
  return builtinKinds.find(one => one.group === group && one.kind === kind)?.namespaced ?? true;
}

/** All that an object was called, what it is called now first. */
export const identities = ({ object, earlier }: Resource): readonly Identity[] => [
  identityOf(object),
  ...earlier.toReversed(),
];

const inNamespace = ({ namespace }: Identity) => namespace || 'default';

/** True if both are the same object, whatever its version. */
export function isSame(a: Identity, b: Identity): boolean {
  if (a.group !== b.group || a.kind !== b.kind || a.name !== b.name) return false;
  return !isNamespaced(a) || inNamespace(a) === inNamespace(b);
}

/**
 * True if the target means the resource, by any of its names.
 * @throws CommandError for a pattern or a selector that cannot be read.
 */
export function isMeant(resource: Resource, target: Target): boolean {
  const { labels, annotations } = metadataOf(resource.object);
  if (target.labelSelector && !selects(target.labelSelector, labels)) return false;
  if (target.annotationSelector && !selects(target.annotationSelector, annotations)) return false;
  return identities(resource).some(identity =>
    (['group', 'version', 'kind', 'name', 'namespace'] as const).every(field => {
      const pattern = target[field];
      return pattern === undefined || pattern === '' || wholly(pattern).test(identity[field]);
    }),
  );
}

function wholly(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern.replace(/^\^/, '').replace(/\$$/, '')})$`);
  } catch (error) {
    throw failure(`the pattern ${JSON.stringify(pattern)} of a target cannot be read`, error);
  }
}

function selects(text: string, values: Readonly<Record<string, string>> | undefined): boolean {
  try {
    return matchesLabels(parseLabelSelector(text), values);
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error), error);
  }
}
