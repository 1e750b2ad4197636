/**
 * The three-way merge of `apply`: what the manifest no longer has but had when it was applied last is deleted, what it has and the
 * object has not is set, and all else is left to others. The last manifest is kept in an annotation of the object.
 */
import { ruleOf } from '../../control/api/patch/merge-facts.ts';
import type { JsonObject } from '../client/api.ts';
import type { Resource } from '../client/discovery.ts';
import { sorted } from '../output/documents.ts';

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const equal = (a: unknown, b: unknown) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

/** The object with its own configuration in the annotation. */
export function withLastApplied(object: JsonObject): JsonObject {
  const metadata = (object.metadata ?? {}) as JsonObject;
  const { [LAST_APPLIED]: _old, ...annotations } = (metadata.annotations ?? {}) as JsonObject;
  const bare = { ...object, metadata: { ...metadata, annotations } };
  const text = `${JSON.stringify(sorted(bare))}\n`;
  return { ...object, metadata: { ...metadata, annotations: { ...annotations, [LAST_APPLIED]: text } } };
}

/** What was applied last; undefined if nothing was, or its text is broken. */
export function lastApplied(object: JsonObject): JsonObject | undefined {
  const { annotations } = (object.metadata ?? {}) as { annotations?: Record<string, string> };
  try {
    const value: unknown = JSON.parse(annotations?.[LAST_APPLIED] ?? 'null');
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The schema's name of a built-in kind; undefined for custom resources, which know no strategic merge. */
export function definitionOf({ group, version, kind }: Resource): string | undefined {
  if (group.includes('.') && !group.endsWith('.k8s.io')) return undefined;
  return `io.k8s.api.${group === '' ? 'core' : group.split('.')[0]}.${version}.${kind}`;
}

type Place = Parameters<typeof ruleOf>[0];

/** The patch that leads from `current` to what `modified` says, given what was said in `original`. Empty if there is none. */
export function threeWayPatch(
  versions: { readonly original: JsonObject; readonly modified: JsonObject; readonly current: JsonObject },
  definition: string | undefined,
): JsonObject {
  return patchMap(versions.original, versions.modified, {
    current: versions.current,
    place: definition === undefined ? {} : { definition },
    isStrategic: definition !== undefined,
  });
}

/** Whether a patch changes what the changes of others have changed as well, into something else. */
export function overlaps(patch: JsonObject, changes: JsonObject): boolean {
  return Object.entries(patch).some(([key, value]) => {
    if (!Object.hasOwn(changes, key)) return false;
    const other = changes[key];
    return isObject(value) && isObject(other) ? overlaps(value, other) : !equal(value, other);
  });
}

interface At {
  readonly current: JsonObject;
  readonly place: Place;
  readonly isStrategic: boolean;
}

function patchMap(original: JsonObject, modified: JsonObject, at: At): JsonObject {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(modified)) {
    Object.assign(patch, patchField(key, { before: original[key], value }, at));
  }
  for (const key of Object.keys(original)) {
    if (!Object.hasOwn(modified, key) && Object.hasOwn(at.current, key)) patch[key] = null;
  }
  const strategies = at.isStrategic ? retainedKeys(modified, at) : undefined;
  return strategies && Object.keys(patch).length > 0 ? { ...patch, $retainKeys: strategies } : patch;
}

/** `strategy` and volumes hold one of several fields: those that the manifest does not name must go. */
function retainedKeys(modified: JsonObject, { place }: At): string[] | undefined {
  const retains =
    place.definition === 'io.k8s.api.apps.v1.DeploymentStrategy' || place.definition === 'io.k8s.api.core.v1.Volume';
  return retains ? Object.keys(modified).sort() : undefined;
}

function patchField(
  key: string,
  { before, value }: { readonly before: unknown; readonly value: unknown },
  at: At,
): JsonObject {
  const now = at.current[key];
  if (value === null) return now === undefined || now === null ? {} : { [key]: null };
  if (isObject(value) && isObject(now)) {
    const rule = ruleOf(at.place, key);
    const patch = patchMap(isObject(before) ? before : {}, value, {
      current: now,
      place: rule.place,
      isStrategic: at.isStrategic,
    });
    return Object.keys(patch).length > 0 ? { [key]: patch } : {};
  }
  const rule = ruleOf(at.place, key);
  if (at.isStrategic && rule.mergesList && Array.isArray(value) && Array.isArray(now)) {
    return patchList(key, { before: Array.isArray(before) ? before : [], value, now }, rule, at);
  }
  return equal(value, now) ? {} : { [key]: value };
}

function patchList(
  key: string,
  lists: { readonly before: readonly unknown[]; readonly value: readonly unknown[]; readonly now: readonly unknown[] },
  { mergeKey, place }: ReturnType<typeof ruleOf>,
  at: At,
): JsonObject {
  const { before, value, now } = lists;
  if (!mergeKey) {
    const added = value.filter(item => !now.includes(item));
    const removed = before.filter(item => !value.includes(item) && now.includes(item));
    return {
      ...(added.length > 0 && { [key]: added }),
      ...(removed.length > 0 && { [`$deleteFromPrimitiveList/${key}`]: removed }),
    };
  }
  const find = (list: readonly unknown[], item: JsonObject) =>
    list.find((other): other is JsonObject => isObject(other) && equal(other[mergeKey], item[mergeKey]));
  const changes: JsonObject[] = [];
  for (const item of value.filter(isObject)) {
    const existing = find(now, item);
    if (!existing) {
      changes.push(item);
      continue;
    }
    const patch = patchMap(find(before, item) ?? {}, item, { current: existing, place, isStrategic: at.isStrategic });
    if (Object.keys(patch).length > 0) changes.push({ ...patch, [mergeKey]: item[mergeKey] });
  }
  const removed = before.filter(isObject).filter(item => !find(value, item) && find(now, item));
  changes.push(...removed.map(item => ({ $patch: 'delete', [mergeKey]: item[mergeKey] })));
  const order = value.filter(isObject).map(item => ({ [mergeKey]: item[mergeKey] }));
  const currentOrder = now
    .filter(isObject)
    .filter(item => find(value, item))
    .map(item => ({ [mergeKey]: item[mergeKey] }));
  if (changes.length === 0 && equal(order, currentOrder)) return {};
  return {
    [`$setElementOrder/${key}`]: order,
    ...(changes.length > 0 && { [key]: changes }),
  };
}
