import test from 'ava';
import fc from 'fast-check';
import { configMap } from './kinds/core.ts';
import { pod } from './kinds/pods.ts';
import {
  formatLabelSelector,
  matchesFields,
  matchesLabelSelector,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requiredField,
  requirementsOf,
} from './selectors.ts';
import type { ApiError } from './status.ts';

const labels = { app: 'web', tier: 'front', size: '5', empty: '' };
const MATCHES: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['app=web', true],
  ['app==web,tier=front', true],
  ['app = web , tier != back', true],
  ['app!=web', false],
  ['none!=web', true],
  ['none=web', false],
  ['app in (db, web)', true],
  ['app notin (db,web)', false],
  ['none notin (a)', true],
  ['app', true],
  ['!app', false],
  ['!none', true],
  ['size>4', true],
  ['size<5', false],
  ['app>4', false],
  ['empty=', true],
  ['none=', false],
  ['app in ()', false],
  ['empty in (,x)', true],
  ['in in (a),notin', false],
];
for (const [text, expected] of MATCHES) {
  test(`labels: ${text || '(nothing)'}`, t => {
    t.is(matchesLabels(parseLabelSelector(text), labels), expected);
  });
}

const MISTAKES: readonly (readonly [string, string])[] = [
  ['a===b', `unable to parse requirement: found '=', expected: identifier`],
  ['a in (b', `unable to parse requirement: found '', expected: ',' or ')'`],
  ['a=b c', `found 'c', expected: ',' or 'end of string'`],
  [
    'a>b',
    `unable to parse requirement: values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer`,
  ],
  ['a=b,', `found '', expected: identifier after ','`],
  ['a in b', `unable to parse requirement: found 'b' expected: '('`],
  ['=a', `found '=', expected: !, identifier, or 'end of string'`],
];
for (const [text, message] of MISTAKES) {
  test(`labels: refuses ${text}`, t => {
    t.throws(() => parseLabelSelector(text), { message });
    t.is(t.throws<ApiError>(() => parseLabelSelector(text))?.code, 400);
  });
}

const key = fc.constantFrom('a', 'b', 'c.io/d');
const value = fc.constantFrom('x', 'y', 'z');
const requirement = fc.oneof(
  fc.record({ key, operator: fc.constantFrom('In', 'NotIn'), values: fc.uniqueArray(value, { minLength: 1 }) }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
);
const selector = fc.record({
  matchLabels: fc.dictionary(key, value),
  matchExpressions: fc.array(requirement, { maxLength: 3 }),
});

test('the text form of a selector selects what its object form selects', t => {
  fc.assert(
    fc.property(selector, fc.dictionary(key, value), (object, given) => {
      const fromText = parseLabelSelector(formatLabelSelector(object));
      t.is(matchesLabels(fromText, given), matchesLabelSelector(object, given));
    }),
  );
});

test('an absent selector selects nothing, an empty one everything', t => {
  t.false(matchesLabelSelector(undefined, { a: 'b' }));
  t.true(matchesLabelSelector({}, { a: 'b' }));
  t.is(requirementsOf(undefined), undefined);
});

test('fields: known ones compare, absent ones are empty', t => {
  const object = { metadata: { name: 'p', namespace: 'ns' }, spec: { containers: [], nodeName: 'n1' }, status: {} };
  const matches = (text: string) => matchesFields(parseFieldSelector(text, pod), object, pod);
  t.true(matches('spec.nodeName=n1,metadata.name==p'));
  t.false(matches('spec.nodeName!=n1'));
  t.true(matches('status.podIP='));
  t.true(matches('status.phase!=Succeeded,status.phase!=Failed'));
  t.is(requiredField(parseFieldSelector('metadata.name=p', pod), 'metadata.name'), 'p');
});

test('fields: what is unknown or unreadable is refused in the words of the kind', t => {
  t.throws(() => parseFieldSelector('spec.nope=x', pod), { message: 'field label not supported: spec.nope' });
  t.throws(() => parseFieldSelector('spec.nope=x', configMap), {
    message: '"spec.nope" is not a known field selector: only "metadata.name", "metadata.namespace"',
  });
  t.throws(() => parseFieldSelector('metadata.name', configMap), {
    message: "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
  });
});

test('fields: separators in values are escaped', t => {
  t.deepEqual(parseFieldSelector('metadata.name=a\\,b\\=c', configMap), [
    { field: 'metadata.name', value: 'a,b=c', isEqual: true },
  ]);
});
