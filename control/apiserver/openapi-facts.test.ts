/**
 * OpenAPI against what a Kubernetes v1.33 server publishes: every path with its operations, and every definition in shape
 * (all but the descriptions). What is ours beyond it stands in {@link OURS}. Skipped where the facts are not at hand.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { createHarness } from './testing/harness.ts';

const FACTS = new URL('../../../shared/api/', import.meta.url);
const whenFacts = existsSync(FACTS) ? test : test.skip;
const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, FACTS), 'utf8')) as T;

/** Old versions of workloads that we serve and Kubernetes does not any more. */
const OURS = /extensions(\.|\/)v1beta1|^\/apis\/extensions\/$/;

type Tree = { readonly [key: string]: unknown };
interface RecordedOperation {
  readonly operationId: string;
  readonly action?: string;
  readonly gvk?: string;
  readonly query?: string;
  readonly body?: string;
  readonly responses: Readonly<Record<string, string>>;
}
interface Paths {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RecordedOperation>>>>;
  readonly sets: { readonly query: Readonly<Record<string, readonly string[]>> };
}
interface ServedOperation {
  readonly operationId: string;
  readonly 'x-kubernetes-action'?: string;
  readonly 'x-kubernetes-group-version-kind'?: {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  };
  readonly parameters: readonly {
    readonly in: string;
    readonly name: string;
    readonly schema?: { readonly $ref?: string };
  }[];
  readonly responses: Readonly<
    Record<string, { readonly schema?: { readonly $ref?: string; readonly type?: string } }>
  >;
}
interface V2 {
  readonly paths: Readonly<Record<string, Readonly<Record<string, ServedOperation>>>>;
  readonly definitions: Readonly<Record<string, Tree>>;
}

const nameOf = (reference: string | undefined) => reference?.replace('#/definitions/', '');

/** An operation as the facts tell it. */
function told({ operationId, parameters, responses, ...rest }: ServedOperation) {
  const kind = rest['x-kubernetes-group-version-kind'];
  return {
    operationId,
    action: rest['x-kubernetes-action'],
    gvk: kind && `${kind.group ? `${kind.group}/` : ''}${kind.version}/${kind.kind}`,
    query: parameters.flatMap(each => (each.in === 'query' ? each.name : [])).sort(),
    body: nameOf(parameters.find(each => each.in === 'body')?.schema?.$ref),
    responses: Object.fromEntries(
      Object.entries(responses).flatMap(([code, { schema }]) =>
        code === '401' ? [] : [[code, nameOf(schema?.$ref) ?? schema?.type]],
      ),
    ),
  };
}

whenFacts('every path has the operations of Kubernetes, and there is none besides', async t => {
  const { call, close } = await createHarness();
  t.teardown(close);
  const { paths, sets } = read<Paths>('paths.json');
  const served = (JSON.parse((await call('GET', '/openapi/v2')).text) as V2).paths;
  const own = Object.keys(served).filter(path => !OURS.test(path));
  t.deepEqual(own.sort(), Object.keys(paths).sort());
  for (const [path, operations] of Object.entries(paths)) {
    const { parameters: _, ...ours } = served[path] ?? {};
    t.deepEqual(Object.keys(ours).sort(), Object.keys(operations).sort(), path);
    for (const [verb, { operationId, action, gvk, query, body, responses }] of Object.entries(operations)) {
      const wanted = { operationId, action, gvk, query: [...(sets.query[query ?? ''] ?? [])].sort(), body, responses };
      const operation = ours[verb];
      if (operation) t.deepEqual(told(operation), wanted, `${verb} ${path}`);
    }
  }
});

/** A schema of a document, with the references of facts and without prose; what `allOf` wraps around a reference is undone. */
function shape(schema: unknown): unknown {
  if (Array.isArray(schema) || typeof schema !== 'object' || schema === null) return schema;
  const { allOf, ...rest } = schema as Tree & { readonly allOf?: readonly Tree[] };
  const whole: Tree = { ...rest, ...(allOf?.length === 1 && allOf[0]) };
  const inner = (key: string, value: unknown) => {
    if (key === '$ref') return String(value).replace('#/components/schemas/', '#/definitions/');
    if (key === 'properties') return byName(value as Tree, shape);
    return key === 'items' || key === 'additionalProperties' ? shape(value) : value;
  };
  const entries = Object.entries(whole).filter(([key]) => key !== 'description');
  return Object.fromEntries(entries.map(([key, value]) => [key, inner(key, value)]));
}

const byName = (properties: Tree, one: (schema: unknown) => unknown) =>
  Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, one(property)]));

/** Version 2 knows no defaults here, and says text where numbers may be text. */
function shapeInV2(schema: unknown): unknown {
  if (Array.isArray(schema) || typeof schema !== 'object' || schema === null) return schema;
  const { default: _, oneOf, ...rest } = schema as Tree;
  const whole: Tree = { ...rest, ...(oneOf !== undefined && { type: 'string' }) };
  const inner = (key: string, value: unknown) => {
    if (key === 'items' || key === 'additionalProperties') return shapeInV2(value);
    return key === 'properties' ? byName(value as Tree, shapeInV2) : value;
  };
  return Object.fromEntries(Object.entries(whole).map(([key, value]) => [key, inner(key, value)]));
}

whenFacts('every definition has the shape of Kubernetes, in both versions', async t => {
  const { call, close } = await createHarness();
  t.teardown(close);
  const facts = read<Readonly<Record<string, Tree>>>('definitions.json');
  const get = async (path: string) => JSON.parse((await call('GET', path)).text) as unknown;
  const v2 = ((await get('/openapi/v2')) as V2).definitions;
  const v3 = new Map<string, Tree>();
  for (const path of Object.keys(((await get('/openapi/v3')) as { paths: Tree }).paths)) {
    const document = (await get(`/openapi/v3/${path}`)) as { components: { schemas: Readonly<Record<string, Tree>> } };
    for (const [name, schema] of Object.entries(document.components.schemas)) v3.set(name, schema);
  }
  const without = (names: Iterable<string>) => [...names].filter(name => !OURS.test(name)).sort();
  t.deepEqual(without(Object.keys(v2)), Object.keys(facts).sort());
  t.deepEqual(without(v3.keys()), Object.keys(facts).sort());
  for (const [name, schema] of Object.entries(facts)) {
    t.deepEqual(shape(v2[name]), shapeInV2(schema), `v2 ${name}`);
    t.deepEqual(shape(v3.get(name)), schema, `v3 ${name}`);
  }
});
