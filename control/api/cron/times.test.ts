import test from 'ava';
import fc from 'fast-check';
import { type FieldTiming, parseSchedule, type Timing } from './schedule.ts';
import { lastTime, nextTime } from './times.ts';
import { isTimeZone, localTimestamp, type OffsetAt, offsetsOf } from './zones.ts';

const timing = (text: string): Timing => parseSchedule(text, isTimeZone).timing;
const MINUTE_MS = 60_000;

/** [schedule, zone, after, next]: among them all that robfig/cron's own table of DST and leap days asks about. */
const NEXT: readonly (readonly [string, string, string, string | undefined])[] = [
  ['* * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
  ['* * * * *', 'UTC', '2026-01-01T00:00:59.999Z', '2026-01-01T00:01:00Z'],
  ['0/15 * * * *', 'UTC', '2026-07-09T15:45:00Z', '2026-07-09T16:00:00Z'],
  ['20-35/15 * * * *', 'UTC', '2026-07-09T23:46:00Z', '2026-07-10T00:20:00Z'],
  ['15/35 1/2 9/10 7 *', 'UTC', '2026-07-08T23:50:51Z', '2026-07-09T01:15:00Z'],
  ['0 0 9 apr-oct ?', 'UTC', '2026-11-01T00:00:00Z', '2027-04-09T00:00:00Z'],
  // Two names for days: either will do. With a star in one, both must hold.
  ['0 0 */5,1,20 8 mon', 'UTC', '2026-07-09T23:35:00Z', '2026-08-01T00:00:00Z'],
  ['0 0 13 * FRI', 'UTC', '2026-02-14T00:00:00Z', '2026-02-20T00:00:00Z'],
  ['0 0 * * FRI', 'UTC', '2026-02-14T00:00:00Z', '2026-02-20T00:00:00Z'],
  ['0 0 */2 * FRI', 'UTC', '2026-02-14T00:00:00Z', '2026-02-15T00:00:00Z'],
  ['0 0 29 2 ?', 'UTC', '2026-07-09T23:35:00Z', '2028-02-29T00:00:00Z'],
  ['0 0 30 feb ?', 'UTC', '2026-07-09T23:35:00Z', undefined],
  ['@monthly', 'UTC', '2026-12-31T23:59:59Z', '2027-01-01T00:00:00Z'],
  ['@weekly', 'UTC', '2026-11-21T13:00:00Z', '2026-11-22T00:00:00Z'],
  ['@every 90m', 'UTC', '2026-11-21T13:00:30.400Z', '2026-11-21T14:30:30Z'],
  ['@every 10ms', 'UTC', '2026-11-21T13:00:30Z', '2026-11-21T13:00:31Z'],
  // What summer time leaps over does not run.
  ['30 2 11 3 ?', 'America/New_York', '2012-03-11T05:00:00Z', '2013-03-11T06:30:00Z'],
  ['0 * * * ?', 'America/New_York', '2012-03-11T06:00:00Z', '2012-03-11T07:00:00Z'],
  ['0 2 * * ?', 'America/New_York', '2012-03-11T05:00:00Z', '2012-03-12T06:00:00Z'],
  // What comes twice runs twice.
  ['0 1 * * ?', 'America/New_York', '2012-11-04T04:00:00Z', '2012-11-04T05:00:00Z'],
  ['0 1 * * ?', 'America/New_York', '2012-11-04T05:00:00Z', '2012-11-04T06:00:00Z'],
  ['0 1 * * ?', 'America/New_York', '2012-11-04T06:00:00Z', '2012-11-05T06:00:00Z'],
  ['0 3 * * ?', 'America/New_York', '2012-11-04T04:00:00Z', '2012-11-04T08:00:00Z'],
  // A midnight that is not there.
  ['0 0 * * ?', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', '2018-11-05T02:00:00Z'],
  ['45 5 * * *', 'Asia/Kathmandu', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
  ['0 2 * * *', 'Australia/Lord_Howe', '2026-04-04T14:59:00Z', '2026-04-04T15:30:00Z'],
];
for (const [schedule, zone, after, expected] of NEXT) {
  test(`${schedule} in ${zone} after ${after}`, t => {
    const found = nextTime(timing(schedule), Date.parse(after), offsetsOf(zone));
    t.is(found === undefined ? undefined : localTimestamp(found, 0), expected);
  });
}

/** Whether the wall clock shows a minute that the fields name. */
function isRun(fields: FieldTiming, instantMs: number, offsetAt: OffsetAt): boolean {
  const local = new Date(instantMs + offsetAt(instantMs));
  const inMonth = fields.days.has(local.getUTCDate());
  const inWeek = fields.weekdays.has(local.getUTCDay());
  return (
    fields.minutes.includes(local.getUTCMinutes()) &&
    fields.hours.includes(local.getUTCHours()) &&
    fields.months.has(local.getUTCMonth() + 1) &&
    (fields.isEitherDay ? inMonth || inWeek : inMonth && inWeek)
  );
}

test('the next and the last run are what looking at every minute finds, also where clocks are changed', t => {
  const field = (values: fc.Arbitrary<number>) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: 2, max: 12 }).map(step => `*/${step}`),
      fc.uniqueArray(values, { minLength: 1, maxLength: 3 }).map(each => each.join(',')),
    );
  const schedules = fc
    .tuple(
      field(fc.integer({ min: 0, max: 59 })),
      field(fc.integer({ min: 0, max: 4 })),
      field(fc.integer({ min: 1, max: 31 })),
      field(fc.integer({ min: 0, max: 6 })),
    )
    .map(([minute, hour, day, weekday]) => `${minute} ${hour} ${day} * ${weekday}`);
  // Noons some hours before clocks are changed there.
  const starts = fc.constantFrom(
    ['Europe/Berlin', '2026-03-28T12:00:00Z'],
    ['Europe/Berlin', '2026-10-24T12:00:00Z'],
    ['America/New_York', '2026-11-01T01:00:00Z'],
    ['Australia/Lord_Howe', '2026-10-03T10:00:00Z'],
    ['Asia/Kolkata', '2026-06-01T00:00:00Z'],
    ['Pacific/Apia', '2011-12-29T12:00:00Z'],
  );
  fc.assert(
    fc.property(schedules, starts, fc.nat({ max: 720 }), (schedule, [zone = '', at = ''], minutes) => {
      const fields = timing(schedule) as FieldTiming;
      const offsetAt = offsetsOf(zone);
      const startMs = Date.parse(at) + minutes * MINUTE_MS;
      const span = 26 * 60;
      const runs = Array.from({ length: span }, (_, index) => startMs + (index + 1) * MINUTE_MS).filter(ms =>
        isRun(fields, ms, offsetAt),
      );
      const untilMs = startMs + span * MINUTE_MS;
      const next = nextTime(fields, startMs, offsetAt);
      t.is(next !== undefined && next <= untilMs ? next : undefined, runs[0]);
      t.is(lastTime(fields, { afterMs: startMs, untilMs }, offsetAt), runs.at(-1));
    }),
    { numRuns: 40 },
  );
});

test('a timestamp tells its offset', t => {
  const at = Date.parse('2026-07-01T10:00:00Z');
  for (const [zone, expected] of [
    ['UTC', '2026-07-01T10:00:00Z'],
    ['Europe/Rome', '2026-07-01T12:00:00+02:00'],
    ['America/St_Johns', '2026-07-01T07:30:00-02:30'],
  ] as const) {
    t.is(localTimestamp(at, offsetsOf(zone)(at)), expected);
  }
});
