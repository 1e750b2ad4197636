/** The groups events.k8s.io and coordination.k8s.io. */
import type { TextTable } from '../texts.ts';

export const EVENTS_V1: TextTable = {
  prefix: 'io.k8s.api.events.v1.',
  texts: {
    Event: {
      itself:
        'Event tells that something has happened to an object, for people to read. The server keeps it for a while only; nothing should depend on it.',
      action: 'What was done, or failed, as one word such as Scheduling. Required; up to 128 characters.',
      deprecatedCount: 'How often it has happened, as events of the core group count it.',
      deprecatedFirstTimestamp: 'When it first happened, as events of the core group tell it.',
      deprecatedLastTimestamp: 'When it last happened, as events of the core group tell it.',
      deprecatedSource: 'Who tells it, as events of the core group name it.',
      eventTime: 'When it first happened, to the microsecond. Required.',
      note: 'What happened, in words.',
      reason: 'Why, as one word such as FailedScheduling. Required; up to 128 characters.',
      regarding: 'The object that it is about. The event is in its namespace, or in default if it has none.',
      related: 'Another object that has to do with it.',
      reportingController: 'Who tells it, such as kubernetes.io/kubelet. Required.',
      reportingInstance:
        'Which of several it was, such as a name with that of the machine. Required; up to 128 characters.',
      series: 'How often it has happened, if more than once.',
      type: '"Normal" or "Warning".',
    },
    EventSeries: {
      itself: 'EventSeries counts alike events.',
      count: 'How often it has happened so far; from 2 on.',
      lastObservedTime: 'When it last happened.',
    },
  },
};

export const LEASES: TextTable = {
  prefix: 'io.k8s.api.coordination.v1.',
  texts: {
    Lease: {
      itself:
        'Lease is something that one of several holds for a time and has to renew: leadership, or the sign of life of a node.',
      spec: 'Who holds the lease, and since when.',
    },
    LeaseSpec: {
      itself: 'LeaseSpec says who holds the lease, and since when.',
      acquireTime: 'When the present holder got the lease.',
      holderIdentity: 'Who holds the lease. Empty: nobody.',
      leaseDurationSeconds: 'Seconds after renewTime from which others may take the lease. Greater than 0.',
      leaseTransitions: 'How often the lease has passed from one holder to another.',
      preferredHolder: 'Who should get the lease next, in a coordinated election. Stored, and not acted on here.',
      renewTime: 'When the holder has last renewed the lease.',
      strategy: 'How a holder is chosen in a coordinated election. Stored, and not acted on here.',
    },
  },
};
