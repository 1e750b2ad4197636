/**
 * Strategic merge as kustomize does it: of lists that are merged, what the patch says comes first and in its order, and what
 * it does not name follows. Custom resources know no merged lists.
 */

import { own, setOwn } from '../../control/api/patch/json.ts';
import { type FieldRule, type Place, ruleOf } from '../../control/api/patch/merge-facts.ts';
import type { JsonObject } from '../client/api.ts';
import { builtinKinds } from './builtin-kinds.ts';
import { identityOf, isObject } from './resource.ts';

/** The object with the patch in it; neither is changed. Undefined if the patch deletes it. */
export function mergedObject(object: JsonObject, patch: JsonObject): JsonObject | undefined {
  const { group, version, kind } = identityOf(object);
  const known = builtinKinds.find(one => one.group === group && one.version === version && one.kind === kind);
  return mergedMap(object, patch, known ? { definition: known.definition } : {});
}

function mergedMap(object: JsonObject, patch: JsonObject, place: Place): JsonObject | undefined {
  const { $patch: directive, ...fields } = patch;
  if (directive === 'delete') return undefined;
  const merged: JsonObject = directive === 'replace' ? {} : { ...object };
  for (const [key, value] of Object.entries(fields)) {
    const next = mergedValue(own(merged, key), value, ruleOf(place, key));
    if (next === undefined) delete merged[key];
    else setOwn(merged, key, next);
  }
  return merged;
}

function mergedValue(now: unknown, patch: unknown, rule: FieldRule): unknown {
  if (patch === null) return undefined;
  if (isObject(patch)) return mergedMap(isObject(now) ? now : {}, patch, rule.place);
  if (!Array.isArray(patch)) return patch;
  const isReplaced = patch.some(item => isObject(item) && item.$patch === 'replace');
  if (isReplaced || !rule.mergesList) return patch.filter(item => !(isObject(item) && item.$patch === 'replace'));
  return mergedList(Array.isArray(now) ? now : [], patch, rule);
}

function mergedList(now: readonly unknown[], patch: readonly unknown[], { mergeKey, place }: FieldRule): unknown[] {
  if (mergeKey === undefined) return [...patch, ...now.filter(item => !patch.includes(item))];
  const items = patch.filter(isObject);
  const twin = (list: readonly unknown[], item: JsonObject) =>
    list.find((other): other is JsonObject => isObject(other) && isSameItem(other, item, mergeKey));
  const first = items.flatMap(item => mergedMap(twin(now, item) ?? {}, item, place) ?? []);
  return [...first, ...now.filter(item => !isObject(item) || twin(items, item) === undefined)];
}

/** Ports are told apart by their protocol, too, where it is said. */
function isSameItem(a: JsonObject, b: JsonObject, mergeKey: string): boolean {
  if (a[mergeKey] !== b[mergeKey]) return false;
  const isPort = mergeKey === 'containerPort' || mergeKey === 'port';
  return !isPort || (a.protocol ?? 'TCP') === (b.protocol ?? 'TCP');
}
