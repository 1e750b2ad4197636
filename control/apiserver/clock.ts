/** The one file of the API server that touches the system's time and event loop. */
/** The one source of time. `setTimeout` gives back how to cancel it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  setTimeout(run: () => void, delayMs: number): () => void;
  /** Runs once everything else that has to be done now was done; the event loop's own way if it is not there. */
  nextTurn?(run: () => void): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout(run, delayMs) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after everything else that the event loop has to do now: lets others in during long work. */
export function nextTurn(clock: Clock = systemClock): Promise<void> {
  return new Promise(resolve => (clock.nextTurn ? clock.nextTurn(resolve) : void setImmediate(resolve)));
}
