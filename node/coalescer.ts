/**
 * Runs a job again and again on request, never twice at once: requests that come while it runs or rests become one more
 * run. A failed run is repeated with back-off until one succeeds.
 */
import { type Clock, sleep } from './clock.ts';
import type { Logger } from './logger.ts';
import { retryDelayMs } from './pods/back-off.ts';

export interface CoalescerOptions {
  readonly name: string;
  readonly job: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Rest between two runs. */
  readonly restMs: number;
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 30_000;

export class Coalescer {
  readonly #options: CoalescerOptions;
  readonly #closing = new AbortController();
  #wanted = false;
  #running: Promise<void> | undefined;

  constructor(options: CoalescerOptions) {
    this.#options = options;
  }

  /** Asks for a run. */
  request(): void {
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  /** Resolves when what was asked for so far has been done, or on close. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { job, clock, logger, name, restMs } = this.#options;
    const { signal } = this.#closing;
    let failures = 0;
    while (this.#wanted && !signal.aborted) {
      this.#wanted = false;
      try {
        await job();
        failures = 0;
        await sleep(clock, restMs, signal);
      } catch (error) {
        failures++;
        this.#wanted = true;
        logger.warn({ error, job: name, failures }, 'a job of the node failed; it is tried again');
        await sleep(clock, retryDelayMs(failures, RETRY_MS, RETRY_MS_MAX), signal);
      }
    }
    // In the same turn as the last look at `#wanted`, or a request in between would be lost.
    this.#running = undefined;
  }
}
