/**
 * The loop that every controller shares: workers take keys, `reconcile` makes the world fit, an error brings the key back
 * after a growing delay. What is done is decided from present state alone, so running once more is always harmless.
 */
import { hasReason } from '../api/status.ts';
import type { Logger } from './logger.ts';
import type { WorkQueue } from './workqueue.ts';

/** What a reconciliation asks for: nothing, or to be called again later even if nothing changes. */
export interface ReconcileResult {
  readonly afterMs?: number | undefined;
}

/** Numbers for /metrics; the composer decides where they go. */
export interface ControllerMetrics {
  /** A controller begins: how many keys wait may be asked of its queue from now on. */
  started(controller: string, queue: { readonly length: number }): void;
  reconciled(outcome: { readonly controller: string; readonly durationMs: number; readonly failed: boolean }): void;
}

export interface ControllerLoop {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly workers: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly metrics?: ControllerMetrics | undefined;
  readonly now: () => number;
  reconcile(key: string): Promise<ReconcileResult | undefined>;
}

/** Runs until the signal aborts; resolves when the last worker has put down its key. */
export async function runController(loop: ControllerLoop): Promise<void> {
  loop.metrics?.started(loop.name, loop.queue);
  const stop = () => loop.queue.shutDown();
  if (loop.signal.aborted) stop();
  loop.signal.addEventListener('abort', stop, { once: true });
  await Promise.all(Array.from({ length: loop.workers }, () => work(loop)));
}

async function work(loop: ControllerLoop): Promise<void> {
  for (;;) {
    const key = await loop.queue.take();
    if (key === undefined) return;
    await reconcileOnce(loop, key);
    loop.queue.done(key);
  }
}

async function reconcileOnce(loop: ControllerLoop, key: string): Promise<void> {
  const { queue, logger, name } = loop;
  const startedAtMs = loop.now();
  let failed = false;
  try {
    const result = await loop.reconcile(key);
    queue.forget(key);
    if (result?.afterMs !== undefined) queue.addAfter(key, result.afterMs);
  } catch (error) {
    failed = true;
    if (loop.signal.aborted) return;
    // Conflicts are the normal price of optimistic writes on a cache that lags: not worth a line each.
    const isConflict = hasReason(error, 'Conflict');
    if (isConflict && queue.failuresOf(key) < QUIET_CONFLICTS) logger.debug({ controller: name, key }, 'conflict');
    else logger.warn({ controller: name, key, err: error }, 'reconciliation failed');
    queue.addBackedOff(key);
  } finally {
    loop.metrics?.reconciled({ controller: name, durationMs: loop.now() - startedAtMs, failed });
  }
}

/** Conflicts on one key in a row before they are worth a warning. */
const QUIET_CONFLICTS = 8;
