import test from 'ava';
import { bearerOf, formatToken, parseToken, randomToken, TokenFormatError } from './token.ts';

test('a token survives the way to the operator and back', t => {
  const token = randomToken();
  const hash = 'ab'.repeat(32);
  t.deepEqual(parseToken(formatToken(token, hash)), { ...token, fingerprint: hash });
  t.deepEqual(parseToken(bearerOf(token)), token);
  t.regex(bearerOf(token), /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
});

test('a chosen text gives the same token everywhere, and different texts different ones', t => {
  t.is(bearerOf(parseToken('correct horse')), bearerOf(parseToken('correct horse')));
  t.not(bearerOf(parseToken('correct horse')), bearerOf(parseToken('correct house')));
});

for (const [text, pattern] of [
  ['short', /too short/],
  ['raftsman:abc:def', /damaged/],
  ['', /too short/],
] as const) {
  test(`"${text}" is refused`, t => {
    t.regex(t.throws(() => parseToken(text), { instanceOf: TokenFormatError }).message, pattern);
  });
}
