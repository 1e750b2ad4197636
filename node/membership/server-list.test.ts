/** Which masters a node asks. */
import test from 'ava';
import { serverList } from './server-list.ts';

test('a node that joined while the cluster had one master still knows the others that it was given', t => {
  const given = ['https://a:1', 'https://b:1', 'https://c:1'];
  t.deepEqual(serverList(['https://a:1'], given), given);
});

test('what the cluster tells comes first, and each master once', t => {
  t.deepEqual(serverList(['https://d:1', 'https://a:1'], ['https://a:1', 'https://b:1']), [
    'https://d:1',
    'https://a:1',
    'https://b:1',
  ]);
});
