/** Texts: cel-go's standard functions and its strings extension in the version that Kubernetes v1.33 has (2). */

import type { Budget } from '../budget.ts';
import { ArrayList, EvaluationError, type ListValue, type Value } from '../values.ts';
import { formatText } from './format-text.ts';
import { define, defineWithBudget, type Overload } from './library.ts';
import { matches } from './regular-expressions.ts';

/** Characters of texts beyond the basic plane are two units: those go by way of a list of characters. */
const isPlain = (text: string): boolean => !/[\ud800-\udfff]/.test(text);
const characters = (text: string): readonly string[] | string => (isPlain(text) ? text : [...text]);
const joinedText = (part: readonly string[] | string): string => (typeof part === 'string' ? part : part.join(''));

function within(index: bigint, max: number): number {
  if (index < 0n || index > BigInt(max)) throw new EvaluationError(`index out of range: ${index}`);
  return Number(index);
}

function substring(text: string, start: bigint, end?: bigint): string {
  const all = characters(text);
  if (end !== undefined && start > end) {
    throw new EvaluationError(`invalid substring range. start: ${start}, end: ${end}`);
  }
  return joinedText(all.slice(within(start, all.length), within(end ?? BigInt(all.length), all.length)));
}

function charAt(text: string, index: bigint): string {
  const all = characters(text);
  const place = within(index, all.length);
  return all[place] ?? '';
}

/** Offsets are told in characters. */
const characterIndex = (text: string, unitIndex: number): bigint =>
  BigInt(unitIndex < 0 || isPlain(text) ? unitIndex : [...text.slice(0, unitIndex)].length);
const unitIndexOf = (text: string, index: number): number =>
  isPlain(text) ? index : [...text].slice(0, index).join('').length;

function indexOf(text: string, wanted: string, from = 0n): bigint {
  if (wanted === '') return from;
  const start = unitIndexOf(text, within(from, characters(text).length));
  return characterIndex(text, text.indexOf(wanted, start));
}

function lastIndexOf(text: string, wanted: string, from?: bigint): bigint {
  const length = characters(text).length;
  const start = from === undefined ? length : within(from, length);
  if (wanted === '') return BigInt(start);
  return characterIndex(text, text.lastIndexOf(wanted, unitIndexOf(text, start)));
}

/** Go's strings.Replace: an empty text is found before every character and at the end. */
function replace(budget: Budget, text: string, wanted: string, by: string, count = -1n): string {
  if (count === 0n) return text;
  const limit = count < 0n ? Infinity : Number(count);
  if (wanted === '') {
    const all = [...text];
    budget.step(text.length + by.length * Math.min(limit, all.length + 1));
    return `${all.map((character, index) => (index < limit ? by : '') + character).join('')}${all.length < limit ? by : ''}`;
  }
  const parts = text.split(wanted);
  budget.step(text.length + by.length * Math.min(limit, parts.length));
  if (parts.length - 1 <= limit) return parts.join(by);
  return parts.slice(0, limit + 1).join(by) + wanted + parts.slice(limit + 1).join(wanted);
}

/** Go's strings.SplitN. */
function split(text: string, separator: string, count = -1n): Value {
  if (count === 0n) return new ArrayList([]);
  const parts = separator === '' ? [...text] : text.split(separator);
  if (count < 0n || parts.length <= Number(count)) return new ArrayList(parts);
  const limit = Number(count);
  return new ArrayList([...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)]);
}

function join(budget: Budget, list: ListValue, separator = ''): string {
  const parts: string[] = [];
  for (let index = 0; index < list.size; index++) {
    const element = list.at(index);
    if (typeof element !== 'string') throw new EvaluationError(`no such overload`);
    budget.step(1 + element.length + separator.length);
    parts.push(element);
  }
  return parts.join(separator);
}

const lower = (text: string) => text.replaceAll(/[A-Z]+/g, part => part.toLowerCase());
const upper = (text: string) => text.replaceAll(/[a-z]+/g, part => part.toUpperCase());
/** Unicode's White_Space, which JavaScript's trim differs from in two characters. */
const trim = (text: string) => text.replaceAll(/^[\s\u0085]+|[\s\u0085]+$/g, part => part.replaceAll(/[^\ufeff]/g, ''));

const QUOTED: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

export const STRINGS: readonly Overload[] = [
  define<[string, string]>('string->contains(string): bool', (text, part) => text.includes(part), 'contains'),
  define<[string, string]>('string->startsWith(string): bool', (text, part) => text.startsWith(part), 'scanSecond'),
  define<[string, string]>('string->endsWith(string): bool', (text, part) => text.endsWith(part), 'scanSecond'),
  defineWithBudget<[string, string]>('string->matches(string): bool', matches, 'matches'),
  defineWithBudget<[string, string]>('matches(string, string): bool', matches, 'matches'),
  define<[string, bigint]>('string->charAt(int): string', charAt, 'one'),
  define<[string, string]>('string->indexOf(string): int', indexOf, 'scan'),
  define<[string, string, bigint]>('string->indexOf(string, int): int', indexOf, 'scan'),
  define<[string, string]>('string->lastIndexOf(string): int', lastIndexOf, 'scan'),
  define<[string, string, bigint]>('string->lastIndexOf(string, int): int', lastIndexOf, 'scan'),
  define<[string]>('string->lowerAscii(): string', lower, 'scan'),
  define<[string]>('string->upperAscii(): string', upper, 'scan'),
  define<[string]>('string->trim(): string', trim, 'scan'),
  define<[string, bigint]>('string->substring(int): string', substring, 'scan'),
  define<[string, bigint, bigint]>('string->substring(int, int): string', substring, 'scan'),
  defineWithBudget<[string, string, string]>('string->replace(string, string): string', replace, 'replace'),
  defineWithBudget<[string, string, string, bigint]>(
    'string->replace(string, string, int): string',
    replace,
    'replace',
  ),
  define<[string, string]>('string->split(string): list(string)', split, 'split'),
  define<[string, string, bigint]>('string->split(string, int): list(string)', split, 'split'),
  defineWithBudget<[ListValue]>('list(string)->join(): string', join, 'join'),
  defineWithBudget<[ListValue, string]>('list(string)->join(string): string', join, 'join'),
  define<[string]>(
    'strings.quote(string): string',
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are escaped
    text => `"${text.replaceAll(/[\u0007\b\f\n\r\t\v\\"]/g, character => QUOTED[character] ?? character)}"`,
    'scan',
  ),
  defineWithBudget<[string, ListValue]>('string->format(list(dyn)): string', formatText, 'scan'),
];
