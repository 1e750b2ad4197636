/**
 * Finds the oldest revision that etcd still has. etcd tells it only to a watch that begins too early, and tells nothing where
 * nothing was compacted, so it is searched for: everything from it on can be read, nothing before it can.
 */
export class CompactionFinder {
  readonly #canRead: (revision: number) => Promise<boolean>;
  readonly #present: () => Promise<number>;
  /** As of the last search; compaction only ever raises it. 0 for none yet. */
  #oldest = 0;

  /**
   * @param options `canRead` tells whether the store can be read as of a revision that is not in the future, `present` its
   *   revision now
   */
  constructor(options: {
    readonly canRead: (revision: number) => Promise<boolean>;
    readonly present: () => Promise<number>;
  }) {
    this.#canRead = options.canRead;
    this.#present = options.present;
  }

  /** The oldest revision that can be read; 0 before the first compaction. Costs one read while nothing was compacted. */
  async find(): Promise<number> {
    let unreadable = Math.max(this.#oldest, 1);
    if (await this.#canRead(unreadable)) return this.#oldest;
    let readable = await this.#present();
    while (readable - unreadable > 1) {
      const middle = Math.floor((unreadable + readable) / 2);
      if (await this.#canRead(middle)) readable = middle;
      else unreadable = middle;
    }
    this.#oldest = Math.max(this.#oldest, readable);
    return this.#oldest;
  }
}
