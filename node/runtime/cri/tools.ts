/** What the parts of a started runtime work with, and how they tell that something is not there. */
import type { Clock } from '../clock.ts';
import { ContainerNotFoundError } from '../runtime.ts';
import type { ChangeWatch } from './changes.ts';
import type { Terms } from './config.ts';
import { type CriConnection, isNotFound, type RuntimeIdentity } from './connection.ts';
import type { CriImages } from './images.ts';
import type { Inventory } from './inventory.ts';

export interface CriTools {
  readonly clock: Clock;
  readonly connection: CriConnection;
  readonly identity: RuntimeIdentity;
  readonly images: CriImages;
  readonly inventory: Inventory;
  readonly changes: ChangeWatch;
  readonly terms: Terms;
  /** Aborts when the runtime is closed. */
  readonly closing: AbortSignal;
}

/** @throws {ContainerNotFoundError} the runtime says so */
export async function orNotFound<T>(id: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) throw notFound(id, error);
    throw error;
  }
}

export function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

export function notFound(id: string, cause?: unknown): ContainerNotFoundError {
  return new ContainerNotFoundError(`no container ${id}`, { cause });
}
