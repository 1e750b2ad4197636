/** Work that goes on beside its caller: named, its failures told, and waited for at the end. */
import { type Clock, sleep } from './clock.ts';
import { REGISTER_RETRY_MS } from './limits.ts';
import type { Logger } from './logger.ts';

export class Background {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #running = new Set<Promise<void>>();

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Begins a part of the agent, which ends by itself. */
  spawn(name: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.#logger.error({ error, part: name }, 'a part of the agent failed'))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Tries until it works or the signal aborts. */
  async persist(what: string, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        this.#logger.error({ error }, `${what} could not be started; trying again`);
        await sleep(this.#clock, REGISTER_RETRY_MS * 2, signal);
      }
    }
  }

  /** Resolves when all that was begun has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}
