/** Pruning, nulls and defaults: properties that hold for all values, and the cases that surprise. */
import test from 'ava';
import fc from 'fast-check';
import { applyDefaults } from './defaults.ts';
import { pruneNulls, pruneObject } from './prune.ts';
import type { JsonObject, JsonSchema } from './schema.ts';
import { withoutProse } from './schema.ts';

const prunedOf = (
  value: JsonObject,
  schema: JsonSchema,
): { readonly value: JsonObject; readonly unknown: string[] } => {
  const unknown: string[] = [];
  const copy = structuredClone(value);
  pruneObject(copy, schema, path => unknown.push(path));
  return { value: copy, unknown };
};

const LEAF: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constant<JsonSchema>({ type: 'string', default: 'x' }),
  fc.constant<JsonSchema>({ type: 'integer' }),
  fc.constant<JsonSchema>({ type: 'string', nullable: true }),
  fc.constant<JsonSchema>({ 'x-kubernetes-preserve-unknown-fields': true }),
);
const KEY = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const { schema: SCHEMA } = fc.letrec<{ schema: JsonSchema }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    LEAF,
    fc.record({ type: fc.constant('object'), properties: fc.dictionary(KEY, tie('schema'), { maxKeys: 3 }) }),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc.record({ type: fc.constant('object'), additionalProperties: tie('schema') }),
  ) as fc.Arbitrary<JsonSchema>,
}));
const ROOT = fc.record({ type: fc.constant('object'), properties: fc.dictionary(KEY, SCHEMA, { maxKeys: 3 }) });
const { value: VALUE } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>(null, 1, 'x', true),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(KEY, tie('value'), { maxKeys: 3 }),
  ),
}));
const OBJECT = fc.dictionary(KEY, VALUE, { maxKeys: 4 }).map(value => JSON.parse(JSON.stringify(value)) as JsonObject);

test('what is pruned stays pruned, and the paths of what went are told once', t => {
  fc.assert(
    fc.property(ROOT, OBJECT, (schema, value) => {
      const once = prunedOf(value, schema);
      const twice = prunedOf(once.value, schema);
      t.deepEqual(twice.value, once.value);
      t.deepEqual(twice.unknown, []);
      t.is(new Set(once.unknown).size, once.unknown.length);
    }),
    { numRuns: 300 },
  );
});

test('defaults come in once, and nulls that may not be are gone', t => {
  fc.assert(
    fc.property(ROOT, OBJECT, (schema, value) => {
      const { value: object } = prunedOf(value, schema);
      pruneNulls(object, schema);
      applyDefaults(object, schema);
      const again = structuredClone(object);
      pruneNulls(again, schema);
      applyDefaults(again, schema);
      t.deepEqual(again, object);
    }),
    { numRuns: 300 },
  );
});

test('a default is copied: objects do not share it', t => {
  const schema: JsonSchema = { type: 'object', properties: { a: { type: 'object', default: { b: [] } } } };
  const first: JsonObject = {};
  const second: JsonObject = {};
  applyDefaults(first, schema);
  applyDefaults(second, schema);
  (first as { a: { b: unknown[] } }).a.b.push(1);
  t.deepEqual(second, { a: { b: [] } });
});

test('values of which nothing is told keep scalars only, as in Kubernetes', t => {
  const schema: JsonSchema = { type: 'object', properties: { m: { type: 'object', additionalProperties: true } } };
  t.deepEqual(prunedOf({ m: { a: 1, b: { c: 1 } } }, schema), { value: { m: { a: 1, b: {} } }, unknown: ['m.b.c'] });
});

test('an object within keeps its kind and metadata', t => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      e: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { s: { type: 'string' } } },
    },
  };
  const value = { e: { apiVersion: 'v1', kind: 'X', metadata: { name: 'n' }, s: 'x', t: 1 } };
  t.deepEqual(prunedOf(value, schema).unknown, ['e.t']);
});

test('a schema without its prose judges the same, and a property may be called description', t => {
  const schema: JsonSchema = {
    type: 'object',
    description: 'long',
    properties: {
      description: { type: 'string', description: 'longer' },
      list: { type: 'array', items: { title: 'x', type: 'string' } },
    },
    default: { description: 'kept' },
  };
  t.deepEqual(withoutProse(schema), {
    type: 'object',
    properties: { description: { type: 'string' }, list: { type: 'array', items: { type: 'string' } } },
    default: { description: 'kept' },
  });
});
