/**
 * The scale subresource shows the owners of the replica count as owners of the Scale's, and back (apimachinery
 * pkg/util/managedfields/scalehandler.go).
 */
import { FieldSet } from './field-set.ts';
import { type Manager, managerKey, type Ownership, type Ownerships } from './managers.ts';
import { fieldElement } from './path-element.ts';

const SCALE_VERSION = 'autoscaling/v1';
const IN_SCALE = [fieldElement('spec'), fieldElement('replicas')];

/** A path such as `.spec.replicas` as steps. */
export const stepsOf = (path: string): readonly string[] => path.split('.').filter(Boolean).map(fieldElement);

/** The owners of `path` as owners of a Scale. */
export function toScale(parent: Ownerships, path: readonly string[]): Ownerships {
  const owners = new Map<string, Ownership>();
  for (const { manager, fields, time } of parent.values()) {
    if (!fields.has(path)) continue;
    const inScale: Manager = { ...manager, apiVersion: SCALE_VERSION };
    owners.set(managerKey(inScale), { manager: inScale, fields: FieldSet.of(IN_SCALE), time });
  }
  return owners;
}

export interface FromScale {
  readonly parent: Ownerships;
  readonly scale: Ownerships;
  readonly path: readonly string[];
  /** The version of the parent in which the request came. */
  readonly apiVersion: string;
}

/** The parent's owners after a write of its Scale. */
export function fromScale({ parent, scale, path, apiVersion }: FromScale): Ownerships {
  const owners = new Map<string, Ownership>();
  const left = new Map(scale);
  const replicas = FieldSet.of(path);
  for (const [key, ownership] of parent) {
    if (!ownership.fields.has(path)) {
      owners.set(key, ownership);
      continue;
    }
    const keyInScale = managerKey({ ...ownership.manager, apiVersion: SCALE_VERSION });
    const inScale = left.get(keyInScale);
    left.delete(keyInScale);
    const fields = inScale ? ownership.fields : ownership.fields.difference(replicas);
    if (!fields.isEmpty) owners.set(key, { ...ownership, fields, ...(inScale && { time: inScale.time }) });
  }
  for (const { manager, fields, time } of left.values()) {
    if (!fields.has(IN_SCALE)) continue;
    const inParent: Manager = { ...manager, apiVersion };
    const key = managerKey(inParent);
    owners.set(key, { manager: inParent, fields: replicas.union(owners.get(key)?.fields ?? FieldSet.EMPTY), time });
  }
  return owners;
}
