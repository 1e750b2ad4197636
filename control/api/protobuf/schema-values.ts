/**
 * The values of apiextensions.k8s.io/v1 whose JSON is another than their protobuf message: any JSON, and what is either a
 * schema or something simpler (apiextensions-apiserver, marshal.go). What is no such value is told by undefined.
 */
import { readFields, type WireValue } from './wire-format.ts';

const PACKAGE = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';
const SCHEMA = `${PACKAGE}JSONSchemaProps`;

export interface ValueReader {
  /** Reads a value of a scalar or message type. */
  readonly read: (value: WireValue, type: string) => unknown;
  /** Reads a message whose only field is JSON text. */
  readonly readJson: (bytes: Uint8Array) => unknown;
}

export function schemaValue(bytes: Uint8Array, type: string, reader: ValueReader): { value: unknown } | undefined {
  if (!type.startsWith(PACKAGE)) return undefined;
  switch (type.slice(PACKAGE.length)) {
    case 'JSON':
      return { value: reader.readJson(bytes) };
    // {schema = 1, jSONSchemas = 2}
    case 'JSONSchemaPropsOrArray':
      return { value: only(bytes, 1, SCHEMA, reader) ?? all(bytes, 2, SCHEMA, reader) };
    // {allows = 1, schema = 2}
    case 'JSONSchemaPropsOrBool':
      return { value: only(bytes, 2, SCHEMA, reader) ?? only(bytes, 1, 'bool', reader) ?? false };
    // {schema = 1, property = 2}
    case 'JSONSchemaPropsOrStringArray':
      return { value: only(bytes, 1, SCHEMA, reader) ?? all(bytes, 2, 'string', reader) };
    default:
      return undefined;
  }
}

function all(bytes: Uint8Array, wanted: number, type: string, { read }: ValueReader): unknown[] {
  return [...readFields(bytes)].filter(({ number }) => number === wanted).map(({ value }) => read(value, type));
}

function only(bytes: Uint8Array, wanted: number, type: string, reader: ValueReader): unknown {
  return all(bytes, wanted, type, reader).at(-1);
}
