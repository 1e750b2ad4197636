/**
 * Reads a cron job's schedule: five fields, a word such as `@daily`, or `@every 90m`, as robfig/cron v3 reads them, with its
 * sentences for what is wrong. When the runs are is told by `times.ts`.
 */

/** The minutes at which something runs, by the fields of the local wall clock. */
export interface FieldTiming {
  readonly type: 'fields';
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: ReadonlySet<number>;
  /** From 1. */
  readonly months: ReadonlySet<number>;
  /** From 0, which is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** Both fields name days: then a day that one of them names will do. Otherwise it must be in both. */
  readonly isEitherDay: boolean;
}
export interface IntervalTiming {
  readonly type: 'interval';
  /** Whole seconds, at least one. */
  readonly everyMs: number;
}
export type Timing = FieldTiming | IntervalTiming;

export interface Schedule {
  readonly timing: Timing;
  /** A zone that the schedule itself names (`TZ=…`). Kubernetes no longer accepts such schedules, and obeys old ones. */
  readonly zone: string | undefined;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const MONTHS = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
] as const satisfies readonly Bounds[];
const WORDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const EVERY = '@every ';
const GO_DURATION = /^([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/;
const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A schedule that cannot be read. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
  readonly code = 'SCHEDULE_INVALID';
}

/** The sentence that applies, or undefined if the schedule is good. `isZone` judges the name of a time zone. */
export function scheduleError(schedule: string, isZone: (name: string) => boolean): string | undefined {
  try {
    parseSchedule(schedule, isZone);
    return undefined;
  } catch (error) {
    if (error instanceof ScheduleError) return error.message;
    throw error;
  }
}

/** Reads a schedule. `isZone` judges the name of a time zone. Throws {@link ScheduleError}. */
export function parseSchedule(schedule: string, isZone: (name: string) => boolean): Schedule {
  if (schedule === '') throw new ScheduleError('empty spec string');
  let text = schedule;
  const prefix = /^(?:CRON_)?TZ=(\S*) /.exec(schedule);
  const zone = prefix?.[1];
  if (prefix && zone !== undefined) {
    if (!isZone(zone)) throw new ScheduleError(`provided bad location ${zone}: unknown time zone ${zone}`);
    text = schedule.slice(prefix[0].length).trim();
  }
  return { timing: text.startsWith('@') ? parseWord(text) : parseFields(text), zone };
}

function parseWord(text: string): Timing {
  if (text.startsWith(EVERY)) return { type: 'interval', everyMs: parseInterval(text) };
  const fields = WORDS[text];
  if (fields === undefined) throw new ScheduleError(`unrecognized descriptor: ${text}`);
  return parseFields(fields);
}

/** Parts of a second count for nothing, and what is shorter than a second counts as one. */
function parseInterval(text: string): number {
  const duration = text.slice(EVERY.length);
  const match = GO_DURATION.exec(duration);
  if (!match) {
    throw new ScheduleError(`failed to parse duration ${text}: time: invalid duration ${JSON.stringify(duration)}`);
  }
  let sumMs = 0;
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    sumMs += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? 1000 : Math.max(1, Math.floor(sumMs / 1000)) * 1000;
}

function parseFields(text: string): FieldTiming {
  const fields = text.split(/\s+/).filter(field => field !== '');
  if (fields.length !== FIELDS.length) {
    throw new ScheduleError(`expected exactly ${FIELDS.length} fields, found ${fields.length}: [${fields.join(' ')}]`);
  }
  const [minutes, hours, days, months, weekdays] = FIELDS.map((bounds, index) =>
    parseField(fields[index] ?? '', bounds),
  );
  const inOrder = (field: Field | undefined) => [...(field?.values ?? [])].toSorted((a, b) => a - b);
  return {
    type: 'fields',
    minutes: inOrder(minutes),
    hours: inOrder(hours),
    days: days?.values ?? new Set(),
    months: months?.values ?? new Set(),
    weekdays: weekdays?.values ?? new Set(),
    isEitherDay: !days?.isAny && !weekdays?.isAny,
  };
}

interface Field {
  readonly values: ReadonlySet<number>;
  /** It held `*` or `?`, by steps of one. */
  readonly isAny: boolean;
}

function parseField(text: string, bounds: Bounds): Field {
  const values = new Set<number>();
  let isAny = false;
  for (const part of text.split(',').filter(each => each !== '')) {
    const range = parseRange(part, bounds);
    for (let value = range.start; value <= range.end; value += range.step) values.add(value);
    isAny ||= range.isAny;
  }
  return { values, isAny };
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  readonly isAny: boolean;
}

/** `*`, `5`, `MON-FRI`, each perhaps with a `/step`. */
function parseRange(text: string, bounds: Bounds): Range {
  const [range = '', stepText, ...moreSteps] = text.split('/');
  const [low = '', high, ...moreHyphens] = range.split('-');
  const isAny = low === '*' || low === '?';
  let start = bounds.min;
  let end = bounds.max;
  if (!isAny) {
    start = readNumberOrName(low, bounds);
    if (moreHyphens.length > 0) throw new ScheduleError(`too many hyphens: ${text}`);
    end = high === undefined ? start : readNumberOrName(high, bounds);
  }
  if (moreSteps.length > 0) throw new ScheduleError(`too many slashes: ${text}`);
  const step = stepText === undefined ? 1 : readNumber(stepText);
  if (stepText !== undefined && high === undefined) end = bounds.max;
  if (start < bounds.min) {
    throw new ScheduleError(`beginning of range (${start}) below minimum (${bounds.min}): ${text}`);
  }
  if (end > bounds.max) throw new ScheduleError(`end of range (${end}) above maximum (${bounds.max}): ${text}`);
  if (start > end) throw new ScheduleError(`beginning of range (${start}) beyond end of range (${end}): ${text}`);
  if (step === 0) throw new ScheduleError(`step of range should be a positive number: ${text}`);
  return { start, end, step, isAny: isAny && step === 1 };
}

function readNumberOrName(text: string, { names }: Bounds): number {
  const index = text === '' ? -1 : names.indexOf(text.toLowerCase());
  return index === -1 ? readNumber(text) : index;
}

function readNumber(text: string): number {
  if (!/^[-+]?\d+$/.test(text)) {
    const why = `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw new ScheduleError(`failed to parse int from ${text}: ${why}`);
  }
  const value = Number(text);
  if (value < 0) throw new ScheduleError(`negative number (${value}) not allowed: ${text}`);
  return value;
}
