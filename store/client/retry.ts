/** Trying again what is safe to try again. */
import type { Clock } from '../clock.ts';
import { RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from '../limits.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  /** True for an error after which the same call may be made again: nothing was done, or doing it twice changes nothing. */
  readonly isSafe: (error: unknown) => boolean;
}

/** Calls until it succeeds, the error is not safe to repeat, or time is up; then throws the last error. */
export async function retry<Value>(call: (leftMs: number) => Promise<Value>, options: RetryOptions): Promise<Value> {
  const { clock, random, timeoutMs, isSafe } = options;
  const deadlineMs = clock.now() + timeoutMs;
  for (let delayMs = RETRY_DELAY_MS_MIN; ; delayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX)) {
    try {
      return await call(Math.max(1, deadlineMs - clock.now()));
    } catch (error) {
      const pauseMs = delayMs * (0.5 + random() / 2);
      if (!isSafe(error) || clock.now() + pauseMs >= deadlineMs) throw error;
      await new Promise<void>(resolve => clock.setTimeout(resolve, pauseMs));
    }
  }
}
