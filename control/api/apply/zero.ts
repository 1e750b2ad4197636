/**
 * An object of which nothing has been said yet, in the form in which Go writes it: structs that are always there, empty or
 * null values that are always written. What a new object has beyond it belongs to its creator.
 */
import { type StructType, structOf, type Type } from '../schema/compile.ts';

const known = new Map<string, Readonly<Record<string, unknown>>>();

/** Shared: must not be changed. For a built-in kind by its schema's name. */
export function zeroObject(definition: string): Readonly<Record<string, unknown>> {
  let zero = known.get(definition);
  if (!zero) {
    zero = zeroStruct(structOf(definition));
    known.set(definition, zero);
  }
  return zero;
}

function zeroStruct(type: StructType): Record<string, unknown> {
  const zero: Record<string, unknown> = {};
  for (const field of type.constant) if (field.isAlways) zero[field.name] = field.isPointer ? null : zeroOf(field.type);
  return zero;
}

function zeroOf(type: Type): unknown {
  switch (type.tag) {
    case 'string':
    case 'bytes':
      return '';
    case 'integer':
    case 'float':
    case 'intOrString':
      return 0;
    case 'boolean':
      return false;
    case 'quantity':
      return '0';
    case 'struct':
      return zeroStruct(type);
    default:
      return null;
  }
}
