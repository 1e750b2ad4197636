/**
 * OpenAPI v2 in the protobuf form of gnostic (`openapi.v2.Document`), the only form that kubectl up to 1.28 reads.
 * Field numbers: google/gnostic-models openapiv2/OpenAPIv2.proto. Only what our documents hold is written.
 */
import type { V2Document, V2Operation, V2Parameter, V2Part, V2PathItem, V2Schema } from './v2.ts';

/** What clients ask for; the answer's type may be anything, and this is what Kubernetes says. */
export const OPENAPI_V2_PROTOBUF_MEDIA_TYPE = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** The document's bytes. They are large: make them once. */
export function encodeOpenApiV2(document: V2Document): Uint8Array {
  return Buffer.concat([
    text(1, document.swagger),
    message(2, [text(1, document.info.title), text(2, document.info.version)]),
    message(8, named(2, document.paths, pathItem)),
    message(9, named(1, document.definitions, schema)),
  ]);
}

/** One path or schema, as it stands among the others; {@link encodeV2Parts} makes the document of them. */
export function encodeV2Part(part: V2Part): Uint8Array {
  return Buffer.concat(
    'path' in part
      ? named(2, { [part.path]: part.item }, pathItem)
      : named(1, { [part.definition]: part.schema }, schema),
  );
}

/** The document of paths and schemas that were encoded one by one. */
export function encodeV2Parts(
  { swagger, info }: Pick<V2Document, 'swagger' | 'info'>,
  paths: readonly Uint8Array[],
  definitions: readonly Uint8Array[],
): Uint8Array {
  return Buffer.concat([
    text(1, swagger),
    message(2, [text(1, info.title), text(2, info.version)]),
    message(8, paths),
    message(9, definitions),
  ]);
}

type Bytes = Uint8Array;

function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Uint8Array.from([...bytes, rest]);
}

function bytes(number: number, content: Bytes): Bytes {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function text(number: number, value: string | undefined): Bytes {
  return value ? bytes(number, Buffer.from(value)) : new Uint8Array();
}

function texts(number: number, values: readonly string[] | undefined): Bytes {
  return Buffer.concat((values ?? []).map(value => bytes(number, Buffer.from(value))));
}

function flag(number: number, value: boolean | undefined): Bytes {
  return value ? Uint8Array.from([...varint(number * 8), 1]) : new Uint8Array();
}

function message(number: number, parts: readonly Bytes[]): Bytes {
  return bytes(number, Buffer.concat(parts));
}

/** A map: repeated messages of name = 1 and value = 2. */
function named<T>(number: number, map: Readonly<Record<string, T>>, encode: (value: T) => Bytes[]): Bytes[] {
  return Object.entries(map).map(([name, value]) => message(number, [text(1, name), message(2, encode(value))]));
}

/** Any{yaml = 2}; JSON is YAML. */
const any = (value: unknown): Bytes[] => [text(2, JSON.stringify(value))];

function extensions(number: number, holder: object): Bytes[] {
  return named(number, Object.fromEntries(Object.entries(holder).filter(([key]) => key.startsWith('x-'))), any);
}

function pathItem(item: V2PathItem): Bytes[] {
  const operations = [
    [2, item.get],
    [3, item.put],
    [4, item.post],
    [5, item.delete],
    [8, item.patch],
  ] as const;
  return [
    ...operations.flatMap(([number, value]) => (value ? [message(number, operation(value))] : [])),
    ...(item.parameters ?? []).map(value => message(9, parameter(value))),
  ];
}

function operation(value: V2Operation): Bytes[] {
  const responses = named(1, value.responses, response => [
    // ResponseValue{response = 1}, Response{description = 1, schema = 2}, SchemaItem{schema = 1}
    message(1, [
      text(1, response.description),
      ...(response.schema ? [message(2, [message(1, schema(response.schema))])] : []),
    ]),
  ]);
  return [
    texts(1, value.tags),
    text(5, value.operationId),
    texts(6, value.produces),
    texts(7, value.consumes),
    ...value.parameters.map(item => message(8, parameter(item))),
    message(9, responses),
    texts(10, value.schemes),
    ...extensions(13, value),
  ];
}

/** ParametersItem{parameter = 1}, Parameter{body = 1, other = 2}, NonBodyParameter{query = 3, path = 4} */
function parameter(value: V2Parameter): Bytes[] {
  switch (value.in) {
    case 'body':
      return [
        message(1, [
          message(1, [
            text(2, value.name),
            text(3, value.in),
            flag(4, value.required),
            ...(value.schema ? [message(5, schema(value.schema))] : []),
          ]),
        ]),
      ];
    case 'query':
      return [
        message(1, [
          message(2, [
            message(3, [
              flag(1, value.required),
              text(2, value.in),
              text(4, value.name),
              text(6, value.type),
              flag(20, value.uniqueItems),
            ]),
          ]),
        ]),
      ];
    case 'path':
      return [
        message(1, [
          message(2, [
            message(4, [
              flag(1, value.required),
              text(2, value.in),
              text(4, value.name),
              text(5, value.type),
              flag(19, value.uniqueItems),
            ]),
          ]),
        ]),
      ];
  }
}

function schema(value: V2Schema): Bytes[] {
  return [
    text(1, value.$ref),
    text(2, value.format),
    text(4, value.description),
    texts(19, value.required),
    ...(value.enum ?? []).map(item => message(20, any(item))),
    ...(value.additionalProperties ? [message(21, [message(1, schema(value.additionalProperties))])] : []),
    ...(value.type ? [message(22, [text(1, value.type)])] : []),
    ...(value.items ? [message(23, [message(1, schema(value.items))])] : []),
    ...(value.properties ? [message(25, named(1, value.properties, schema))] : []),
    ...extensions(31, value),
  ];
}
