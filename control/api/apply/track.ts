/**
 * Who owns what after a write. An update takes the fields that it changed from everybody else; an apply owns what it names,
 * and meets a conflict where it changes what somebody else owns (structured-merge-diff merge/update.go, apimachinery
 * pkg/util/managedfields/internal).
 */
import { setOwn } from '../patch/json.ts';
import { type Comparison, compare, isSame } from './compare.ts';
import { FieldSet } from './field-set.ts';
import { UPDATE_MANAGERS_MAX } from './limits.ts';
import { capUpdates, type Manager, managerKey, type Ownership, type Ownerships } from './managers.ts';
import { merge } from './merge.ts';
import { fieldElement } from './path-element.ts';
import { prune } from './prune.ts';
import { type OwnableFields, owned } from './reset-fields.ts';
import { fieldsOf } from './to-set.ts';
import type { FieldType } from './types.ts';

/** An object, without managedFields. */
export type TrackedObject = Readonly<Record<string, unknown>>;

/** A version of the kind that is being written. */
export interface Version {
  readonly type: FieldType;
  readonly ownable: OwnableFields;
  /** Of an object in the version of the request. */
  convert(object: TrackedObject): TrackedObject;
  /** The way back. */
  restore(object: TrackedObject): TrackedObject;
}

/** What holds for one write. */
export interface Write {
  readonly manager: Manager;
  readonly type: FieldType;
  readonly ownable: OwnableFields;
  /** metav1.Time of the present. */
  readonly now: string;
  /** True where the schema may have changed since a manager wrote: for custom resources. */
  readonly isSchemaChanging?: boolean;
  /** Another version of the kind that a manager wrote in; undefined if it is not served any more. */
  version(apiVersion: string): Version | undefined;
}

/** The fields that have no owner: what the object is, and what the server itself keeps. */
const UNOWNED = FieldSet.of(
  [fieldElement('apiVersion')],
  [fieldElement('kind')],
  [fieldElement('metadata')],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map(name => [fieldElement('metadata'), fieldElement(name)]),
);

/** Ownership after an update of `before` to `after`; for a create, `before` is the kind's zero object. */
export function trackUpdate(
  write: Write,
  { before, after, managers }: { readonly before: TrackedObject; readonly after: TrackedObject; managers: Ownerships },
): Ownerships {
  const present = reconcile(write, managers);
  const own = compareOwned(write, before, after);
  if (isSame(own)) return present;
  const { left } = takeFrom(write, { managers: present, own, states: { before, after }, except: undefined });
  const taken = own.changed.difference(UNOWNED);
  if (!taken.isEmpty) {
    const key = managerKey(write.manager);
    const fields = taken.union(left.get(key)?.fields ?? FieldSet.EMPTY);
    left.set(key, { manager: write.manager, fields, time: write.now });
  }
  return capUpdates(left, UPDATE_MANAGERS_MAX);
}

/** One field that an apply would take from somebody. */
export interface FieldConflict {
  readonly manager: Manager;
  readonly path: readonly string[];
}

export type Applied =
  | { readonly type: 'conflicts'; readonly conflicts: readonly FieldConflict[] }
  /** `object` is undefined if the live one is as it should be. */
  | { readonly type: 'applied'; readonly object: TrackedObject | undefined; readonly managers: Ownerships };

export interface Configuration {
  readonly live: TrackedObject;
  readonly applied: TrackedObject;
  readonly managers: Ownerships;
  readonly isForced: boolean;
}

/** The live object with an applied one merged in. Both must have been checked against the type. */
export function applyTo(write: Write, { live, applied, managers, isForced }: Configuration): Applied {
  const before = new Map(reconcile(write, managers));
  const key = managerKey(write.manager);
  const last = before.get(key);
  const fields = owned(fieldsOf(write.type, applied), write.ownable);
  const claimed = new Map(before).set(key, { manager: write.manager, fields, time: last?.time });
  const merged = merge(write.type, live, applied) as TrackedObject; // both are objects
  const object = prune(write, { merged, managers: claimed, last });
  const own = compareOwned(write, live, object);
  const { left, conflicts } = takeFrom(write, {
    managers: claimed,
    own,
    states: { before: live, after: object },
    except: key,
  });
  if (!isForced && conflicts.length > 0) return { type: 'conflicts', conflicts };
  const kept = fields.difference(UNOWNED);
  const hasChanged = !isSame(own) || !last?.fields.equals(kept);
  if (kept.isEmpty) left.delete(key);
  else left.set(key, { manager: write.manager, fields: kept, time: hasChanged ? write.now : last?.time });
  return { type: 'applied', object: isSame(own) ? undefined : object, managers: left };
}

function compareOwned({ type, ownable }: Write | Version, before: TrackedObject, after: TrackedObject): Comparison {
  const { changed, removed } = compare(type, comparable(before, ownable), comparable(after, ownable));
  return { changed: owned(changed, ownable), removed: owned(removed, ownable) };
}

/** Without the members that the write cannot own as a whole, the spec for who writes a status: they need not be compared. */
function comparable(object: TrackedObject, { without }: OwnableFields): TrackedObject {
  if (!without || without.members.size === 0) return object;
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(object)) if (!without.members.has(fieldElement(key))) setOwn(kept, key, object[key]);
  return kept;
}

interface Taking {
  readonly managers: Ownerships;
  /** What differs in the version of the request. */
  readonly own: Comparison;
  readonly states: { readonly before: TrackedObject; readonly after: TrackedObject };
  /** The key of the manager who takes, if he keeps what he has. */
  readonly except: string | undefined;
}

/** Takes changed and removed fields from the managers. Those who own nothing any more are gone, and so are those of versions that are. */
function takeFrom(write: Write, { managers, own, states, except }: Taking) {
  const left = new Map<string, Ownership>();
  const conflicts: FieldConflict[] = [];
  const comparisons = new Map<string, Comparison | undefined>([[write.manager.apiVersion, own]]);
  for (const [key, ownership] of managers) {
    if (key === except) {
      left.set(key, ownership);
      continue;
    }
    const { apiVersion } = ownership.manager;
    if (!comparisons.has(apiVersion)) comparisons.set(apiVersion, compareIn(write, apiVersion, states));
    const comparison = comparisons.get(apiVersion);
    if (!comparison) continue;
    for (const path of ownership.fields.intersection(comparison.changed).paths()) {
      conflicts.push({ manager: ownership.manager, path });
    }
    const fields = ownership.fields.difference(comparison.changed).difference(comparison.removed);
    if (!fields.isEmpty) left.set(key, fields.equals(ownership.fields) ? ownership : { ...ownership, fields });
  }
  return { left, conflicts };
}

function compareIn(write: Write, apiVersion: string, { before, after }: Taking['states']): Comparison | undefined {
  const version = write.version(apiVersion);
  return version && compareOwned(version, version.convert(before), version.convert(after));
}

/** What became one value since it was written is owned as one. */
function reconcile(write: Write, managers: Ownerships): Ownerships {
  if (!write.isSchemaChanging || managers.size === 0) return managers;
  const reconciled = new Map<string, Ownership>();
  for (const [key, ownership] of managers) {
    const { apiVersion } = ownership.manager;
    const type = apiVersion === write.manager.apiVersion ? write.type : write.version(apiVersion)?.type;
    reconciled.set(key, type ? { ...ownership, fields: collapse(ownership.fields, type) } : ownership);
  }
  return reconciled;
}

function collapse(fields: FieldSet, type: FieldType): FieldSet {
  const result = new FieldSet();
  for (const step of fields.members) result.members.add(step);
  for (const [step, below] of fields.children) {
    const isField = step.startsWith('f:');
    const inner = isField ? type.map?.typeOf(step.slice(2)) : type.list?.item();
    if (inner && isWhole(inner, below)) result.members.add(step);
    else result.children.set(step, inner ? collapse(below, inner) : below);
  }
  return result;
}

/** True if the type takes as one value what the set takes apart. */
function isWhole({ map, list }: FieldType, below: FieldSet): boolean {
  const step = [...below.members, ...below.children.keys()][0] ?? '';
  return step.startsWith('f:') ? map?.isAtomic === true : list !== undefined && !list.isAssociative;
}
