/** Work that must not overlap, by key. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const tail = before.then(() => ended);
    this.#tails.set(key, tail);
    await before;
    try {
      return await work();
    } finally {
      end();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
