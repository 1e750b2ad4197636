/**
 * An applied object laid over the live one: what it names is as it says, all else stays (typed/merge.go has the rules).
 * Items of merged lists keep their owners' orders as far as both can be kept. Parts of both inputs are shared with the
 * result, so none of the three may be changed in place.
 */
import { isObject, type JsonObject, setOwn } from '../patch/json.ts';
import type { FieldType, ListType } from './types.ts';
import { elementOf, formOf } from './values.ts';

export function merge(type: FieldType, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live;
  if (live === undefined || live === null) return applied;
  const form = formOf(type, applied);
  if (form === 'map' && type.map && !type.map.isAtomic && isObject(applied) && isObject(live)) {
    return mergeMaps(type, live, applied);
  }
  if (form === 'list' && type.list?.isAssociative && Array.isArray(applied) && Array.isArray(live)) {
    return mergeLists(type.list, live, applied);
  }
  return applied === null && isMerged(type, live) ? live : applied;
}

/** True for a map or list whose parts are merged: null names none of them. */
function isMerged(type: FieldType, live: unknown): boolean {
  if (Array.isArray(live)) return live.length > 0 && type.list?.isAssociative === true;
  return isObject(live) && Object.keys(live).length > 0 && type.map?.isAtomic === false;
}

function mergeMaps({ map }: FieldType, live: JsonObject, applied: JsonObject): JsonObject {
  const merged: JsonObject = {};
  for (const key of Object.keys(live)) {
    const field = Object.hasOwn(applied, key) ? map?.typeOf(key) : undefined;
    setOwn(merged, key, field ? merge(field, live[key], applied[key]) : live[key]);
  }
  for (const key of Object.keys(applied)) if (!Object.hasOwn(live, key)) setOwn(merged, key, applied[key]);
  return merged;
}

/** The items of a list with their steps. */
interface Side {
  readonly steps: readonly (string | undefined)[];
  readonly items: readonly unknown[];
  /** The first item of each step; undefined for steps that come twice, which are not merged. */
  readonly single: ReadonlyMap<string, unknown>;
}

function sideOf(type: ListType, items: readonly unknown[]): Side {
  const steps = items.map(item => elementOf(type, item));
  const single = new Map<string, unknown>();
  for (const [index, step] of steps.entries()) {
    if (step !== undefined) single.set(step, single.has(step) ? undefined : items[index]);
  }
  return { steps, items, single };
}

/**
 * Both lists are walked at once. Live items that were not applied come where they stand; applied ones come in the applied
 * order, each as soon as the live list reaches the next item that both have.
 */
function mergeLists(type: ListType, liveItems: readonly unknown[], appliedItems: readonly unknown[]): unknown[] {
  const live = sideOf(type, liveItems);
  const applied = sideOf(type, appliedItems);
  const merged: unknown[] = [];
  const done = new Set<string | undefined>();
  const shared = applied.steps.filter(step => step !== undefined && live.single.has(step));
  let nextShared = 0;
  const isApplied = (step: string | undefined) => step !== undefined && applied.single.has(step);
  const take = (at: number) => {
    const step = applied.steps[at];
    done.add(step);
    merged.push(merge(type.item(), step === undefined ? undefined : live.single.get(step), applied.items[at]));
    if (step !== undefined && shared[nextShared] === step) nextShared++;
  };
  let liveAt = 0;
  let appliedAt = 0;
  while (liveAt < live.items.length || appliedAt < applied.items.length) {
    const step = live.steps[liveAt];
    if (liveAt < live.items.length) {
      if (!isApplied(step)) {
        merged.push(live.items[liveAt++]);
        continue;
      }
      // Already taken, or one whose turn in the applied order has not come.
      if (done.has(step) || (appliedAt < applied.items.length && step !== shared[nextShared])) {
        liveAt++;
        continue;
      }
    }
    if (appliedAt >= applied.items.length) break;
    if (step !== undefined && applied.steps[appliedAt] === step) liveAt++;
    take(appliedAt++);
  }
  return merged;
}
