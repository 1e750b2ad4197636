/**
 * Messages described as data: each field's number and kind, from which come the TypeScript types of what is written
 * (everything may be left out) and of what is read (everything is there, with proto3's defaults), and the codec.
 *
 * Kinds: `int` is any integer of up to 64 bits as a number (a value that is no safe integer comes out rounded: check with
 * Number.isSafeInteger); `id` is a uint64 as a bigint, for member and cluster ids, which use all 64 bits.
 */
import { ProtoError, ProtoReader, ProtoWriter, WIRE_BYTES, WIRE_VARINT } from './wire.ts';

/** One field. `Init` is what may be written, `Value` what is read. */
export interface Field<in Init, out Value> {
  readonly number: number;
  readonly wireType: number;
  /** What is read where the message has no such field. */
  readonly absent: Value;
  write(writer: ProtoWriter, value: Init): void;
  /** @param sofar what was read for this field before: a later one replaces, adds to or merges with it */
  read(reader: ProtoReader, sofar: unknown): Value;
  /** For numbers in lists: whether the bytes of one field hold many of them. */
  readonly isPackable?: boolean;
}
export type Fields = Readonly<Record<string, Field<never, unknown>>>;
type InitOf<F> = {
  readonly [Name in keyof F]?: (F[Name] extends Field<infer Init, unknown> ? Init : never) | undefined;
};
type ValueOf<F> = { readonly [Name in keyof F]: F[Name] extends Field<never, infer Value> ? Value : never };

/** Turns values of one kind of message into bytes and back. */
export interface Message<in Init, out Value> {
  readonly name: string;
  /** The bytes, behind `headroomBytes` bytes left to the caller. */
  encode(value: Init, headroomBytes?: number): Buffer;
  /** @throws {ProtoError} */
  decode(bytes: Uint8Array): Value;
  write(writer: ProtoWriter, value: Init): void;
  read(reader: ProtoReader): Value;
}
/** What may be written of a message. */
export type Init<M> = M extends Message<infer I, unknown> ? I : never;
/** What is read of a message. */
export type Read<M> = M extends Message<never, infer V> ? V : never;

/** Describes a message. */
export function message<const F extends Fields>(name: string, fields: F): Message<InitOf<F>, ValueOf<F>> {
  return new FieldMessage<InitOf<F>, ValueOf<F>>(name, fields);
}

/** Stands for a message that is described later, because it holds itself. */
export function later<I, V>(name: string, get: () => Message<I, V>): Message<I, V> {
  return {
    name,
    encode: (value, headroomBytes) => get().encode(value, headroomBytes),
    decode: bytes => get().decode(bytes),
    write: (writer, value) => get().write(writer, value),
    read: reader => get().read(reader),
  };
}

export const int = (number: number): Field<number, number> => ({
  number,
  wireType: WIRE_VARINT,
  absent: 0,
  isPackable: true,
  write(writer, value) {
    if (value !== 0) writeInt(writer, number, value);
  },
  read: reader => reader.varint(),
});

export const id = (number: number): Field<bigint, bigint> => ({
  number,
  wireType: WIRE_VARINT,
  absent: 0n,
  write(writer, value) {
    if (value === 0n) return;
    writer.tag(number, WIRE_VARINT);
    writer.bigVarint(value);
  },
  read: reader => reader.bigVarint(),
});

export const bool = (number: number): Field<boolean, boolean> => ({
  number,
  wireType: WIRE_VARINT,
  absent: false,
  write(writer, value) {
    if (value) writeInt(writer, number, 1);
  },
  read: reader => reader.varint() !== 0,
});

export const bytes = (number: number): Field<Uint8Array, Uint8Array> => ({
  number,
  wireType: WIRE_BYTES,
  absent: Buffer.alloc(0),
  write(writer, value) {
    if (value.length > 0) writeBytes(writer, number, value);
  },
  read: reader => reader.bytes(),
});

export const text = (number: number): Field<string, string> => ({
  number,
  wireType: WIRE_BYTES,
  absent: '',
  write(writer, value) {
    if (value.length > 0) writeText(writer, number, value);
  },
  read: reader => reader.text(),
});

/** Numbers with names. A number without a name is read as it is, so that the server can say what it does not know. */
export const choice = int;

/** A message inside a message; undefined where there is none. */
export const nested = <I, V>(number: number, inner: Message<I, V>): Field<I, V | undefined> => ({
  number,
  wireType: WIRE_BYTES,
  absent: undefined,
  write: (writer, value) => writeNested(writer, number, () => inner.write(writer, value)),
  read: reader => reader.delimited(() => inner.read(reader)),
});

/** A field of a oneof: absent is told apart from zero. */
export const optional = <I, V>(field: Field<I, V>): Field<I, V | undefined> => ({
  number: field.number,
  wireType: field.wireType,
  absent: undefined,
  write(writer, value) {
    const isZero = Object.is(value, field.absent) || (value instanceof Uint8Array && value.length === 0);
    if (isZero) writeAbsent(writer, field);
    else field.write(writer, value);
  },
  read: (reader, sofar) => field.read(reader, sofar),
});

const NONE: readonly never[] = Object.freeze([]);

/** Any number of texts, bytes, numbers. */
export const many = <I, V>(field: Field<I, V>): Field<readonly I[], readonly V[]> => ({
  number: field.number,
  wireType: field.wireType,
  absent: NONE,
  isPackable: field.isPackable === true,
  write(writer, values) {
    const one = optional(field);
    for (const value of values) one.write(writer, value);
  },
  read: (reader, sofar) => added(sofar, field.read(reader, undefined)),
});

/** Any number of messages. */
export const list = <I, V>(number: number, inner: Message<I, V>): Field<readonly I[], readonly V[]> => ({
  number,
  wireType: WIRE_BYTES,
  absent: NONE,
  write(writer, values) {
    for (const value of values) writeNested(writer, number, () => inner.write(writer, value));
  },
  read: (reader, sofar) =>
    added(
      sofar,
      reader.delimited(() => inner.read(reader)),
    ),
});

/** The list that is being read is this reader's own until its message is complete; only the empty one is shared. */
function added<V>(sofar: unknown, value: V): V[] {
  const values = sofar === NONE || sofar === undefined ? [] : (sofar as V[]); // what `read` of this field gave before
  values.push(value);
  return values;
}

function writeInt(writer: ProtoWriter, number: number, value: number): void {
  writer.tag(number, WIRE_VARINT);
  writer.varint(value);
}
function writeBytes(writer: ProtoWriter, number: number, value: Uint8Array): void {
  writer.tag(number, WIRE_BYTES);
  writer.bytes(value);
}
function writeText(writer: ProtoWriter, number: number, value: string): void {
  writer.tag(number, WIRE_BYTES);
  writer.text(value);
}
function writeNested(writer: ProtoWriter, number: number, write: () => void): void {
  writer.tag(number, WIRE_BYTES);
  writer.delimited(write);
}
/** Of all kinds of fields, the default is a zero: as a varint, or as a length. */
function writeAbsent(writer: ProtoWriter, field: Field<never, unknown>): void {
  writer.tag(field.number, field.wireType);
  writer.varint(0);
}

/** Messages are written one at a time, so one writer serves all. */
const sharedWriter = new ProtoWriter();

class FieldMessage<I extends object, V> implements Message<I, V> {
  readonly name: string;
  readonly #named: readonly (readonly [string, Field<unknown, unknown>])[];
  readonly #byNumber: (readonly [string, Field<unknown, unknown>] | undefined)[] = [];
  readonly #absent: Record<string, unknown> = {};

  constructor(name: string, fields: Fields) {
    this.name = name;
    // The types of `message` say what each field takes; in here they are all the same.
    this.#named = Object.entries(fields as Readonly<Record<string, Field<unknown, unknown>>>);
    for (const named of this.#named) {
      this.#byNumber[named[1].number] = named;
      this.#absent[named[0]] = named[1].absent;
    }
  }

  encode(value: I, headroomBytes = 0): Buffer {
    try {
      this.write(sharedWriter, value);
      return sharedWriter.take(headroomBytes);
    } catch (error) {
      sharedWriter.clear();
      throw error;
    }
  }

  decode(encoded: Uint8Array): V {
    return this.read(new ProtoReader(encoded));
  }

  write(writer: ProtoWriter, value: I): void {
    const record = value as Readonly<Record<string, unknown>>; // `I` is made from the fields' names
    for (const [name, field] of this.#named) {
      const one = record[name];
      if (one !== undefined) field.write(writer, one);
    }
  }

  read(reader: ProtoReader): V {
    const value: Record<string, unknown> = { ...this.#absent };
    while (!reader.isAtEnd) {
      const tag = reader.varint();
      const wireType = tag % 8;
      const named = this.#byNumber[(tag - wireType) / 8];
      if (named === undefined) reader.skip(wireType);
      else value[named[0]] = this.#readField(reader, named[1], { wireType, sofar: value[named[0]] });
    }
    return value as V; // it has all fields, by their names
  }

  #readField(
    reader: ProtoReader,
    field: Field<unknown, unknown>,
    { wireType, sofar }: { readonly wireType: number; readonly sofar: unknown },
  ): unknown {
    if (wireType === field.wireType) return field.read(reader, sofar);
    if (wireType !== WIRE_BYTES || field.isPackable !== true) {
      throw new ProtoError(`field ${field.number} of ${this.name} has wire type ${wireType}, not ${field.wireType}`);
    }
    return reader.delimited(() => {
      let values = sofar;
      while (!reader.isAtEnd) values = field.read(reader, values);
      return values;
    });
  }
}
