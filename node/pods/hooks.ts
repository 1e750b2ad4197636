/** Lifecycle hooks: a command, an HTTP request or a pause, before a container is stopped or after it has started. */
import type { LifecycleHandler } from '../api.ts';
import { sleep } from '../clock.ts';
import { type CheckTarget, check, portOf } from '../probes/check.ts';
import { askHttp, type HttpAction, HttpAskError } from '../probes/http.ts';

/**
 * Runs the hook until it ends or its time is up. Resolves with what went wrong, or undefined; what a hook said may be a secret
 * and goes into no event and no log. Never rejects.
 */
export async function runHook(
  target: CheckTarget,
  hook: LifecycleHandler,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<string | undefined> {
  if (hook.sleep) {
    await sleep(target.clock, Math.min(hook.sleep.seconds * 1000, timeoutMs), signal);
    return undefined;
  }
  if (hook.exec) {
    // As it stands: only what a kubelet itself runs has its variables filled in.
    const plain = { ...target, container: { ...target.container, env: [] } };
    const { outcome, output } = await check(plain, { exec: hook.exec }, { timeoutMs, signal });
    return outcome === 'success' ? undefined : output;
  }
  // A TCP hook can be written, and has never been run by anybody.
  if (!hook.httpGet) return 'invalid handler: neither exec nor httpGet nor sleep';
  const timeout = new AbortController();
  const cancel = target.clock.setTimeout(() => timeout.abort(), timeoutMs);
  try {
    await callHttp(target, hook.httpGet, AbortSignal.any([signal, timeout.signal]));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    cancel();
  }
}

/** Any answer will do, whatever its status. Over TLS, a server that has none is asked without (k/k: lifecycle/handlers.go). */
async function callHttp(target: CheckTarget, action: HttpAction, signal: AbortSignal): Promise<void> {
  const host = action.host || target.host;
  const port = action.port === '' ? 80 : portOf(target.container, action.port);
  const ask = { host, port, userAgent: 'kube-lifecycle/1.33', signal };
  try {
    await askHttp({ ...ask, action });
  } catch (error) {
    if (!(error instanceof HttpAskError) || !error.isPlain) throw error;
    const { httpHeaders = [] } = action;
    // What was meant for an encrypted way alone is kept back.
    const open = httpHeaders.filter(({ name }) => name.toLowerCase() !== 'authorization');
    await askHttp({ ...ask, action: { ...action, scheme: 'HTTP', httpHeaders: open } });
  }
}
