/** Texts that a person edits. */
import test from 'ava';
import { editedObjects, headText, isEmptyText, meanSame, validationMistake, withoutComments } from './edit-text.ts';

test('two texts mean the same whatever their comments, line ends and order', t => {
  t.true(meanSame('# a\nkind: A\nx: 1\n', 'x: 1\r\nkind: A\r\n'));
  t.true(meanSame('{"kind": "A"}', 'kind: A'));
  t.false(meanSame('kind: A', 'kind: A\nx: 1'));
  t.false(meanSame('kind: A', 'kind: "A'), 'one that cannot be read means nothing but itself');
  t.true(meanSame('# a\nkind: "A', 'kind: "A'));
});

test('only lines that begin with a # are comments: what stands deeper may be a script', t => {
  t.is(withoutComments('# a\nx: |\n  # stays\n#b\n'), 'x: |\n  # stays\n');
  t.true(isEmptyText('# a\n\n  # b\n'));
  t.false(isEmptyText('# a\nx: 1\n'));
});

test('what keeps a text from being an object', t => {
  const mistakes: readonly (readonly [string, string | undefined])[] = [
    ['apiVersion: v1\nkind: A\n', undefined],
    ['kind: A\n', 'apiVersion not set'],
    ['apiVersion: v1\nkind: ""\n', 'kind not set'],
    ['x: 1\n', '[apiVersion not set, kind not set]'],
    ['# nothing\n', 'invalid object to validate'],
    ['- a\n', 'invalid object to validate'],
    ['just text\n', 'invalid object to validate'],
  ];
  for (const [text, mistake] of mistakes) t.is(validationMistake(text), mistake, text);
  t.regex(validationMistake('# head\na: "b\n') ?? '', /^yaml: /);
});

test('the head tells what was wrong the last time, each line a comment', t => {
  const lines = headText('object', [{ head: 'two\nlines' }, { head: 'pods "a" was not valid', others: ['x: y'] }]);
  t.true(lines.endsWith('#\n# two\n# lines\n#\n# pods "a" was not valid:\n# * x: y\n#\n'), lines);
  t.true(lines.startsWith('# Please edit the object below.'));
  t.true(headText('last-applied', []).startsWith("# Please edit the 'last-applied-configuration' annotations below."));
});

test('the objects of an edited text: those of lists say so, and all mistakes are told at once', t => {
  const a = { apiVersion: 'v1', kind: 'A' };
  t.deepEqual(editedObjects(JSON.stringify(a)), [{ object: a, isItem: false }]);
  t.deepEqual(editedObjects(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [a] })), [
    { object: a, isItem: true },
  ]);
  t.throws(() => editedObjects('{"kind":"A"}\n{"apiVersion":"v1"}'), {
    message: `[unable to decode "edited-file": Object 'apiVersion' is missing in '{"kind":"A"}', unable to decode "edited-file": Object 'Kind' is missing in '{"apiVersion":"v1"}']`,
  });
  t.throws(() => editedObjects('text'), {
    message:
      'unable to decode "edited-file": json: cannot unmarshal string into Go value of type unstructured.detector',
  });
});
