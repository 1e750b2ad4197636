/**
 * Time that a simulation turns itself. Callbacks run in the order of their times, and in the order of their making where
 * times are equal. After each one everything it set off (promises) runs to its end before the next. Between two callbacks
 * no time passes for real, so an hour of silence costs nothing.
 */
import type { Clock } from '../../raft/index.ts';

interface Event {
  readonly atMs: number;
  readonly order: number;
  /** Undefined once it was cancelled. */
  run: (() => void) | undefined;
  /** Whose life it belongs to: it waits while that is frozen, and never happens once that is over. */
  readonly life: LifeClock | undefined;
}

/** Callbacks in one go before the real event loop gets a turn. */
const EVENTS_PER_TURN = 20_000;

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  /** What is due now was made after everything in the heap that is due now. */
  #due: Event[] = [];
  #dueNext = 0;

  now(): number {
    return this.#nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): () => void {
    const event = this.schedule(callback, delayMs, undefined);
    return () => {
      event.run = undefined;
    };
  }

  nextTurn(callback: () => void): void {
    this.schedule(callback, 0, undefined);
  }

  schedule(run: () => void, delayMs: number, life: LifeClock | undefined): Event {
    const isNow = !(delayMs > 0);
    const event: Event = { atMs: isNow ? this.#nowMs : this.#nowMs + delayMs, order: this.#order++, run, life };
    if (isNow) this.#due.push(event);
    else this.#push(event);
    return event;
  }

  /** Puts an event that was held back where it happens next. */
  release(event: Event): void {
    this.#due.push(event);
  }

  /** Turns time forward until `isDone` or until nothing happens before `untilMs`. Rejects with what a callback throws. */
  run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          if (this.#turn(untilMs, isDone)) resolve();
          else setImmediate(turn);
        } catch (error) {
          reject(error);
        }
      };
      // Outside of all promises: only from there can what they wait for be run to its end.
      setImmediate(turn);
    });
  }

  /** Answers whether it has come to its end. */
  #turn(untilMs: number, isDone: () => boolean): boolean {
    settle();
    for (let count = 0; count < EVENTS_PER_TURN; count++) {
      if (isDone()) return true;
      const event = this.#next(untilMs);
      if (event === undefined) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return true;
      }
      const { run, life } = event;
      if (run === undefined || life?.isOver === true) continue;
      if (life?.isFrozen === true) {
        life.holdBack(event);
        continue;
      }
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      run();
      settle();
    }
    return false;
  }

  #next(untilMs: number): Event | undefined {
    const first = this.#heap[0];
    const isDue = this.#dueNext < this.#due.length;
    if (isDue && (first === undefined || first.atMs > this.#nowMs)) {
      const event = this.#due[this.#dueNext++];
      if (this.#dueNext === this.#due.length) {
        this.#due = [];
        this.#dueNext = 0;
      }
      return event;
    }
    if (first === undefined || first.atMs > untilMs) return undefined;
    this.#pop();
    return first;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      if (left === undefined) break;
      const right = heap[2 * at + 2];
      const child = right !== undefined && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
      const below = heap[child];
      if (below === undefined || isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

/**
 * The clock of one life of a process: when that has ended, nothing of it happens any more; while it is frozen, nothing
 * happens until it thaws. It starts at a time of its own and may run fast or slow, as quartz does.
 */
export class LifeClock implements Clock {
  readonly #clock: VirtualClock;
  readonly #rate: number;
  readonly #originMs: number;
  #held: Event[] = [];
  #whenThawed: (() => void)[] = [];
  isOver = false;
  isFrozen = false;

  /** @param options.rate how many milliseconds this clock counts in one */
  constructor(clock: VirtualClock, options: { readonly rate?: number; readonly startMs?: number } = {}) {
    this.#clock = clock;
    this.#rate = options.rate ?? 1;
    this.#originMs = (options.startMs ?? 0) - clock.now() * this.#rate;
  }

  end(): void {
    this.isOver = true;
    this.#held = [];
    this.#release();
  }

  freeze(): void {
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    for (const event of this.#held) this.#clock.release(event);
    this.#held = [];
    this.#release();
  }

  /** For the clock behind this one: an event that fell due in a frozen life. */
  holdBack(event: Event): void {
    this.#held.push(event);
  }

  /** Resolves once the life is not frozen, or over; undefined if that is so already. */
  thawed(): Promise<void> | undefined {
    if (!this.isFrozen || this.isOver) return undefined;
    return new Promise(resolve => this.#whenThawed.push(resolve));
  }

  now(): number {
    return this.#originMs + this.#clock.now() * this.#rate;
  }

  setTimeout(callback: () => void, delayMs: number): () => void {
    const event = this.#clock.schedule(callback, delayMs / this.#rate, this);
    return () => {
      event.run = undefined;
    };
  }

  nextTurn(callback: () => void): void {
    this.#clock.schedule(callback, 0, this);
  }

  #release(): void {
    const waiting = this.#whenThawed;
    this.#whenThawed = [];
    for (const resolve of waiting) resolve();
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/**
 * Runs everything that promises wait for, to its end. Node does so after each callback of its own; going through its event
 * loop for that would cost ten times as much as most callbacks here do.
 */
const settle = ((): (() => void) => {
  const drain: unknown = Reflect.get(process, '_tickCallback');
  if (typeof drain !== 'function') throw new Error('this version of Node.js cannot settle promises on demand');
  return () => drain.call(process);
})();
