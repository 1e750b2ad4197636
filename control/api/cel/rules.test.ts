/** Rules of custom resources: what a definition is refused for, and what an object. */
import test from 'ava';
import { compileValidationRules } from './index.ts';
import type { RuleSchema } from './schema.ts';

const PATH = 'spec.validation.openAPIV3Schema';
type Rules = NonNullable<RuleSchema['x-kubernetes-validations']>;

const object = (properties: Record<string, RuleSchema>, ...rules: Rules): RuleSchema => ({
  type: 'object',
  properties,
  ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
});
const TEXT: RuleSchema = { type: 'string', maxLength: 20 };
const NUMBER: RuleSchema = { type: 'integer' };
const withRule = (schema: RuleSchema, rule: string, more: Partial<Rules[number]> = {}): RuleSchema => ({
  ...schema,
  'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), { rule, ...more }],
});

const texts = (errors: readonly { field: string; message: string }[]) =>
  errors.map(({ field, message }) => `${field}: ${message}`);
function compileErrors(schema: RuleSchema): string[] {
  return texts(compileValidationRules(schema, PATH).errors);
}
/** What an object is refused for. */
function judge(schema: RuleSchema, value: unknown, old?: unknown): string[] {
  const rules = compileValidationRules(schema, PATH);
  if (rules.errors.length > 0) throw new Error(texts(rules.errors).join('\n'));
  return texts(rules.validate(value, old, ''));
}

test('message, messageExpression, reason and fieldPath make the error', t => {
  const schema = object({
    spec: object(
      { min: NUMBER, max: NUMBER },
      { rule: 'self.min <= self.max', message: ' min must not be above max ' },
      { rule: 'self.min >= 0', messageExpression: "'min is ' + string(self.min)", fieldPath: '.min' },
      { rule: 'self.min != 7', reason: 'FieldValueDuplicate' },
      { rule: 'self.min != 8', reason: 'FieldValueRequired', message: 'not eight' },
      { rule: 'self.max != 9', reason: 'FieldValueForbidden' },
    ),
  });
  t.deepEqual(judge(schema, { spec: { min: 3, max: 2 } }), [
    'spec: Invalid value: "object": min must not be above max',
  ]);
  t.deepEqual(judge(schema, { spec: { min: -1, max: 2 } }), ['spec.min: Invalid value: "object": min is -1']);
  t.deepEqual(judge(schema, { spec: { min: 7, max: 9 } }), [
    'spec: Duplicate value: "object"',
    'spec: Forbidden: failed rule: self.max != 9',
  ]);
  t.deepEqual(judge(schema, { spec: { min: 8, max: 10 } }), ['spec: Required value: not eight']);
  t.deepEqual(
    judge(schema, { spec: { max: 1 } })[0],
    'spec: Invalid value: "object": no such key: min evaluating rule: min must not be above max',
  );
});

test('a message that cannot be computed is replaced', t => {
  const schema = object({
    a: {
      ...NUMBER,
      'x-kubernetes-validations': [{ rule: 'self > 5', messageExpression: 'string(1 / (self - self))' }],
    },
  });
  t.deepEqual(judge(schema, { a: 1 }), ['a: Invalid value: "integer": failed rule: self > 5']);
});

test('transition rules look at the old value, where there is one', t => {
  const schema = object({
    fixed: withRule(TEXT, 'self == oldSelf', { message: 'fixed' }),
    grows: withRule(NUMBER, 'oldSelf.hasValue() ? self >= oldSelf.value() : self == 0', { optionalOldSelf: true }),
  });
  t.deepEqual(judge(schema, { fixed: 'a' }), []);
  t.deepEqual(judge(schema, { fixed: 'a' }, { fixed: 'b' }), ['fixed: Invalid value: "string": fixed']);
  t.deepEqual(judge(schema, { fixed: 'a' }, {}), []);
  t.is(judge(schema, { grows: 1 }).length, 1);
  t.deepEqual(judge(schema, { grows: 0 }), []);
  t.deepEqual(judge(schema, { grows: 5 }, { grows: 4 }), []);
  t.is(judge(schema, { grows: 3 }, { grows: 4 }).length, 1);
});

test('elements of lists with keys are told apart; others have no old value', t => {
  const element = withRule(object({ k: TEXT, v: NUMBER }), 'self.v >= oldSelf.v', { message: 'shrunk' });
  const keyed: RuleSchema = {
    type: 'array',
    maxItems: 5,
    items: element,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
  };
  const schema = object({ l: keyed });
  const old = {
    l: [
      { k: 'a', v: 1 },
      { k: 'b', v: 2 },
    ],
  };
  t.deepEqual(
    judge(
      schema,
      {
        l: [
          { k: 'b', v: 2 },
          { k: 'a', v: 1 },
        ],
      },
      old,
    ),
    [],
  );
  t.deepEqual(judge(schema, { l: [{ k: 'b', v: 1 }] }, old), ['l[0]: Invalid value: "object": shrunk']);
  const plain = object({ l: { type: 'array', maxItems: 5, items: element } });
  t.deepEqual(compileErrors(plain), [
    `${PATH}.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: "self.v >= oldSelf.v": oldSelf cannot be used on the uncorrelatable portion of the schema within ${PATH}.properties[l]`,
  ]);
});

test('what was not changed is only warned of', t => {
  const schema = object({ a: withRule(TEXT, "self.startsWith('a')"), b: TEXT });
  const rules = compileValidationRules(schema, PATH);
  const warnings: string[] = [];
  const options = { onWarning: (sentence: string) => warnings.push(sentence) };
  t.deepEqual(rules.validate({ a: 'x', b: '2' }, { a: 'x', b: '1' }, '', options), []);
  t.deepEqual(warnings, ['a: Invalid value: "string": failed rule: self.startsWith(\'a\')']);
  t.is(rules.validate({ a: 'y', b: '2' }, { a: 'x', b: '1' }, '', options).length, 1);
  t.is(rules.validate({ a: 'x' }, { a: 'x' }, '', { ratchets: false }).length, 1);
});

test('names of fields are escaped, and words of the language need not be', t => {
  const schema = object(
    { namespace: TEXT, 'a-b': TEXT, 'a.b': TEXT, 'a/b': TEXT, a__b: TEXT, $x: TEXT },
    { rule: "self.__namespace__ == 'n' && self.namespace == 'n'" },
    { rule: "self.a__dash__b + self.a__dot__b + self.a__slash__b + self.a__underscores__b == '1234'" },
  );
  t.deepEqual(judge(schema, { namespace: 'n', 'a-b': '1', 'a.b': '2', 'a/b': '3', a__b: '4' }), []);
  t.is(compileErrors(object({ $x: TEXT }, { rule: 'has(self.$x)' })).length, 1);
});

test('what the schema says is what a value is', t => {
  const schema = object(
    {
      either: { 'x-kubernetes-int-or-string': true },
      when: { type: 'string', format: 'date-time' },
      day: { type: 'string', format: 'date' },
      long: { type: 'string', format: 'duration' },
      raw: { type: 'string', format: 'byte', maxLength: 10 },
      ratio: { type: 'number' },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      open: { 'x-kubernetes-preserve-unknown-fields': true },
      labels: { type: 'object', additionalProperties: TEXT, maxProperties: 3 },
      set: { type: 'array', items: TEXT, maxItems: 3, 'x-kubernetes-list-type': 'set' },
      maybe: { type: 'string', nullable: true, maxLength: 3 },
    },
    { rule: "type(self.either) == int ? self.either == 5 : self.either == '5%'" },
    { rule: "self.when < timestamp('2030-01-01T00:00:00Z') && self.day.getFullYear() == 2024" },
    { rule: "self.long == duration('90s') && self.raw == b'hi' && self.ratio < 2" },
    { rule: "self.labels.all(k, self.labels[k] != 'x') && self.labels['a'] == '1' && !('z' in self.labels)" },
    { rule: "self.set == ['b', 'a'] && self.set + ['a', 'c'] == ['a', 'b', 'c']" },
    { rule: '!has(self.maybe) || self.maybe.size() < 3' },
    { rule: "self.metadata.name == 'n' && self.kind == 'K' && self.apiVersion == 'g/v1'" },
  );
  const value = {
    apiVersion: 'g/v1',
    kind: 'K',
    metadata: { name: 'n', labels: {} },
    either: 5,
    when: '2024-01-01T00:00:00Z',
    day: '2024-05-05',
    long: '1m30s',
    raw: 'aGk=',
    ratio: 1,
    labels: { a: '1' },
    set: ['a', 'b'],
  };
  t.deepEqual(judge(schema, value), []);
  t.deepEqual(judge(schema, { ...value, either: '5%' }), []);
  for (const rule of ['self.open == 1', 'self.free.x == 1', 'self.metadata.labels.size() == 0']) {
    t.regex(compileErrors(withRule(schema, rule)).join(), /undefined field '(open|x|labels)'/, rule);
  }
});

test('an embedded resource is seen with its type and names', t => {
  const pod: RuleSchema = {
    type: 'object',
    'x-kubernetes-embedded-resource': true,
    'x-kubernetes-preserve-unknown-fields': true,
    'x-kubernetes-validations': [{ rule: "self.kind == 'Pod' && self.metadata.name.startsWith('p')" }],
  };
  const schema = object({ pod }, { rule: "self.pod.apiVersion == 'v1'" });
  const value = { apiVersion: 'g/v1', kind: 'K', pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } } };
  t.deepEqual(judge(schema, value), []);
  t.is(judge(schema, { ...value, pod: { ...value.pod, kind: 'Job' } }).length, 1);
});

test('rules within allOf are rules', t => {
  const schema: RuleSchema = {
    ...object({ a: TEXT }),
    allOf: [
      { 'x-kubernetes-validations': [{ rule: "self.a == 'x'" }] },
      { properties: { a: { 'x-kubernetes-validations': [{ rule: 'self.size() < 3' }] } } },
    ],
  };
  t.deepEqual(judge(schema, { a: 'x' }), []);
  t.deepEqual(judge(schema, { a: 'yyyy' }), [
    ': Invalid value: "object": failed rule: self.a == \'x\'',
    'a: Invalid value: "string": failed rule: self.size() < 3',
  ]);
});

test('what is wrong with a rule itself', t => {
  const base = object({ a: TEXT });
  const cases: readonly [Partial<Rules[number]>, string][] = [
    [{ rule: ' ' }, 'rule: Required value: rule is not specified'],
    [{ message: ' ' }, 'message: Invalid value: " ": message must be non-empty if specified'],
    [{ message: 'a\nb' }, 'message: Invalid value: "a\\nb": message must not contain line breaks'],
    [{ rule: 'true\n&& true' }, 'message: Required value: message must be specified if rule contains line breaks'],
    [{ messageExpression: ' ' }, 'messageExpression: Required value: messageExpression must be non-empty if specified'],
    [
      { reason: 'Odd' },
      'reason: Unsupported value: "Odd": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
    ],
    [{ fieldPath: '.b' }, 'fieldPath: Invalid value: ".b": fieldPath must be a valid path'],
    [{ optionalOldSelf: true }, 'optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule'],
  ];
  for (const [rule, error] of cases) {
    t.deepEqual(compileErrors({ ...base, 'x-kubernetes-validations': [{ rule: 'true', ...rule }] }), [
      `${PATH}.x-kubernetes-validations[0].${error}`,
    ]);
  }
  const [wrong] = compileErrors(withRule(base, 'true', { messageExpression: '1 + 1' }));
  t.true(wrong?.endsWith('messageExpression must evaluate to a string'), wrong);
});

test('what a rule may cost is estimated from the bounds of its schema', t => {
  const list = (maxItems?: number, maxLength?: number): RuleSchema =>
    withRule(
      { type: 'array', items: { type: 'string', ...(maxLength && { maxLength }) }, ...(maxItems && { maxItems }) },
      'self.all(x, self.all(y, x == y))',
    );
  t.deepEqual(compileErrors(object({ l: list(10, 10) })), []);
  t.is(compileErrors(object({ l: list() })).length, 3);
  t.regex(
    compileErrors(object({ l: list(2_000, 20) })).join(),
    /^\S+rule: Forbidden: estimated rule cost exceeds budget by factor of \d\.\dx/,
  );
  t.regex(
    compileErrors(
      object({
        m: withRule(
          { type: 'string' },
          "self.contains('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') && self.matches('^(a|b|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|cccccccccc|ll)+$')",
        ),
      }),
    ).join(),
    /exceeds budget by factor of/,
  );
  const nested: RuleSchema = {
    type: 'array',
    items: { type: 'array', items: withRule(object({ a: TEXT }), 'self.a.size() > 0') },
  };
  t.regex(compileErrors(object({ nested })).join(), /^$/);
});
