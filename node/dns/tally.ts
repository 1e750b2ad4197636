/** How many there are at once: in all, and of one client. */
export class Tally {
  readonly #max: number;
  readonly #maxPerClient: number;
  readonly #byClient = new Map<string, number>();
  #total = 0;

  constructor(max: number, maxPerClient: number) {
    this.#max = max;
    this.#maxPerClient = maxPerClient;
  }

  /** False if there is no room; else {@link leave} has to follow. */
  enter(client: string): boolean {
    const own = this.#byClient.get(client) ?? 0;
    if (this.#total >= this.#max || own >= this.#maxPerClient) return false;
    this.#total += 1;
    this.#byClient.set(client, own + 1);
    return true;
  }

  leave(client: string): void {
    const own = this.#byClient.get(client);
    if (own === undefined) return;
    this.#total -= 1;
    if (own === 1) this.#byClient.delete(client);
    else this.#byClient.set(client, own - 1);
  }
}
