/**
 * Protocol buffer messages described as data: each field's number and kind, from which come the types of what is written
 * (everything may be left out) and of what is read (everything is there, with proto3's defaults), and the codec over
 * protobufjs' reader and writer. Numbers are all varints of up to 64 bits; one that is no safe integer comes out rounded.
 */
import type { Reader, Writer } from 'protobufjs/minimal.js';
import { protobuf } from './libraries.ts';

const wireVarint = 0;
const wireBytes = 2;

/** One field. `Init` is what may be written, `Value` what is read. */
export interface Field<in Init, out Value> {
  readonly number: number;
  /** What is read where the message has no such field. */
  readonly absent: () => Value;
  write(writer: Writer, value: Init): void;
  /** `before` is what was read for this field so far: a later one replaces it or adds to it. */
  read(reader: Reader, before: unknown, wireType: number): Value;
}
type Fields = Readonly<Record<string, Field<never, unknown>>>;
type InitOf<F> = {
  readonly [Name in keyof F]?: (F[Name] extends Field<infer I, unknown> ? I : never) | undefined;
};
type ValueOf<F> = { readonly [Name in keyof F]: F[Name] extends Field<never, infer V> ? V : never };

export interface Message<in Init, out Value> {
  encode(value: Init): Buffer;
  /** Throws what protobufjs throws for bytes that are no such message. */
  decode(bytes: Uint8Array): Value;
  write(writer: Writer, value: Init): void;
  read(reader: Reader, length?: number): Value;
}
/** What may be written of a message. */
export type Init<M> = M extends Message<infer I, unknown> ? I : never;
/** What is read of a message. */
export type Read<M> = M extends Message<never, infer V> ? V : never;

export function message<const F extends Fields>(fields: F): Message<InitOf<F>, ValueOf<F>> {
  const entries = Object.entries(fields);
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  const write = (writer: Writer, value: InitOf<F>) => {
    // Each value has the type of its own field: that is what InitOf says, name by name.
    const values = value as Readonly<Record<string, never>>;
    for (const [name, field] of entries) if (values[name] !== undefined) field.write(writer, values[name]);
  };
  const read = (reader: Reader, length?: number): ValueOf<F> => {
    const end = length === undefined ? reader.len : reader.pos + length;
    const values: Record<string, unknown> = {};
    while (reader.pos < end) {
      const tag = reader.uint32();
      const known = byNumber.get(tag >>> 3);
      if (known === undefined) reader.skipType(tag & 7);
      else values[known.name] = known.field.read(reader, values[known.name], tag & 7);
    }
    for (const [name, field] of entries) values[name] ??= field.absent();
    return values as ValueOf<F>;
  };
  return {
    write,
    read,
    encode(value) {
      const writer = protobuf().Writer.create();
      write(writer, value);
      return Buffer.from(writer.finish());
    },
    decode: bytes => read(protobuf().Reader.create(bytes)),
  };
}

const tag = (number: number, wireType: number) => ((number << 3) | wireType) >>> 0;

function varint(reader: Reader): number {
  // Larger ones come as an object that turns into its decimal digits.
  return Number(reader.int64());
}

export const text = (number: number): Field<string, string> => ({
  number,
  absent: () => '',
  write: (writer, value) => {
    if (value !== '') writer.uint32(tag(number, wireBytes)).string(value);
  },
  read: reader => reader.string(),
});

export const bytes = (number: number): Field<Uint8Array, Uint8Array> => ({
  number,
  absent: () => new Uint8Array(),
  write: (writer, value) => {
    if (value.length > 0) writer.uint32(tag(number, wireBytes)).bytes(value);
  },
  read: reader => reader.bytes(),
});

/** Any integer or enumeration. */
export const int = (number: number): Field<number, number> => ({
  number,
  absent: () => 0,
  write: (writer, value) => {
    if (value !== 0) writer.uint32(tag(number, wireVarint)).int64(value);
  },
  read: reader => varint(reader),
});

export const flag = (number: number): Field<boolean, boolean> => ({
  number,
  absent: () => false,
  write: (writer, value) => {
    if (value) writer.uint32(tag(number, wireVarint)).bool(true);
  },
  read: reader => reader.bool(),
});

export const texts = (number: number): Field<readonly string[], string[]> => ({
  number,
  absent: () => [],
  write: (writer, values) => {
    for (const value of values) writer.uint32(tag(number, wireBytes)).string(value);
  },
  read: (reader, before) => append(before, reader.string()),
});

/** Packed, as proto3 has it; reads both forms. */
export const ints = (number: number): Field<readonly number[], number[]> => ({
  number,
  absent: () => [],
  write: (writer, values) => {
    if (values.length === 0) return;
    writer.uint32(tag(number, wireBytes)).fork();
    for (const value of values) writer.int64(value);
    writer.ldelim();
  },
  read: (reader, before, wireType) => {
    if (wireType === wireVarint) return append(before, varint(reader));
    const end = reader.uint32() + reader.pos;
    let values = append<number>(before);
    while (reader.pos < end) values = append(values, varint(reader));
    return values;
  },
});

type TextMap = Readonly<Record<string, string>>;

export const textMap = (number: number): Field<TextMap, TextMap> => ({
  number,
  absent: () => ({}),
  write: (writer, values) => {
    for (const [key, value] of Object.entries(values)) {
      writer.uint32(tag(number, wireBytes)).fork();
      entry.write(writer, { key, value });
      writer.ldelim();
    }
  },
  read: (reader, before) => {
    const { key, value } = entry.read(reader, reader.uint32());
    return { ...(before as TextMap | undefined), [key]: value };
  },
});

/** A message within this one; undefined where it is absent. */
export const one = <I, V>(number: number, type: Message<I, V>): Field<I, V | undefined> => ({
  number,
  absent: () => undefined,
  write: (writer, value) => {
    writer.uint32(tag(number, wireBytes)).fork();
    type.write(writer, value);
    writer.ldelim();
  },
  read: reader => type.read(reader, reader.uint32()),
});

export const many = <I, V>(number: number, type: Message<I, V>): Field<readonly I[], V[]> => ({
  number,
  absent: () => [],
  write: (writer, values) => {
    for (const value of values) one(number, type).write(writer, value);
  },
  read: (reader, before) => append(before, type.read(reader, reader.uint32())),
});

/** Adds to the list that this field was read into; the list is this decoding's own. */
function append<T>(before: unknown, ...items: T[]): T[] {
  const list = (before as T[] | undefined) ?? [];
  list.push(...items);
  return list;
}

const entry = message({ key: text(1), value: text(2) });
