/**
 * What is wrong with a cron job's schedule: five fields or a word such as `@daily`, as robfig/cron v3 reads them, in its
 * sentences.
 */

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const MONTHS = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS: readonly Bounds[] = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];
const WORDS = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);
const EVERY = '@every ';
const GO_DURATION = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$|^[-+]?0$/;

/** A schedule that cannot be read. */
class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

/** The sentence that applies, or undefined if the schedule is good. `isZone` judges the name of a time zone. */
export function scheduleError(schedule: string, isZone: (name: string) => boolean): string | undefined {
  try {
    checkSchedule(schedule, isZone);
    return undefined;
  } catch (error) {
    if (error instanceof ScheduleError) return error.message;
    throw error;
  }
}

function checkSchedule(schedule: string, isZone: (name: string) => boolean): void {
  if (schedule === '') throw new ScheduleError('empty spec string');
  let text = schedule;
  const zone = /^(?:CRON_)?TZ=(\S*) /.exec(schedule);
  if (zone) {
    const name = zone[1] ?? '';
    if (!isZone(name)) throw new ScheduleError(`provided bad location ${name}: unknown time zone ${name}`);
    text = schedule.slice(zone[0].length).trim();
  }
  if (text.startsWith('@')) checkWord(text);
  else checkFields(text);
}

function checkWord(text: string): void {
  if (text.startsWith(EVERY)) {
    const duration = text.slice(EVERY.length);
    if (GO_DURATION.test(duration)) return;
    throw new ScheduleError(`failed to parse duration ${text}: time: invalid duration ${JSON.stringify(duration)}`);
  }
  if (!WORDS.has(text)) throw new ScheduleError(`unrecognized descriptor: ${text}`);
}

function checkFields(text: string): void {
  const fields = text.split(/\s+/).filter(field => field !== '');
  if (fields.length !== FIELDS.length) {
    throw new ScheduleError(`expected exactly ${FIELDS.length} fields, found ${fields.length}: [${fields.join(' ')}]`);
  }
  for (const [index, bounds] of FIELDS.entries()) {
    for (const part of (fields[index] ?? '').split(',')) if (part !== '') checkRange(part, bounds);
  }
}

/** `*`, `5`, `MON-FRI`, each perhaps with a `/step`. */
function checkRange(text: string, bounds: Bounds): void {
  const [range = '', step, ...moreSteps] = text.split('/');
  const [low = '', high, ...moreHyphens] = range.split('-');
  let start = bounds.min;
  let end = bounds.max;
  if (low !== '*' && low !== '?') {
    start = readNumberOrName(low, bounds);
    if (moreHyphens.length > 0) throw new ScheduleError(`too many hyphens: ${text}`);
    end = high === undefined ? start : readNumberOrName(high, bounds);
  }
  if (moreSteps.length > 0) throw new ScheduleError(`too many slashes: ${text}`);
  const stepSize = step === undefined ? 1 : readNumber(step);
  if (step !== undefined && high === undefined) end = bounds.max;
  if (start < bounds.min) {
    throw new ScheduleError(`beginning of range (${start}) below minimum (${bounds.min}): ${text}`);
  }
  if (end > bounds.max) throw new ScheduleError(`end of range (${end}) above maximum (${bounds.max}): ${text}`);
  if (start > end) throw new ScheduleError(`beginning of range (${start}) beyond end of range (${end}): ${text}`);
  if (stepSize === 0) throw new ScheduleError(`step of range should be a positive number: ${text}`);
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
