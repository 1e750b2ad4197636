/** The texts of OpenAPI against the definitions that they tell of. */
import test from 'ava';
import { DEFINITION_TEXTS } from '../generated/definitions.ts';
import { definition } from '../schema/definitions.ts';
import { TABLES, withDescriptions } from './descriptions/index.ts';
import type { SchemaFacts } from './source.ts';

/** Prefixes of definitions that have no texts yet. */
const UNDESCRIBED = [
  'io.k8s.api.admissionregistration.v1.',
  'io.k8s.api.apps.v1.',
  'io.k8s.api.authentication.v1.',
  'io.k8s.api.authorization.v1.',
  'io.k8s.api.autoscaling.v1.',
  'io.k8s.api.autoscaling.v2.',
  'io.k8s.api.batch.v1.',
  'io.k8s.api.certificates.v1.',
  'io.k8s.api.coordination.v1.',
  'io.k8s.api.discovery.v1.',
  'io.k8s.api.events.v1.',
  'io.k8s.api.flowcontrol.v1.',
  'io.k8s.api.networking.v1.',
  'io.k8s.api.node.v1.',
  'io.k8s.api.policy.v1.',
  'io.k8s.api.rbac.v1.',
  'io.k8s.api.scheduling.v1.',
  'io.k8s.api.storage.v1.',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.',
  'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.',
];
const LENGTH_MAX = 600;

const NAMES = Object.keys(DEFINITION_TEXTS);
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
  const isExpected = (what: string) => !UNDESCRIBED.some(prefix => what.startsWith(prefix));
  const missing = [...said].filter(([what, text]) => text === undefined && isExpected(what)).map(([what]) => what);
  t.deepEqual(missing, []);
});

test('what is all described is not on the list of what is not', t => {
  const described = UNDESCRIBED.filter(prefix => {
    const texts = [...said].filter(([what]) => what.startsWith(prefix)).map(([, text]) => text);
    return texts.every(text => text !== undefined);
  });
  t.deepEqual(described, []);
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
