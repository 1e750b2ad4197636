/**
 * Paths to fields of a schema, such as `.spec['a.b'].c`: what rules and selectable fields name
 * (apiextensions-apiserver pkg/apiserver/schema/cel ValidFieldPath).
 */
import { type JsonSchema, propertyOf, valuesOf } from './schema.ts';

/** A path that leads nowhere. The message is Kubernetes'. */
export class FieldPathError extends Error {
  override readonly name = 'FieldPathError';
}

export interface FoundField {
  readonly names: readonly string[];
  readonly schema: JsonSchema;
}

/** Follows a path through a schema; lists cannot be passed. Throws {@link FieldPathError}. */
export function findField(path: string, schema: JsonSchema, allowsBrackets = true): FoundField {
  const names = readNames(path, allowsBrackets);
  let found = schema;
  for (const name of names) {
    const next = propertyOf(found, name) ?? valuesOf(found);
    if (!next) throw new FieldPathError('does not refer to a valid field');
    found = next;
  }
  return { names, schema: found };
}

/** True if the path leads to a field of the schema. */
export function isFieldPath(path: string, schema: JsonSchema): boolean {
  try {
    findField(path, schema);
    return true;
  } catch (error) {
    if (error instanceof FieldPathError) return false;
    throw error;
  }
}

function readNames(path: string, allowsBrackets: boolean): string[] {
  const names: string[] = [];
  let rest = path;
  while (rest !== '') {
    const dotted = /^\.([A-Za-z_][A-Za-z0-9_-]*)/.exec(rest);
    const bracketed = allowsBrackets ? /^\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/.exec(rest) : null;
    const match = dotted ?? bracketed;
    if (!match) throw new FieldPathError(whyNot(rest));
    names.push((match[1] ?? match[2] ?? '').replaceAll(/\\(.)/g, '$1'));
    rest = rest.slice(match[0].length);
  }
  if (names.length === 0) throw new FieldPathError('empty path');
  return names;
}

function whyNot(rest: string): string {
  if (rest.startsWith('[')) return 'array notation is not allowed';
  return rest === '.' ? 'unexpected end of JSON path' : `expected [ or . but got: ${rest.charAt(0)}`;
}
