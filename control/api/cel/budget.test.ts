/** No expression costs more than it may, whatever it is and whatever it is given. */
import test from 'ava';
import fc from 'fast-check';
import { Budget, CostLimitError } from './budget.ts';
import { compileText } from './compile.ts';
import { builtinValue, declarations } from './environment.ts';
import { dynamicValue } from './json-values.ts';
import { CALL_COST_MAX, FREE_STEPS_PER_UNIT } from './limits.ts';
import { parseExpression } from './syntax.ts';
import { DYN } from './types.ts';
import { EvaluationError } from './values.ts';

const DECLARED = declarations([['o', DYN]]);
const LIST = Array.from({ length: 2_000 }, (_, index) => index);

/** How an evaluation ended, and what it cost. */
function run(text: string, o: unknown, costMax: number): { end: string; cost: number } {
  const compiled = compileText(text, DECLARED);
  if (compiled.error !== undefined) return { end: compiled.error, cost: 0 };
  const budget = new Budget(costMax);
  try {
    compiled.program(name => (name === 'o' ? dynamicValue(o) : builtinValue(name)), budget);
    return { end: 'value', cost: budget.cost };
  } catch (error) {
    if (error instanceof CostLimitError || error instanceof EvaluationError)
      return { end: error.message, cost: budget.cost };
    throw error;
  }
}

const EXCEEDED = 'operation cancelled: actual cost limit exceeded';
/** Of the processor's time: other programs on the machine do not count. */
const SOON_MS = 5_000;
const usedMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
const nested = (depth: number) => {
  const names = Array.from({ length: depth }, (_, index) => `v${index}`);
  return names.reduceRight((inner, name) => `o.all(${name}, ${inner})`, names.map(name => `${name} >= 0`).join(' && '));
};
const HOSTILE: Readonly<Record<string, readonly [expression: string, object: unknown]>> = {
  'loops within loops': [nested(6), LIST],
  'lists of lists': ['o.map(a, o.map(b, o.map(c, [a, b, c]))).size() > 0', LIST],
  'text that grows': [
    `${Array.from({ length: 60 }).reduce<string>(
      (text, _, index) => `cel.bind(v${index}, ${text}, v${index} + v${index})`,
      "'aaaaaaaa'",
    )}.size() > 0`,
    null,
  ],
  'text that is replaced by itself': ["o.replace('', o).replace('', o).size() > 0", 'x'.repeat(100_000)],
  'text that is joined': ['o.map(a, o).map(l, l.map(x, string(x)).join(o.map(x, string(x)).join())).size() > 0', LIST],
  'comparing deep values over and over': ['o.all(a, o.all(b, o == o))', Array.from({ length: 300 }, () => LIST)],
  'comparing maps over and over': [
    'o.all(a, o.all(b, o == o))',
    Array.from({ length: 300 }, () => Object.fromEntries(LIST.map(index => [`k${index}`, index]))),
  ],
  'comparing many small maps': [
    'o.all(a, o.all(b, o == o))',
    Array.from({ length: 300 }, () => LIST.slice(0, 1_000).map(index => ({ a: index }))),
  ],
  'comparing many small lists': [
    'o.all(a, o.all(b, o == o))',
    Array.from({ length: 300 }, () => LIST.slice(0, 1_000).map(index => [index])),
  ],
  searching: ['o.all(a, !(-1 in o))', LIST],
  patterns: [
    "o.map(x, 'a'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').matches('^(a+)+$x')).size() > 0 && o.all(x, o.all(y, 'aaaaaaaaaaaaaaaaaaaa'.matches('(a|a)*b') || true))",
    LIST,
  ],
  'errors that are overlooked': ['o.exists(a, o.exists(b, o.exists(c, 1 / 0 == 1 || o[a].x)))', LIST],
  sums: ['o.all(a, o.sum() > 0)', Array.from({ length: 20_000 }, () => 1)],
  formatting: ["o.map(x, '%s%s%s'.format([o, o, o])).size() > 0", LIST],
};
/** An evaluation holds the event loop for about 100 ms at most; on a slow machine that does other things as well for longer. */
const HELD_MS = 300;
for (const [name, [expression, object]] of Object.entries(HOSTILE)) {
  test(`${name} end soon`, t => {
    // The first times the code is not yet compiled, and others' garbage may be collected at any time.
    const times = Array.from({ length: 4 }, () => {
      const before = usedMs();
      const { end, cost } = run(expression, object, CALL_COST_MAX);
      t.is(end, EXCEEDED);
      t.true(cost > 0);
      return usedMs() - before;
    });
    t.true(Math.min(...times) < HELD_MS, `${times.join(', ')} ms`);
  });
}

test('an object as large as a request may be can be compared as a whole', t => {
  const entries = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, index]));
  const maps = Array.from({ length: 100_000 }, (_, index) => ({ a: index }));
  const numbers = Array.from({ length: 1_000_000 }, (_, index) => index % 10);
  for (const o of [entries, maps, numbers]) t.is(run('o == dyn(o)', o, CALL_COST_MAX).end, 'value');
});

test('expressions that are too deep or too long are refused at once', t => {
  const deep = [
    `${'('.repeat(5_000)}1${')'.repeat(5_000)}`,
    '!'.repeat(50_000).concat('true'),
    `${'-'.repeat(90_000)}1`,
    `${'['.repeat(50_000)}`,
    `o${'.a'.repeat(30_000)}`,
    `1${'+1'.repeat(40_000)}`,
    `${'true ? '.repeat(10_000)}1${' : 1'.repeat(10_000)}`,
    'a'.repeat(200_000),
  ];
  const before = usedMs();
  for (const text of deep) t.truthy(parseExpression(text).issues, text.slice(0, 20));
  t.true(usedMs() - before < SOON_MS);
  t.is(
    compileText('a'.repeat(100_001), DECLARED).error,
    'compilation failed: ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000',
  );
});

test('expressions as long as they may be are compiled in time', t => {
  const before = usedMs();
  for (const part of ["o.a == '1' && ", 'o.list.all(x, x > 1) || ', "(o.a + o.b < 3 ? 'x' : o.c) != 'y' && "]) {
    const compiled = compileText(`${part.repeat(Math.floor(99_000 / part.length))}true`, DECLARED);
    t.is(compiled.error, undefined);
  }
  const list = `[${'o.a + 1, '.repeat(10_000)}1].size() > 0`;
  t.is(compileText(list, DECLARED).error, undefined);
  t.true(usedMs() - before < SOON_MS * 2, `${usedMs() - before} ms`);
});

test('of many mistakes the first are told', t => {
  const { error = '' } = compileText(`${'nope == 1 && '.repeat(7_000)}true`, DECLARED);
  t.true(error.length < 300_000, `${error.length}`);
  t.regex(error, /^compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope'/);
  t.regex(error, /\n\d+ more errors were truncated$/);
});

test('a chain of && is no deeper than its parts', t => {
  t.is(run(Array.from({ length: 5_000 }, () => 'o == 1').join(' && '), 1, CALL_COST_MAX).end, 'value');
});

/** Expressions at random, of all kinds, over an object that has what they read. */
const EXPRESSIONS = fc.letrec<{ number: string; list: string; truth: string; text: string }>(tie => ({
  number: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('1', '0', 'o.n', 'o.list[0]', 'o.nope'),
    fc
      .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/', '%'), tie('number'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('list').map(list => `${list}.size()`),
    tie('text').map(text => `size(${text})`),
    fc.tuple(tie('truth'), tie('number'), tie('number')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
  ),
  list: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('o.list', '[1, 2, 3]', 'o.big'),
    fc.tuple(tie('list'), tie('number')).map(([list, number]) => `${list}.map(x, ${number})`),
    fc.tuple(tie('list'), tie('truth')).map(([list, truth]) => `${list}.filter(y, ${truth})`),
    fc.tuple(tie('list'), tie('list')).map(([a, b]) => `(${a} + ${b})`),
  ),
  truth: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('true', 'o.yes', 'has(o.n)'),
    fc
      .tuple(tie('list'), fc.constantFrom('all', 'exists', 'exists_one'), tie('truth'))
      .map(([l, m, p]) => `${l}.${m}(z, ${p})`),
    fc.tuple(tie('truth'), fc.constantFrom('&&', '||'), tie('truth')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('number'), fc.constantFrom('==', '<', '>='), tie('number')).map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.tuple(tie('number'), tie('list')).map(([number, list]) => `(${number} in ${list})`),
  ),
  text: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom("'abc'", 'o.text'),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} + ${b})`),
    fc.tuple(tie('text'), tie('text'), tie('text')).map(([a, b, c]) => `${a}.replace(${b}, ${c})`),
    tie('number').map(number => `string(${number})`),
  ),
}));
const SUBJECT = { n: 5, list: [1, 2, 3], big: LIST.slice(0, 300), text: 'some text', yes: true };

test('a budget that ended is not overlooked, whatever failed before', t => {
  t.is(run('o.nope == 1 || o.list.all(x, x >= 0)', SUBJECT, 10).end, EXCEEDED);
  t.is(run('[1, 0].all(x, 1 / (x - 1) == 1 || o.list.all(x, x >= 0))', SUBJECT, 30).end, EXCEEDED);
});

test('an evaluation never spends more than one step beyond its budget', t => {
  fc.assert(
    fc.property(EXPRESSIONS.truth, fc.integer({ min: 1, max: 20_000 }), (expression, costMax) => {
      const { end, cost } = run(expression, SUBJECT, costMax);
      if (end === EXCEEDED) return true;
      return cost <= costMax && !end.startsWith('compilation failed: ERROR: <input>:1:1: Syntax');
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('the same expression costs the same, and a smaller budget ends it', t => {
  fc.assert(
    fc.property(EXPRESSIONS.truth, expression => {
      const first = run(expression, SUBJECT, CALL_COST_MAX);
      const second = run(expression, SUBJECT, CALL_COST_MAX);
      if (first.end !== second.end || first.cost !== second.cost) return false;
      if (first.cost === 0 || first.end === EXCEEDED) return true;
      return run(expression, SUBJECT, first.cost - 1).end === EXCEEDED;
    }),
    { numRuns: 200 },
  );
  t.true(FREE_STEPS_PER_UNIT > 0);
});
