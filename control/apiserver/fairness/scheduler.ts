/**
 * Seats for all priority levels together. A level always gets the seats that it does not lend; beyond these it takes what
 * others have lent and do not use. Who finds no seat waits in a queue of his flow, or is turned away. Synchronous but for the
 * waiting itself; time is handed in.
 */
import type { Clock } from '../clock.ts';
import { Level, type LevelSettings, type Ticket } from './level.ts';

export type Refusal = 'concurrency-limit' | 'queue-full' | 'time-out' | 'cancelled';

export interface Wish {
  readonly level: string;
  readonly schema: string;
  /** Tells the flows of a schema apart. */
  readonly distinguisher: string;
  readonly seats: number;
  readonly waitMsMax: number;
  /** Whose signal ends the waiting; it is made when it is read, so only of those that wait. */
  readonly request: { readonly signal: AbortSignal };
}

/** A seat, or seats, to be given back once. */
export type Seat = { readonly release: () => void } | { readonly refusal: Refusal };

export class SeatScheduler {
  readonly levels = new Map<string, Level>();
  readonly #clock: Clock;
  readonly #seats: number;
  #inUse = 0;
  /** Told how long each waited that had to. */
  readonly #onWaited: (wish: Wish, waitedMs: number) => void;

  constructor(options: {
    readonly clock: Clock;
    readonly seats: number;
    readonly onWaited?: (wish: Wish, waitedMs: number) => void;
  }) {
    this.#clock = options.clock;
    this.#seats = options.seats;
    this.#onWaited = options.onWaited ?? (() => {});
  }

  /** Goes by these levels from now on. Levels that are gone stay until the last of their requests has ended. */
  configure(all: readonly LevelSettings[]): void {
    const names = new Set(all.map(({ name }) => name));
    for (const settings of all) {
      const level = this.levels.get(settings.name);
      if (level) level.configure(settings);
      else this.levels.set(settings.name, new Level(settings));
    }
    for (const [name, level] of this.levels) {
      level.isQuiescing = !names.has(name);
      if (level.isQuiescing && level.executing === 0 && level.waiting === 0) this.levels.delete(name);
    }
    this.#divide();
    this.#dispatch();
  }

  /** Divides the seats by shares. Every level has at least one, so that nobody starves. */
  #divide(): void {
    const limited = [...this.levels.values()].filter(({ settings }) => !settings.isExempt);
    const exempt = [...this.levels.values()].filter(({ settings }) => settings.isExempt);
    const sum = [...limited, ...exempt].reduce((total, { settings }) => total + settings.shares, 0);
    for (const level of [...limited, ...exempt]) {
      const { shares, lendablePercent, borrowingLimitPercent } = level.settings;
      level.nominal = sum === 0 ? 1 : Math.ceil((this.#seats * shares) / sum);
      level.guaranteed = level.nominal - Math.round((level.nominal * lendablePercent) / 100);
      const borrowed =
        borrowingLimitPercent === undefined ? this.#seats : Math.round((level.nominal * borrowingLimitPercent) / 100);
      level.max = Math.max(1, Math.min(this.#seats, level.nominal + borrowed));
    }
  }

  /** A seat at once, or a promise of one. The caller must release it. */
  take(wish: Wish): Seat | Promise<Seat> {
    const level = this.levels.get(wish.level) ?? this.levels.get('catch-all');
    if (!level) return { release() {} };
    const seats = Math.min(wish.seats, Math.max(1, level.max));
    if (level.settings.isExempt) return this.#begin(level, seats, undefined);
    const queue = level.queueFor(`${wish.schema}\u0000${wish.distinguisher}`);
    if (level.waiting === 0 && this.#hasSeats(level, seats)) return this.#begin(level, seats, queue);
    if (queue === undefined) return this.#refuse(level, 'concurrency-limit');
    if (level.isFull(queue)) return this.#refuse(level, 'queue-full');
    return this.#wait(level, { ...wish, seats }, queue);
  }

  #refuse(level: Level, refusal: Refusal): Seat {
    if (refusal === 'time-out') level.counts.timedOut++;
    else if (refusal === 'cancelled') level.counts.cancelled++;
    else level.counts.rejected++;
    return { refusal };
  }

  #begin(level: Level, seats: number, queue: number | undefined, startTag?: number): Seat {
    level.begin(seats, queue, startTag);
    // Exempt requests take no seats from anybody.
    if (!level.settings.isExempt) this.#inUse += seats;
    const isCounted = !level.settings.isExempt;
    let isHeld = true;
    return {
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        level.end(seats, queue);
        if (isCounted) this.#inUse -= seats;
        if (level.isQuiescing && level.executing === 0 && level.waiting === 0) this.levels.delete(level.settings.name);
        this.#dispatch();
      },
    };
  }

  #wait(level: Level, wish: Wish, queue: number): Promise<Seat> {
    const { signal } = wish.request;
    return new Promise(resolve => {
      const leave = (refusal: Refusal) => {
        if (!level.remove(ticket)) return;
        settle();
        resolve(this.#refuse(level, refusal));
      };
      const onAbort = () => leave('cancelled');
      const cancelTimer = this.#clock.setTimeout(() => leave('time-out'), wish.waitMsMax);
      const settle = () => {
        cancelTimer();
        signal.removeEventListener('abort', onAbort);
      };
      const ticket: Ticket = {
        schema: wish.schema,
        flow: wish.distinguisher,
        seats: wish.seats,
        arrivedMs: this.#clock.now(),
        queue,
        startTag: 0,
        admit: () => {
          settle();
          this.#onWaited(wish, this.#clock.now() - ticket.arrivedMs);
          resolve(this.#begin(level, wish.seats, queue, ticket.startTag));
        },
      };
      level.enqueue(ticket);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
    });
  }

  /** True if the level may have so many seats more: its own, or what others lend and do not use. */
  #hasSeats(level: Level, seats: number): boolean {
    const wanted = level.inUse + seats;
    // A single request may be wider than the level: alone it passes.
    if (wanted > level.max && level.inUse > 0) return false;
    if (wanted <= level.guaranteed) return true;
    if (level.inUse === 0 && this.#inUse === 0) return true;
    let kept = 0;
    for (const other of this.levels.values()) {
      if (other === level || other.settings.isExempt) continue;
      kept += Math.max(other.inUse, other.guaranteed);
    }
    return wanted + kept <= this.#seats;
  }

  /** Gives free seats to those who wait: first in levels that have less than their own, then to those that borrow. */
  #dispatch(): void {
    for (let isAgain = true; isAgain; ) {
      isAgain = false;
      for (const isBorrowing of [false, true]) {
        for (const level of this.levels.values()) {
          const next = level.head();
          if (!next || level.inUse >= level.nominal !== isBorrowing) continue;
          if (!this.#hasSeats(level, next.seats)) continue;
          level.remove(next);
          next.admit();
          isAgain = true;
        }
        if (isAgain) break;
      }
    }
  }
}
