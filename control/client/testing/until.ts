/** Waiting in tests for what must become true. */

/** Resolves when `isTrue` holds, looking once a turn of the event loop; throws with `what` after `timeoutMs` of real time. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
    await new Promise<void>(resolve => setImmediate(resolve));
  }
}
