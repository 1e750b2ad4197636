/**
 * metav1.Time and metav1.MicroTime: what they accept, the canonical text, and Go's sentences for what they refuse
 * (time.Parse with RFC 3339 layouts).
 */

/** Text that is not a time. The message is Go's. */
export class TimeError extends Error {
  override readonly name = 'TimeError';
}

const SECONDS_LAYOUT = '2006-01-02T15:04:05Z07:00';
const MICROS_LAYOUT = '2006-01-02T15:04:05.000000Z07:00';

/** Times that are canonical as they are. */
const CANONICAL_SECONDS = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const CANONICAL_MICROS = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/** What is read, one after the other; a name makes it a number, its range is checked later. */
const ELEMENTS: readonly { readonly layout: string; readonly pattern: RegExp; readonly name?: keyof Parts }[] = [
  { layout: '2006', pattern: /^\d{4}/, name: 'year' },
  { layout: '-', pattern: /^-/ },
  { layout: '01', pattern: /^\d{2}/, name: 'month' },
  { layout: '-', pattern: /^-/ },
  { layout: '02', pattern: /^\d{2}/, name: 'day' },
  { layout: 'T', pattern: /^T/ },
  { layout: '15', pattern: /^\d{2}/, name: 'hour' },
  { layout: ':', pattern: /^:/ },
  { layout: '04', pattern: /^\d{2}/, name: 'minute' },
  { layout: ':', pattern: /^:/ },
  { layout: '05', pattern: /^\d{2}/, name: 'second' },
];

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const RANGES: readonly [keyof Parts, number, number][] = [
  ['month', 1, 12],
  ['hour', 0, 23],
  ['minute', 0, 59],
  ['second', 0, 59],
];

function parse(text: string, isMicro: boolean): { secondsMs: number; fraction: string } {
  const layout = isMicro ? MICROS_LAYOUT : SECONDS_LAYOUT;
  const quoted = JSON.stringify(text);
  const refuse = (rest: string, element: string) =>
    new TimeError(`parsing time ${quoted} as "${layout}": cannot parse ${JSON.stringify(rest)} as "${element}"`);
  const outOfRange = (what: string) => new TimeError(`parsing time ${quoted}: ${what} out of range`);

  const parts: Parts = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  let rest = text;
  for (const { layout: element, pattern, name } of ELEMENTS) {
    const match = pattern.exec(rest);
    if (!match) throw refuse(rest, element);
    if (name) {
      parts[name] = Number(match[0]);
      const range = RANGES.find(([ranged]) => ranged === name);
      if (range && (parts[name] < range[1] || parts[name] > range[2])) throw outOfRange(name);
    }
    rest = rest.slice(match[0].length);
  }
  const fraction = (isMicro ? /^[.,](\d{6})/ : /^[.,](\d+)/).exec(rest);
  if (isMicro && !fraction) throw refuse(rest, '.000000');
  rest = rest.slice(fraction?.[0].length ?? 0);

  const zone = /^(?:Z|([+-])(\d{2}):(\d{2}))/.exec(rest);
  if (!zone) throw refuse(rest, 'Z07:00');
  rest = rest.slice(zone[0].length);
  if (rest !== '') throw new TimeError(`parsing time ${quoted}: extra text: ${JSON.stringify(rest)}`);

  const { year, month, day, hour, minute, second } = parts;
  const daysInMonth = new Date(Date.UTC(year === 0 ? 400 : year, month, 0)).getUTCDate();
  if (day < 1 || day > daysInMonth) throw outOfRange('day');
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, day);
  utc.setUTCHours(hour, minute, second);
  const offsetMinutes = zone[1] ? (zone[1] === '-' ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3])) : 0;
  return { secondsMs: utc.getTime() - offsetMinutes * 60_000, fraction: fraction?.[1] ?? '' };
}

/** Reads a metav1.Time and gives it back in UTC with whole seconds. Throws {@link TimeError}. */
export function canonicalTime(text: string): string {
  if (CANONICAL_SECONDS.test(text)) return text;
  const { secondsMs } = parse(text, false);
  return formatTime(secondsMs);
}

/** Reads a metav1.MicroTime, which has exactly six digits of fraction. Throws {@link TimeError}. */
export function canonicalMicroTime(text: string): string {
  if (CANONICAL_MICROS.test(text)) return text;
  const { secondsMs, fraction } = parse(text, true);
  return `${new Date(secondsMs).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** The second that was asked for last, in text: a server writes the present several times a request. */
let lastSecond = { second: 0, text: '1970-01-01T00:00:00Z' };

/** Milliseconds since the epoch as a metav1.Time. */
export function formatTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond.second) lastSecond = { second, text: `${new Date(ms).toISOString().slice(0, 19)}Z` };
  return lastSecond.text;
}
