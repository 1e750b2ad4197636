/** What kubectl 1.33 says of broken manifests. */
import { createRequire } from 'node:module';
import test from 'ava';
import { jsonMistake, yamlMistake } from './parse-errors.ts';

const { parseAllDocuments } = createRequire(import.meta.url)('yaml') as typeof import('yaml');

for (const [text, said] of [
  ['a: [1\n', "yaml: line 1: did not find expected ',' or ']'"],
  ['a: {b: 1\n', "yaml: line 1: did not find expected ',' or '}'"],
  ['a: [', 'yaml: line 1: did not find expected node content'],
  ['a: b: c\n', 'yaml: mapping values are not allowed in this context'],
  ['apiVersion: v1\nkind: ConfigMap\n  metadata: x\n', 'yaml: line 3: mapping values are not allowed in this context'],
  [
    'apiVersion: v1\nkind: ConfigMap\nmetadata: name: a\n',
    'yaml: line 3: mapping values are not allowed in this context',
  ],
  ['key\nb: c\n', 'yaml: line 2: mapping values are not allowed in this context'],
  ['apiVersion: v1\n\tkind: x\n', 'yaml: line 2: found a tab character that violates indentation'],
  [
    'apiVersion: v1\nkind: Pod\nmetadata: \n\tname: nginx\n',
    'yaml: line 4: found character that cannot start any token',
  ],
  ['a: "b\n', 'yaml: line 2: found unexpected end of stream'],
  ['a: @b\n', 'yaml: found character that cannot start any token'],
  ['a: b\nc: %x\n', 'yaml: line 2: found character that cannot start any token'],
  ['a:\n  - b\n c: d\n', 'yaml: line 2: did not find expected key'],
  ['apiVersion: v1\nmetadata:\n  name: a\n data: {}\n', 'yaml: line 3: did not find expected key'],
  ['data:\n  a: b\n  - c\n', 'yaml: line 2: did not find expected key'],
  ['a: b\nkey\n', "yaml: line 3: could not find expected ':'"],
] as const) {
  test(JSON.stringify(text), t => {
    const [document] = parseAllDocuments(text, { version: '1.1', merge: true, uniqueKeys: false });
    const error = document && 'errors' in document ? document.errors[0] : undefined;
    t.is(error && yamlMistake(error, text), said);
  });
}

for (const [text, said] of [
  ['{a: b\n', "json: offset 2: invalid character 'a' looking for beginning of object key string"],
  ['{"apiVersion":"v1"\n', 'unexpected EOF'],
  ['{"a" 1', "json: offset 6: invalid character '1' after object key"],
  ['{"a', 'unexpected EOF'],
] as const) {
  test(`JSON ${JSON.stringify(text)}`, t => {
    const error = t.throws(() => JSON.parse(text));
    t.is(jsonMistake(error, text), said);
  });
}
