/**
 * Says whether a history of concurrent operations could have come from one copy of the data that did them one by one, each
 * at some moment between its call and its return (Herlihy and Wing 1990). The search is Wing and Gong's with Lowe's memory
 * of what was tried ("Testing for linearizability", 2017), as in Porcupine. An operation whose outcome is not known may
 * have happened at any moment after its call, or never: it simply never returns.
 *
 * Histories of real faults hold many such operations, and each could stand anywhere. So they are placed only where nothing
 * that did return fits, and of those that are alike only the oldest: without these two, the search doubles with each.
 */
import assert from 'node:assert';

/** One operation, with moments that need only be ordered: a counter does. */
export interface RecordedOperation<Input, Output> {
  readonly input: Input;
  readonly calledAt: number;
  /** Infinity where the outcome is not known. */
  readonly returnedAt: number;
  /** Undefined where the outcome is not known. */
  readonly output: { readonly value: Output } | undefined;
}

/** What one copy of the data would do. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** Operations with different names do not touch each other, so each group is judged alone. */
  partition(input: Input): string;
  /**
   * The state after the operation, or undefined if it could not have answered so. Without an output any answer fits; such
   * an operation must be possible in every state.
   */
  step(
    state: State,
    input: Input,
    output: { readonly value: Output } | undefined,
  ): { readonly state: State } | undefined;
  /** Equal for equal states. */
  name(state: State): string;
  /**
   * For operations whose outcome is not known: the same name for those that could stand for each other, because nobody ever
   * saw which of them it was. Given all operations of a group.
   */
  alike?(
    operations: readonly RecordedOperation<Input, Output>[],
  ): (operation: RecordedOperation<Input, Output>) => string | undefined;
}

export type Verdict<Input, Output> =
  | { readonly type: 'linearizable' }
  /** No order fits. `operations` are those of the offending group, by call. */
  | {
      readonly type: 'violation';
      readonly partition: string;
      readonly operations: readonly RecordedOperation<Input, Output>[];
    }
  /**
   * The search was given up: neither proven nor disproven. A history that is well takes few steps more than it has operations,
   * so whoever tests with one has to take this as a failure.
   */
  | { readonly type: 'undecided'; readonly partition: string };

/** Steps of the search in one group before it is given up. */
const SEARCH_STEPS_MAX = 5_000_000;

export function checkLinearizable<State, Input, Output>(
  history: readonly RecordedOperation<Input, Output>[],
  model: Model<State, Input, Output>,
  options: { readonly stepsMax?: number } = {},
): Verdict<Input, Output> {
  const groups = Map.groupBy(history, operation => model.partition(operation.input));
  for (const [partition, operations] of groups) {
    operations.sort((one, other) => one.calledAt - other.calledAt);
    const found = new Search(operations, model, options.stepsMax ?? SEARCH_STEPS_MAX).run();
    if (found === 'violation') return { type: 'violation', partition, operations };
    if (found === 'undecided') return { type: 'undecided', partition };
  }
  return { type: 'linearizable' };
}

/** A call or a return in time order, in a list from which operations that were placed are taken out. */
interface Node {
  readonly operation: number;
  readonly position: number;
  readonly isReturn: boolean;
  /** On a call: its return; undefined if it never came. */
  match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

class Search<State, Input, Output> {
  readonly #operations: readonly RecordedOperation<Input, Output>[];
  readonly #model: Model<State, Input, Output>;
  readonly #stepsMax: number;
  /** Operations that returned. */
  readonly #head: Node;
  /** Those of unknown outcome: calls alone, the oldest first. */
  readonly #unknown: Node;
  /** What each of those is alike to, if to anything. */
  readonly #classes: readonly (string | undefined)[];
  /** A fingerprint of the set of placed operations; 96 bits make a collision among millions of sets out of the question. */
  readonly #placed = new Uint32Array(3);
  /** Sets of placed operations with the state they led to, that have been tried. */
  readonly #tried = new Set<string>();

  constructor(
    operations: readonly RecordedOperation<Input, Output>[],
    model: Model<State, Input, Output>,
    stepsMax: number,
  ) {
    this.#operations = operations;
    this.#model = model;
    this.#stepsMax = stepsMax;
    const classOf = model.alike?.(operations);
    this.#classes = operations.map(operation => (isUnknown(operation) ? classOf?.(operation) : undefined));
    const [known, unknown] = timelines(operations);
    this.#head = known;
    this.#unknown = unknown;
  }

  run(): 'linearizable' | 'violation' | 'undecided' {
    const stack: { readonly call: Node; readonly state: State }[] = [];
    let state = this.#model.initial;
    let node = this.#head.next;
    for (let steps = 0; this.#head.next !== undefined; steps++) {
      if (steps > this.#stepsMax) return 'undecided';
      // A return is reached whose call could not be placed before it: perhaps after one of unknown outcome.
      if (node?.isReturn === true) node = this.#unknownAfter(undefined);
      const after = node === undefined ? undefined : this.#tryPlace(node, state);
      if (node !== undefined && after !== undefined) {
        stack.push({ call: node, state });
        state = after.state;
        lift(node);
        node = this.#head.next;
      } else if (node !== undefined) {
        node = node.match === undefined ? this.#unknownAfter(node) : node.next;
      } else {
        // Nothing fits: undo the last decision.
        const last = stack.pop();
        if (last === undefined) return 'violation';
        unlift(last.call);
        this.#flip(last.call.operation);
        state = last.state;
        node = last.call.match === undefined ? this.#unknownAfter(last.call) : last.call.next;
      }
    }
    return 'linearizable';
  }

  /** The next operation of unknown outcome that was called before anything that is not placed returned. */
  #unknownAfter(node: Node | undefined): Node | undefined {
    const limit = this.#firstReturn();
    const seen = new Set<string>();
    for (let other = this.#unknown.next; other !== undefined && other.position < limit; other = other.next) {
      const name = this.#classes[other.operation];
      const isOldest = name === undefined || !seen.has(name);
      if (name !== undefined) seen.add(name);
      if (isOldest && (node === undefined || other.position > node.position)) return other;
    }
    return undefined;
  }

  #firstReturn(): number {
    let node = this.#head.next;
    while (node !== undefined && !node.isReturn) node = node.next;
    return node?.position ?? Number.POSITIVE_INFINITY;
  }

  /** Places a call next, unless it does not fit or leads where the search has been. */
  #tryPlace(call: Node, state: State): { readonly state: State } | undefined {
    const operation = this.#operations[call.operation];
    assert(operation !== undefined, 'a node names an operation');
    const after = this.#model.step(state, operation.input, operation.output);
    if (after === undefined) return undefined;
    this.#flip(call.operation);
    const name = `${this.#placed.join(',')}|${this.#model.name(after.state)}`;
    if (this.#tried.has(name)) {
      this.#flip(call.operation);
      return undefined;
    }
    this.#tried.add(name);
    return after;
  }

  /** Adds an operation to the set, or takes it out: the same step, because exclusive or undoes itself (Zobrist 1970). */
  #flip(operation: number): void {
    for (let word = 0; word < this.#placed.length; word++) {
      this.#placed[word] = (this.#placed[word] ?? 0) ^ mixed(operation * this.#placed.length + word + 1);
    }
  }
}

/** Thirty-two well mixed bits of a number (the finaliser of MurmurHash3). */
function mixed(number: number): number {
  let bits = Math.imul(number, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

function isUnknown<Input, Output>(operation: RecordedOperation<Input, Output>): boolean {
  return operation.returnedAt === Number.POSITIVE_INFINITY;
}

/**
 * All calls and returns by time, and apart from them the calls of unknown outcome; at one moment calls come first, so that
 * touching operations count as concurrent.
 */
function timelines<Input, Output>(operations: readonly RecordedOperation<Input, Output>[]): readonly [Node, Node] {
  const moments = operations.flatMap((operation, number) => {
    const { calledAt, returnedAt } = operation;
    assert(returnedAt >= calledAt, 'an operation returns after it was called');
    const call = { at: calledAt, order: 0, number, isReturn: false };
    return isUnknown(operation) ? [call] : [call, { at: returnedAt, order: 1, number, isReturn: true }];
  });
  moments.sort((one, other) => (one.at === other.at ? one.order - other.order : one.at - other.at));
  const ends = new Map<number, Node>();
  const nodes = moments.map(({ number, isReturn: isEnd }, position): Node => {
    return { operation: number, position, isReturn: isEnd, match: undefined, previous: undefined, next: undefined };
  });
  for (const node of nodes) if (node.isReturn) ends.set(node.operation, node);
  const known = emptyList();
  const unknown = emptyList();
  let [lastKnown, lastUnknown] = [known, unknown];
  for (const node of nodes) {
    const end = ends.get(node.operation);
    if (end === undefined) lastUnknown = appended(lastUnknown, node);
    else {
      if (!node.isReturn) node.match = end;
      lastKnown = appended(lastKnown, node);
    }
  }
  return [known, unknown];
}

function emptyList(): Node {
  return { operation: -1, position: -1, isReturn: false, match: undefined, previous: undefined, next: undefined };
}

function appended(last: Node, node: Node): Node {
  last.next = node;
  node.previous = last;
  return node;
}

function lift(call: Node): void {
  cutOut(call);
  if (call.match !== undefined) cutOut(call.match);
}

/** The reverse of {@link lift}; works because what is cut out remembers its neighbours. */
function unlift(call: Node): void {
  if (call.match !== undefined) putBack(call.match);
  putBack(call);
}

function cutOut(node: Node): void {
  if (node.previous !== undefined) node.previous.next = node.next;
  if (node.next !== undefined) node.next.previous = node.previous;
}

function putBack(node: Node): void {
  if (node.previous !== undefined) node.previous.next = node;
  if (node.next !== undefined) node.next.previous = node;
}
