/** Time as the driver and the transports see it. The simulator turns it by hand. */

export interface Clock {
  /** Milliseconds that only grow; from an arbitrary start. */
  now(): number;
  /** Calls back once after at least `delayMs`; the answer cancels. */
  setTimeout(callback: () => void, delayMs: number): () => void;
  /** Calls back once everything that has arrived by now was handled: what belongs to one turn is batched. */
  nextTurn(callback: () => void): void;
}
