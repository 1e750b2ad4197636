/** OpenAPI v3: an index (`/openapi/v3`) and one document a group version (`/openapi/v3/apis/apps/v1`). */

import { type PlainPath, resourceListPaths, v3PlainPath } from './discovery-paths.ts';
import { type Operation, type PathOperations, pathsOf } from './operations.ts';
import {
  groupVersionPath,
  type OpenApiSource,
  REF_PREFIX,
  reachable,
  type SchemaFacts,
  shownDefinition,
} from './source.ts';
import { definitionsOf, descriptionOf, parameterType, wordsOf } from './v2.ts';

export interface V3Document {
  readonly openapi: '3.0.0';
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, object>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Document by group version: `api/v1`, `apis/apps/v1`. All of it at once: see {@link partsOfV3}. */
export function openApiV3(source: OpenApiSource): ReadonlyMap<string, V3Document> {
  const documents = new Map<string, V3Document>();
  for (const groupVersion of new Set(source.kinds.map(groupVersionPath))) {
    const paths: Record<string, object> = {};
    const schemas: Record<string, object> = {};
    for (const part of partsOfV3(source, groupVersion)) {
      if ('path' in part) paths[part.path] = part.item;
      else schemas[part.definition] = part.schema;
    }
    documents.set(groupVersion, { ...frameOfV3(source), paths, components: { schemas } });
  }
  return documents;
}

/** One path or one schema of a document. */
export type V3Part =
  | { readonly path: string; readonly item: object }
  | { readonly definition: string; readonly schema: object };

/** The paths and schemas of a group version's document, one after the other, for whoever must not do all the work in one go. */
export function* partsOfV3(all: OpenApiSource, groupVersion: string): Generator<V3Part> {
  const kinds = all.kinds.filter(kind => groupVersionPath(kind) === groupVersion);
  const source: OpenApiSource = {
    ...all,
    kinds,
    definition: name => all.definition(name),
    hasDefinition: name => all.hasDefinition(name),
    ...(all.isAsWritten && { isAsWritten: name => all.isAsWritten?.(name) ?? false }),
    ...(all.describe && { describe: (name, schema) => all.describe?.(name, schema) ?? schema }),
  };
  const paths = pathsOf(source);
  const lists = resourceListPaths(kinds);
  for (const path of lists) yield { path: path.path, item: v3PlainPath(path) };
  for (const path of paths) yield { path: path.path, item: pathItem(path) };
  const listSchemas = lists.flatMap(({ schema }) => schema ?? []).filter(name => source.hasDefinition(name));
  for (const name of definitionsOf(paths, source, listSchemas)) yield schemaPart(source, name);
}

/** The same of a path that is no resource, by its name in `plainPaths`. */
export function* partsOfV3Plain(source: OpenApiSource, plain: PlainPath): Generator<V3Part> {
  yield { path: plain.path, item: v3PlainPath(plain) };
  const names = plain.schema === undefined ? [] : reachable([plain.schema], name => source.definition(name));
  for (const name of names) yield schemaPart(source, name);
}

const schemaPart = (source: OpenApiSource, name: string): V3Part => ({
  definition: name,
  schema: v3Schema(shownDefinition(source, name), wordsOf(source, name)),
});

/** All of a document but its paths and schemas. */
export const frameOfV3 = ({ title, version }: OpenApiSource): Pick<V3Document, 'openapi' | 'info'> => ({
  openapi: '3.0.0',
  info: { title, version },
});

/**
 * The index of the documents.
 * @param hashes By group version: a hash of the document's bytes, upper-case hex as Kubernetes has it.
 */
export function openApiV3Index(hashes: ReadonlyMap<string, string>): object {
  const entries = [...hashes].map(([groupVersion, hash]) => [
    groupVersion,
    { serverRelativeURL: `/openapi/v3/${groupVersion}?hash=${hash}` },
  ]);
  return { paths: Object.fromEntries(entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))) };
}

function pathItem({ parameters, operations }: PathOperations): object {
  const entries = [...operations].map(([verb, operation]) => [verb, v3Operation(operation)]);
  const own = parameters.map(name => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }));
  return { ...Object.fromEntries(entries), ...(own.length > 0 && { parameters: own }) };
}

function v3Operation(operation: Operation): object {
  const { kind, body } = operation;
  const group = kind.group === '' ? 'core' : kind.group.replace(/\.k8s\.io$/, '').replaceAll('.', '');
  return {
    tags: [`${group}_${kind.version}`],
    operationId: operation.operationId,
    parameters: operation.query.map(name => ({
      name,
      in: 'query',
      schema: { type: parameterType(name), uniqueItems: true },
    })),
    ...(body && {
      requestBody: {
        content: contentOf(operation.consumes, body),
        ...(!operation.isBodyOptional && { required: true }),
      },
    }),
    responses: Object.fromEntries(
      [...operation.responses].map(([code, name]) => [
        String(code),
        { description: descriptionOf(code), content: contentOf(operation.produces, name) },
      ]),
    ),
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': kind,
  };
}

function contentOf(mediaTypes: readonly string[], name: string | undefined): object {
  const schema = name ? { $ref: `${V3_REF_PREFIX}${name}` } : { type: 'string' };
  return Object.fromEntries(mediaTypes.map(type => [type, { schema }]));
}

const V3_REF_PREFIX = '#/components/schemas/';

/** In v3 nothing may stand beside `$ref`, so that a default wraps it in `allOf`. */
function v3Schema(schema: SchemaFacts, words: ReturnType<typeof wordsOf>): object {
  const { $ref, items, properties, additionalProperties, ...rest } = schema;
  const reference = $ref && { $ref: `${V3_REF_PREFIX}${$ref.slice(REF_PREFIX.length)}` };
  if (reference) return Object.keys(rest).length === 0 ? reference : { allOf: [reference], ...rest };
  return {
    ...rest,
    ...words(rest),
    ...(items && { items: v3Schema(items, words) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, v3Schema(property, words)]),
      ),
    }),
    ...(additionalProperties && { additionalProperties: v3Schema(additionalProperties, words) }),
  };
}
