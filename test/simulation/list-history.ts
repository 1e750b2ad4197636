/**
 * What clients did and saw, checked for linearizability. The object is a list: an append puts its command at a position,
 * a read sees a length. Since every command's position in the one order is known, the check is exact and linear: whatever
 * begins after something has ended must not come before it.
 */
import type { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';

interface Operation {
  readonly kind: 'append' | 'read';
  readonly command: string;
  readonly calledMs: number;
  /** Undefined if the client never learned the outcome. */
  returnedMs: number | undefined;
  /** Append: its position. Read: how many commands it saw. */
  result: number | undefined;
  /** The client was told that this certainly did not and will not happen. */
  isRefused: boolean;
}

export class ListHistory {
  readonly #operations: Operation[] = [];

  begin(kind: Operation['kind'], command: string, calledMs: number): Operation {
    const operation: Operation = {
      kind,
      command,
      calledMs,
      returnedMs: undefined,
      result: undefined,
      isRefused: false,
    };
    this.#operations.push(operation);
    return operation;
  }

  get answered(): number {
    return this.#operations.filter(operation => operation.result !== undefined).length;
  }

  check(reference: Reference): void {
    const points = this.#operations.flatMap(operation => {
      const point = pointOf(operation, reference);
      return point === undefined ? [] : [{ operation, point }];
    });
    const byCall = [...points].sort((one, other) => one.operation.calledMs - other.operation.calledMs);
    const ended = points.filter(({ operation }) => operation.returnedMs !== undefined);
    ended.sort((one, other) => (one.operation.returnedMs ?? 0) - (other.operation.returnedMs ?? 0));
    let next = 0;
    let reached = 0;
    for (const { operation, point } of byCall) {
      for (; next < ended.length; next++) {
        const before = ended[next];
        if (before === undefined || (before.operation.returnedMs ?? 0) >= operation.calledMs) break;
        reached = Math.max(reached, before.point);
      }
      const isLate = operation.kind === 'append' ? point > reached : point >= reached;
      if (!isLate) {
        throw new SafetyViolation(
          `${operation.kind} ${operation.command}, called at ${operation.calledMs}, stands at ${point}, ` +
            `but the state had already been seen at ${reached}`,
        );
      }
    }
  }
}

/** How long the list is once the operation has taken effect; undefined if it has not, or nobody knows. */
function pointOf(operation: Operation, reference: Reference): number | undefined {
  if (operation.kind === 'read') return operation.result;
  const position = reference.positionOf(operation.command);
  if (operation.isRefused && position !== undefined) {
    throw new SafetyViolation(`${operation.command} was refused for certain, but it was applied`);
  }
  if (operation.result !== undefined && position !== operation.result) {
    throw new SafetyViolation(`${operation.command} was acknowledged at ${operation.result}, but it is at ${position}`);
  }
  return position === undefined ? undefined : position + 1;
}
