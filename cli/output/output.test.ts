import test from 'ava';
import { yamlText } from './documents.ts';
import { GoTemplate, UnfinishedError } from './go-template.ts';
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
  ["{.items[0].metadata.labels['app\\.x/y']}", 'z'],
  ["{.items[0].metadata.labels['app.x/y']}", ''],
  ['{range .items[*]}{.metadata.name}{"\\t"}{.spec.containers[*].image}{"\\n"}{end}', 'a\ti1 i2\nb\ti3\n'],
  ['{.items[?(@.metadata.name=="b")].spec.n}', '5'],
  ['{.items[?(@.spec.n>3)].metadata.name}', 'b'],
  ['{.items[-1:].metadata.name}', 'b'],
  ['{.items[0:1].metadata.name}', 'a'],
  ['{..image}', 'i1 i2 i3'],
  ["{.items[*]['metadata.name', 'spec.n']}", 'a b 3 5'],
  ["{.items[1]['metadata.name']}", 'b'],
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
  const debug = (template: string, object: string) =>
    `. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\tobject given to jsonpath engine was:\n\t\t${object}\n\n`;
  const failing: readonly (readonly [string, unknown, string, string])[] = [
    ['{.a[7]}', { a: [1] }, 'array index out of bounds: index 7, length 1', '"a":[]interface {}{1}'],
    ['{.a[0]}', { a: 'x' }, 'string is not array or slice', '"a":"x"'],
    ['{.b}', { a: { c: null } }, 'b is not found', '"a":map[string]interface {}{"c":interface {}(nil)}'],
    ['{..b}', { a: true }, 'b is not found', '"a":true'],
    [
      '{.a[?(@.b=="c")]}',
      { a: [{ d: 0.5 }] },
      'b is not found',
      '"a":[]interface {}{map[string]interface {}{"d":0.5}}',
    ],
  ];
  for (const [template, object, what, fields] of failing) {
    t.is(
      t.throws(() => new JsonPath(template).render(object, false))?.message,
      `error: error executing jsonpath ${JSON.stringify(template)}: Error executing template: ${what}${debug(template, `map[string]interface {}{${fields}}`)}`,
    );
  }
  t.is(new JsonPath('{.b}').render({}), '');
  t.is(new JsonPath('{.b[?(@.z)]}').render({ b: [{ x: 1 }] }, false), '', 'a filter may ask for what is not there');
  t.is(new JsonPath('{.b[*].x}').render({ b: [{ x: 1 }, {}] }, false), '1', 'it is enough that one has the key');
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
  ['{{range.items}}{{.metadata.name}}:{{end}}', 'a:b:'],
  ['{{range .items -}} {{.metadata.name}} {{- end}}', 'ab'],
  ['{{define "t"}}<{{.}}>{{end}}{{range .items}}{{template "t" .metadata.name}}{{end}}', '<a><b>'],
  ['{{block "t" .kind}}<{{.}}>{{end}}', '<List>'],
  ['{{range .items}}{{if eq .metadata.name "b"}}{{break}}{{end}}{{.metadata.name}}{{end}}', 'a'],
  ['{{range .items}}{{if eq .metadata.name "a"}}{{continue}}{{end}}{{.metadata.name}}{{end}}', 'b'],
  ['{{$x := 1}}{{range .items}}{{$x = .metadata.name}}{{$y := 2}}{{end}}{{$x}}', 'b'],
  ['{{with $n := .kind}}{{$n}}{{end}}', 'List'],
  ['{{if eq .kind "x"}}a{{else if eq .kind "List"}}b{{else}}c{{end}}', 'b'],
  ['{{with .none}}a{{else with .kind}}{{.}}{{end}}', 'List'],
  ['{{.none.more}} {{index .items 0 | len}}', '<no value> 2'],
  ['{{slice .kind 1 2}}{{/* no */}}{{- /* no */ -}} x {{- "y"}}', 'ixy'],
  [
    '{{html "<a>"}} {{js "it\'s"}} {{urlquery "a b"}} {{print 1 2 "x"}}{{println "a" 1}}',
    "&lt;a&gt; it\\'s a+b 1 2xa 1\n",
  ],
  [
    '{{printf "%5s|%-5s|%05d|%x|%T|%q|%.2f|%c|%%" "a" "b" 3 255 .kind "q" 3.14159 65}}',
    '    a|b    |00003|ff|string|"q"|3.14|A|%',
  ],
  ['{{printf "%d" "a"}} {{printf "%s"}} {{printf "x" 1}}', '%!d(string=a) %!s(MISSING) x%!(EXTRA int=1)'],
  ["{{0x10}} {{1.50}} {{1e3}} {{-2}} {{'a'}} {{`raw\\n`}}", '16 1.5 1000 -2 97 raw\\n'],
  ['{{(.items | len) | printf "%d-%d" 3}} {{or .none "d"}} {{and 1 0}} {{not .none}}', '3-2 d 0 true'],
  ['{{gt "b" "a"}} {{ge 1 2}} {{lt 1 2 | not}}', 'true false false'],
  ['{{exists . "items" "x"}} {{exists . "kind"}} {{"YQ==" | base64decode}}', 'false true a'],
  ['{{range 3}}{{.}}{{end}}', '012'],
  ['{{(index .items 0).metadata.labels}}', 'map[app.x/y:z]'],
] as const) {
  test(`Go template ${template}`, t => {
    t.is(new GoTemplate(template).render(list), text);
  });
}

for (const [template, message] of [
  ['{{end}}', 'unexpected {{end}}'],
  ['{{range .items}}', 'unexpected EOF'],
  ['a\n{{.items', 'unclosed action'],
  ['{{if}}a{{end}}', 'missing value for if'],
  ['{{"a}}', 'unterminated quoted string'],
  ['{{nope}}', 'function "nope" not defined'],
  ['{{$x}}', 'undefined variable "$x"'],
  ['{{break}}', '{{break}} outside {{range}}'],
] as const) {
  test(`Go template ${JSON.stringify(template)} is none: ${message}`, t => {
    const line = template.split('\n').length;
    t.is(
      t.throws(() => new GoTemplate(template))?.message,
      `error: error parsing template ${template}, template: output:${line}: ${message}`,
    );
  });
}

for (const [template, place, message] of [
  ['{{ .kind.x.y }}', '8', "<.kind.x.y>: can't evaluate field x in type interface {}"],
  ['{{nil}}', '2', '<nil>: nil is not a command'],
  ['{{ (index .items 5).kind }}', '4', '<index .items 5>: error calling index: index out of range: 5'],
  ['{{ index .items "a" }}', '3', '<index .items "a">: error calling index: cannot index slice/array with type string'],
  ['{{eq .kind 1}}', '2', '<eq .kind 1>: error calling eq: incompatible types for comparison'],
  [
    '{{ "Y" | base64decode }}',
    '9',
    '<base64decode>: error calling base64decode: base64 decode failed: illegal base64 data at input byte 0',
  ],
  ['{{template "nope"}}', '11', '<{{template "nope"}}>: template "nope" not defined'],
  [
    '{{define "t"}}{{template "t"}}{{end}}{{template "t"}}',
    '25',
    '<{{template "t"}}>: exceeded maximum template depth (500)',
  ],
] as const) {
  test(`Go template ${template} fails where kubectl’s does`, t => {
    const error = t.throws(() => new GoTemplate(`x${template}`).render(list), { instanceOf: UnfinishedError });
    const what = `template: output:1:${Number(place) + 1}: executing "output" at ${message}`;
    t.is(error?.message, `error: error executing template ${JSON.stringify(`x${template}`)}: ${what}`);
    t.true(error?.written.startsWith(`xError executing template: ${what}. Printing more information`));
  });
}

test('Go template: a key that is missing is an error where that is wanted', t => {
  const strictly = (template: string) => t.throws(() => new GoTemplate(template).render(list, false))?.message;
  t.regex(strictly('{{.none}}') ?? '', /at <\.none>: map has no entry for key "none"$/);
});

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
