/**
 * When snapshots are taken. A schedule is an interval (`12h`), a cron expression of five fields in UTC (`0 3 * * *`) or
 * `off`. Every master takes its own, so that no machine holds the only copy; they take turns, so that a cluster never has
 * all its masters write at once and the newest snapshot is as young as can be. Pure.
 */

export type Schedule =
  | { readonly type: 'off' }
  | { readonly type: 'interval'; readonly everyMs: number }
  | { readonly type: 'cron'; readonly cron: Cron };

/** The allowed values of each field; `undefined` for all. */
interface Cron {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number> | undefined;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number> | undefined;
}

/** The place of a master among all. */
export interface Turn {
  readonly rank: number;
  readonly count: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const UNITS_MS: Readonly<Record<string, number>> = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };
/** 29 February comes at least this often. */
const LOOK_AHEAD_DAYS = 9 * 366;
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
  const [minutes = '', hours = '', days = '', months = '', weekdays = ''] = fields;
  const cron: Cron = {
    minutes: parseField(minutes, 0, 59),
    hours: parseField(hours, 0, 23),
    daysOfMonth: days === '*' ? undefined : parseField(days, 1, 31),
    months: parseField(months, 1, 12),
    daysOfWeek: weekdays === '*' ? undefined : new Set([...parseField(weekdays, 0, 7)].map(day => day % 7)),
  };
  if (nextCron(cron, 0) === undefined) throw new RangeError('no day ever fits it');
  return { type: 'cron', cron };
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
      const next = nextCron(schedule.cron, afterMs - offsetMs);
      return next === undefined ? undefined : next + offsetMs;
    }
  }
}

function parseField(text: string, min: number, max: number): ReadonlySet<number> {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) throw new RangeError(`${part || 'an empty field'} is not understood`);
    const [, from, to, step] = match;
    const first = from === undefined ? min : Number(from);
    const last = to !== undefined ? Number(to) : from === undefined || step !== undefined ? max : first;
    const stride = step === undefined ? 1 : Number(step);
    if (first < min || last > max || first > last || stride < 1) {
      throw new RangeError(`${part} must lie within ${min} to ${max}`);
    }
    for (let value = first; value <= last; value += stride) values.add(value);
  }
  return values;
}

function nextCron(cron: Cron, afterMs: number): number | undefined {
  const firstDay = Math.floor(afterMs / DAY_MS);
  for (let day = firstDay; day < firstDay + LOOK_AHEAD_DAYS; day++) {
    if (!fitsDay(cron, new Date(day * DAY_MS))) continue;
    for (let hour = 0; hour < 24; hour++) {
      if (!cron.hours.has(hour)) continue;
      for (let minute = 0; minute < 60; minute++) {
        const timeMs = day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
        if (timeMs > afterMs && cron.minutes.has(minute)) return timeMs;
      }
    }
  }
  return undefined;
}

/** As cron has it: where both days are named, either will do. */
function fitsDay({ daysOfMonth, daysOfWeek, months }: Cron, day: Date): boolean {
  if (!months.has(day.getUTCMonth() + 1)) return false;
  const fitsMonth = daysOfMonth?.has(day.getUTCDate());
  const fitsWeek = daysOfWeek?.has(day.getUTCDay());
  if (fitsMonth === undefined || fitsWeek === undefined) return fitsMonth ?? fitsWeek ?? true;
  return fitsMonth || fitsWeek;
}
