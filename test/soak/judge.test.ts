import test from 'ava';
import { ChangeLog, type Intent, type Outcome, type RecordedCall, WatcherView } from './history.ts';
import { judge } from './judge.ts';

/** A log of one change a revision, from revision 1. */
function logOf(...changes: readonly (readonly [key: string, value: string | undefined])[]): ChangeLog {
  const log = new ChangeLog();
  for (const [position, [key, value]] of changes.entries()) log.note(position + 1, [{ key, value }]);
  return log;
}

function call(times: readonly [number, number], intent: Intent, outcome: Outcome): RecordedCall {
  return { intent, calledAtMs: times[0], returnedAtMs: times[1], outcome };
}
const put = (value: string): Intent => ({ type: 'put', key: 'k', value });
const get: Intent = { type: 'get', key: 'k' };
const remove: Intent = { type: 'delete', key: 'k' };
const never = Number.POSITIVE_INFINITY;

const good: readonly [title: string, log: ChangeLog, calls: readonly RecordedCall[]][] = [
  [
    'a write, a read of it, a write without an answer that happened, and one that did not',
    logOf(['k', 'a'], ['k', 'b']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call([2, 3], get, { type: 'seen', revision: 1, value: 'a', modRevision: 1 }),
      call([4, never], put('b'), { type: 'unknown' }),
      call([4, never], put('c'), { type: 'unknown' }),
      call([5, 6], get, { type: 'seen', revision: 2, value: 'b', modRevision: 2 }),
    ],
  ],
  [
    'a deletion without an answer explains one in the log',
    logOf(['k', 'a'], ['k', undefined]),
    [call([0, 1], put('a'), { type: 'done', revision: 1 }), call([2, never], remove, { type: 'unknown' })],
  ],
  [
    'a comparison that did not hold',
    logOf(['k', 'a']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call(
        [2, 3],
        { type: 'compareAndSet', key: 'k', expectedRevision: 0, value: 'b' },
        { type: 'different', revision: 1 },
      ),
    ],
  ],
];
for (const [title, log, calls] of good) test(`right: ${title}`, t => t.deepEqual(judge(calls, log), []));

const bad: readonly [title: string, log: ChangeLog, calls: readonly RecordedCall[], said: RegExp][] = [
  ['an acknowledged write that is gone', logOf(), [call([0, 1], put('a'), { type: 'done', revision: 1 })], /lost/],
  [
    'a stale read',
    logOf(['k', 'a'], ['k', 'b']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call([2, 3], put('b'), { type: 'done', revision: 2 }),
      call([4, 5], get, { type: 'seen', revision: 1, value: 'a', modRevision: 1 }),
    ],
    /2 had been seen/,
  ],
  [
    'a read of what was not there',
    logOf(['k', 'a']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call([2, 3], get, { type: 'seen', revision: 1, value: undefined, modRevision: 0 }),
    ],
    /saw nothing/,
  ],
  ['a refused write that happened', logOf(['k', 'a']), [call([0, 1], put('a'), { type: 'notDone' })], /refused, yet/],
  [
    'an acknowledged deletion that is not in the log',
    logOf(['k', 'a']),
    [call([0, 1], put('a'), { type: 'done', revision: 1 }), call([2, 3], remove, { type: 'done', revision: 1 })],
    /not in the log/,
  ],
  ['a change that nobody made', logOf(['k', 'x']), [], /nobody wrote/],
  ['a deletion that nobody asked for', logOf(['k', undefined]), [], /nobody asked for/],
  [
    'a write without an answer that happened before it was asked for',
    logOf(['k', 'b'], ['k', 'a']),
    [call([0, 1], put('a'), { type: 'done', revision: 2 }), call([2, never], put('b'), { type: 'unknown' })],
    /stands at revision 1/,
  ],
  [
    'two writes in the wrong order',
    logOf(['k', 'b'], ['k', 'a']),
    [call([0, 1], put('a'), { type: 'done', revision: 2 }), call([2, 3], put('b'), { type: 'done', revision: 1 })],
    /stands at revision 1/,
  ],
  [
    'a comparison that held although it should not have',
    logOf(['k', 'a'], ['k', 'b']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call([2, 3], { type: 'compareAndSet', key: 'k', expectedRevision: 0, value: 'b' }, { type: 'done', revision: 2 }),
    ],
    /expected 0, but 1/,
  ],
  [
    'a comparison that was refused although it held',
    logOf(['k', 'a']),
    [
      call([0, 1], put('a'), { type: 'done', revision: 1 }),
      call(
        [2, 3],
        { type: 'compareAndSet', key: 'k', expectedRevision: 1, value: 'b' },
        { type: 'different', revision: 1 },
      ),
    ],
    /but it is/,
  ],
];
for (const [title, log, calls, said] of bad) test(`wrong: ${title}`, t => t.regex(judge(calls, log).join('\n'), said));

test('a watcher that sees a revision twice, backwards, or otherwise than another is told', t => {
  const log = new ChangeLog();
  const one = new WatcherView('one', log, 0);
  one.batch(2, [
    { revision: 1, key: 'k', value: 'a' },
    { revision: 2, key: 'k', value: 'b' },
  ]);
  t.deepEqual(one.violations, []);
  one.batch(2, [{ revision: 2, key: 'k', value: 'b' }]);
  t.regex(one.violations.join(), /came again/);
  const other = new WatcherView('other', log, 0);
  other.batch(2, [
    { revision: 2, key: 'k', value: 'b' },
    { revision: 1, key: 'k', value: 'x' },
  ]);
  t.regex(other.violations.join(), /revision 1 came after 2/);
  t.regex(other.violations.join(), /different changes at revision 1/);
});
