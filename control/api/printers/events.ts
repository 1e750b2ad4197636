/** Events of both groups, which are one kind in two forms. */
import type { Event, EventsV1Event, ObjectReference } from '../generated/types.ts';
import type { Cell } from '../kind.ts';
import { ageOf } from './human-duration.ts';
import { column, columns, nameOf, type Printer, printer, wide } from './printer.ts';

const COLUMNS = columns(
  'Last Seen',
  'Type',
  'Reason',
  'Object',
  wide('Subobject'),
  wide('Source'),
  'Message',
  wide('First Seen'),
  wide('Count'),
  { ...column('Name'), format: 'name', priority: 1 },
);

/** What both forms tell. */
interface EventFacts {
  readonly name: string;
  readonly type: string | undefined;
  readonly reason: string | undefined;
  readonly object: ObjectReference | undefined;
  readonly component: string | undefined;
  readonly host: string | undefined;
  readonly message: string | undefined;
  readonly eventTime: string | null | undefined;
  readonly first: string | null | undefined;
  readonly last: string | null | undefined;
  readonly count: number | undefined;
  readonly series: { readonly count: number; readonly lastObservedTime: string } | undefined;
}

export const event: Printer = printer<Event>(COLUMNS, (object, now) =>
  cells(
    {
      name: nameOf(object),
      type: object.type,
      reason: object.reason,
      object: object.involvedObject,
      component: object.source?.component || object.reportingComponent,
      host: object.source?.host || object.reportingInstance,
      message: object.message,
      eventTime: object.eventTime,
      first: object.firstTimestamp,
      last: object.lastTimestamp,
      count: object.count,
      series: seriesOf(object.series),
    },
    now,
  ),
);

export const eventsV1Event: Printer = printer<EventsV1Event>(COLUMNS, (object, now) =>
  cells(
    {
      name: nameOf(object),
      type: object.type,
      reason: object.reason,
      object: object.regarding,
      component: object.deprecatedSource?.component || object.reportingController,
      host: object.deprecatedSource?.host || object.reportingInstance,
      message: object.note,
      eventTime: object.eventTime,
      first: object.deprecatedFirstTimestamp,
      last: object.deprecatedLastTimestamp,
      count: object.deprecatedCount,
      series: seriesOf(object.series),
    },
    now,
  ),
);

function seriesOf(series: { count?: number; lastObservedTime?: string } | undefined): EventFacts['series'] {
  return series && { count: series.count ?? 0, lastObservedTime: series.lastObservedTime ?? '' };
}

function cells(facts: EventFacts, now: number): Cell[] {
  const firstSeen = ageOf(facts.first || facts.eventTime, now);
  const lastSeen = facts.series
    ? ageOf(facts.series.lastObservedTime, now)
    : facts.last
      ? ageOf(facts.last, now)
      : firstSeen;
  const kind = (facts.object?.kind ?? '').toLowerCase();
  return [
    lastSeen,
    facts.type ?? '',
    facts.reason ?? '',
    facts.object?.name ? `${kind}/${facts.object.name}` : kind,
    facts.object?.fieldPath ?? '',
    [facts.component, facts.host].filter(part => part).join(', '),
    (facts.message ?? '').trim(),
    firstSeen,
    facts.series?.count ?? (facts.count || 1),
    facts.name,
  ];
}
