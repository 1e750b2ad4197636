/** The one order of all commands: each member applies the same at the same position (state machine safety, thesis figure 3.2). */
import { SafetyViolation } from './safety-violation.ts';

export interface AppliedCommand {
  readonly index: number;
  readonly term: number;
  readonly command: string;
}

export class CommandOrder {
  readonly #applied: AppliedCommand[] = [];
  readonly #positions = new Map<string, number>();

  /** How many commands some member has applied. */
  get length(): number {
    return this.#applied.length;
  }

  /** Where a command stands (from 0), if it does anywhere. */
  positionOf(command: string): number | undefined {
    return this.#positions.get(command);
  }

  /** How many commands stand at or before an index of the log. */
  countThrough(index: number): number {
    let [low, high] = [0, this.#applied.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#applied[middle]?.index ?? Number.POSITIVE_INFINITY) <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A member applies a command at a position of its state. @throws {SafetyViolation} */
  applies(position: number, applied: AppliedCommand): void {
    const known = this.#applied[position];
    if (known === undefined) {
      if (position !== this.#applied.length)
        throw new SafetyViolation(`position ${position} was applied with a gap before`);
      if (this.#positions.has(applied.command)) throw new SafetyViolation(`${applied.command} was applied twice`);
      this.#applied.push(applied);
      this.#positions.set(applied.command, position);
    } else if (known.command !== applied.command || known.index !== applied.index || known.term !== applied.term) {
      throw new SafetyViolation(
        `position ${position} is ${known.command} (${known.index}@${known.term}) on one member and ` +
          `${applied.command} (${applied.index}@${applied.term}) on another`,
      );
    }
  }
}
