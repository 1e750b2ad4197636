/** Go's ways of writing values. */
import test from 'ava';
import { goJson, goSyntax } from './go-syntax.ts';

test('values as %#v has them', t => {
  t.is(
    goSyntax({ b: [1, 'x', null, 1.5], a: { c: true, d: {} } }),
    'map[string]interface {}{"a":map[string]interface {}{"c":true, "d":map[string]interface {}{}}, "b":[]interface {}{1, "x", interface {}(nil), 1.5}}',
  );
});

test('JSON with its keys in order and the signs of HTML escaped', t => {
  t.is(
    goJson({ b: '<a>&\u2028', a: [{ d: 1, c: null }] }),
    String.raw`{"a":[{"c":null,"d":1}],"b":"\u003ca\u003e\u0026\u2028"}`,
  );
});
