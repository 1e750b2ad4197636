/**
 * Tokens whose signature was found to hold: to check one again takes longer than to answer a small request. Whoever finds one
 * here still judges its times, its audience, and whether what it is bound to lives.
 */
import { hash } from 'node:crypto';

/** About a kilobyte each. */
export const VERIFIED_TOKENS_MAX = 4_096;

/** Keyed by digests, so that the memory of the process is no list of tokens. The longest unused go first. */
export class VerifiedTokens<Value> {
  readonly #values = new Map<string, Value>();
  readonly #most: number;

  constructor(most = VERIFIED_TOKENS_MAX) {
    this.#most = most;
  }

  get size(): number {
    return this.#values.size;
  }

  get(token: string): Value | undefined {
    const key = digest(token);
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  add(token: string, value: Value): void {
    this.#values.set(digest(token), value);
    if (this.#values.size <= this.#most) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}

const digest = (token: string) => hash('sha256', token, 'base64');
