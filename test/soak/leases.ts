/** What was promised to holders of leases, and whether it was kept: a key on a lease stays until its time is over. */

export class LeaseWatch {
  readonly violations: string[] = [];
  readonly #promises = new Map<string, number>();
  #kept = 0;

  /** Leases that ended, and not too early. */
  get kept(): number {
    return this.#kept;
  }

  /** The holder heard that the key will be there until then at least. */
  promised(key: string, untilMs: number): void {
    this.#promises.set(key, Math.max(this.#promises.get(key) ?? 0, untilMs));
  }

  /** The key was not there at this moment. */
  gone(key: string, atMs: number): void {
    const untilMs = this.#promises.get(key);
    if (untilMs === undefined) return;
    this.#promises.delete(key);
    if (atMs < untilMs) {
      this.violations.push(`${key} was gone ${((untilMs - atMs) / 1000).toFixed(1)} s before its lease could end`);
    } else this.#kept++;
  }
}
