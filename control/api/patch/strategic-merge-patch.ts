/**
 * Strategic merge patch: a merge patch that knows from the schema which lists to merge item by item, and by which key
 * (k8s.io/apimachinery/pkg/util/strategicpatch). Directives: `$patch` (merge, replace, delete), `$retainKeys`,
 * `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`; null deletes a key.
 */
import { ApiError } from '../status.ts';
import { ordered, sameItem } from './element-order.ts';
import { clone, goText, isObject, type JsonObject, own, setOwn } from './json.ts';
import { type FieldRule, type Place, ruleOf } from './merge-facts.ts';

const PATCH = '$patch';
const RETAIN_KEYS = '$retainKeys';
const ELEMENT_ORDER = '$setElementOrder/';
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/';

/**
 * The result of applying `patch` to `object`. Neither is changed; what the patch does not touch is shared with the result.
 * @param definition The schema's name, such as `io.k8s.api.core.v1.Pod`; of an unknown one all lists are replaced.
 * @throws ApiError 400 or 500, as Kubernetes answers, when the patch contradicts itself or the schema.
 */
export function strategicMergePatch(object: JsonObject, patch: JsonObject, definition: string): JsonObject {
  return mergeMap(object, clone(patch), { definition });
}

/** Kubernetes has no reason for these, only code 500. */
function failed(message: string): ApiError {
  return new ApiError('', message, { code: 500 });
}

/** A copy of `before` with `patch` merged into it; the patch is consumed. */
function mergeMap(before: JsonObject, patch: JsonObject, place: Place): JsonObject {
  const directive = own(patch, PATCH);
  if (directive !== undefined) {
    delete patch[PATCH];
    if (directive === 'replace') return cleaned(patch);
    if (directive === 'delete') return {};
    if (directive !== 'merge')
      throw failed(`unknown patch type: ${goText(directive)} in map: ${goText({ ...patch, [PATCH]: directive })}`);
  }
  const original = { ...before };
  retainKeys(original, patch);
  setElementOrders(original, patch, place);
  for (const key of Object.keys(patch)) {
    const value = own(patch, key);
    if (key.startsWith(DELETE_PRIMITIVES)) deletePrimitives(original, key, value);
    else if (value === null) delete original[key];
    else setOwn(original, key, mergeField(own(original, key), value, ruleOf(place, key)));
  }
  return original;
}

function mergeField(original: unknown, value: unknown, rule: FieldRule): unknown {
  if (isObject(original) && isObject(value) && !rule.replaces) return mergeMap(original, value, rule.place);
  if (Array.isArray(original) && Array.isArray(value) && rule.mergesList) return mergeList(original, value, rule);
  return cleaned(value);
}

/** Drops the keys that `$retainKeys` does not name. The patch itself may only hold keys that it names. */
function retainKeys(original: JsonObject, patch: JsonObject): void {
  const retained = own(patch, RETAIN_KEYS);
  if (retained === undefined) return;
  delete patch[RETAIN_KEYS];
  const keys = new Set(Array.isArray(retained) ? retained : undefined);
  // kubectl says with null that a key goes, besides leaving it out of those that stay.
  const isForeign = (key: string) => !key.startsWith('$') && !keys.has(key) && patch[key] !== null;
  if (!Array.isArray(retained) || Object.keys(patch).some(isForeign)) {
    throw new ApiError('BadRequest', 'invalid patch format of retainKeys');
  }
  for (const key of Object.keys(original)) if (!keys.has(key)) delete original[key];
}

/** Merges the lists whose order the patch sets, and takes them out of the patch. */
function setElementOrders(original: JsonObject, patch: JsonObject, place: Place): void {
  for (const directive of Object.keys(patch).filter(key => key.startsWith(ELEMENT_ORDER))) {
    const order = own(patch, directive);
    delete patch[directive];
    if (!Array.isArray(order)) throw new ApiError('BadRequest', 'invalid patch format of setElementOrder list');
    const field = directive.slice(ELEMENT_ORDER.length);
    const rule = ruleOf(place, field);
    const patched = own(patch, field);
    const before = own(original, field);
    if (Array.isArray(patched)) checkOrder(patched, order, rule.mergeKey);
    else if (patched !== undefined) continue; // null, or not a list: the ordinary merge deletes or replaces it
    if (patched === undefined && !Array.isArray(before)) continue;

    const list = patched === undefined ? before : mergeField(Array.isArray(before) ? before : [], patched, rule);
    delete patch[field];
    setOwn(
      original,
      field,
      ordered(
        Array.isArray(list) ? list : [],
        { patchOrder: order, serverOrder: Array.isArray(before) ? before : [] },
        sameItem(rule.mergeKey),
      ),
    );
  }
}

/** Each item of the patch must be named in the order, and in that order. */
function checkOrder(patched: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): void {
  const same = sameItem(mergeKey);
  const items = patched.filter(item => !(isObject(item) && Object.hasOwn(item, PATCH)));
  let next = 0;
  for (const wanted of order) if (next < items.length && same(items[next], wanted)) next++;
  if (next === items.length) return;
  throw failed(
    `The order in patch list:\n${goText(patched)}\n doesn't match $setElementOrder list:\n${goText(order)}\n`,
  );
}

function deletePrimitives(original: JsonObject, directive: string, values: unknown): void {
  if (!Array.isArray(values)) throw new ApiError('BadRequest', 'invalid patch format of primitive list');
  const field = directive.slice(DELETE_PRIMITIVES.length);
  const list = own(original, field);
  if (!Array.isArray(list)) return;
  setOwn(
    original,
    field,
    list.filter(item => !values.includes(item)),
  );
}

function mergeList(original: unknown[], patch: unknown[], rule: FieldRule): unknown[] {
  const { mergeKey } = rule;
  if (!mergeKey) {
    if ([...original, ...patch].some(isObject)) return cleanedList(patch);
    const merged = [...new Set([...original, ...patch])];
    return ordered(merged, { patchOrder: patch, serverOrder: original }, sameItem(undefined));
  }
  const directed = applyItemDirectives(original, patch, mergeKey);
  if (directed.replaces) return cleanedList(directed.items);

  const merged = [...directed.original];
  const same = sameItem(mergeKey);
  for (const item of directed.items) {
    keyOf(item, mergeKey);
    const index = merged.findIndex(other => same(other, item));
    const before = index < 0 ? {} : merged[index];
    const result = mergeMap(isObject(before) ? before : {}, item, rule.place);
    if (index < 0) merged.push(result);
    else merged[index] = result;
  }
  return ordered(merged, { patchOrder: directed.items, serverOrder: original }, same);
}

/** Carries out `$patch: delete` and `$patch: replace` of items; gives the items that remain to be merged. */
function applyItemDirectives(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
): { original: unknown[]; items: JsonObject[]; replaces: boolean } {
  const same = sameItem(mergeKey);
  const items: JsonObject[] = [];
  let rest = [...original];
  let replaces = false;
  for (const item of patch) {
    if (!isObject(item)) throw failed(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
    const directive = own(item, PATCH);
    if (directive === undefined) items.push(item);
    else if (directive === 'replace') replaces = true;
    else if (directive === 'delete') {
      keyOf(item, mergeKey);
      rest = rest.filter(other => !same(other, item));
    } else if (directive === 'merge') throw failed('merging lists cannot yet be specified in the patch');
    else throw failed(`unknown patch type: ${goText(directive)} in map: ${goText(item)}`);
  }
  return { original: rest, items, replaces };
}

function keyOf(item: JsonObject, mergeKey: string): unknown {
  const value = own(item, mergeKey);
  if (value === undefined) throw failed(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
  return value;
}

/** A part of the patch that becomes part of the object as it is: without nulls and directives. */
function cleaned<T>(value: T): T;
function cleaned(value: unknown): unknown {
  if (Array.isArray(value)) return cleanedList(value);
  if (!isObject(value)) return value;
  for (const key of Object.keys(value)) {
    const field = own(value, key);
    const isDirective =
      key === PATCH || key === RETAIN_KEYS || key.startsWith(ELEMENT_ORDER) || key.startsWith(DELETE_PRIMITIVES);
    if (field === null || isDirective) delete value[key];
    else setOwn(value, key, cleaned(field));
  }
  return value;
}

function cleanedList(list: readonly unknown[]): unknown[] {
  return list.filter(item => !(isObject(item) && Object.hasOwn(item, PATCH))).map(item => cleaned(item));
}
