/**
 * A small encoder of `application/vnd.kubernetes.protobuf`, only as good as tests need: it writes what is there, in the order of
 * the fields.
 */
import { messageNamed, messageOfKind } from '../fields.ts';

const varint = (value: bigint): number[] => {
  const unsigned = BigInt.asUintN(64, value);
  return unsigned < 128n ? [Number(unsigned)] : [Number(unsigned & 127n) | 128, ...varint(unsigned >> 7n)];
};
export const bytesField = (number: number, bytes: Iterable<number>): number[] => {
  const content = [...bytes];
  return [...varint(BigInt(number * 8 + 2)), ...varint(BigInt(content.length)), ...content];
};
export const numberField = (number: number, value: number): number[] => [
  ...varint(BigInt(number * 8)),
  ...varint(BigInt(value)),
];
export const text = (value: string) => Buffer.from(value);

const APIEXTENSIONS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';
const SCHEMA = `${APIEXTENSIONS}JSONSchemaProps`;

function encodeValue(number: number, type: string, value: unknown): number[] {
  switch (type) {
    case 'string':
      return bytesField(number, text(String(value)));
    case 'bytes':
      return bytesField(number, Buffer.from(String(value), 'base64'));
    case 'bool':
    case 'int32':
    case 'int64':
      return numberField(number, Number(value));
    case 'double':
      return [...varint(BigInt(number * 8 + 1)), ...new Uint8Array(Float64Array.of(Number(value)).buffer)];
    case `${APIEXTENSIONS}JSON`:
      return bytesField(number, bytesField(1, text(JSON.stringify(value))));
    case `${APIEXTENSIONS}JSONSchemaPropsOrArray`:
    case `${APIEXTENSIONS}JSONSchemaPropsOrStringArray`:
      return bytesField(
        number,
        Array.isArray(value)
          ? value.flatMap(item => encodeValue(2, typeof item === 'string' ? 'string' : SCHEMA, item))
          : encodeValue(1, SCHEMA, value),
      );
    case `${APIEXTENSIONS}JSONSchemaPropsOrBool`:
      return bytesField(
        number,
        typeof value === 'boolean'
          ? numberField(1, Number(value))
          : [...numberField(1, 1), ...encodeValue(2, SCHEMA, value)],
      );
    case '~api.resource.Quantity':
      return bytesField(number, bytesField(1, text(String(value))));
    case '~util.intstr.IntOrString':
      return bytesField(
        number,
        typeof value === 'number'
          ? [...numberField(1, 0), ...numberField(2, value), ...bytesField(3, [])]
          : [...numberField(1, 1), ...numberField(2, 0), ...bytesField(3, text(String(value)))],
      );
    case '~apis.meta.v1.Time':
    case '~apis.meta.v1.MicroTime': {
      const [, fraction = '0'] = /\.(\d{6})Z/.exec(String(value)) ?? [];
      const seconds = Math.floor(Date.parse(String(value)) / 1000);
      return bytesField(number, [...numberField(1, seconds), ...numberField(2, Number(fraction) * 1000)]);
    }
    case '~apis.meta.v1.FieldsV1':
    case '~runtime.RawExtension':
      return bytesField(number, bytesField(1, text(JSON.stringify(value))));
    default:
      return bytesField(number, encodeMessage(type, value as object));
  }
}

function encodeMessage(name: string, object: object): number[] {
  const bytes: number[] = [];
  for (const [number, field] of messageNamed(name)) {
    if (field.isInline) {
      bytes.push(...encodeValue(number, field.type, object));
      continue;
    }
    const value: unknown = (object as Record<string, unknown>)[field.name];
    if (value === undefined || value === null) continue;
    if (field.isMap) {
      for (const [key, entry] of Object.entries(value as object)) {
        bytes.push(...bytesField(number, [...bytesField(1, text(key)), ...encodeValue(2, field.type, entry)]));
      }
    } else if (field.isRepeated) {
      for (const item of value as unknown[]) bytes.push(...encodeValue(number, field.type, item));
    } else bytes.push(...encodeValue(number, field.type, value));
  }
  return bytes;
}

/** An object as a Go client sends it. */
export function encodeProtobuf(object: { apiVersion: string; kind: string }): Uint8Array {
  const { apiVersion, kind, ...rest } = object;
  const raw = encodeMessage(messageOfKind(apiVersion, kind) ?? '', rest);
  const typeMeta = [...bytesField(1, text(apiVersion)), ...bytesField(2, text(kind))];
  const envelope = [...bytesField(1, typeMeta), ...bytesField(2, raw), ...bytesField(3, []), ...bytesField(4, [])];
  return Uint8Array.from([0x6b, 0x38, 0x73, 0, ...envelope]);
}
