/**
 * Takes out of a merged object what its applier named last time and does not name now, unless somebody else owns it
 * (structured-merge-diff merge/update.go: prune).
 */
import { FieldSet } from './field-set.ts';
import type { Ownership, Ownerships } from './managers.ts';
import { removeFields } from './remove.ts';
import { fieldsOf } from './to-set.ts';
import type { TrackedObject, Version, Write } from './track.ts';

export interface Pruning {
  readonly merged: TrackedObject;
  /** With what the applier owns now. */
  readonly managers: Ownerships;
  /** What the applier owned before. */
  readonly last: Ownership | undefined;
}

export function prune(write: Write, { merged, managers, last }: Pruning): TrackedObject {
  if (!last || last.fields.isEmpty) return merged;
  const then = versionOf(write, last.manager.apiVersion);
  if (!then) return merged;
  const named = last.fields.withNamedParents(then.type);
  const without = withoutFields(then, then.convert(merged), named);
  const kept = addBackOwned(write, { merged, pruned: then.restore(without), managers, first: last.manager.apiVersion });
  return addBackOthers(then, { merged: then.convert(merged), pruned: then.convert(kept), named });
}

/** The request's own version needs no conversion. */
function versionOf(write: Write, apiVersion: string): Version | undefined {
  if (apiVersion !== write.manager.apiVersion) return write.version(apiVersion);
  return { type: write.type, ownable: write.ownable, convert: object => object, restore: object => object };
}

const withoutFields = ({ type }: Version, object: TrackedObject, fields: FieldSet): TrackedObject =>
  (removeFields(type, object, fields) ?? {}) as TrackedObject; // an object without fields is an object still

const setOf = ({ type }: Version, object: TrackedObject) => fieldsOf(type, object).withNamedParents(type);

interface AddingBack {
  readonly merged: TrackedObject;
  readonly pruned: TrackedObject;
  readonly managers: Ownerships;
  /** The version that is looked at first: what was pruned in it may be needed to convert. */
  readonly first: string;
}

/** What somebody owns comes back, version by version. */
function addBackOwned(write: Write, { merged, pruned, managers, first }: AddingBack): TrackedObject {
  const claims = new Map<string, FieldSet>([[first, FieldSet.EMPTY]]);
  for (const { manager, fields } of managers.values()) {
    claims.set(manager.apiVersion, fields.union(claims.get(manager.apiVersion) ?? FieldSet.EMPTY));
  }
  let kept = pruned;
  for (const [apiVersion, claimed] of claims) {
    const version = versionOf(write, apiVersion);
    if (!version || claimed.isEmpty) continue;
    const whole = version.convert(merged);
    const keep = setOf(version, version.convert(kept)).union(claimed.withNamedParents(version.type));
    kept = version.restore(withoutFields(version, whole, setOf(version, whole).difference(keep)));
  }
  return kept;
}

/** What the applier did not own before was not his to remove. */
function addBackOthers(
  version: Version,
  { merged, pruned, named }: { readonly merged: TrackedObject; readonly pruned: TrackedObject; named: FieldSet },
): TrackedObject {
  const gone = setOf(version, merged).difference(setOf(version, pruned)).intersection(named);
  return version.restore(withoutFields(version, merged, gone));
}
