/**
 * One after the other, by name: writes that are charged to the same quotas wait for each other within a master, so that their
 * transactions do not fail by turns. Only a courtesy: what makes the charges exact is the comparison in each transaction, and
 * whoever holds his turn too long loses it.
 */
import type { Clock } from '../../types.ts';

/** A turn lasts as long as a transaction; beyond this something is wrong with it, not with those who wait. */
const TURN_MS_MAX = 2_000;

interface Line {
  /** Ends when everybody who has come so far has had his turn. */
  tail: Promise<void>;
  waiting: number;
  /** The last revision that a turn ended with. */
  revision: number;
}

export interface Turn {
  /** The revision of the turn before: what it wrote is to be seen. */
  readonly after: number;
  /** Ends the turn, with the revision of what was written. May be called again, and then does nothing. */
  end(revision?: number): void;
}

export class Turns {
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lines that somebody stands in. */
  get size(): number {
    return this.#lines.size;
  }

  async take(name: string): Promise<Turn> {
    const line = this.#lines.get(name) ?? { tail: Promise.resolve(), waiting: 0, revision: 0 };
    this.#lines.set(name, line);
    const before = line.tail;
    const over = Promise.withResolvers<void>();
    line.tail = over.promise;
    line.waiting++;
    await before;
    let isOver = false;
    const end = (revision = 0) => {
      if (isOver) return;
      isOver = true;
      cancel();
      line.revision = Math.max(line.revision, revision);
      if (--line.waiting === 0) this.#lines.delete(name);
      over.resolve();
    };
    const cancel = this.#clock.setTimeout(end, TURN_MS_MAX);
    return { after: line.revision, end };
  }
}
