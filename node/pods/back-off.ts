/**
 * Back-off arithmetic, pure. The restart back-off works as Kubernetes users know it: the first restart is immediate, then
 * 10 s, 20 s … 5 min after the container ended, and a container that ran for ten minutes starts over.
 */
import { RESTART_BACK_OFF_MS, RESTART_BACK_OFF_MS_MAX, RESTART_BACK_OFF_RESET_MS } from '../limits.ts';

/** How long a container that ended has to wait; `updatedAt` is when it was last restarted. */
export interface BackOff {
  readonly delayMs: number;
  readonly updatedAt: number;
}

/** A failure that is tried again. `count` is 1 for the first. */
export interface Failure {
  readonly count: number;
  readonly at: number;
  readonly message: string;
}

/** When a container that ended at `finishedAt` may start again. */
export function restartAt(backOff: BackOff | undefined, finishedAt: number): number {
  if (!backOff || finishedAt - backOff.updatedAt > RESTART_BACK_OFF_RESET_MS) return finishedAt;
  return finishedAt + backOff.delayMs;
}

/** The back-off after a restart at `now` of a container that had ended at `finishedAt`. */
export function afterRestart(backOff: BackOff | undefined, now: number, finishedAt: number): BackOff {
  if (!backOff || finishedAt - backOff.updatedAt > RESTART_BACK_OFF_RESET_MS)
    return { delayMs: RESTART_BACK_OFF_MS, updatedAt: now };
  return { delayMs: Math.min(backOff.delayMs * 2, RESTART_BACK_OFF_MS_MAX), updatedAt: now };
}

/** `firstMs` for the first failure, doubled for each further one. */
export function retryDelayMs(count: number, firstMs: number, maxMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(Math.max(count - 1, 0), 30), maxMs);
}

/** A duration as Go prints it, in whole seconds: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours > 0) return `${hours}h${minutes}m${seconds % 60}s`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
