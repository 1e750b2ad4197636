/**
 * Reading JSON as the API server must: keys that occur twice are reported, numbers keep their text where it matters
 * (`1.0` is no int32), and bad text is refused in Go's words. The fast path is JSON.parse and one pass that counts keys;
 * the slow parser here runs only for text with duplicate keys, unusual numbers or mistakes.
 */
import { type JsonObject, setOwn } from '../patch/json.ts';

/** Text that is no JSON. The message is Go's. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** A number whose text says more than its value: a fraction, an exponent, or too many digits for a double. */
export class RawNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What was read. */
export interface ParsedJson {
  readonly value: unknown;
  /** Keys that came again, with where they stand; only known where there are any. */
  readonly duplicates?: Duplicates;
}

/** Keys that came twice in their object. */
export interface Duplicates {
  /** Their paths, such as `spec.containers[0].name`, in order. */
  readonly paths: readonly string[];
  /** At which place of the text every key first, and a duplicate again, was met. */
  readonly places: ReadonlyMap<string, number>;
}

/** Deeper texts are refused. Go stops at 10,000; nothing of the API comes near, and the stack has to last. */
export const DEPTH_MAX = 1_000;
/** What is said of such a text. */
export const TOO_DEEP = 'exceeded max depth';

/** Parses `text`. Throws {@link JsonSyntaxError}. Numbers of unusual form come as {@link RawNumber}. */
export function parseJson(text: string): ParsedJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return new SlowParser(text).parse();
  }
  const keyCount = scanKeys(text);
  if (keyCount === undefined || keyCount !== countKeys(value)) return new SlowParser(text).parse();
  return { value };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const DOT = 0x2e;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** How many keys valid JSON text has; undefined if a number in it needs the slow parser. */
function scanKeys(text: string): number | undefined {
  let keys = 0;
  let digits = 0;
  let depth = 0;
  let backslash = text.indexOf('\\');
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x30 && code <= 0x39) {
      if (++digits > 15) return undefined;
      continue;
    }
    if (code === DOT || (digits > 0 && (code === 0x65 || code === 0x45))) return undefined;
    digits = 0;
    if (code === COLON) keys++;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > DEPTH_MAX) throw new JsonSyntaxError(TOO_DEEP);
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    else if (code === QUOTE) {
      // Looked for, not walked to: most of a text is in strings, and most strings escape nothing.
      index = text.indexOf('"', index + 1);
      while (backslash >= 0 && backslash < index) {
        if (index === backslash + 1) index = text.indexOf('"', index + 1);
        backslash = text.indexOf('\\', backslash + 2);
      }
    }
  }
  return keys;
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countKeys(item);
    return count;
  }
  for (const key in value) count += 1 + countKeys((value as JsonObject)[key]);
  return count;
}

/** The text of a character in Go's messages. */
function quoteCharacter(character: string): string {
  if (character === "'") return `'\\''`;
  if (character === '"') return `'"'`;
  const quoted = JSON.stringify(character).slice(1, -1);
  return `'${quoted}'`;
}

/** A recursive descent parser whose mistakes read as those of Go's encoding/json. */
class SlowParser {
  readonly #text: string;
  #index = 0;
  #depth = 0;
  readonly #duplicates = new Map<string, number>();
  readonly #places = new Map<string, number>();
  /** The way to the present value. */
  #path = '';

  constructor(text: string) {
    this.#text = text;
  }

  parse(): ParsedJson {
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#index < this.#text.length) throw this.#unexpected('after top-level value');
    if (this.#duplicates.size === 0) return { value };
    const places = new Map([...this.#places, ...this.#duplicates]);
    return { value, duplicates: { paths: [...this.#duplicates.keys()], places } };
  }

  #unexpected(where: string): JsonSyntaxError {
    const code = this.#text.codePointAt(this.#index);
    if (code === undefined) return new JsonSyntaxError('unexpected end of JSON input');
    return new JsonSyntaxError(`invalid character ${quoteCharacter(String.fromCodePoint(code))} ${where}`);
  }

  #skipSpace(): void {
    while (/[ \t\r\n]/.test(this.#text.charAt(this.#index))) this.#index++;
  }

  #value(): unknown {
    const character = this.#text.charAt(this.#index);
    if (character === '{') return this.#nested(() => this.#object());
    if (character === '[') return this.#nested(() => this.#array());
    if (character === '"') return this.#string();
    if (character === '-' || /\d/.test(character)) return this.#number();
    if (character === 't') return this.#literal('true', true);
    if (character === 'f') return this.#literal('false', false);
    if (character === 'n') return this.#literal('null', null);
    throw this.#unexpected('looking for beginning of value');
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new JsonSyntaxError(TOO_DEEP);
    this.#index++;
    this.#skipSpace();
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#text.charAt(this.#index) === '}') {
      this.#index++;
      return object;
    }
    const outer = this.#path;
    for (;;) {
      if (this.#text.charAt(this.#index) !== '"') throw this.#unexpected('looking for beginning of object key string');
      const key = this.#string();
      this.#skipSpace();
      if (this.#text.charAt(this.#index) !== ':') throw this.#unexpected('after object key');
      this.#index++;
      this.#skipSpace();
      this.#path = outer === '' ? key : `${outer}.${key}`;
      if (Object.hasOwn(object, key)) this.#duplicates.set(this.#path, this.#index);
      else if (!this.#places.has(this.#path)) this.#places.set(this.#path, this.#index);
      const value = this.#value();
      this.#path = outer;
      // A key named __proto__ must become an own property like any other.
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      this.#skipSpace();
      const next = this.#text.charAt(this.#index);
      if (next !== ',' && next !== '}') throw this.#unexpected('after object key:value pair');
      this.#index++;
      if (next === '}') break;
      this.#skipSpace();
    }
    return object;
  }

  #array(): unknown[] {
    const list: unknown[] = [];
    if (this.#text.charAt(this.#index) === ']') {
      this.#index++;
      return list;
    }
    const outer = this.#path;
    for (;;) {
      this.#path = `${outer}[${list.length}]`;
      list.push(this.#value());
      this.#path = outer;
      this.#skipSpace();
      const next = this.#text.charAt(this.#index);
      if (next !== ',' && next !== ']') throw this.#unexpected('after array element');
      this.#index++;
      if (next === ']') return list;
      this.#skipSpace();
    }
  }

  #string(): string {
    const start = this.#index++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#index);
      if (Number.isNaN(code)) throw this.#unexpected('');
      if (code < 0x20) throw this.#unexpected('in string literal');
      this.#index++;
      if (code === QUOTE) break;
      if (code === BACKSLASH) this.#escape();
    }
    return JSON.parse(this.#text.slice(start, this.#index)) as string;
  }

  #escape(): void {
    const character = this.#text.charAt(this.#index);
    if (character === 'u') {
      for (let digit = 0; digit < 4; digit++) {
        this.#index++;
        if (!/[\da-fA-F]/.test(this.#text.charAt(this.#index))) {
          throw this.#unexpected('in \\u hexadecimal character escape');
        }
      }
    } else if (!/["\\/bfnrt]/.test(character)) throw this.#unexpected('in string escape code');
    this.#index++;
  }

  #number(): number | RawNumber {
    const start = this.#index;
    if (this.#text.charAt(this.#index) === '-') this.#index++;
    if (this.#text.charAt(this.#index) === '0') this.#index++;
    else this.#digits('in numeric literal');
    if (this.#text.charAt(this.#index) === '.') {
      this.#index++;
      this.#digits('after decimal point in numeric literal');
    }
    if (/[eE]/.test(this.#text.charAt(this.#index))) {
      this.#index++;
      if (/[+-]/.test(this.#text.charAt(this.#index))) this.#index++;
      this.#digits('in exponent of numeric literal');
    }
    const text = this.#text.slice(start, this.#index);
    return /^-?\d{1,15}$/.test(text) ? Number(text) : new RawNumber(text);
  }

  #digits(where: string): void {
    if (!/\d/.test(this.#text.charAt(this.#index))) throw this.#unexpected(where);
    while (/\d/.test(this.#text.charAt(this.#index))) this.#index++;
  }

  #literal<T>(word: string, value: T): T {
    for (let offset = 0; offset < word.length; offset++, this.#index++) {
      const expected = word.charAt(offset);
      if (this.#text.charAt(this.#index) !== expected) {
        throw this.#unexpected(`in literal ${word} (expecting '${expected}')`);
      }
    }
    return value;
  }
}

/** `value` with every {@link RawNumber} as a number: for values of no known type. */
export function plainValue(value: unknown): unknown {
  if (value instanceof RawNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null) return value;
  const result: JsonObject = {};
  for (const key of Object.keys(value)) setOwn(result, key, plainValue((value as JsonObject)[key]));
  return result;
}
