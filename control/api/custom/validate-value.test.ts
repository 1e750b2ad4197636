/** Values against schemas: the sentences of Kubernetes, and what an update may leave as wrong as it was. */
import test from 'ava';
import type { JsonSchema } from './schema.ts';
import { validateValue } from './validate-value.ts';

const told = (value: unknown, schema: JsonSchema, old?: unknown): string[] =>
  validateValue(value, schema, { field: '' }, old === undefined ? undefined : { value: old }).map(
    ({ field, message }) => `${field}: ${message}`,
  );
const within = (property: JsonSchema, more: JsonSchema = {}): JsonSchema => ({
  type: 'object',
  properties: { a: property },
  ...more,
});

const CASES: readonly (readonly [title: string, schema: JsonSchema, value: unknown, sentences: readonly string[]])[] = [
  ['a right value', within({ type: 'integer', minimum: 1 }), { a: 1 }, []],
  [
    'a wrong type',
    within({ type: 'integer' }),
    { a: 'x' },
    ['a: Invalid value: "string": a in body must be of type integer: "string"'],
  ],
  ['a whole number is a number', within({ type: 'number' }), { a: 1 }, []],
  [
    'a fraction is no integer',
    within({ type: 'integer' }),
    { a: 1.5 },
    ['a: Invalid value: "number": a in body must be of type integer: "number"'],
  ],
  ['null where it may be', within({ type: 'string', nullable: true }), { a: null }, []],
  [
    'null where it may not be',
    within({ type: 'string' }),
    { a: null },
    ['a: Invalid value: "null": a in body must be of type string: "null"'],
  ],
  [
    'an integer or a text',
    within({ 'x-kubernetes-int-or-string': true }),
    { a: true },
    ['a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"'],
  ],
  ['lengths count characters', within({ type: 'string', maxLength: 2 }), { a: '\u{1F600}\u{1F600}' }, []],
  [
    'too long a text is told before its pattern',
    within({ type: 'string', maxLength: 1, pattern: '^b' }),
    { a: 'aa' },
    ['a: Too long: may not be more than 1 bytes'],
  ],
  [
    "a pattern in Go's meaning",
    within({ type: 'string', pattern: '^[a-z]+$' }),
    { a: 'A' },
    ['a: Invalid value: "A": a in body should match \'^[a-z]+$\''],
  ],
  [
    'a format',
    within({ type: 'string', format: 'ipv4' }),
    { a: '1.2.3' },
    ['a: Invalid value: "1.2.3": a in body must be of type ipv4: "1.2.3"'],
  ],
  ['an unknown format says nothing', within({ type: 'string', format: 'nonsense' }), { a: 'x' }, []],
  [
    'a number too large for its format',
    within({ type: 'integer', format: 'int32' }),
    { a: 3_000_000_000 },
    ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in a'],
  ],
  ['multiples in decimal', within({ type: 'number', multipleOf: 0.1 }), { a: 0.3 }, []],
  [
    'exclusive bounds',
    within({ type: 'integer', maximum: 3, exclusiveMaximum: true }),
    { a: 3 },
    ['a: Invalid value: 3: a in body should be less than 3'],
  ],
  [
    'enums of several types',
    within({ enum: ['x', 2] }),
    { a: 3 },
    ['a: Unsupported value: 3: supported values: "x", "2"'],
  ],
  [
    'required fields',
    within({ type: 'string' }, { required: ['a', 'b'] }),
    {},
    ['a: Required value', 'b: Required value'],
  ],
  ['a default makes up for a required field', within({ type: 'string', default: 'x' }, { required: ['a'] }), {}, []],
  [
    'sizes of maps',
    { type: 'object', additionalProperties: { type: 'string' }, minProperties: 2 },
    { a: 'x' },
    ['<nil>: Invalid value: 1:  in body should have at least 2 properties'],
  ],
  [
    'any of',
    within({ anyOf: [{ minimum: 5 }, { maximum: 1 }], type: 'integer' }),
    { a: 3 },
    [
      '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
      'a: Invalid value: 3: a in body should be greater than or equal to 5',
    ],
  ],
  [
    'all of',
    within({ allOf: [{ minimum: 5 }, { maximum: 9 }], type: 'integer' }),
    { a: 3 },
    [
      'a: Invalid value: 3: a in body should be greater than or equal to 5',
      '<nil>: Invalid value: "": "a" must validate all the schemas (allOf)',
    ],
  ],
  [
    'not',
    within({ not: { enum: ['x'] }, type: 'string' }),
    { a: 'x' },
    ['<nil>: Invalid value: "": "a" must not validate the schema (not)'],
  ],
  ['fields named as what objects have by birth', { type: 'object', properties: {} }, { constructor: 1 }, []],
];

for (const [title, schema, value, sentences] of CASES) {
  test(title, t => t.deepEqual(told(value, schema), [...sentences]));
}

test('an update may leave what was wrong before, where it can be told to be the same', t => {
  const item: JsonSchema = {
    type: 'object',
    required: ['k'],
    properties: { k: { type: 'string' }, v: { type: 'integer', maximum: 5 } },
  };
  const keyed: JsonSchema = {
    type: 'object',
    properties: {
      list: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items: item },
      plain: { type: 'array', items: { type: 'integer', maximum: 5 } },
      deep: { type: 'object', properties: { n: { type: 'integer', maximum: 5 }, m: { type: 'integer', maximum: 5 } } },
    },
  };
  t.deepEqual(told({ deep: { n: 9, m: 1 } }, keyed, { deep: { n: 9, m: 2 } }), []);
  t.is(told({ deep: { n: 9, m: 8 } }, keyed, { deep: { n: 9, m: 2 } }).length, 1);
  const moved = {
    list: [
      { k: 'b', v: 1 },
      { k: 'a', v: 9 },
    ],
  };
  t.deepEqual(told(moved, keyed, { list: [{ k: 'a', v: 9 }] }), []);
  t.is(told({ plain: [9, 1] }, keyed, { plain: [9] }).length, 1, 'items of a plain list cannot be told apart');
  t.deepEqual(told({ plain: [9] }, keyed, { plain: [9] }), []);
});
