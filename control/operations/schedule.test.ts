import test from 'ava';
import fc from 'fast-check';
import { nextTime, parseSchedule } from './schedule.ts';

const ALONE = { rank: 0, count: 1 };
const at = (text: string) => Date.parse(text);
const next = (schedule: string, after: string, turn = ALONE) => {
  const time = nextTime(parseSchedule(schedule), at(after), turn);
  return time === undefined ? undefined : new Date(time).toISOString();
};

const cases: readonly (readonly [schedule: string, after: string, expected: string | undefined])[] = [
  ['12h', '2026-11-21T03:00:00Z', '2026-11-21T12:00:00.000Z'],
  ['12h', '2026-11-21T12:00:00Z', '2026-11-22T00:00:00.000Z'],
  ['30m', '2026-11-21T03:10:00Z', '2026-11-21T03:30:00.000Z'],
  ['1d', '2026-12-31T23:59:59Z', '2027-01-01T00:00:00.000Z'],
  ['0 */12 * * *', '2026-11-21T03:00:00Z', '2026-11-21T12:00:00.000Z'],
  ['15 3 * * *', '2026-11-21T03:15:00Z', '2026-11-22T03:15:00.000Z'],
  ['0 4 1 * *', '2026-11-21T00:00:00Z', '2026-12-01T04:00:00.000Z'],
  ['0 4 * * 0', '2026-11-21T00:00:00Z', '2026-11-22T04:00:00.000Z'],
  ['0 4 * * 7', '2026-11-21T00:00:00Z', '2026-11-22T04:00:00.000Z'],
  ['0 4 25 * 1', '2026-11-21T00:00:00Z', '2026-11-23T04:00:00.000Z'],
  ['0 0 29 2 *', '2026-11-21T00:00:00Z', '2028-02-29T00:00:00.000Z'],
  ['10-20/5,50 6 * * *', '2026-11-21T06:15:00Z', '2026-11-21T06:20:00.000Z'],
  ['off', '2026-11-21T00:00:00Z', undefined],
];
for (const [schedule, after, expected] of cases) {
  test(`${schedule} after ${after}`, t => t.is(next(schedule, after), expected));
}

test('masters take turns', t => {
  const times = [0, 1, 2].map(rank => next('12h', '2026-11-21T00:00:00Z', { rank, count: 3 }));
  t.deepEqual(times, ['2026-11-21T12:00:00.000Z', '2026-11-21T04:00:00.000Z', '2026-11-21T08:00:00.000Z']);
  t.is(next('0 3 * * *', '2026-11-21T03:00:30Z', { rank: 1, count: 3 }), '2026-11-21T03:01:00.000Z');
});

for (const wrong of [
  '',
  '0h',
  '12x',
  '12',
  '* * * *',
  '60 * * * *',
  '0 0 31 2 *',
  'a b c d e',
  '5-3 * * * *',
  '*/0 * * * *',
]) {
  test(`"${wrong}" is refused`, t => {
    t.throws(() => parseSchedule(wrong), { instanceOf: RangeError });
  });
}

test('the next time always lies ahead, and what comes next after that is later still', t => {
  const schedules = ['12h', '7m', '0 */6 * * *', '*/20 1-5 * * 1-5'].map(parseSchedule);
  fc.assert(
    fc.property(
      fc.constantFrom(...schedules),
      fc.integer({ min: 0, max: 4e12 }),
      fc.integer({ min: 0, max: 4 }),
      (schedule, afterMs, rank) => {
        const turn = { rank, count: 5 };
        const first = nextTime(schedule, afterMs, turn) ?? 0;
        return first > afterMs && (nextTime(schedule, first, turn) ?? 0) > first;
      },
    ),
  );
  t.pass();
});
