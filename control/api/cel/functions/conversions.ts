/** Sizes, conversions, types, and the parts of moments and spans (cel-go's standard library). */
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp, timeParts } from '../times.ts';
import {
  Duration,
  EvaluationError,
  INT_OVERFLOW,
  int64,
  type ListValue,
  type MapValue,
  Timestamp,
  TypeValue,
  typeName,
  UINT_OVERFLOW,
  type Uint,
  uint64,
  type Value,
} from '../values.ts';
import { define, type Overload } from './library.ts';

const codePoints = (text: string): bigint => {
  let count = 0;
  for (const _ of text) count++;
  return BigInt(count);
};

const sizes: readonly Overload[] = ['size(', '->size('].flatMap(form => {
  const signature = (type: string) => (form === 'size(' ? `size(${type}): int` : `${type}->size(): int`);
  return [
    define<[string]>(signature('string'), codePoints),
    define<[Uint8Array]>(signature('bytes'), value => BigInt(value.length)),
    define<[ListValue]>(signature('list(A)'), value => BigInt(value.size)),
    define<[MapValue]>(signature('map(A, B)'), value => BigInt(value.size)),
  ];
});

/** A double without its fraction, if it fits. */
function truncated(value: number, message: string): bigint {
  if (!Number.isFinite(value)) throw new EvaluationError(message);
  return BigInt(Math.trunc(value));
}

function parseWhole(text: string, type: 'int' | 'uint'): bigint {
  const refused = () =>
    new EvaluationError(
      `strconv.Parse${type === 'int' ? 'Int' : 'Uint'}: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  if (!(type === 'int' ? /^[+-]?\d{1,30}$/ : /^\d{1,30}$/).test(text)) throw refused();
  return BigInt(text.replace(/^\+/, ''));
}

const NANOS = 1_000_000_000n;
const floorSeconds = (nanos: bigint): bigint => (nanos >= 0n ? nanos / NANOS : -((-nanos + NANOS - 1n) / NANOS));

const numbers: readonly Overload[] = [
  define<[bigint]>('int(int): int', value => value),
  define<[Uint]>('int(uint): int', ({ value }) => int64(value)),
  define<[number]>('int(double): int', value => {
    // 2^63 is a double and no int; so is what lies beyond.
    if (value <= -(2 ** 63) || value >= 2 ** 63) throw new EvaluationError(INT_OVERFLOW);
    return int64(truncated(value, INT_OVERFLOW));
  }),
  define<[string]>('int(string): int', value => int64(parseWhole(value, 'int'))),
  define<[Timestamp]>('int(timestamp): int', ({ nanos }) => floorSeconds(nanos)),
  define<[Duration]>('int(duration): int', ({ nanos }) => nanos),
  define<[Uint]>('uint(uint): uint', value => value),
  define<[bigint]>('uint(int): uint', uint64),
  define<[number]>('uint(double): uint', value => uint64(truncated(value, UINT_OVERFLOW))),
  define<[string]>('uint(string): uint', value => uint64(parseWhole(value, 'uint'))),
  define<[number]>('double(double): double', value => value),
  define<[bigint]>('double(int): double', Number),
  define<[Uint]>('double(uint): double', ({ value }) => Number(value)),
  define<[string]>('double(string): double', value => {
    if (/^[+-]?(?:inf|infinity)$/i.test(value)) return value.startsWith('-') ? -Infinity : Infinity;
    if (/^nan$/i.test(value)) return Number.NaN;
    if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)) return Number(value);
    throw new EvaluationError(`strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`);
  }),
];

/** A double as Go's strconv.FormatFloat with 'g' and the fewest digits. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e21)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(value);
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  1: true,
  t: true,
  true: true,
  T: true,
  TRUE: true,
  True: true,
  0: false,
  f: false,
  false: false,
  F: false,
  FALSE: false,
  False: false,
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const texts: readonly Overload[] = [
  define<[string]>('string(string): string', value => value),
  define<[boolean]>('string(bool): string', String),
  define<[bigint]>('string(int): string', String),
  define<[Uint]>('string(uint): string', ({ value }) => String(value)),
  define<[number]>('string(double): string', doubleText),
  define<[Timestamp]>('string(timestamp): string', formatTimestamp),
  define<[Duration]>('string(duration): string', formatDuration),
  define<[Uint8Array]>(
    'string(bytes): string',
    value => {
      try {
        return utf8.decode(value);
      } catch {
        throw new EvaluationError('invalid UTF-8 in bytes, cannot convert to string');
      }
    },
    'fromBytes',
  ),
  define<[Uint8Array]>('bytes(bytes): bytes', value => value),
  define<[string]>('bytes(string): bytes', value => Buffer.from(value, 'utf8'), 'toBytes'),
  define<[boolean]>('bool(bool): bool', value => value),
  define<[string]>('bool(string): bool', value => {
    const result = Object.hasOwn(BOOLEANS, value) ? BOOLEANS[value] : undefined;
    if (result === undefined) throw new EvaluationError("type conversion error from 'string' to 'bool'");
    return result;
  }),
];

const others: readonly Overload[] = [
  define<[Value]>('dyn(A): dyn', value => value),
  define<[Value]>('type(A): type(A)', value => new TypeValue(typeName(value))),
  define<[string]>('timestamp(string): timestamp', parseTimestamp),
  define<[Timestamp]>('timestamp(timestamp): timestamp', value => value),
  define<[bigint]>('timestamp(int): timestamp', value => new Timestamp(value * NANOS)),
  define<[string]>('duration(string): duration', parseDuration),
  define<[Duration]>('duration(duration): duration', value => value),
  define<[bigint]>('duration(int): duration', value => new Duration(value)),
];

const DAY_MS = 86_400_000;
const dayOfYear = (time: Date) => Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0)) / DAY_MS);
const PARTS: Readonly<Record<string, (time: Date) => number>> = {
  getFullYear: time => time.getUTCFullYear(),
  getMonth: time => time.getUTCMonth(),
  getDayOfYear: dayOfYear,
  getDate: time => time.getUTCDate(),
  getDayOfMonth: time => time.getUTCDate() - 1,
  getDayOfWeek: time => time.getUTCDay(),
  getHours: time => time.getUTCHours(),
  getMinutes: time => time.getUTCMinutes(),
  getSeconds: time => time.getUTCSeconds(),
  getMilliseconds: time => time.getUTCMilliseconds(),
};
const moments: readonly Overload[] = Object.entries(PARTS).flatMap(([name, part]) => [
  define<[Timestamp]>(`timestamp->${name}(): int`, time => BigInt(part(timeParts(time)))),
  define<[Timestamp, string]>(`timestamp->${name}(string): int`, (time, zone) => BigInt(part(timeParts(time, zone)))),
]);

const spans: readonly Overload[] = [
  define<[Duration]>('duration->getHours(): int', ({ nanos }) => nanos / (3_600n * NANOS)),
  define<[Duration]>('duration->getMinutes(): int', ({ nanos }) => nanos / (60n * NANOS)),
  define<[Duration]>('duration->getSeconds(): int', ({ nanos }) => nanos / NANOS),
  define<[Duration]>('duration->getMilliseconds(): int', ({ nanos }) => nanos / 1_000_000n),
];

export const CONVERSIONS: readonly Overload[] = [...sizes, ...numbers, ...texts, ...others, ...moments, ...spans];
