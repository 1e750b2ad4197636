import test from 'ava';
import fc from 'fast-check';
import { JsonSyntaxError, parseJson, plainValue, RawNumber } from './json.ts';

test('reads what JSON.parse reads', t => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false }), text => {
      t.deepEqual(plainValue(parseJson(text).value), JSON.parse(text));
    }),
  );
});

test('keeps the text of numbers that are no plain integers', t => {
  const { value } = parseJson('{"a":1.0,"b":12345678901234567890,"c":-3,"d":"1.5","e":1e2}');
  const { a, b, c, d, e } = value as Record<string, unknown>;
  t.deepEqual(a, new RawNumber('1.0'));
  t.deepEqual(b, new RawNumber('12345678901234567890'));
  t.is(c, -3);
  t.is(d, '1.5');
  t.deepEqual(e, new RawNumber('1e2'));
});

test('finds keys that come twice, also in objects that a later key replaces', t => {
  const { duplicates } = parseJson('{"a":{"x":1,"x":2},"l":[{"n":1,"n":1}],"a":{}}');
  t.deepEqual(duplicates?.paths, ['a.x', 'l[0].n', 'a']);
  t.is(parseJson('{"a":{"x":1},"b":{"x":1},"c":"\\"x\\":"}').duplicates, undefined);
});

test('takes __proto__ for a key like any other', t => {
  const { value } = parseJson('{"__proto__":{"polluted":1.5},"__proto__":2}');
  t.true(Object.hasOwn(value as object, '__proto__'));
  t.is(({} as { polluted?: unknown }).polluted, undefined);
});

const MISTAKES: readonly (readonly [string, string])[] = [
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['{"a"', 'unexpected end of JSON input'],
  ['"a', 'unexpected end of JSON input'],
  ['{nope}', "invalid character 'n' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 2}', "invalid character '2' after object key:value pair"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{} zzz', "invalid character 'z' after top-level value"],
  ['nope', "invalid character 'o' in literal null (expecting 'u')"],
  ['trux', "invalid character 'x' in literal true (expecting 'e')"],
  ['-a', "invalid character 'a' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['"\\q"', "invalid character 'q' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
];
for (const [text, message] of MISTAKES) {
  test(`says of ${JSON.stringify(text)} what Go says`, t => {
    t.throws(() => parseJson(text), { instanceOf: JsonSyntaxError, message });
  });
}

test('refuses what is nested too deep instead of running out of stack', t => {
  for (const text of ['['.repeat(50_000), `${'['.repeat(50_000)}${']'.repeat(50_000)}`]) {
    t.throws(() => parseJson(text), { instanceOf: JsonSyntaxError, message: 'exceeded max depth' });
  }
});

test('what a string escapes is not taken for its end, nor for a key', t => {
  const texts = ['\\', '"', '\\"', '\\\\', '":"', '\\":', '":{"a":1', 'a\\', '', '\u0001"\\', '\n"', '"'.repeat(5)];
  for (const first of texts) {
    for (const second of texts) {
      const value = { [first]: second, [`${first}x`]: [second, { a: first, b: second }] };
      t.deepEqual(parseJson(JSON.stringify(value)), { value });
      t.deepEqual(parseJson(`{"x":${JSON.stringify(second)},"x":1}`).duplicates?.paths, ['x']);
    }
  }
});
