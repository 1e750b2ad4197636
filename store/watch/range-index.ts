/**
 * Which ranges hold a name: an interval tree, so that asking costs the logarithm of the number of ranges, plus those found.
 * A binary search tree by start (then end), kept balanced as Adelson-Velsky and Landis do, where each node also knows the
 * furthest end in its subtree; whatever ends before the name is left out as a whole.
 */
import type { SortRange } from '../mvcc/keys.ts';

interface Node<Value> {
  readonly start: string;
  /** Exclusive; undefined for none. */
  readonly end: string | undefined;
  value: Value;
  left: Node<Value> | undefined;
  right: Node<Value> | undefined;
  height: number;
  furthest: string | undefined;
}

export class RangeIndex<Value> {
  #root: Node<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(range: SortRange): Value | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compare(range, node);
      if (order === 0) return node.value;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds a range, or gives the one that is there a new value. */
  set(range: SortRange, value: Value): void {
    this.#root = this.#insert(this.#root, range, value);
  }

  delete(range: SortRange): void {
    this.#root = this.#remove(this.#root, range);
  }

  /** Calls back for each range that holds `name`. The index must not change meanwhile. */
  visit(name: string, found: (value: Value) => void): void {
    visit(this.#root, name, found);
  }

  #insert(node: Node<Value> | undefined, range: SortRange, value: Value): Node<Value> {
    if (node === undefined) {
      this.#size++;
      const { start, end } = range;
      return { start, end, value, left: undefined, right: undefined, height: 1, furthest: end };
    }
    const order = compare(range, node);
    if (order === 0) {
      node.value = value;
      return node;
    }
    if (order < 0) node.left = this.#insert(node.left, range, value);
    else node.right = this.#insert(node.right, range, value);
    return balanced(node);
  }

  #remove(node: Node<Value> | undefined, range: SortRange): Node<Value> | undefined {
    if (node === undefined) return undefined;
    const order = compare(range, node);
    if (order !== 0) {
      if (order < 0) node.left = this.#remove(node.left, range);
      else node.right = this.#remove(node.right, range);
      return balanced(node);
    }
    this.#size--;
    if (node.left === undefined) return node.right;
    if (node.right === undefined) return node.left;
    const { first, rest } = withoutFirst(node.right);
    first.left = node.left;
    first.right = rest;
    return balanced(first);
  }
}

function visit<Value>(node: Node<Value> | undefined, name: string, found: (value: Value) => void): void {
  if (node === undefined || !isBefore(name, node.furthest)) return;
  visit(node.left, name, found);
  // Everything to the right begins even later.
  if (name < node.start) return;
  if (isBefore(name, node.end)) found(node.value);
  visit(node.right, name, found);
}

function isBefore(name: string, end: string | undefined): boolean {
  return end === undefined || name < end;
}

function compare(one: SortRange, other: SortRange): number {
  if (one.start !== other.start) return one.start < other.start ? -1 : 1;
  if (one.end === other.end) return 0;
  return other.end === undefined || (one.end !== undefined && one.end < other.end) ? -1 : 1;
}

function withoutFirst<Value>(node: Node<Value>): {
  readonly first: Node<Value>;
  readonly rest: Node<Value> | undefined;
} {
  if (node.left === undefined) return { first: node, rest: node.right };
  const { first, rest } = withoutFirst(node.left);
  node.left = rest;
  return { first, rest: balanced(node) };
}

/** Restores the invariant that two sides differ in height by at most one, where an insertion or removal has just broken it. */
function balanced<Value>(node: Node<Value>): Node<Value> {
  const lean = heightOf(node.left) - heightOf(node.right);
  if (lean > 1 && node.left !== undefined) {
    if (heightOf(node.left.left) < heightOf(node.left.right)) node.left = rotatedLeft(node.left);
    return rotatedRight(node);
  }
  if (lean < -1 && node.right !== undefined) {
    if (heightOf(node.right.right) < heightOf(node.right.left)) node.right = rotatedRight(node.right);
    return rotatedLeft(node);
  }
  refresh(node);
  return node;
}

function rotatedLeft<Value>(node: Node<Value>): Node<Value> {
  const top = node.right;
  if (top === undefined) return node;
  node.right = top.left;
  top.left = node;
  refresh(node);
  refresh(top);
  return top;
}

function rotatedRight<Value>(node: Node<Value>): Node<Value> {
  const top = node.left;
  if (top === undefined) return node;
  node.left = top.right;
  top.right = node;
  refresh(node);
  refresh(top);
  return top;
}

function refresh<Value>(node: Node<Value>): void {
  const { left, right } = node;
  node.height = 1 + Math.max(heightOf(left), heightOf(right));
  let furthest = node.end;
  if (left !== undefined) furthest = further(furthest, left.furthest);
  if (right !== undefined) furthest = further(furthest, right.furthest);
  node.furthest = furthest;
}

function further(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return undefined;
  return one > other ? one : other;
}

function heightOf<Value>(node: Node<Value> | undefined): number {
  return node?.height ?? 0;
}
