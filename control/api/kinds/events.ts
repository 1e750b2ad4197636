/** Events: one store, two faces. core/v1 is the stored form; events.k8s.io/v1 names some fields otherwise. */
import * as kinds from '../generated/kinds.ts';
import type { Event, EventsV1Event, EventsV1EventSeries } from '../generated/types.ts';
import { validateEvent, validateEventsV1Event } from '../validation/events.ts';
import { declare } from './declare.ts';

const SELECTABLE = [
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'involvedObject.resourceVersion',
  'involvedObject.fieldPath',
  'reason',
  'reportingComponent',
  'source',
  'type',
] as const;

function selectableFields(event: Event): Record<string, string> {
  const { kind, namespace, name, uid, apiVersion, resourceVersion, fieldPath } = event.involvedObject;
  return {
    'involvedObject.kind': kind ?? '',
    'involvedObject.namespace': namespace ?? '',
    'involvedObject.name': name ?? '',
    'involvedObject.uid': uid ?? '',
    'involvedObject.apiVersion': apiVersion ?? '',
    'involvedObject.resourceVersion': resourceVersion ?? '',
    'involvedObject.fieldPath': fieldPath ?? '',
    reason: event.reason ?? '',
    reportingComponent: event.reportingComponent ?? '',
    source: event.source?.component || event.reportingComponent || '',
    type: event.type ?? '',
  };
}

export const event = declare(kinds.events, {
  allowCreateOnUpdate: true,
  // Events are called after IP addresses too: any name that fits in a URL will do.
  validate: validateEvent,
  selectableFieldNames: SELECTABLE,
  selectableFields,
});

/** events.k8s.io/v1 to core/v1: the same data under other names. */
function toCore(event: EventsV1Event): Event {
  const {
    regarding,
    note,
    reportingController,
    reportingInstance,
    deprecatedCount,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedSource,
    ...same
  } = event;
  return {
    ...same,
    metadata: event.metadata ?? {},
    apiVersion: 'v1',
    kind: 'Event',
    involvedObject: regarding ?? {},
    ...(note !== undefined && { message: note }),
    ...(reportingController !== undefined && { reportingComponent: reportingController }),
    ...(reportingInstance !== undefined && { reportingInstance }),
    ...(deprecatedCount !== undefined && { count: deprecatedCount }),
    ...(deprecatedFirstTimestamp !== undefined && { firstTimestamp: deprecatedFirstTimestamp }),
    ...(deprecatedLastTimestamp !== undefined && { lastTimestamp: deprecatedLastTimestamp }),
    ...(deprecatedSource !== undefined && { source: deprecatedSource }),
  };
}

/** core/v1 to events.k8s.io/v1. */
function fromCore(object: object): EventsV1Event {
  const {
    involvedObject,
    message,
    reportingComponent,
    reportingInstance,
    count,
    firstTimestamp,
    lastTimestamp,
    source,
    series,
    ...same
  } = object as Event;
  return {
    ...same,
    // The walker has filled in what the type of events.k8s.io demands.
    ...(series && { series: series as EventsV1EventSeries }),
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    // The core form writes null where no time is set.
    eventTime: same.eventTime ?? '',
    regarding: involvedObject,
    ...(message && { note: message }),
    ...(reportingComponent && { reportingController: reportingComponent }),
    ...(reportingInstance && { reportingInstance }),
    ...(count && { deprecatedCount: count }),
    ...(firstTimestamp !== undefined && { deprecatedFirstTimestamp: firstTimestamp }),
    ...(lastTimestamp !== undefined && { deprecatedLastTimestamp: lastTimestamp }),
    ...(source !== undefined && { deprecatedSource: source }),
  };
}

export const eventsV1Event = declare(kinds.eventsV1Events, {
  allowCreateOnUpdate: true,
  storedAs: { kind: kinds.events, toStored: toCore, fromStored: fromCore },
  validate: validateEventsV1Event,
  selectableFieldNames: [
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'regarding.apiVersion',
    'regarding.resourceVersion',
    'regarding.fieldPath',
    'reason',
    'reportingController',
    'source',
    'type',
  ],
  selectableFields: object => {
    const fields = selectableFields(toCore(object));
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name.replace('involvedObject.', 'regarding.').replace('reportingComponent', 'reportingController'),
        value,
      ]),
    );
  },
});
