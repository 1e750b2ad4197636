/** The texts of OpenAPI against the definitions that they tell of. */
import test from 'ava';
import { definition, definitionNames } from '../schema/definitions.ts';
import { TABLES, withDescriptions } from './descriptions/index.ts';
import type { SchemaFacts } from './source.ts';

const LENGTH_MAX = 600;

const NAMES = definitionNames();
type Described = SchemaFacts & { readonly description?: string };
/** Texts by what they describe: `io.k8s.api.core.v1.Pod`, `io.k8s.api.core.v1.Pod spec`. */
const said = new Map<string, string | undefined>(
  NAMES.flatMap(name => {
    const { description, properties } = withDescriptions(name, definition(name)) as Described;
    const fields = Object.entries(properties ?? {}) as [string, Described][];
    return [
      [name, description],
      ...fields.map(([field, of]) => [`${name} ${field}`, of.description] as const),
    ] as const;
  }),
);

test('every definition and every field has a text', t => {
  const missing = [...said].filter(([, text]) => text === undefined).map(([what]) => what);
  t.deepEqual(missing, []);
});

test('the tables tell of definitions and fields that there are, each in one place', t => {
  const entries = TABLES.flatMap(({ prefix, texts }) =>
    Object.entries(texts).flatMap(([name, { itself: _, ...fields }]) => [
      `${prefix}${name}`,
      ...Object.keys(fields).map(field => `${prefix}${name} ${field}`),
    ]),
  );
  t.deepEqual(
    entries.filter(what => !said.has(what)),
    [],
  );
  t.deepEqual(
    entries.filter((what, index) => entries.indexOf(what) !== index),
    [],
  );
});

test('texts are short and end as sentences do', t => {
  const wrong = [...said].filter(
    ([, text]) => text !== undefined && (text.length > LENGTH_MAX || !/^\S.*[.:!]$|^\S.*\.\)$/s.test(text)),
  );
  t.deepEqual(wrong, []);
});

test('what is described keeps its shape', t => {
  for (const name of NAMES) {
    const bare = (schema: Described): SchemaFacts => {
      const { description: _, ...rest } = schema;
      return rest;
    };
    const { properties, ...rest } = withDescriptions(name, definition(name)) as Described;
    const fields = properties && Object.fromEntries(Object.entries(properties).map(([key, each]) => [key, bare(each)]));
    t.deepEqual({ ...bare(rest), ...(fields && { properties: fields }) }, definition(name) as SchemaFacts, name);
  }
});
