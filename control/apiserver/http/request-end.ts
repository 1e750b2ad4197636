/**
 * When nobody waits for a request's answer any more. Most requests are over before anybody waits for others on their behalf,
 * so the signal is made when it is first asked for: to make and wire it costs as much as the rest of a small get.
 */
export class RequestEnd {
  readonly #others: readonly AbortSignal[];
  #end: { readonly reason: unknown } | undefined;
  #own: AbortController | undefined;
  #signal: AbortSignal | undefined;

  /** The request ends with each of `others`, too. */
  constructor(others: readonly AbortSignal[]) {
    this.#others = others;
  }

  get signal(): AbortSignal {
    if (!this.#signal) {
      this.#own = new AbortController();
      if (this.#end) this.#own.abort(this.#end.reason);
      this.#signal = AbortSignal.any([...this.#others, this.#own.signal]);
    }
    return this.#signal;
  }

  /** Ends the request, unless it has ended. */
  end(reason?: unknown): void {
    if (this.#end) return;
    this.#end = { reason };
    this.#own?.abort(reason);
  }
}
