/**
 * How the versions of custom resources stand in OpenAPI documents (apiextensions-apiserver pkg/controller/openapi/builder):
 * the schema with what every object has. Version 2 knows less, and old clients refuse more, so much is left out there.
 */
import type { SchemaFacts } from '../openapi/source.ts';
import { isJsonObject, itemsOf, type JsonObject, type JsonSchema, valuesOf } from './schema.ts';

export interface PublishedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly listKind: string;
  /** The name of the schema. */
  readonly definition: string;
  readonly selectableFields: readonly string[];
}

const REF = '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.';
const DOCS = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md';

const TEXTS = {
  apiVersion: `APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: ${DOCS}#resources`,
  kind: `Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ${DOCS}#types-kinds`,
  metadata: `Standard object's metadata. More info: ${DOCS}#metadata`,
  listMetadata: `Standard list metadata. More info: ${DOCS}#types-kinds`,
} as const;

const TYPE_META = {
  apiVersion: { type: 'string', description: TEXTS.apiVersion },
  kind: { type: 'string', description: TEXTS.kind },
};
const EMBEDDED_META = {
  apiVersion: {
    type: 'string',
    description: `apiVersion defines the versioned schema of this representation of an object. More info: ${DOCS}#resources`,
  },
  kind: {
    type: 'string',
    description: `kind is a string value representing the type of this object. In CamelCase. More info: ${DOCS}#types-kinds`,
  },
};
const OBJECT_META = { $ref: `${REF}ObjectMeta`, description: TEXTS.metadata };

export type OpenApiVersion = 'v2' | 'v3';

/** The schema of a version's objects. `schema` is the whole one, with its descriptions. */
export function publishedSchema(kind: PublishedKind, schema: JsonSchema, target: OpenApiVersion): SchemaFacts {
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true;
  // kubectl takes what has properties for closed: an open object has none in version 2.
  if (target === 'v2' && keepsUnknown) return { type: 'object', ...gvkOf(kind, kind.kind) } as SchemaFacts;
  const shown = withEmbedded(target === 'v2' ? forV2(schema) : schema, target);
  const { properties } = shown;
  return {
    ...shown,
    properties: { ...(properties as JsonObject), ...TYPE_META, metadata: OBJECT_META },
    ...gvkOf(kind, kind.kind),
  } as SchemaFacts;
}

export function publishedList(kind: PublishedKind): SchemaFacts {
  const items = {
    type: 'array',
    description: `List of ${kind.plural}. More info: ${DOCS}`,
    items: { $ref: `#/definitions/${kind.definition}` },
  };
  return {
    type: 'object',
    description: `${kind.listKind} is a list of ${kind.kind}`,
    required: ['items'],
    properties: { ...TYPE_META, items, metadata: { $ref: `${REF}ListMeta`, description: TEXTS.listMetadata } },
    ...gvkOf(kind, kind.listKind),
  } as SchemaFacts;
}

function gvkOf({ group, version, selectableFields }: PublishedKind, kind: string): object {
  return {
    'x-kubernetes-group-version-kind': [{ group, version, kind }],
    ...(selectableFields.length > 0 && {
      'x-kubernetes-selectable-fields': selectableFields.map(path => ({ fieldPath: path.replace(/^\./, '') })),
    }),
  };
}

/** What version 2 has no words for, and what is looked at one by one. */
const NOT_COPIED: ReadonlySet<string> = new Set(
  'allOf anyOf oneOf not nullable default example items properties additionalProperties'.split(' '),
);

function forV2(schema: JsonSchema): JsonSchema {
  const kept: JsonObject = {};
  for (const [word, value] of Object.entries(schema)) if (!NOT_COPIED.has(word)) kept[word] = value;
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true;
  // What has no type must have neither items nor properties, else kubectl cannot read it.
  const isOpen = schema.nullable === true || keepsUnknown;
  const items = itemsOf(schema);
  const values = valuesOf(schema);
  if (items && !isOpen) kept.items = forV2(items);
  if (schema.properties && !isOpen) {
    kept.properties = Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, forV2(one)]));
  }
  if (values) kept.additionalProperties = forV2(values);
  else if (schema.additionalProperties !== undefined && !isOpen) kept.additionalProperties = {};
  const isListOfAnything = schema.type === 'array' && kept.items === undefined;
  const isOpenObject = keepsUnknown && schema.type === 'object';
  if (schema.nullable === true || isListOfAnything || isOpenObject) delete kept.type;
  if (schema['x-kubernetes-int-or-string']) delete kept.type;
  const required = (schema.required ?? []).filter(name => !schema.properties?.[name]?.nullable);
  if (required.length === 0 || values?.nullable) delete kept.required;
  else kept.required = required;
  return kept as JsonSchema;
}

/** Objects within the object have kind, apiVersion and metadata too. */
function withEmbedded(schema: JsonSchema, target: OpenApiVersion): JsonSchema {
  const { properties } = schema;
  const items = itemsOf(schema);
  const values = valuesOf(schema);
  const shown: JsonObject = {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, one]) => [name, isJsonObject(one) ? withEmbedded(one, target) : one]),
      ),
    }),
    ...(items && { items: withEmbedded(items, target) }),
    ...(values && { additionalProperties: withEmbedded(values, target) }),
  };
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true && target === 'v2';
  if (!schema['x-kubernetes-embedded-resource'] || isOpen) return shown as JsonSchema;
  const required = new Set([...(schema.required ?? []), 'kind', 'apiVersion']);
  const own = shown.properties as JsonObject | undefined;
  return {
    ...shown,
    properties: { ...own, ...EMBEDDED_META, metadata: OBJECT_META },
    required: [...required],
  } as JsonSchema;
}
