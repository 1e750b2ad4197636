/** Time, handed in everywhere in `store/`. This is the one file here that touches the real clock and timers. */

/** A monotonic clock with timers. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes backwards. */
  now(): number;
  /** Calls back once after so many milliseconds; the answer cancels it. */
  setTimeout(callback: () => void, delayMs: number): () => void;
}

/** A clock that also knows the turns of the event loop. */
export interface TurnClock extends Clock {
  /** Calls back once everything that has arrived by now was handled: what belongs to one turn is batched. */
  nextTurn(callback: () => void): void;
  /** Calls back once every promise that is settled by now, and what follows from it, was dealt with: still in this turn. */
  afterPromises(callback: () => void): void;
}

export const systemClock: TurnClock = {
  now: () => performance.now(),
  setTimeout(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  nextTurn(callback) {
    setImmediate(callback);
  },
  afterPromises(callback) {
    // Node runs what is queued here only when no microtask is left.
    process.nextTick(callback);
  },
};

/** The time of day, for what people read; nothing is decided by it. */
export const systemWallClock = (): Date => new Date();
