/**
 * Keeps the disk from running full. Every member watches the free space where its data lies; below a reserve it raises an
 * alarm, so that the whole cluster takes no more puts while deletes and compactions, which need a little space themselves,
 * go on. When there is clearly more space again it takes the alarm back: nobody has to.
 */
import { statfs } from 'node:fs/promises';
import type { Alarm } from '../client/client.ts';
import type { Clock } from '../clock.ts';
import {
  DISK_CLEAR_FACTOR,
  DISK_RESERVE_BYTES_MAX,
  DISK_RESERVE_BYTES_MIN,
  DISK_RESERVE_SHARE,
  DISK_START_SHARE,
} from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Command } from '../mvcc/command.ts';

/** The disk under the data directory. */
export interface DiskSpace {
  /** What this process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** How much must stay free. */
export function reserveBytes(totalBytes: number, setting: number | undefined): number {
  if (setting !== undefined) return setting;
  const share = Math.min(totalBytes * DISK_RESERVE_SHARE, DISK_RESERVE_BYTES_MAX);
  return Math.max(DISK_RESERVE_BYTES_MIN, share);
}

/** Whether to raise the alarm or take it back; between the two bounds it stays as it is. */
export function planDiskAlarm(facts: {
  readonly space: DiskSpace;
  readonly reserveSetting: number | undefined;
  readonly isRaised: boolean;
}): 'raise' | 'disarm' | 'leave' {
  const { space, reserveSetting, isRaised } = facts;
  const reserve = reserveBytes(space.totalBytes, reserveSetting);
  if (!isRaised) return space.freeBytes < reserve ? 'raise' : 'leave';
  return space.freeBytes >= reserve * DISK_CLEAR_FACTOR ? 'disarm' : 'leave';
}

export interface DiskWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly memberId: string;
  readonly space: () => Promise<DiskSpace>;
  readonly reserveBytes: number | undefined;
  readonly checkMs: number;
  readonly alarms: () => readonly Alarm[];
  readonly execute: (command: Command) => Promise<unknown>;
}

/** Watches one member's disk, from its start to its end. */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #cancel: (() => void) | undefined;
  #isEnded = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#check().finally(() => this.#arm());
  }

  stop(): void {
    this.#isEnded = true;
    this.#cancel?.();
  }

  #arm(): void {
    if (this.#isEnded) return;
    this.#cancel = this.#options.clock.setTimeout(() => this.start(), this.#options.checkMs);
  }

  /** Never rejects: what fails is tried again at the next check. */
  async #check(): Promise<void> {
    const { space, memberId, alarms, execute, logger, reserveBytes: reserveSetting } = this.#options;
    try {
      const found = await space();
      const isRaised = alarms().some(alarm => alarm.cause === 'disk' && alarm.memberId === memberId);
      const action = planDiskAlarm({ space: found, reserveSetting, isRaised });
      if (action === 'leave' || this.#isEnded) return;
      const alarm: Alarm = { type: 'NOSPACE', memberId, cause: 'disk' };
      if (action === 'raise') {
        logger.warn({ freeBytes: found.freeBytes }, 'the disk is nearly full: the cluster takes no more puts');
        await execute({ type: 'alarm', action, alarm });
      } else {
        logger.warn({ freeBytes: found.freeBytes }, 'the disk has space again');
        await execute({ type: 'alarm', action, filter: alarm });
      }
    } catch (error) {
      logger.warn({ error }, 'the free space could not be looked after');
    }
  }
}

/**
 * Waits until there is enough space to start at all: a member that starts on a full disk would only fail its first write,
 * and be started again, and fail. Says so once, and resolves at once where there is enough.
 */
export async function waitForSpace(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directory: string;
  readonly space: () => Promise<DiskSpace>;
  readonly reserveBytes: number | undefined;
  readonly checkMs: number;
}): Promise<void> {
  const { clock, logger, directory, space, checkMs } = options;
  for (let hasSaid = false; ; ) {
    const { freeBytes, totalBytes } = await space();
    const neededBytes = reserveBytes(totalBytes, options.reserveBytes) * DISK_START_SHARE;
    if (freeBytes >= neededBytes) return;
    if (!hasSaid) {
      const advice = `the disk that holds ${directory} is full: free at least ${Math.ceil(neededBytes)} bytes; this member starts by itself then`;
      logger.error({ freeBytes, neededBytes }, advice);
      hasSaid = true;
    }
    await new Promise<void>(resolve => clock.setTimeout(resolve, checkMs));
  }
}

/** Asks the system about the disk that a directory lies on. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
