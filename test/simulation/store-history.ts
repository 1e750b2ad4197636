/**
 * What clients of the store did and saw. Raft has put all writes into one order and the model knows the revision after
 * each, so linearizability is exact and cheap to check: whatever began after something had ended must not stand before it.
 */
import type { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';
import type { StoreModel } from './store-model.ts';

export interface StoreOperation {
  readonly kind: 'write' | 'read';
  /** Of a write: the name of its command. */
  readonly name: string;
  /** Moments are counted, not timed: one thread gives them an order. */
  readonly calledAt: number;
  returnedAt: number | undefined;
  /** Write: what it was answered. */
  result: string | undefined;
  /** Read: the revision that it saw. */
  revision: number | undefined;
  /** The client was told that this certainly did not and will not happen. */
  isRefused: boolean;
}

/** Where an operation may stand, as a number of commands applied. */
interface Span {
  readonly first: number;
  readonly last: number;
}

export class StoreHistory {
  readonly #operations: StoreOperation[] = [];
  #now = 0;

  begin(kind: StoreOperation['kind'], name: string): StoreOperation {
    const operation: StoreOperation = {
      kind,
      name,
      calledAt: ++this.#now,
      returnedAt: undefined,
      result: undefined,
      revision: undefined,
      isRefused: false,
    };
    this.#operations.push(operation);
    return operation;
  }

  end(operation: StoreOperation): void {
    operation.returnedAt = ++this.#now;
  }

  get answered(): number {
    return this.#operations.filter(({ returnedAt }) => returnedAt !== undefined).length;
  }

  check(reference: Reference, model: StoreModel): void {
    const placed = this.#operations.flatMap(operation => {
      const span = spanOf(operation, reference, model);
      return span === undefined ? [] : [{ operation, span }];
    });
    const ended = placed.filter(({ operation }) => operation.returnedAt !== undefined);
    ended.sort((one, other) => (one.operation.returnedAt ?? 0) - (other.operation.returnedAt ?? 0));
    let next = 0;
    let reached = 0;
    for (const { operation, span } of placed) {
      for (; next < ended.length; next++) {
        const before = ended[next];
        if (before === undefined || (before.operation.returnedAt ?? 0) > operation.calledAt) break;
        reached = Math.max(reached, before.span.first);
      }
      const isLate = operation.kind === 'write' ? span.last > reached : span.last >= reached;
      if (isLate) continue;
      throw new SafetyViolation(
        `${operation.kind} ${operation.name} stands at ${span.last}, but before it began ${reached} had been seen`,
      );
    }
  }
}

/** Undefined if the operation has not taken effect, or nobody knows where. */
function spanOf(operation: StoreOperation, reference: Reference, model: StoreModel): Span | undefined {
  const { kind, name, revision, result, isRefused } = operation;
  if (kind === 'read') return revision === undefined ? undefined : model.spanOf(revision);
  const position = reference.positionOf(name);
  if (isRefused && position !== undefined) throw new SafetyViolation(`${name} was refused for certain, but applied`);
  if (position === undefined) {
    if (result !== undefined) throw new SafetyViolation(`${name} was acknowledged, but it is lost`);
    return undefined;
  }
  const expected = model.resultAt(position);
  if (result !== undefined && result !== expected) {
    throw new SafetyViolation(`${name} was answered with "${result}" for "${expected}"`);
  }
  return { first: position + 1, last: position + 1 };
}
