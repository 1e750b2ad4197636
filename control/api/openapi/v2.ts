/** OpenAPI v2 (`/openapi/v2`), as JSON. `gnostic.ts` makes the protobuf form that kubectl up to 1.28 insists on. */

import { plainPaths, resourceListPaths, v2PlainPath } from './discovery-paths.ts';
import { BOOLEAN_PARAMETERS, INTEGER_PARAMETERS, type Operation, type PathOperations, pathsOf } from './operations.ts';
import { type OpenApiSource, REF_PREFIX, reachable, type SchemaFacts, shownDefinition } from './source.ts';

export interface V2Parameter {
  readonly name: string;
  readonly in: 'body' | 'path' | 'query';
  readonly required?: boolean;
  readonly type?: string;
  readonly uniqueItems?: boolean;
  readonly schema?: V2Schema;
}
export interface V2Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly schemes: readonly string[];
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  readonly parameters: readonly V2Parameter[];
  readonly responses: Readonly<Record<string, { readonly description: string; readonly schema?: V2Schema }>>;
  /** Only of operations on resources. */
  readonly 'x-kubernetes-action'?: string;
  readonly 'x-kubernetes-group-version-kind'?: object;
}
export interface V2PathItem {
  readonly parameters?: readonly V2Parameter[];
  readonly get?: V2Operation;
  readonly put?: V2Operation;
  readonly post?: V2Operation;
  readonly patch?: V2Operation;
  readonly delete?: V2Operation;
  readonly head?: V2Operation;
  readonly options?: V2Operation;
}
export interface V2Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly items?: V2Schema;
  readonly properties?: Readonly<Record<string, V2Schema>>;
  readonly additionalProperties?: V2Schema;
  readonly [extension: `x-${string}`]: unknown;
}
export interface V2Document {
  readonly swagger: '2.0';
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, V2PathItem>>;
  readonly definitions: Readonly<Record<string, V2Schema>>;
  /** Shared ones; each of ours stands where it is used. */
  readonly parameters: Readonly<Record<string, V2Parameter>>;
  readonly securityDefinitions: Readonly<Record<string, object>>;
  readonly security: readonly object[];
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** The schemas that the operations name, those of `besides`, and all that those reach. */
export function definitionsOf(
  paths: readonly PathOperations[],
  source: OpenApiSource,
  besides: readonly string[] = [],
): string[] {
  const roots = new Set([`${META}Status`, ...besides]);
  for (const { operations } of paths) {
    for (const { body, responses } of operations.values()) {
      for (const name of [body, ...responses.values()]) if (name !== undefined) roots.add(name);
    }
  }
  for (const kind of source.kinds) roots.add(kind.definition);
  return reachable(roots, name => source.definition(name));
}

/** The whole document, all at once: see {@link partsOfV2}. */
export function openApiV2(source: OpenApiSource): V2Document {
  const paths: Record<string, V2PathItem> = {};
  const definitions: Record<string, V2Schema> = {};
  for (const part of partsOfV2(source)) {
    if ('path' in part) paths[part.path] = part.item;
    else definitions[part.definition] = part.schema;
  }
  return { ...frameOfV2(source), paths, definitions };
}

/** One path or one schema of a document. */
export type V2Part =
  | { readonly path: string; readonly item: V2PathItem }
  | { readonly definition: string; readonly schema: V2Schema };

/**
 * The paths and schemas of a document, one after the other, for whoever must not do all the work in one go; paths come first.
 * What `besides` has by name is passed over.
 */
export function* partsOfV2(source: OpenApiSource, besides: ReadonlySet<string> = new Set()): Generator<V2Part> {
  const paths = pathsOf(source);
  const plain = [...plainPaths(source.kinds.map(({ group }) => group)).values(), ...resourceListPaths(source.kinds)];
  for (const path of plain) if (!besides.has(path.path)) yield { path: path.path, item: v2PlainPath(path) };
  for (const path of paths) if (!besides.has(path.path)) yield { path: path.path, item: pathItem(path) };
  const plainSchemas = plain.flatMap(({ schema }) => schema ?? []).filter(name => source.hasDefinition(name));
  for (const name of definitionsOf(paths, source, plainSchemas)) {
    if (!besides.has(name))
      yield { definition: name, schema: v2Schema(shownDefinition(source, name), wordsOf(source, name)) };
  }
}

/** All of a document but its paths and schemas. */
export function frameOfV2(source: Pick<OpenApiSource, 'title' | 'version'>): Omit<V2Document, 'paths' | 'definitions'> {
  return {
    swagger: '2.0',
    info: { title: source.title, version: source.version },
    parameters: {},
    securityDefinitions: {
      BearerToken: {
        description: 'Bearer Token authentication',
        in: 'header',
        name: 'authorization',
        type: 'apiKey',
      },
    },
    security: [{ BearerToken: [] }],
  };
}

function pathItem({ parameters, operations }: PathOperations): V2PathItem {
  const entries = [...operations].map(([verb, operation]) => [verb, v2Operation(operation)]);
  const own = parameters.map(
    (name): V2Parameter => ({ name, in: 'path', required: true, type: 'string', uniqueItems: true }),
  );
  return { ...Object.fromEntries(entries), ...(own.length > 0 && { parameters: own }) };
}

function v2Operation(operation: Operation): V2Operation {
  const { kind } = operation;
  const query = operation.query.map(
    (name): V2Parameter => ({ name, in: 'query', type: parameterType(name), uniqueItems: true }),
  );
  const body: V2Parameter[] = operation.body
    ? [
        {
          name: 'body',
          in: 'body',
          required: !operation.isBodyOptional,
          schema: { $ref: `${REF_PREFIX}${operation.body}` },
        },
      ]
    : [];
  return {
    operationId: operation.operationId,
    tags: [`${kind.group === '' ? 'core' : kind.group.replace(/\.k8s\.io$/, '').replaceAll('.', '')}_${kind.version}`],
    schemes: ['https'],
    consumes: operation.consumes,
    produces: operation.produces,
    parameters: [...body, ...query],
    responses: Object.fromEntries(
      [...operation.responses].map(([code, name]) => [
        String(code),
        { description: descriptionOf(code), schema: name ? { $ref: `${REF_PREFIX}${name}` } : { type: 'string' } },
      ]),
    ),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': kind,
  };
}

export function parameterType(name: string): 'boolean' | 'integer' | 'string' {
  if (BOOLEAN_PARAMETERS.has(name)) return 'boolean';
  return INTEGER_PARAMETERS.has(name) ? 'integer' : 'string';
}

export function descriptionOf(code: number): string {
  return code === 201 ? 'Created' : code === 202 ? 'Accepted' : 'OK';
}

/** The words that a field takes, behind what else is said of it: Kubernetes has them there too, and scripts look for them. */
function wordsDescribed({ type, enum: words, description }: SchemaFacts): { description?: string } {
  if (type !== 'string' || !words) return {};
  const list = `Possible enum values:\n${words.map(word => ` - \`"${word}"\``).join('\n')}`;
  return { description: description === undefined ? list : `${description}\n\n${list}` };
}

/** What adds the words to the fields of a definition. */
export function wordsOf(source: OpenApiSource, name: string): typeof wordsDescribed {
  return source.isAsWritten?.(name) ? () => ({}) : wordsDescribed;
}

/** v2 knows neither defaults beside references nor `oneOf`: a number that may be text is text there. */
function v2Schema(schema: SchemaFacts, words: typeof wordsDescribed): V2Schema {
  const { default: _default, oneOf, items, properties, additionalProperties, ...rest } = schema;
  return {
    ...rest,
    ...(oneOf && { type: 'string' }),
    ...words(rest),
    ...(items && { items: v2Schema(items, words) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, v2Schema(property, words)]),
      ),
    }),
    ...(additionalProperties && { additionalProperties: v2Schema(additionalProperties, words) }),
  };
}
