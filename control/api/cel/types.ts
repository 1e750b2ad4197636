/**
 * Types of CEL expressions: what they are, how they are written in messages, and when a value of one may stand where
 * another is wanted (cel-go's checker: types with parameters that are bound while a call is resolved).
 */

export type Type =
  | { readonly kind: Primitive }
  | { readonly kind: 'list'; readonly element: Type }
  | { readonly kind: 'map'; readonly key: Type; readonly value: Type }
  | ObjectType
  /** A type of a library, such as `kubernetes.URL`, and optional values. */
  | { readonly kind: 'opaque'; readonly name: string; readonly parameters: readonly Type[] }
  | { readonly kind: 'type'; readonly of: Type }
  | { readonly kind: 'parameter'; readonly name: string };

export type Primitive =
  | 'dyn'
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  /** What has no type since it is wrong; accepted everywhere, so that one mistake is told once. */
  | 'error';

/** An object whose fields are known. */
export interface ObjectType {
  readonly kind: 'object';
  readonly name: string;
  /** The type of a field; undefined if there is no such field. */
  field(name: string): Type | undefined;
}

export const DYN: Type = { kind: 'dyn' };
export const NULL: Type = { kind: 'null' };
export const BOOL: Type = { kind: 'bool' };
export const INT: Type = { kind: 'int' };
export const UINT: Type = { kind: 'uint' };
export const DOUBLE: Type = { kind: 'double' };
export const STRING: Type = { kind: 'string' };
export const BYTES: Type = { kind: 'bytes' };
export const TIMESTAMP: Type = { kind: 'timestamp' };
export const DURATION: Type = { kind: 'duration' };
export const ERROR: Type = { kind: 'error' };

export const listOf = (element: Type): Type => ({ kind: 'list', element });
export const mapOf = (key: Type, value: Type): Type => ({ kind: 'map', key, value });
export const optionalOf = (value: Type): Type => ({ kind: 'opaque', name: 'optional_type', parameters: [value] });
export const opaque = (name: string): Type => ({ kind: 'opaque', name, parameters: [] });
export const parameter = (name: string): Type => ({ kind: 'parameter', name });
export const typeOf = (of: Type): Type => ({ kind: 'type', of });

/** The type inside an optional; undefined if it is none. */
export const optionalValue = (type: Type): Type | undefined =>
  type.kind === 'opaque' && type.name === 'optional_type' ? type.parameters[0] : undefined;

export const isDyn = (type: Type): boolean => type.kind === 'dyn' || type.kind === 'error';

const WRITTEN: Readonly<Partial<Record<Type['kind'], string>>> = {
  error: '!error!',
  null: 'null',
  timestamp: 'timestamp',
  duration: 'duration',
};

/** As cel-go writes it in messages. */
export function formatType(type: Type): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`;
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`;
    case 'opaque':
      return type.parameters.length > 0 ? `${type.name}(${type.parameters.map(formatType).join(', ')})` : type.name;
    case 'type':
      return `type(${formatType(type.of)})`;
    case 'object':
    case 'parameter':
      return type.name;
    default:
      return WRITTEN[type.kind] ?? type.kind;
  }
}

/** What the parameters of types stand for, as far as is known. What was tried in vain can be taken back. */
export class Bindings {
  readonly #types = new Map<string, Type>();
  /** Names in the order in which they were bound. */
  readonly #trail: string[] = [];

  get(name: string): Type | undefined {
    return this.#types.get(name);
  }

  /** Binds a name that is free. */
  set(name: string, type: Type): void {
    this.#types.set(name, type);
    this.#trail.push(name);
  }

  /** What `attempt` binds is kept only if it gives something. */
  keepIf<T>(attempt: () => T | undefined | false): T | undefined {
    const before = this.#trail.length;
    const result = attempt();
    if (result !== undefined && result !== false) return result;
    for (const name of this.#trail.splice(before)) this.#types.delete(name);
    return undefined;
  }
}

/** `type` with its parameters replaced; those that are still free become dyn if `isFinal`. */
export function substitute(type: Type, bindings: Bindings, isFinal = false): Type {
  switch (type.kind) {
    case 'parameter': {
      const bound = bindings.get(type.name);
      if (bound) return substitute(bound, bindings, isFinal);
      return isFinal ? DYN : type;
    }
    case 'list':
      return listOf(substitute(type.element, bindings, isFinal));
    case 'map':
      return mapOf(substitute(type.key, bindings, isFinal), substitute(type.value, bindings, isFinal));
    case 'type':
      return typeOf(substitute(type.of, bindings, isFinal));
    case 'opaque':
      return type.parameters.length === 0
        ? type
        : { ...type, parameters: type.parameters.map(inner => substitute(inner, bindings, isFinal)) };
    default:
      return type;
  }
}

/** True if a value of type `from` may stand where `to` is wanted. Binds parameters of both in `bindings`. */
export function isAssignable(bindings: Bindings, from: Type, to: Type): boolean {
  const a = resolved(from, bindings);
  const b = resolved(to, bindings);
  if (a === b) return true;
  if (b.kind === 'parameter') return bind(bindings, b.name, a);
  if (a.kind === 'parameter') return bind(bindings, a.name, b);
  if (isDyn(a) || isDyn(b)) return true;
  if (a.kind === 'null' && b.kind !== 'null') return isNullable(b);
  switch (a.kind) {
    case 'list':
      return b.kind === 'list' && isAssignable(bindings, a.element, b.element);
    case 'map':
      return b.kind === 'map' && isAssignable(bindings, a.key, b.key) && isAssignable(bindings, a.value, b.value);
    // Each place of a schema has a type of its own: what is of the same type is the same.
    case 'object':
      return false;
    case 'opaque':
      return (
        b.kind === 'opaque' &&
        a.name === b.name &&
        a.parameters.length === b.parameters.length &&
        a.parameters.every((inner, index) => isAssignable(bindings, inner, b.parameters[index] ?? DYN))
      );
    case 'type':
      return b.kind === 'type';
    default:
      return a.kind === b.kind || (b.kind === 'null' && isNullable(a));
  }
}

function resolved(type: Type, bindings: Bindings): Type {
  let current = type;
  while (current.kind === 'parameter') {
    const next = bindings.get(current.name);
    if (!next) return current;
    current = next;
  }
  return current;
}

function bind(bindings: Bindings, name: string, type: Type): boolean {
  if (mentions(type, name, bindings)) return false;
  bindings.set(name, type);
  return true;
}

function mentions(type: Type, name: string, bindings: Bindings): boolean {
  const current = resolved(type, bindings);
  switch (current.kind) {
    case 'parameter':
      return current.name === name;
    case 'list':
      return mentions(current.element, name, bindings);
    case 'map':
      return mentions(current.key, name, bindings) || mentions(current.value, name, bindings);
    case 'type':
      return mentions(current.of, name, bindings);
    case 'opaque':
      return current.parameters.some(inner => mentions(inner, name, bindings));
    default:
      return false;
  }
}

const isNullable = ({ kind }: Type): boolean =>
  kind === 'object' || kind === 'opaque' || kind === 'timestamp' || kind === 'duration' || kind === 'null';

/** The type that both fit, or undefined: what a list of both would have as its element. */
export function joined(bindings: Bindings, a: Type, b: Type): Type | undefined {
  if (isDyn(a) || isDyn(b)) return a.kind === 'error' ? b : a.kind === 'dyn' ? a : b.kind === 'error' ? a : b;
  return bindings.keepIf(() => isAssignable(bindings, b, a)) && a;
}

/** True if both are the same to the letter. */
export const isSameType = (a: Type, b: Type): boolean => a === b || formatType(a) === formatType(b);

/** What values of a type are called at run time; undefined where that is not known before. */
export function runtimeName(type: Type): string | undefined {
  switch (type.kind) {
    case 'dyn':
    case 'error':
    case 'parameter':
      return undefined;
    case 'null':
      return 'null_type';
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    case 'object':
    case 'opaque':
      return type.name;
    default:
      return type.kind;
  }
}
