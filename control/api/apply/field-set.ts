/**
 * A set of field paths as a tree: at each node the steps that are members themselves, and the nodes below. Sets are built
 * once and then shared, so whoever gets one must not change it; the operations give new ones.
 */
import { PATH_STEPS_MAX } from './limits.ts';
import { canonicalElement, compareElements } from './path-element.ts';
import type { FieldType } from './types.ts';

/** fieldsV1 as it lies in an object: `{"f:data":{".":{},"f:a":{}}}`. */
export interface FieldsV1 {
  readonly [step: string]: FieldsV1;
}

export class FieldSet {
  readonly members: Set<string> = new Set();
  /** Never holds an empty set once built. */
  readonly children: Map<string, FieldSet> = new Map();

  static readonly EMPTY: FieldSet = new FieldSet();

  /** A set of these paths, each a list of steps. */
  static of(...paths: readonly (readonly string[])[]): FieldSet {
    const set = new FieldSet();
    for (const path of paths) set.insert(path);
    return set;
  }

  /** Only while the set is built. */
  insert(path: readonly string[]): void {
    let node: FieldSet = this;
    for (const step of path.slice(0, -1)) node = node.below(step);
    const last = path.at(-1);
    if (last !== undefined) node.members.add(last);
  }

  /** The node below `step`, made if it is not there. Only while the set is built. */
  below(step: string): FieldSet {
    let child = this.children.get(step);
    if (!child) {
      child = new FieldSet();
      this.children.set(step, child);
    }
    return child;
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  has(path: readonly string[]): boolean {
    let node: FieldSet | undefined = this;
    for (const step of path.slice(0, -1)) node = node?.children.get(step);
    const last = path.at(-1);
    return last !== undefined && node?.members.has(last) === true;
  }

  equals(other: FieldSet): boolean {
    if (this === other) return true;
    if (this.members.size !== other.members.size || this.children.size !== other.children.size) return false;
    for (const step of this.members) if (!other.members.has(step)) return false;
    for (const [step, child] of this.children) {
      const twin = other.children.get(step);
      if (!twin || !child.equals(twin)) return false;
    }
    return true;
  }

  union(other: FieldSet): FieldSet {
    if (other.isEmpty || other === this) return this;
    if (this.isEmpty) return other;
    const result = new FieldSet();
    for (const step of this.members) result.members.add(step);
    for (const step of other.members) result.members.add(step);
    for (const [step, child] of this.children) {
      const twin = other.children.get(step);
      result.children.set(step, twin ? child.union(twin) : child);
    }
    for (const [step, child] of other.children) if (!this.children.has(step)) result.children.set(step, child);
    return result;
  }

  intersection(other: FieldSet): FieldSet {
    const result = new FieldSet();
    for (const step of this.members) if (other.members.has(step)) result.members.add(step);
    for (const [step, child] of this.children) {
      const twin = other.children.get(step);
      if (twin) result.#adopt(step, child.intersection(twin));
    }
    return result;
  }

  /** The paths that are not in `other`; a path stays when only one above it is in `other`. */
  difference(other: FieldSet): FieldSet {
    if (other.isEmpty || this.isEmpty) return this;
    const result = new FieldSet();
    for (const step of this.members) if (!other.members.has(step)) result.members.add(step);
    for (const [step, child] of this.children) {
      const twin = other.children.get(step);
      result.#adopt(step, twin ? child.difference(twin) : child);
    }
    return result;
  }

  /** The paths that are neither in `other` nor below one that is. */
  withoutTrees(other: FieldSet): FieldSet {
    if (other.isEmpty || this.isEmpty) return this;
    const result = new FieldSet();
    for (const step of this.members) if (!other.members.has(step)) result.members.add(step);
    for (const [step, child] of this.children) {
      if (other.members.has(step)) continue;
      const twin = other.children.get(step);
      result.#adopt(step, twin ? child.withoutTrees(twin) : child);
    }
    return result;
  }

  /** Only the paths that lead to a member of `roots`, or below one. `*` among the roots' steps stands for any step. */
  onlyTrees(roots: FieldSet): FieldSet {
    const result = new FieldSet();
    const isRoot = (step: string) => roots.members.has(step) || roots.members.has('*');
    for (const step of this.members) if (isRoot(step)) result.members.add(step);
    for (const [step, child] of this.children) {
      const below = roots.children.get(step) ?? roots.children.get('*');
      if (isRoot(step)) result.children.set(step, child);
      else if (below) result.#adopt(step, child.onlyTrees(below));
    }
    return result;
  }

  /** The same, and each field of a struct above a path is a member too: what a path is part of cannot go without it. */
  withNamedParents(type: FieldType | undefined): FieldSet {
    const result = new FieldSet();
    for (const step of this.members) result.members.add(step);
    for (const [step, child] of this.children) {
      const isField = step.startsWith('f:');
      if (isField && type?.map?.hasField(step.slice(2))) result.members.add(step);
      result.children.set(
        step,
        child.withNamedParents(isField ? type?.map?.typeOf(step.slice(2)) : type?.list?.item()),
      );
    }
    return result;
  }

  /** All paths, those of a node before those below it, in Kubernetes' order. */
  *paths(prefix: readonly string[] = []): Generator<readonly string[]> {
    for (const step of [...this.members].sort(compareElements)) yield [...prefix, step];
    for (const step of [...this.children.keys()].sort(compareElements)) {
      yield* (this.children.get(step) ?? FieldSet.EMPTY).paths([...prefix, step]);
    }
  }

  #adopt(step: string, child: FieldSet): void {
    if (!child.isEmpty) this.children.set(step, child);
  }
}

/** fieldsV1 of a set. */
export function encodeFields(set: FieldSet): FieldsV1 {
  return encodeNode(set, false);
}

function encodeNode(set: FieldSet, isMember: boolean): FieldsV1 {
  const fields: Record<string, FieldsV1> = {};
  if (isMember) fields['.'] = NO_FIELDS;
  for (const step of sortedSteps(set)) {
    const child = set.children.get(step);
    fields[step] = child ? encodeNode(child, set.members.has(step)) : NO_FIELDS;
  }
  return fields;
}

const NO_FIELDS: FieldsV1 = {};

function sortedSteps({ members, children }: FieldSet): string[] {
  const steps = [...members];
  for (const step of children.keys()) if (!members.has(step)) steps.push(step);
  return steps.length > 1 ? steps.sort(compareElements) : steps;
}

/** Reads fieldsV1; steps that we do not know are left out. Throws {@link FieldsError} where it is none. */
export function decodeFields(value: unknown): FieldSet {
  const set = new FieldSet();
  decodeInto(set, value, 0);
  return set;
}

/** What should be fieldsV1 is not. */
export class FieldsError extends Error {
  override readonly name = 'FieldsError';
}

/** True if the node is a member itself: it says so, or has nothing below. */
function decodeInto(set: FieldSet, value: unknown, depth: number): boolean {
  if (depth > PATH_STEPS_MAX) throw new FieldsError('fieldsV1 is nested too deep');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FieldsError('fieldsV1 is no object');
  let isMember = true;
  let hasSelf = false;
  for (const [key, below] of Object.entries(value)) {
    if (key === '.') {
      hasSelf = true;
      continue;
    }
    const step = canonicalElement(key);
    if (step === undefined) continue;
    isMember = false;
    const child = new FieldSet();
    if (decodeInto(child, below, depth + 1)) set.members.add(step);
    if (!child.isEmpty) set.children.set(step, child);
  }
  return isMember || hasSelf;
}
