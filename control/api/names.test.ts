import test from 'ava';
import { generateName } from './names.ts';

test('a suffix of five is appended, the base cut to make room', t => {
  t.is(
    generateName('gen-', () => 0),
    'gen-bbbbb',
  );
  t.is(generateName('x'.repeat(80), () => 0.999).length, 63);
  t.regex(generateName('gen-', Math.random), /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
});
