/** Timestamps and durations: reading and writing them as Go does. */
import { Duration, EvaluationError, Timestamp } from './values.ts';

const NANOS = 1_000_000_000n;
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9})\d*)?(Z|[+-]\d{2}:\d{2})$/;

/** Reads RFC 3339. Throws {@link EvaluationError}. */
export function parseTimestamp(text: string): Timestamp {
  const match = TIMESTAMP.exec(text);
  const ms = match ? Date.parse(`${match[1]}T${match[2]}${match[4]}`) : Number.NaN;
  if (!match || Number.isNaN(ms) || !isCalendarDay(match[1] ?? '')) {
    throw new EvaluationError(`parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse`);
  }
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt((match[3] ?? '').padEnd(9, '0')));
}

/** JavaScript takes the 30th of February for a day of March. */
function isCalendarDay(day: string): boolean {
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: NANOS,
  m: 60n * NANOS,
  h: 3_600n * NANOS,
};
const PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y;

/** Reads a Go duration such as `1h30m`. Throws {@link EvaluationError}. */
export function parseDuration(text: string): Duration {
  const refused = () => new EvaluationError(`time: invalid duration ${JSON.stringify(text)}`);
  const isNegative = text.startsWith('-');
  const rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return new Duration(0n);
  if (rest === '' || rest.length > 100) throw refused();
  let nanos = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < rest.length) {
    const match = PART.exec(rest);
    if (!match || (!match[1] && !match[2])) throw refused();
    const unit = UNITS[match[3] ?? ''] ?? 1n;
    const fraction = match[2] ?? '';
    nanos += BigInt(match[1] || '0') * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length);
  }
  return new Duration(isNegative ? -nanos : nanos);
}

/** `2024-01-01T00:00:00.5Z`. */
export function formatTimestamp({ nanos }: Timestamp): string {
  const seconds = nanos >= 0n ? nanos / NANOS : -((-nanos + NANOS - 1n) / NANOS);
  const fraction = String(nanos - seconds * NANOS)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const text = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return `${text}${fraction && `.${fraction}`}Z`;
}

/** Seconds, as `string(duration)` gives them: `5400s`. */
export function formatDuration({ nanos }: Duration): string {
  const magnitude = nanos < 0n ? -nanos : nanos;
  const fraction = String(magnitude % NANOS)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${magnitude / NANOS}${fraction && `.${fraction}`}s`;
}

/** The parts of a moment in a time zone (an IANA name, or an offset such as `-08:00`); UTC if none is named. */
export function timeParts(time: Timestamp, zone?: string): Date {
  const ms = Number(time.nanos / 1_000_000n - (time.nanos % 1_000_000n < 0n ? 1n : 0n));
  if (zone === undefined || zone === 'UTC' || zone === '') return new Date(ms);
  const offset = /^([+-])?(\d{2}):(\d{2})$/.exec(zone);
  if (offset) {
    const minutes = (Number(offset[2]) * 60 + Number(offset[3])) * (offset[1] === '-' ? -1 : 1);
    return new Date(ms + minutes * 60_000);
  }
  return new Date(ms + zoneOffsetMs(ms, zone));
}

function zoneOffsetMs(ms: number, timeZone: string): number {
  let parts: Intl.DateTimeFormatPart[];
  try {
    parts = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(ms);
  } catch {
    throw new EvaluationError(`unknown time zone ${timeZone}`);
  }
  const of = (type: string) => Number(parts.find(part => part.type === type)?.value ?? 0);
  const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return local - (ms - (((ms % 1_000) + 1_000) % 1_000));
}
