import test from 'ava';
import { VerifiedTokens } from './verified-tokens.ts';

test('the longest unused token goes when there are too many', t => {
  const tokens = new VerifiedTokens<number>(2);
  tokens.add('a', 1);
  tokens.add('b', 2);
  t.is(tokens.get('a'), 1);
  tokens.add('c', 3);
  t.is(tokens.get('b'), undefined);
  t.is(tokens.get('a'), 1);
  t.is(tokens.get('c'), 3);
  t.is(tokens.size, 2);
});
