/** YAML as Go writes it: long texts are folded behind column 80, blocks are not. */
import test from 'ava';
import fc from 'fast-check';
import { parse } from 'yaml';
import { yamlText } from './documents.ts';

test('long texts go on in the next line', t => {
  const words = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen';
  t.is(
    yamlText({ a: [{ text: words }] }),
    'a:\n- text: one two three four five six seven eight nine ten eleven twelve thirteen fourteen\n    fifteen',
  );
  t.is(yamlText({ a: `x: ${words}` }).split('\n').length, 2);
  t.is(yamlText({ a: `${words}\n${words} ${words}\n` }), `a: |\n  ${words}\n  ${words} ${words}`);
});

test('what is folded reads the same', t => {
  const word = fc.stringMatching(/^[a-z:#'"{\\-]{0,12}$/);
  const text = fc.array(word, { minLength: 8, maxLength: 40 }).map(words => words.join(' '));
  const value = fc.letrec(tie => ({
    node: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z][a-z./:-]{0,8}$/), tie('node'), { maxKeys: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(value, given => {
      t.deepEqual(parse(yamlText({ given }), { version: '1.1' }), { given });
    }),
    { numRuns: 300 },
  );
});

test('text that has to be quoted and has an apostrophe is quoted once', t => {
  const text = yamlText({ a: "0/2 nodes: didn't match Pod's", b: "it's", c: "'a'" });
  t.is(text, "a: '0/2 nodes: didn''t match Pod''s'\nb: it's\nc: '''a'''");
  t.is(yamlText({ a: "it's: \u0001" }), String.raw`a: "it's: \x01"`);
});
