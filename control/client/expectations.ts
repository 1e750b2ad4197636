/**
 * What a controller has written and not yet seen come back through its watch. While something is outstanding its cache is
 * known to be behind, so it must not count pods: it would create or delete twice (k/k controller_utils.go).
 */
import type { Clock } from './clock.ts';
import { EXPECTATION_TTL_MS } from './limits.ts';

interface Expectation {
  creations: number;
  readonly deletions: Set<string>;
  readonly sinceMs: number;
}

export class Expectations {
  readonly #clock: Clock;
  readonly #byOwner = new Map<string, Expectation>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True if nothing is outstanding for this owner, or has been for so long that it must have been missed. */
  areMet(owner: string): boolean {
    const expectation = this.#byOwner.get(owner);
    if (!expectation) return true;
    if (expectation.creations > 0 || expectation.deletions.size > 0) {
      if (this.#clock.now() - expectation.sinceMs < EXPECTATION_TTL_MS) return false;
    }
    this.#byOwner.delete(owner);
    return true;
  }

  /** To be called before the writes. */
  expect(
    owner: string,
    { creations = 0, deletions = [] }: { creations?: number; deletions?: readonly string[] },
  ): void {
    this.#byOwner.set(owner, { creations, deletions: new Set(deletions), sinceMs: this.#clock.now() });
  }

  /** A creation was seen, or failed. */
  creationObserved(owner: string): void {
    const expectation = this.#byOwner.get(owner);
    if (expectation && expectation.creations > 0) expectation.creations--;
  }

  /** The deletion of the object with this UID was seen (as gone or as leaving), or failed. */
  deletionObserved(owner: string, uid: string): void {
    this.#byOwner.get(owner)?.deletions.delete(uid);
  }

  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }
}
