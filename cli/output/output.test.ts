import test from 'ava';
import { yamlText } from './documents.ts';
import { GoTemplate } from './go-template.ts';
import { JsonPath, relaxed } from './jsonpath.ts';
import { TableWriter } from './tables.ts';
import { expandTabs } from './tabs.ts';

const list = {
  kind: 'List',
  items: [
    {
      metadata: { name: 'a', labels: { 'app.x/y': 'z' } },
      spec: { containers: [{ image: 'i1' }, { image: 'i2' }], n: 3 },
    },
    { metadata: { name: 'b' }, spec: { containers: [{ image: 'i3' }], n: 5 } },
  ],
};

for (const [template, text] of [
  ['{.kind}', 'List'],
  ['{.items[*].metadata.name}', 'a b'],
  ['{.items[0].metadata.labels.app\\.x/y}', 'z'],
  ["{.items[0].metadata.labels['app.x/y']}", 'z'],
  ['{range .items[*]}{.metadata.name}{"\\t"}{.spec.containers[*].image}{"\\n"}{end}', 'a\ti1 i2\nb\ti3\n'],
  ['{.items[?(@.metadata.name=="b")].spec.n}', '5'],
  ['{.items[?(@.spec.n>3)].metadata.name}', 'b'],
  ['{.items[-1:].metadata.name}', 'b'],
  ['{.items[0:1].metadata.name}', 'a'],
  ['{..image}', 'i1 i2 i3'],
  ["{.items[*]['metadata.name', 'spec.n']}", ''],
  ['{.items[1].metadata}', '{"name":"b"}'],
  ['{.none}', ''],
  ['x{.kind}y', 'xListy'],
] as const) {
  test(`JSONPath ${template}`, t => {
    t.is(new JsonPath(template).render(list), text);
  });
}

test('JSONPath tells what is wrong with a template', t => {
  t.is(t.throws(() => new JsonPath('{.a'))?.message, 'error: error parsing jsonpath {.a, unclosed action');
});

test('JSONPath tells what an object lacks, with the template and the object as Go writes it', t => {
  const told = (template: string, isStrict = false) =>
    t.throws(() => new JsonPath(template).render({ b: [1, null, true, { x: 'y' }], a: 0.5 }, isStrict))?.message;
  const object =
    'map[string]interface {}{"a":0.5, "b":[]interface {}{1, interface {}(nil), true, map[string]interface {}{"x":"y"}}}';
  const more = (template: string) =>
    `. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\tobject given to jsonpath engine was:\n\t\t${object}\n\n`;
  t.is(
    told('{.b[7]}'),
    `error: error executing jsonpath "{.b[7]}": Error executing template: array index out of bounds: index 7, length 4${more('{.b[7]}')}`,
  );
  t.is(
    told('{.c}', true),
    `error: error executing jsonpath "{.c}": Error executing template: c is not found${more('{.c}')}`,
  );
  t.is(new JsonPath('{.c}').render({}), '');
  t.is(new JsonPath('{.b[?(@.z)]}').render({ b: [{ x: 1 }] }, true), '', 'a filter may ask for what is not there');
});

test('paths of columns may leave out braces and dot', t => {
  t.deepEqual(['.a.b', 'a.b', '{.a.b}'].map(relaxed), ['{.a.b}', '{.a.b}', '{.a.b}']);
});

for (const [template, text] of [
  ['{{.kind}}', 'List'],
  ['{{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}', 'a\nb\n'],
  ['{{range $i, $e := .items}}{{$i}}={{$e.spec.n}};{{end}}', '0=3;1=5;'],
  ['{{(index .items 0).metadata.name}}', 'a'],
  ['{{if eq .kind "List"}}yes{{else}}no{{end}}', 'yes'],
  ['{{len .items}}', '2'],
  ['{{.none}}', '<no value>'],
  ['{{printf "%s-%d" .kind 3}}', 'List-3'],
  ['{{.kind | printf "%q"}}', '"List"'],
  ['{{with .none}}x{{else}}y{{end}}', 'y'],
] as const) {
  test(`Go template ${template}`, t => {
    t.is(new GoTemplate(template).render(list), text);
  });
}

test('YAML is quoted as Go quotes it', t => {
  const text = yamlText({
    b: ['x', '80', 'true', 'null', '', '*', 'a: b', '2026-01-01T00:00:00Z', '1e3', 'y', '-', '0.5', '1.2.3'],
    a: { n: 80, t: true, e: {}, l: [], lines: 'a\nb\n', m: { '8080': 'x' } },
  });
  t.is(
    text,
    `a:
  e: {}
  l: []
  lines: |
    a
    b
  m:
    "8080": x
  "n": 80
  t: true
b:
- x
- "80"
- "true"
- "null"
- ""
- '*'
- 'a: b'
- "2026-01-01T00:00:00Z"
- "1e3"
- "y"
- '-'
- "0.5"
- 1.2.3`,
  );
});

test('columns of a table are three apart and at least six wide', t => {
  const lines: string[] = [];
  const table = new TableWriter(line => lines.push(line));
  table.print([
    ['NAME', 'A', 'STATUS'],
    ['longer-name', 'b', 'Running'],
  ]);
  table.print([['x', 'c', 'Gone']]);
  t.deepEqual(lines, ['NAME          A     STATUS', 'longer-name   b     Running', 'x             c     Gone']);
});

test('tab stops hold for lines in a row', t => {
  t.deepEqual(expandTabs(['a:\t1', 'long:\t2', 'break', 'b:\t3', '\tx\ty']), [
    'a:     1',
    'long:  2',
    'break',
    'b:  3',
    '    x  y',
  ]);
});
