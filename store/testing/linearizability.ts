/**
 * Says whether a history of concurrent operations could have come from one copy of the data that did them one by one, each
 * at some moment between its call and its return (Herlihy and Wing 1990). The search is Wing and Gong's with Lowe's memory
 * of what was tried ("Testing for linearizability", 2017), as in Porcupine. An operation whose outcome is not known may
 * have happened at any moment after its call, or never: it simply never returns.
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
}

export type Verdict<Input, Output> =
  | { readonly type: 'linearizable' }
  /** No order fits. `operations` are those of the offending group, by call. */
  | {
      readonly type: 'violation';
      readonly partition: string;
      readonly operations: readonly RecordedOperation<Input, Output>[];
    }
  /** The search was given up: neither proven nor disproven. */
  | { readonly type: 'undecided'; readonly partition: string };

/** Steps of the search in one group before it is given up. */
export const SEARCH_STEPS_MAX = 5_000_000;

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
  /** On a call: its return. */
  readonly match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

class Search<State, Input, Output> {
  readonly #operations: readonly RecordedOperation<Input, Output>[];
  readonly #model: Model<State, Input, Output>;
  readonly #stepsMax: number;
  readonly #head: Node;
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
    this.#head = timeline(operations);
  }

  run(): 'linearizable' | 'violation' | 'undecided' {
    const stack: { readonly call: Node; readonly state: State }[] = [];
    let state = this.#model.initial;
    let node = this.#head.next;
    for (let steps = 0; this.#head.next !== undefined; steps++) {
      if (steps > this.#stepsMax) return 'undecided';
      assert(node !== undefined, 'each call has a return behind it');
      const after = node.match === undefined ? undefined : this.#tryPlace(node, state);
      if (after !== undefined) {
        stack.push({ call: node, state });
        state = after.state;
        lift(node);
        node = this.#head.next;
      } else if (node.match !== undefined) {
        node = node.next;
      } else {
        // A return is reached whose call could not be placed before it: undo the last decision.
        const last = stack.pop();
        if (last === undefined) return 'violation';
        unlift(last.call);
        this.#flip(last.call.operation);
        state = last.state;
        node = last.call.next;
      }
    }
    return 'linearizable';
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

/** All calls and returns by time; at one moment calls come first, so that touching operations count as concurrent. */
function timeline<Input, Output>(operations: readonly RecordedOperation<Input, Output>[]): Node {
  const moments = operations.flatMap(({ calledAt, returnedAt }, operation) => {
    assert(returnedAt >= calledAt, 'an operation returns after it was called');
    const end: Node = { operation, match: undefined, previous: undefined, next: undefined };
    const start: Node = { operation, match: end, previous: undefined, next: undefined };
    return [
      { at: calledAt, order: 0, node: start },
      { at: returnedAt, order: 1, node: end },
    ];
  });
  moments.sort((one, other) => (one.at === other.at ? one.order - other.order : one.at < other.at ? -1 : 1));
  const head: Node = { operation: -1, match: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { node } of moments) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
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
