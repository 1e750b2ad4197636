/** Sets of field paths: how they are written, and that their algebra is that of sets. */
import test from 'ava';
import fc from 'fast-check';
import { decodeFields, encodeFields, FieldSet, FieldsError } from './field-set.ts';
import { compareElements, keyElement, showElement, valueElement } from './path-element.ts';
import { typeOfDefinition } from './types.ts';

const NAMES = ['f:a', 'f:b', 'f:c', 'k:{"name":"x"}', 'v:"s"', 'i:0'];
const paths = fc.array(fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }), { maxLength: 12 });
const textsOf = (set: FieldSet) => [...set.paths()].map(path => path.join(' ')).sort();
const setOf = (list: readonly (readonly string[])[]) => FieldSet.of(...list);

test('fieldsV1 is read and written', t => {
  const set = FieldSet.of(
    ['f:data'],
    ['f:data', 'f:b'],
    ['f:data', 'f:a'],
    ['f:spec', 'f:list', 'k:{"port":443}', 'f:x'],
    ['f:spec', 'f:list', 'k:{"port":80}'],
    ['f:spec', 'f:list', 'v:"s"'],
    ['f:spec', 'f:list', 'i:2'],
  );
  const fields = encodeFields(set);
  t.is(
    JSON.stringify(fields),
    JSON.stringify({
      'f:data': { '.': {}, 'f:a': {}, 'f:b': {} },
      'f:spec': { 'f:list': { 'k:{"port":80}': {}, 'k:{"port":443}': { 'f:x': {} }, 'v:"s"': {}, 'i:2': {} } },
    }),
  );
  t.true(decodeFields(fields).equals(set));
});

test('steps that clients write are brought into one form, unknown ones are left out', t => {
  const set = decodeFields({
    'f:l': { 'k:{"protocol":"TCP", "containerPort":80}': {}, 'v: "x"': {}, 'q:new': {}, 'k:nonsense': {}, 'i:x': {} },
  });
  t.deepEqual(textsOf(set), ['f:l k:{"containerPort":80,"protocol":"TCP"}', 'f:l v:"x"']);
  for (const wrong of [[], 'x', { 'f:a': 1 }, { 'f:a': { 'f:b': null } }]) {
    t.throws(() => decodeFields(wrong), { instanceOf: FieldsError });
  }
  let deep: object = {};
  for (let depth = 0; depth < 2_000; depth++) deep = { 'f:a': deep };
  t.throws(() => decodeFields(deep), { instanceOf: FieldsError });
});

test('steps are shown and sorted as Kubernetes does', t => {
  t.deepEqual(
    [
      'f:spec',
      keyElement([['name', 'x']]),
      keyElement([
        ['b', 1],
        ['a', 'y'],
      ]),
      valueElement('s'),
      'i:3',
    ].map(showElement),
    ['.spec', '[name="x"]', '[a="y",b=1]', '[="s"]', '[3]'],
  );
  t.is(valueElement('a<b'), 'v:"a\\u003cb"');
  const texts = ['k:{"n":"a"}', 'k:{"n":"a "}', 'k:{"n":"a b"}', 'k:{"n":"a\\u003c"}', 'k:{"n":"ab"}', 'k:{"o":"a"}'];
  const sorted = ['f:a', 'f:b', 'k:{"n":9}', 'k:{"n":10}', ...texts, 'v:2', 'v:"1"', 'v:true', 'i:2', 'i:10'];
  t.deepEqual([...sorted].reverse().sort(compareElements), sorted);
});

test('the algebra is that of sets', t => {
  fc.assert(
    fc.property(paths, paths, (left, right) => {
      const [a, b] = [setOf(left), setOf(right)];
      const [inA, inB] = [new Set(textsOf(a)), new Set(textsOf(b))];
      t.deepEqual(textsOf(a.union(b)), [...new Set([...inA, ...inB])].sort());
      t.deepEqual(textsOf(a.intersection(b)), [...inA].filter(path => inB.has(path)).sort());
      t.deepEqual(textsOf(a.difference(b)), [...inA].filter(path => !inB.has(path)).sort());
      t.true(a.union(b).equals(b.union(a)));
      t.true(a.difference(a).isEmpty);
      t.true(decodeFields(encodeFields(a)).equals(a));
      t.is(a.equals(b), textsOf(a).join() === textsOf(b).join());
    }),
  );
});

test('a tree taken away takes all below it, a tree kept keeps all below it', t => {
  fc.assert(
    fc.property(paths, paths, (left, right) => {
      const [a, b] = [setOf(left), setOf(right)];
      const isUnder = (path: readonly string[]) => path.some((_, index) => b.has(path.slice(0, index + 1)));
      const under = [...a.paths()].filter(isUnder).map(path => path.join(' '));
      t.deepEqual(textsOf(a.onlyTrees(b)), under.sort());
      t.deepEqual(
        textsOf(a.withoutTrees(b)),
        textsOf(a).filter(path => !under.includes(path)),
      );
    }),
  );
});

test('fields of structs above a path are members too, maps and items are not', t => {
  const type = typeOfDefinition('io.k8s.api.apps.v1.Deployment');
  const set = FieldSet.of(
    ['f:metadata', 'f:labels', 'f:a'],
    ['f:spec', 'f:template', 'f:spec', 'f:containers', 'k:{"name":"x"}', 'f:image'],
  );
  t.deepEqual(textsOf(set.withNamedParents(type)), [
    'f:metadata',
    'f:metadata f:labels',
    'f:metadata f:labels f:a',
    'f:spec',
    'f:spec f:template',
    'f:spec f:template f:spec',
    'f:spec f:template f:spec f:containers',
    'f:spec f:template f:spec f:containers k:{"name":"x"} f:image',
  ]);
});
