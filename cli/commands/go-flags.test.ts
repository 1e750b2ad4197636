/** Flags are read as pflag reads them; its messages were taken from kubectl 1.33. */
import test from 'ava';
import { type FlagDefinition, parseWords } from './go-flags.ts';

const definitions: readonly FlagDefinition[] = [
  { long: '--output', short: '-o', required: true, optional: false },
  { long: '--namespace', short: '-n', required: true, optional: false },
  { long: '--watch', short: '-w', required: false, optional: false },
  { long: '--all', short: '-A', required: false, optional: false },
  { long: '--dry-run', required: false, optional: true },
];
const parse = (...words: string[]) => {
  const parsed = parseWords(words, {
    find: name => definitions.find(({ long, short }) => long === name || short === name),
    isCommand: word => word === 'status',
  });
  return {
    ...parsed,
    given: parsed.flags.map(({ flag, value }) => `${flag.long?.slice(2)}=${value}`).join(' '),
  };
};

test('values stand in the same word or in the next', t => {
  for (const words of [['--output=json'], ['--output', 'json'], ['-o', 'json'], ['-o=json'], ['-ojson']]) {
    t.is(parse(...words).given, 'output=json', words.join(' '));
  }
  t.is(parse('-o', '-x').given, 'output=-x');
  t.is(parse('--output=').given, 'output=');
});

test('boolean flags and those with a preset take a value behind an equals sign only', t => {
  t.like(parse('-wA', 'false'), { given: 'watch=true all=true', operands: ['false'] });
  t.is(parse('--watch=f', '-A=TRUE').given, 'watch=false all=true');
  t.like(parse('--dry-run', 'server'), { given: 'dry-run=null', operands: ['server'] });
  t.is(parse('--dry-run=server').given, 'dry-run=server');
  t.is(parse('-Ao', 'yaml').given, 'all=true output=yaml');
});

test('what stands behind two dashes or the name of a command is left alone', t => {
  t.like(parse('a', '--', '-x', '--watch'), { operands: ['a', '-x', '--watch'], hasSeparator: true, given: '' });
  t.like(parse('-A', 'status', '--nonsense'), { operands: ['status'], rest: ['--nonsense'], given: 'all=true' });
  t.like(parse('x', 'status', '-A'), { operands: ['x', 'status'], rest: [], given: 'all=true' });
  t.like(parse('-'), { operands: ['-'] });
});

for (const [words, mistake] of [
  [['--nonsense'], 'unknown flag: --nonsense'],
  [['--nonsense=x'], 'unknown flag: --nonsense'],
  [['-q'], "unknown shorthand flag: 'q' in -q"],
  [['-qx'], "unknown shorthand flag: 'q' in -qx"],
  [['-Aq'], "unknown shorthand flag: 'q' in -q"],
  [['--output'], 'flag needs an argument: --output'],
  [['-o'], "flag needs an argument: 'o' in -o"],
  [
    ['--watch=maybe'],
    'invalid argument "maybe" for "-w, --watch" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
  [['--=x'], 'bad flag syntax: --=x'],
  [['---x'], 'bad flag syntax: ---x'],
] as const) {
  test(`${words.join(' ')}: ${mistake}`, t => t.is(parse(...words).mistake, mistake));
}
