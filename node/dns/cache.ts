/** What other resolvers answered, for as long as it holds; the one that was asked for longest ago goes first. */
import {
  CACHE_ENTRIES_MAX,
  CACHE_ENTRY_BYTES_MAX,
  CACHE_FAILURE_SECONDS,
  CACHE_NEGATIVE_SECONDS_MAX,
  CACHE_SECONDS_MAX,
} from './limits.ts';
import { aged, RCODE, rcodeOf, secondsToKeep } from './message.ts';

interface Entry {
  readonly message: Buffer;
  readonly at: number;
  readonly until: number;
}

export class AnswerCache {
  readonly #now: () => number;
  /** In the order of use. */
  readonly #entries = new Map<string, Entry>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The answer with what is left of its time; undefined if there is none. */
  get(key: string): Buffer | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const now = this.#now();
    this.#entries.delete(key);
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    return aged(entry.message, Math.floor((now - entry.at) / 1_000));
  }

  put(key: string, message: Buffer): void {
    const seconds = keepSeconds(message);
    if (seconds <= 0 || message.length > CACHE_ENTRY_BYTES_MAX) return;
    const at = this.#now();
    this.#entries.delete(key);
    this.#entries.set(key, { message, at, until: at + seconds * 1_000 });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > CACHE_ENTRIES_MAX && oldest !== undefined) this.#entries.delete(oldest);
  }
}

function keepSeconds(message: Buffer): number {
  if (rcodeOf(message) === RCODE.SERVFAIL) return CACHE_FAILURE_SECONDS;
  const { seconds, negative } = secondsToKeep(message);
  return Math.min(seconds, negative ? CACHE_NEGATIVE_SECONDS_MAX : CACHE_SECONDS_MAX);
}
