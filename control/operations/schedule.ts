/**
 * When snapshots are taken. A schedule is an interval (`12h`), a cron expression of five fields in UTC (`0 3 * * *`) or
 * `off`. Every master takes its own, so that no machine holds the only copy; they take turns, so that a cluster never has
 * all its masters write at once and the newest snapshot is as young as can be. Pure.
 */

import { Cron } from 'croner';

export type Schedule =
  | { readonly type: 'off' }
  | { readonly type: 'interval'; readonly everyMs: number }
  | { readonly type: 'cron'; readonly cron: Cron };

/** The place of a master among all. */
export interface Turn {
  readonly rank: number;
  readonly count: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const UNITS_MS: Readonly<Record<string, number>> = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };
/** Ways of writing a field that mean the same everywhere; croner knows more, which others would not read. */
const CRON_FIELD = /^[\d*,/-]+$/;
/** Masters with the same cron expression begin so long after each other. */
const CRON_TURN_MS = MINUTE_MS;

/** Reads a schedule. @throws {RangeError} with what is wrong with it */
export function parseSchedule(text: string): Schedule {
  const trimmed = text.trim();
  if (trimmed === 'off') return { type: 'off' };
  const interval = /^(\d+)([mhd])$/.exec(trimmed);
  if (interval !== null) {
    const everyMs = Number(interval[1]) * (UNITS_MS[interval[2] ?? ''] ?? 0);
    if (everyMs < MINUTE_MS || everyMs > 366 * DAY_MS) throw new RangeError('an interval is from 1m to 366d');
    return { type: 'interval', everyMs };
  }
  const fields = trimmed.split(/\s+/);
  if (fields.length !== 5) {
    throw new RangeError(`it must be an interval such as 12h, a cron expression such as "0 3 * * *", or off`);
  }
  if (!fields.every(field => CRON_FIELD.test(field))) throw new RangeError(`${trimmed} is not understood`);
  const cron = readCron(trimmed);
  if (cron.nextRun(new Date(0)) === null) throw new RangeError('no day ever fits it');
  return { type: 'cron', cron };
}

function readCron(text: string): Cron {
  try {
    return new Cron(text, { timezone: 'UTC', paused: true });
  } catch (error) {
    throw new RangeError(`${text} is no cron expression: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The next time strictly after `afterMs`, for the master whose turn it is; undefined for `off`. */
export function nextTime(schedule: Schedule, afterMs: number, { rank, count }: Turn): number | undefined {
  switch (schedule.type) {
    case 'off':
      return undefined;
    case 'interval': {
      // Aligned to the calendar, so that a restart changes nothing.
      const offsetMs = Math.floor((schedule.everyMs * rank) / Math.max(1, count));
      return (Math.floor((afterMs - offsetMs) / schedule.everyMs) + 1) * schedule.everyMs + offsetMs;
    }
    case 'cron': {
      const offsetMs = rank * CRON_TURN_MS;
      const next = schedule.cron.nextRun(new Date(afterMs - offsetMs));
      return next === null ? undefined : next.getTime() + offsetMs;
    }
  }
}
