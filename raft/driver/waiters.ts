/** Callers that wait for an answer until a deadline. Timers are shared: the driver sweeps the expired now and then. */

/** One caller's promise, settled at most once. */
export class Waiter<T> {
  readonly promise: Promise<T>;
  readonly deadlineMs: number;
  #resolve!: (value: T) => void;
  #reject!: (error: Error) => void;
  isSettled = false;

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.isSettled = true;
    this.#resolve(value);
  }

  reject(error: Error): void {
    this.isSettled = true;
    this.#reject(error);
  }
}
