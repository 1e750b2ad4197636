/** Waiting in tests: for a condition, with a deadline. */
import { performance } from 'node:perf_hooks';
import { systemClock } from '../../driver/system-clock.ts';

/** Resolves once the condition holds. @throws after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the condition did not come true in time');
    await new Promise<void>(resolve => {
      systemClock.setTimeout(resolve, 2);
    });
  }
}
