/**
 * Decodes bodies of type `application/vnd.kubernetes.protobuf`: what client-go 0.32 and later, and so kubectl, sends for
 * built-in kinds. The result is the object that the same client would have sent as JSON, so nothing after this knows the difference.
 *
 * Go writes every field that is no pointer, even when it is empty; those are dropped, but for the ones that Go's JSON keeps as well.
 */

import type { KubernetesObject } from '../kind.ts';
import { ApiError } from '../status.ts';
import { type Field, itemTypeOf, messageNamed, messageOfKind } from './fields.ts';
import { schemaValue } from './schema-values.ts';
import { readFields, readVarints, WireFormatError, type WireValue } from './wire-format.ts';

/** `k8s` and a zero byte. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

type JsonObject = { [key: string]: unknown };

/**
 * @throws ApiError 400 when the bytes are no such message or hold a kind that has no protobuf form.
 */
export function decodeProtobuf(body: Uint8Array): KubernetesObject {
  if (!MAGIC.every((byte, index) => body[index] === byte)) {
    throw new ApiError(
      'BadRequest',
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  }
  try {
    const { apiVersion, kind, raw } = readEnvelope(body.subarray(MAGIC.length));
    const message = messageOfKind(apiVersion, kind);
    if (!message) {
      throw new ApiError(
        'BadRequest',
        `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
      );
    }
    return { kind, apiVersion, ...readMessage(raw, message) };
  } catch (error) {
    if (!(error instanceof WireFormatError)) throw error;
    throw new ApiError('BadRequest', `proto: ${error.message}`, { cause: error });
  }
}

/** runtime.Unknown: typeMeta = 1 (apiVersion = 1, kind = 2), raw = 2. */
function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  for (const { number, value } of readFields(bytes)) {
    if (number === 2) raw = bytesOf(value);
    if (number !== 1) continue;
    for (const part of readFields(bytesOf(value))) {
      if (part.number === 1) apiVersion = textOf(part.value);
      if (part.number === 2) kind = textOf(part.value);
    }
  }
  return { apiVersion, kind, raw };
}

function readMessage(bytes: Uint8Array, name: string): JsonObject {
  const message = messageNamed(name);
  const object: JsonObject = {};
  for (const { number, value } of readFields(bytes)) {
    const field = message.get(number);
    if (!field) continue; // of a newer version
    if (field.isInline) Object.assign(object, readMessage(bytesOf(value), field.type));
    else if (field.isMap) readMapEntry(object, field, bytesOf(value));
    else if (field.isRepeated) {
      const before = object[field.name];
      const list: unknown[] = Array.isArray(before) ? before : [];
      for (const item of unpacked(value, field.type)) list.push(readValue(item, field.type));
      object[field.name] = list;
    } else {
      const read = readValue(value, field.type);
      if (isKept(read, field)) object[field.name] = read;
    }
  }
  return object;
}

/** Whether Go's JSON for the same struct has the field. */
function isKept(value: unknown, field: Field): boolean {
  if (value === null) return false; // a zero time
  if (field.isPointer || field.keepsZero) return true;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return value !== '' && value !== 0 && value !== false;
}

/** A map's entry is a message: key = 1, value = 2. */
function readMapEntry(object: JsonObject, field: Field, bytes: Uint8Array): void {
  let key = '';
  let value: unknown = readValue(new Uint8Array(), field.type);
  for (const part of readFields(bytes)) {
    if (part.number === 1) key = textOf(part.value);
    if (part.number === 2) value = readValue(part.value, field.type);
  }
  const map: object = object[field.name] ?? {};
  object[field.name] = map;
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Repeated numbers may come many in one value. */
function unpacked(value: WireValue, type: string): WireValue[] {
  const isPacked = typeof value !== 'bigint' && (type === 'bool' || type === 'int32' || type === 'int64');
  return isPacked ? readVarints(value) : [value];
}

function readValue(value: WireValue, type: string): unknown {
  switch (type) {
    case 'string':
      return textOf(value);
    case 'bytes':
      return base64Of(bytesOf(value));
    case 'bool':
      return numberOf(value) !== 0;
    case 'int32':
    case 'int64':
      return numberOf(value);
    case 'double':
      return doubleOf(value);
    case '~api.resource.Quantity':
      return quantityOf(bytesOf(value));
    case '~util.intstr.IntOrString':
      return intOrStringOf(bytesOf(value));
    case '~apis.meta.v1.Time':
      return timeOf(bytesOf(value), 0);
    case '~apis.meta.v1.MicroTime':
      return timeOf(bytesOf(value), 6);
    case '~apis.meta.v1.FieldsV1':
    case '~runtime.RawExtension':
      return rawJsonOf(bytesOf(value));
    default: {
      const schema = schemaValue(bytesOf(value), type, { read: readValue, readJson: rawJsonOf });
      if (schema) return schema.value;
      const itemType = itemTypeOf(type);
      if (itemType === undefined) return readMessage(bytesOf(value), type);
      return [...readFields(bytesOf(value))].map(item => readValue(item.value, itemType));
    }
  }
}

/** Quantity{string = 1} */
function quantityOf(bytes: Uint8Array): string {
  let text = '';
  for (const { number, value } of readFields(bytes)) if (number === 1) text = textOf(value);
  return text;
}

/** IntOrString{type = 1 (0: number, 1: text), intVal = 2, strVal = 3} */
function intOrStringOf(bytes: Uint8Array): string | number {
  const parts = new Map([...readFields(bytes)].map(({ number, value }) => [number, value]));
  const isText = parts.get(1) === 1n;
  return isText ? textOf(parts.get(3) ?? new Uint8Array()) : numberOf(parts.get(2) ?? 0n);
}

/** Time{seconds = 1, nanos = 2}; empty is Go's zero time, which is null in JSON. */
function timeOf(bytes: Uint8Array, fractionDigits: 0 | 6): string | null {
  const parts = new Map([...readFields(bytes)].map(({ number, value }) => [number, numberOf(value)]));
  if (parts.size === 0) return null;
  const seconds = parts.get(1) ?? 0;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new WireFormatError('time out of range');
  const whole = date.toISOString().slice(0, -'.000Z'.length);
  if (fractionDigits === 0) return `${whole}Z`;
  const micros = Math.floor((parts.get(2) ?? 0) / 1000);
  return `${whole}.${String(micros).padStart(fractionDigits, '0')}Z`;
}

/** RawExtension{raw = 1}, FieldsV1{Raw = 1}, JSON{raw = 1}: JSON text. */
function rawJsonOf(bytes: Uint8Array): unknown {
  let raw: Uint8Array = new Uint8Array();
  for (const { number, value } of readFields(bytes)) if (number === 1) raw = bytesOf(value);
  if (raw.length === 0) return null;
  try {
    return JSON.parse(textOf(raw));
  } catch (error) {
    throw new ApiError('BadRequest', 'an embedded object is not JSON', { cause: error });
  }
}

function bytesOf(value: WireValue): Uint8Array {
  if (typeof value === 'bigint') throw new WireFormatError('wrong wire type for a field of bytes');
  return value;
}

function numberOf(value: WireValue): number {
  if (typeof value !== 'bigint') throw new WireFormatError('wrong wire type for a number');
  return Number(BigInt.asIntN(64, value));
}

/** A fixed-width number that holds a float's bits. */
function doubleOf(value: WireValue): number {
  if (typeof value !== 'bigint') throw new WireFormatError('wrong wire type for a number');
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value);
  return view.getFloat64(0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(value: WireValue): string {
  try {
    return utf8.decode(bytesOf(value));
  } catch (error) {
    if (error instanceof WireFormatError) throw error;
    throw new WireFormatError('string field contains invalid UTF-8', { cause: error });
  }
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
