/**
 * When a schedule's runs are. A run is a whole minute whose local time the fields name. So a local time that a change to
 * summer time leaps over has no run that day, and one that comes twice when the clock is set back has two, as robfig/cron v3
 * (which Kubernetes uses) and cron itself have it. Pure: the zone's offsets are handed in.
 */
import type { FieldTiming, Timing } from './schedule.ts';
import type { OffsetAt } from './zones.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
/** A day that does not come in so many years never comes (robfig/cron: SpecSchedule.Next). */
const YEARS_AHEAD_MAX = 5;

/** The first run after an instant; undefined if there is none in the next five years. */
export function nextTime(timing: Timing, afterMs: number, offsetAt: OffsetAt): number | undefined {
  if (timing.type === 'interval') return Math.floor(afterMs / 1000) * 1000 + timing.everyMs;
  const today = localDay(afterMs, offsetAt);
  const lastYear = yearOf(today) + YEARS_AHEAD_MAX;
  for (let day = today; yearOf(day) <= lastYear; day++) {
    const found = runsOfDay(timing, day, offsetAt).find(runMs => runMs > afterMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The last run in (afterMs, untilMs]; undefined if there is none. An interval counts from `afterMs`. */
export function lastTime(
  timing: Timing,
  { afterMs, untilMs }: { readonly afterMs: number; readonly untilMs: number },
  offsetAt: OffsetAt,
): number | undefined {
  if (timing.type === 'interval') {
    const startMs = Math.floor(afterMs / 1000) * 1000;
    const count = Math.floor((untilMs - startMs) / timing.everyMs);
    return count > 0 ? startMs + count * timing.everyMs : undefined;
  }
  const today = localDay(untilMs, offsetAt);
  const firstDay = Math.max(localDay(afterMs, offsetAt), today - 366 * YEARS_AHEAD_MAX);
  for (let day = today; day >= firstDay; day--) {
    const found = runsOfDay(timing, day, offsetAt).findLast(runMs => runMs <= untilMs);
    if (found !== undefined) return found > afterMs ? found : undefined;
  }
  return undefined;
}

/** Days since 1970-01-01 by the local calendar. */
const localDay = (instantMs: number, offsetAt: OffsetAt) => Math.floor((instantMs + offsetAt(instantMs)) / DAY_MS);
const yearOf = (day: number) => new Date(day * DAY_MS).getUTCFullYear();

/** The runs of a local day, in order. */
function runsOfDay(timing: FieldTiming, day: number, offsetAt: OffsetAt): readonly number[] {
  const midnightMs = day * DAY_MS;
  if (!isDayNamed(timing, new Date(midnightMs))) return [];
  const local = timing.hours.flatMap(hour =>
    timing.minutes.map(minute => midnightMs + (hour * 60 + minute) * MINUTE_MS),
  );
  // No zone is further than a day from UTC, so the offsets of this day are among these two.
  const [before, after] = [offsetAt(midnightMs - DAY_MS), offsetAt(midnightMs + 2 * DAY_MS)];
  if (before === after) return local.map(localMs => localMs - before);
  return [...local.map(localMs => localMs - before), ...local.map(localMs => localMs - after)]
    .filter((runMs, index) => offsetAt(runMs) === (index < local.length ? before : after))
    .toSorted((a, b) => a - b);
}

function isDayNamed({ months, days, weekdays, isEitherDay }: FieldTiming, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const isInMonth = days.has(date.getUTCDate());
  const isInWeek = weekdays.has(date.getUTCDay());
  return isEitherDay ? isInMonth || isInWeek : isInMonth && isInWeek;
}
