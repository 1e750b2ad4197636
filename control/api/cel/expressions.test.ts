/** Expressions and what they give: values, or errors in cel-go's words. */
import test from 'ava';
import { Budget } from './budget.ts';
import { compileText } from './compile.ts';
import { builtinValue, declarations } from './environment.ts';
import { dynamicValue } from './json-values.ts';
import { CALL_COST_MAX } from './limits.ts';
import { DYN } from './types.ts';
import { EvaluationError } from './values.ts';

const DECLARED = declarations([['o', DYN]]);
const OBJECT = { name: 'x', count: 3, ratio: 1.5, list: [1, 2, 3], map: { a: 1, b: 2 }, none: null, deep: { er: 'y' } };

/** The value's text, by `string(…)` or by comparing; errors as they are. */
function evaluate(text: string): string {
  const compiled = compileText(text, DECLARED);
  if (compiled.error !== undefined) return compiled.error;
  try {
    const value = compiled.program(
      name => (name === 'o' ? dynamicValue(OBJECT) : builtinValue(name)),
      new Budget(CALL_COST_MAX),
    );
    return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  } catch (error) {
    if (error instanceof EvaluationError) return `error: ${error.message}`;
    throw error;
  }
}

/** Expressions that hold. */
const TRUE = String.raw`
1 + 2 * 3 == 7
7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1
1u + 2u == 3u
1.5 * 2.0 == 3.0
dyn(1) == 1.0 && dyn(1u) == 1 && dyn(1.5) != 1
1 < 1.5 && 2u > 1 && 1.0 <= 1u
dyn(1) in [1.0, 2.0]
"a" + "b" == 'ab'
b'abc' + b'd' == b'abcd'
"abc" < "abd" && !("b" < "a")
[1, 2] + [3] == [1, 2, 3]
[1, 2, 3][1] == 2
{'a': 1, 'b': 2}['b'] == 2
'a' in {'a': 1}
!('z' in {'a': 1})
1 in [1, 2]
true ? true : false
false || true
(1 / 0 == 1) || true
!((1 / 0 == 1) && false)
size('héllo') == 5
'😀a'.size() == 2 && '😀a'.charAt(1) == 'a' && '😀a'.substring(1) == 'a' && '😀ab'.indexOf('b') == 2
size([1, 2]) == 2 && {'a': 1}.size() == 1 && size(b'abc') == 3
type(1) == int && type('a') == string && type([1]) == list && type({}) == map && type(null) == null_type
type(type(1)) == type
type(timestamp('2024-01-01T00:00:00Z')) == google.protobuf.Timestamp
int('42') == 42 && int(3.9) == 3 && int(-3.9) == -3 && int(5u) == 5
uint('42') == 42u && uint(3) == 3u
double('1.5') == 1.5 && double(2) == 2.0
string(1.0) == '1' && string(true) == 'true' && string(42u) == '42' && string(b'ab') == 'ab'
bool('true') && !bool('F')
bytes('é') == b'\303\251'
timestamp('2024-02-29T12:30:45.5Z').getFullYear() == 2024
timestamp('2024-02-29T12:30:45Z').getMonth() == 1 && timestamp('2024-02-29T12:30:45Z').getDate() == 29
timestamp('2024-02-29T12:30:45Z').getDayOfYear() == 59 && timestamp('2024-02-29T12:30:45Z').getDayOfMonth() == 28
timestamp('2024-02-29T23:30:00Z').getHours('+01:00') == 0
timestamp('2024-07-01T12:00:00Z').getHours('America/New_York') == 8
timestamp('2024-01-01T00:00:00Z') + duration('1h') == timestamp('2024-01-01T01:00:00Z')
timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')
duration('1h30m').getMinutes() == 90 && duration('-1.5s').getMilliseconds() == -1500
string(duration('90m')) == '5400s' && string(timestamp('2024-01-01T00:00:00.5Z')) == '2024-01-01T00:00:00.5Z'
duration('1s') < duration('1m')
has(o.name) && !has(o.nothing) && has(o.deep.er)
o.name == 'x' && o.count == 3 && o.ratio == 1.5 && o.none == null
o['name'] == 'x' && o.list[0] == 1
o.list.all(x, x > 0) && !o.list.all(x, x > 1)
o.list.exists(x, x == 2) && o.list.exists_one(x, x == 2) && !o.list.existsOne(x, x > 1)
o.list.map(x, x * 2) == [2, 4, 6] && o.list.map(x, x > 1, x * 2) == [4, 6]
o.list.filter(x, x > 1) == [2, 3]
o.map.all(k, k in ['a', 'b']) && o.map.map(k, k) == ['a', 'b'] && o.map.exists(k, o.map[k] == 2)
[1, 2].all(i, v, i + 1 == v) && {'a': 1}.exists(k, v, k == 'a' && v == 1) && {'a': 1, 'b': 2}.existsOne(k, v, v == 2)
[5, 6].transformList(i, v, i + v) == [5, 7] && [5, 6].transformList(i, v, v > 5, i + v) == [7]
{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && {'a': 1, 'b': 2}.transformMap(k, v, v > 1, v) == {'b': 2}
{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}
[1, 0].exists(x, 1 / x == 1)
![0, 1].all(x, 1 / x > 1)
cel.bind(x, o.count + 1, x * x == 16)
o.?name.hasValue() && !o.?nothing.hasValue() && o.?nothing.?more.orValue('d') == 'd'
o.?name.orValue('d') == 'x' && o[?'nope'].orValue(7) == 7 && o.list[?5].orValue(9) == 9
optional.of(1).value() == 1 && optional.none().orValue(2) == 2 && optional.ofNonZeroValue('').hasValue() == false
optional.of(1).optMap(x, x + 1) == optional.of(2) && optional.of(1).optFlatMap(x, optional.of(x)).value() == 1
optional.none().or(optional.of(3)).value() == 3 && o.?deep.er == optional.of('y')
'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc')
'abc'.matches('^a.c$') && matches('xabcx', 'abc') && !'abc'.matches('^b')
'a-1 b-2'.find('[0-9]') == '1' && 'a1b2'.findAll('[0-9]') == ['1', '2'] && 'a1b2'.findAll('[0-9]', 1) == ['1']
'  a b '.trim() == 'a b' && 'ABc'.lowerAscii() == 'abc' && 'aÉ'.upperAscii() == 'AÉ'
'hello'.charAt(1) == 'e' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3 && 'hello'.indexOf('l', 3) == 3
'hello'.substring(1) == 'ello' && 'hello'.substring(1, 3) == 'el'
'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']
['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b'
'aaa'.replace('a', 'b') == 'bbb' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'ab'.replace('', '-') == '-a-b-'
'%s is %d, %.2f, %x, %b, %e'.format(['a', 5, 1.239, 255, 5, 1234.5]) == 'a is 5, 1.24, ff, 101, 1.234500e+03'
'%s %s'.format([dyn([1, 2]), {'k': true}]) == '[1, 2] {k: true}'
strings.quote('a"b') == '"a\\"b"'
[1, 2, 3].isSorted() && ![2, 1].isSorted() && ['a', 'b'].isSorted()
[1, 2, 3].sum() == 6 && [1.5, 2.5].sum() == 4.0 && [duration('1s'), duration('2s')].sum() == duration('3s')
[3, 1, 2].min() == 1 && ['a', 'c', 'b'].max() == 'c'
[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1
sets.contains([1, 2, 3], [2, 1]) && sets.equivalent([1, 1, 2], [2, 1]) && !sets.intersects([1], [2])
url('https://u@example.com:80/a%20b?k=v&k=w#f').getHost() == 'example.com:80'
url('https://example.com:80/').getHostname() == 'example.com' && url('https://example.com:80/').getPort() == '80'
url('https://example.com/a b').getEscapedPath() == '/a%20b' && url('/path').getScheme() == ''
url('https://e.com/?k=v&k=w').getQuery() == {'k': ['v', 'w']}
isURL('https://a.b') && isURL('/p') && !isURL('../p') && !isURL('a.b/c')
url('https://a') == url('https://a') && url('https://a') != url('https://b')
ip('192.168.0.1').family() == 4 && ip('::1').family() == 6 && ip('::1').isLoopback() && ip('0.0.0.0').isUnspecified()
isIP('::ffff:1.2.3.4') == false && isIP('1.2.3') == false && isIP('01.2.3.4') == false && isIP('2001:db8::1')
ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1') && string(ip('2001:db8:0:0:1:0:0:1')) == '2001:db8::1:0:0:1'
ip('169.254.1.1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast() && ip('8.8.8.8').isGlobalUnicast()
cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsIP(ip('10.9.9.9')) && !cidr('10.0.0.0/8').containsIP('11.0.0.0')
cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))
cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8 && string(cidr('::/0').ip()) == '::'
isCIDR('10.0.0.0/33') == false && isCIDR('10.0.0.0/32')
quantity('1.5Gi').isGreaterThan(quantity('1500M')) && quantity('100m').compareTo(quantity('0.1')) == 0
quantity('1k').asInteger() == 1000 && !quantity('100m').isInteger() && quantity('-5').sign() == -1
quantity('50k').add(20) == quantity('50020') && quantity('50k').sub(quantity('20k')) == quantity('30k')
isQuantity('1Ki') && !isQuantity('1.3GiB') && quantity('0.5').asApproximateFloat() == 0.5
format.dns1123Label().validate('a.b').hasValue() && !format.dns1123Label().validate('ab').hasValue()
format.named('dns1123Label').hasValue() && !format.named('nope').hasValue() && !format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()
!format.date().validate('2024-02-29').hasValue() && format.date().validate('2023-02-29').hasValue() && format.dns1123Label().validate('A').value()[0].contains('RFC 1123')
semver('1.2.3').major() == 1 && semver('1.2.3-alpha.1').isLessThan(semver('1.2.3')) && semver('1.10.0').compareTo(semver('1.9.0')) == 1
isSemver('1.2.3+b.1') && !isSemver('v1.2.3') && isSemver('v1.2', true) && semver('v01.2', true).minor() == 2
'a' + (o.count > 2 ? 'b' : 'c') == 'ab'
0x10 == 16 && 1e3 == 1000.0 && -9223372036854775808 < 0
r'\d' == '\\d' && """a"b""" == 'a"b'
{1: 'a', 2: 'b'}[2] == 'b' && dyn({1u: 'a'})[1] == 'a' && dyn({1: 'a'})[1.0] == 'a'
null == null && o.none == null
b'abc' < b'abd'
b'é' == bytes('é') && b'''é''' == bytes('é') && size(b'é') == 2
[[1, 2], [3]].map(l, l.size()) == [2, 1]
[1, 2].map(x, [3, 4].map(y, x * y)) == [[3, 4], [6, 8]]
`;
for (const text of TRUE.trim().split('\n')) {
  test(text.slice(0, 100), t => t.is(evaluate(text), 'true'));
}

/** Expressions that fail while they are evaluated. */
const FAILING: Readonly<Record<string, string>> = {
  'o.nope == 1': 'no such key: nope',
  'o.deep.nope.er == 1': 'no such key: nope',
  '{"a": 1}["b"] == 1': 'no such key: b',
  'o.list[5] == 1': 'index out of bounds: 5',
  '1 / 0 == 0': 'division by zero',
  '1 % 0 == 0': 'modulus by zero',
  '9223372036854775807 + 1 == 0': 'integer overflow',
  '0u - 1u == 0u': 'unsigned integer overflow',
  '-(-9223372036854775808) == 0': 'integer overflow',
  'int(1e30) == 0': 'integer overflow',
  'o.name < 1': 'no such overload',
  'o.name && true': 'no such overload',
  'o.count.startsWith("a")': 'no such overload: startsWith',
  'o.name.er': 'no such overload',
  'optional.none().value() == 1': 'optional.none() dereference',
  '"a".matches(o.name + "(")': 'error parsing regexp: missing closing ): `x(`',
  '[].min() == 1': 'min called on empty list',
  '"abc".substring(5) == ""': 'index out of range: 5',
  'int("x") == 1': 'strconv.ParseInt: parsing "x": invalid syntax',
  'timestamp("x") == timestamp("y")': 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse',
  'duration("1x") == duration("1s")': 'time: invalid duration "1x"',
  'quantity("x").isInteger()':
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  '{"a": 1, "a": 2}.size() == 1': 'insert failed: key a already exists',
  '[1, 0].all(x, 1 / x == 1)': 'division by zero',
  '"%d".format(["x"]) == ""': 'error during formatting: decimal clause can only be used on integers, was given string',
  '"%s %s".format(["x"]) == ""': 'index 1 out of range',
};
for (const [text, message] of Object.entries(FAILING)) {
  test(`fails: ${text}`, t => t.is(evaluate(text), `error: ${message}`));
}

/** Expressions that are refused, with place and reason. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  nope: ["1:1: undeclared reference to 'nope' (in container '')"],
  'nope(1)': ["1:5: undeclared reference to 'nope' (in container '')"],
  '1 + "a"': ["1:3: found no matching overload for '_+_' applied to '(int, string)'"],
  '(1) + "a"': ["1:5: found no matching overload for '_+_' applied to '(int, string)'"],
  '1 == "a"': ["1:3: found no matching overload for '_==_' applied to '(int, string)'"],
  '"a".startsWith(1)': ["1:15: found no matching overload for 'startsWith' applied to 'string.(int)'"],
  '1 && true': ["1:3: found no matching overload for '_&&_' applied to '(int, bool)'"],
  '!1': ["1:1: found no matching overload for '!_' applied to '(int)'"],
  '"a".b': ["1:4: type 'string' does not support field selection"],
  '[1, "a"]': ["1:5: expected type 'int' but found 'string'"],
  '1.all(x, true)': [
    "1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
  ],
  '[1].all(x, x)': ["1:12: found no matching overload for '_&&_' applied to '(bool, int)'"],
  'true ? 1 : "a"': ["1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'"],
  'a + b': ["1:1: undeclared reference to 'a' (in container '')", "1:5: undeclared reference to 'b' (in container '')"],
  'o.list[': [
    "1:8: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
  ],
  'o.(': ["1:3: Syntax error: no viable alternative at input '.('"],
  '9223372036854775808': ['1:1: invalid int literal'],
  'has(o)': ['1:5: invalid argument to has() macro'],
  'o.list.all(x.y, true)': ['1:14: argument must be a simple name'],
  'b\'a\'.hex() == ""': ["1:9: undeclared reference to 'hex' (in container '')"],
  '"a".format(1)': ["1:11: found no matching overload for 'format' applied to 'string.(int)'"],
};
for (const [text, issues] of Object.entries(REFUSED)) {
  test(`refused: ${text}`, t => {
    const answer = evaluate(text);
    t.true(answer.startsWith('compilation failed: '), answer);
    const found = [...answer.matchAll(/^(?:compilation failed: )?ERROR: <input>:(.*)$/gm)].map(match => match[1]);
    t.deepEqual(found, [...issues]);
  });
}

test('a mistake on another line is shown with its line', t => {
  t.is(
    evaluate('o.count == 1 &&\n  nope'),
    "compilation failed: ERROR: <input>:2:3: undeclared reference to 'nope' (in container '')\n |   nope\n | ..^",
  );
});

test('a regular expression that is written down is judged when the expression is', t => {
  t.is(evaluate('o.name.matches("(")'), 'program instantiation failed: error parsing regexp: missing closing ): `(`');
});
