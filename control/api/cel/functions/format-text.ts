/** `format`: cel-go's printf, with its errors. */
import type { Budget } from '../budget.ts';
import { FORMAT_PRECISION_MAX } from '../limits.ts';
import { formatDuration, formatTimestamp } from '../times.ts';
import {
  Duration,
  EvaluationError,
  isList,
  isMap,
  type ListValue,
  shownKey,
  Timestamp,
  TypeValue,
  typeName,
  Uint,
  type Value,
} from '../values.ts';
import { doubleText } from './conversions.ts';

const CLAUSE = /%(?:%|(?:\.(\d+))?([a-zA-Z])|(.?))/g;

/** `'%s is %d'.format([…])`. */
export function formatText(budget: Budget, pattern: string, args: ListValue): string {
  let index = 0;
  return pattern.replaceAll(CLAUSE, (clause: string, precision?: string, verb?: string, unknown?: string) => {
    if (clause === '%%') return '%';
    if (verb === undefined) {
      throw new EvaluationError(
        unknown === '' ? 'unexpected end of string' : `unrecognized formatting clause "${unknown}"`,
      );
    }
    if (index >= args.size) throw new EvaluationError(`index ${index} out of range`);
    const digits = precision === undefined ? undefined : Number(precision);
    if (digits !== undefined && digits > FORMAT_PRECISION_MAX) {
      throw new EvaluationError(`precision ${digits} exceeds the maximum of ${FORMAT_PRECISION_MAX}`);
    }
    const text = formatClause(verb, args.at(index++), digits, budget);
    budget.step(text.length);
    return text;
  });
}

function formatClause(verb: string, value: Value, digits: number | undefined, budget: Budget): string {
  switch (verb) {
    case 's':
      return shown(value, budget);
    case 'd':
      return whole(value);
    case 'f':
      return (
        special(value) ??
        number(value, 'fixed-point')
          .toFixed(Math.min(digits ?? 6, 100))
          .padEnd(0)
      );
    case 'e':
      return (
        special(value) ??
        number(value, 'scientific')
          .toExponential(Math.min(digits ?? 6, 100))
          .replace(/e([+-])(\d)$/, 'e$10$2')
      );
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      return integer(value, 'binary').toString(2);
    case 'o':
      return integer(value, 'octal').toString(8);
    case 'x':
      return hex(value);
    case 'X':
      return hex(value).toUpperCase();
    default:
      throw new EvaluationError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

const refused = (what: string, value: Value, allowed: string) =>
  new EvaluationError(
    `error during formatting: ${what} clause can only be used on ${allowed}, was given ${typeName(value)}`,
  );

function integer(value: Value, what: string): bigint {
  if (typeof value === 'bigint') return value;
  if (value instanceof Uint) return value.value;
  throw refused(what, value, what === 'binary' ? 'integers and bools' : 'integers');
}

function whole(value: Value): string {
  const text = special(value);
  if (text !== undefined) return text;
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint) return String(value.value);
  throw refused('decimal', value, 'integers');
}

function special(value: Value): string | undefined {
  if (typeof value !== 'number' || Number.isFinite(value)) return undefined;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'Infinity' : '-Infinity';
}

function number(value: Value, what: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint) return Number(value.value);
  throw refused(what, value, 'doubles');
}

function hex(value: Value): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint') return value.toString(16);
  if (value instanceof Uint) return value.value.toString(16);
  throw refused('hex', value, 'integers, byte buffers, and strings');
}

/** A value as `%s` shows it: lists and maps with all that they hold. */
function shown(value: Value, budget: Budget): string {
  budget.step(1);
  if (typeof value === 'string') return value;
  if (value === null) return 'null';
  if (typeof value === 'number') return special(value) ?? doubleText(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof TypeValue) return value.name;
  if (isList(value)) {
    return `[${Array.from({ length: value.size }, (_, index) => shown(value.at(index), budget)).join(', ')}]`;
  }
  if (isMap(value)) {
    const entries = value.keys().map(key => [shownKey(key), shown(value.get(key) ?? null, budget)] as const);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, text]) => `${key}: ${text}`).join(', ')}}`;
  }
  throw refused('string', value, 'strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps');
}
