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
import { definitionsOf, descriptionOf, parameterType, wordsDescribed } from './v2.ts';

export interface V3Document {
  readonly openapi: '3.0.0';
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, object>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Document by group version: `api/v1`, `apis/apps/v1`. */
export function openApiV3(source: OpenApiSource): ReadonlyMap<string, V3Document> {
  const documents = new Map<string, V3Document>();
  for (const groupVersion of new Set(source.kinds.map(groupVersionPath))) {
    const kinds = source.kinds.filter(kind => groupVersionPath(kind) === groupVersion);
    documents.set(
      groupVersion,
      v3Document({
        ...source,
        kinds,
        definition: name => source.definition(name),
        hasDefinition: name => source.hasDefinition(name),
        ...(source.describe && { describe: source.describe }),
      }),
    );
  }
  return documents;
}

/** The document of a path that is no resource, by its name in `plainPaths`. */
export function openApiV3Plain(source: OpenApiSource, plain: PlainPath): V3Document {
  const names = plain.schema === undefined ? [] : reachable([plain.schema], name => source.definition(name));
  return {
    openapi: '3.0.0',
    info: { title: source.title, version: source.version },
    paths: { [plain.path]: v3PlainPath(plain) },
    components: { schemas: Object.fromEntries(names.map(name => [name, v3Schema(shownDefinition(source, name))])) },
  };
}

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

function v3Document(source: OpenApiSource): V3Document {
  const paths = pathsOf(source);
  const lists = resourceListPaths(source.kinds);
  const listSchemas = lists.flatMap(({ schema }) => schema ?? []).filter(name => source.hasDefinition(name));
  const names = definitionsOf(paths, source, listSchemas);
  return {
    openapi: '3.0.0',
    info: { title: source.title, version: source.version },
    paths: Object.fromEntries([
      ...lists.map(path => [path.path, v3PlainPath(path)]),
      ...paths.map(path => [path.path, pathItem(path)]),
    ]),
    components: { schemas: Object.fromEntries(names.map(name => [name, v3Schema(shownDefinition(source, name))])) },
  };
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
function v3Schema(schema: SchemaFacts): object {
  const { $ref, items, properties, additionalProperties, ...rest } = schema;
  const reference = $ref && { $ref: `${V3_REF_PREFIX}${$ref.slice(REF_PREFIX.length)}` };
  if (reference) return Object.keys(rest).length === 0 ? reference : { allOf: [reference], ...rest };
  return {
    ...rest,
    ...wordsDescribed(rest),
    ...(items && { items: v3Schema(items) }),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, v3Schema(property)])),
    }),
    ...(additionalProperties && { additionalProperties: v3Schema(additionalProperties) }),
  };
}
