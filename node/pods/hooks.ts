/** Lifecycle hooks: a command, an HTTP request or a pause, before a container is stopped or after it has started. */
import type { LifecycleHandler } from '../api.ts';
import { sleep } from '../clock.ts';
import { type CheckTarget, check } from '../probes/check.ts';

/** Runs the hook until it ends or its time is up. Resolves with what went wrong, or undefined. Never rejects. */
export async function runHook(
  target: CheckTarget,
  hook: LifecycleHandler,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<string | undefined> {
  if (hook.sleep) {
    await sleep(target.clock, Math.min(hook.sleep.seconds * 1000, timeoutMs), signal);
    return undefined;
  }
  const { ok, output } = await check(target, hook, { timeoutMs, signal });
  return ok ? undefined : output;
}
