/** Regular expressions: RE2's, in linear time, whoever wrote them. */
import { RE2JS, RE2JSSyntaxException } from 're2js';
import type { Budget } from '../budget.ts';
import { COMPILED_PATTERNS_MAX } from '../limits.ts';
import { ArrayList, EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

const compiled = new Map<string, RE2JS>();

/** Compiles, or finds what was compiled. Throws {@link EvaluationError}. */
export function compilePattern(pattern: string): RE2JS {
  const known = compiled.get(pattern);
  if (known) return known;
  let regular: RE2JS;
  try {
    regular = RE2JS.compile(pattern);
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) throw new EvaluationError(patternError(error.message));
    throw error;
  }
  if (compiled.size >= COMPILED_PATTERNS_MAX) {
    const oldest = compiled.keys().next();
    if (!oldest.done) compiled.delete(oldest.value);
  }
  compiled.set(pattern, regular);
  return regular;
}

/** Go's sentence: "error parsing regexp: missing closing ): `(a`". */
function patternError(message: string): string {
  return message.startsWith('error parsing') ? message : `error parsing regexp: ${message}`;
}

export function matches(budget: Budget, text: string, pattern: string): boolean {
  budget.step(text.length);
  return compilePattern(pattern).matcher(text).find();
}

function find(text: string, pattern: string): string {
  const matcher = compilePattern(pattern).matcher(text);
  return matcher.find() ? (matcher.group() ?? '') : '';
}

function findAll(text: string, pattern: string, limit = -1n): Value {
  const matcher = compilePattern(pattern).matcher(text);
  const found: string[] = [];
  while ((limit < 0n || found.length < Number(limit)) && matcher.find()) found.push(matcher.group() ?? '');
  return new ArrayList(found);
}

export const REGULAR_EXPRESSIONS: readonly Overload[] = [
  define<[string, string]>('string->find(string): string', find, 'find'),
  define<[string, string]>('string->findAll(string): list(string)', findAll, 'find'),
  define<[string, string, bigint]>('string->findAll(string, int): list(string)', findAll, 'find'),
];
