/** Regular expressions in Go's meaning, which matches in linear time whatever the pattern and the text are. */
import { RE2JS } from 're2js';

/** A pattern that is none. The message is Go's. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

const compiled = new Map<string, RE2JS>();
/** Patterns kept compiled; the oldest goes first. A large operator has a few hundred. */
const COMPILED_MAX = 2_000;

function compile(pattern: string): RE2JS {
  let found = compiled.get(pattern);
  if (!found) {
    found = RE2JS.compile(pattern);
    if (compiled.size >= COMPILED_MAX) {
      const [oldest] = compiled.keys();
      if (oldest !== undefined) compiled.delete(oldest);
    }
    compiled.set(pattern, found);
  }
  return found;
}

/** Throws {@link PatternError}. */
export function checkPattern(pattern: string): void {
  try {
    compile(pattern);
  } catch (cause) {
    throw new PatternError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** True if the pattern is found anywhere in the text. */
export function matchesPattern(pattern: string, text: string): boolean {
  return compile(pattern).matcher(text).find();
}
