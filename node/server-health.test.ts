import test from 'ava';
import { healthAnswer, loopTrouble } from './server-health.ts';

const good = { name: 'ping', trouble: undefined };
const bad = { name: 'syncloop', trouble: 'it hangs' };
const query = (text = '') => new URLSearchParams(text);

test('all checks together, and each by its name', t => {
  t.deepEqual(healthAnswer([good], '', query()), { status: 200, text: 'ok' });
  t.deepEqual(healthAnswer([good], '', query('verbose')), {
    status: 200,
    text: '[+]ping ok\nhealthz check passed\n',
  });
  t.deepEqual(healthAnswer([good, bad], '', query()), {
    status: 500,
    text: '[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n',
  });
  t.deepEqual(healthAnswer([good, bad], '', query('verbose&exclude=syncloop')), {
    status: 200,
    text: '[+]ping ok\n[+]syncloop excluded: ok\nhealthz check passed\n',
  });
  t.deepEqual(healthAnswer([good, bad], 'ping', query()), { status: 200, text: 'ok' });
  t.deepEqual(healthAnswer([good, bad], 'syncloop', query()), {
    status: 500,
    text: 'internal server error: it hangs\n',
  });
  t.is(healthAnswer([good], 'other', query()), undefined);
});

test('a loop that has not come round for five minutes hangs', t => {
  t.is(loopTrouble(undefined, 1e12), undefined);
  t.is(loopTrouble(0, 300_000), undefined);
  t.is(loopTrouble(0, 300_001), 'sync Loop took longer than expected');
});
