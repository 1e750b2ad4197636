/** Storage takes one call at a time; this lines them up. After one has failed, none follows. */

export class StorageQueue {
  #tail: Promise<void> = Promise.resolve();
  #hasFailed = false;

  /** Runs `operation` after those before it. Rejects if it, or one before it, failed. */
  run(operation: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(async () => {
      if (this.#hasFailed) throw new Error('an earlier write failed');
      try {
        await operation();
      } catch (error) {
        this.#hasFailed = true;
        throw error;
      }
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  idle(): Promise<void> {
    return this.#tail;
  }
}
