/** Numbers as they were over the last minutes: whoever reads a cache that lags may go by any of them. */

interface Former {
  readonly value: number;
  readonly untilMs: number;
}

export class Recent {
  readonly #lagMs: number;
  readonly #now: () => number;
  readonly #present = new Map<string, number>();
  readonly #former = new Map<string, readonly Former[]>();

  constructor(lagMs: number, now: () => number) {
    this.#lagMs = lagMs;
    this.#now = now;
  }

  /** What the number of this name is from now on. */
  set(name: string, value: number): void {
    const present = this.#present.get(name);
    if (present === value) return;
    this.#present.set(name, value);
    if (present === undefined) return;
    this.#former.set(name, [...this.#formerOf(name), { untilMs: this.#now(), value: present }]);
  }

  /** The largest that anybody may believe in; undefined if there never was one. */
  most(name: string): number | undefined {
    const values = this.#values(name);
    return values.length === 0 ? undefined : Math.max(...values);
  }

  /** The smallest that anybody may believe in; undefined if there never was one. */
  least(name: string): number | undefined {
    const values = this.#values(name);
    return values.length === 0 ? undefined : Math.min(...values);
  }

  #values(name: string): number[] {
    const present = this.#present.get(name);
    return present === undefined ? [] : [present, ...this.#formerOf(name).map(({ value }) => value)];
  }

  #formerOf(name: string): readonly Former[] {
    return (this.#former.get(name) ?? []).filter(({ untilMs }) => this.#now() - untilMs < this.#lagMs);
  }
}
