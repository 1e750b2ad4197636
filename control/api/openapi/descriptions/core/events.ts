/** Events, and the standing of the components. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const EVENTS: TextTable = {
  prefix: CORE_V1,
  texts: {
    Event: {
      itself:
        'Event tells that something happened to an object. Events are kept for a while, an hour unless the server was told otherwise, and like ones are counted in one. Do not build on their being there.',
      action: 'What was done, or failed, on account of involvedObject.',
      count: 'How often it has happened.',
      eventTime: 'When it first happened, to the microsecond. Events that use count have the other times instead.',
      firstTimestamp: 'When it was first told.',
      involvedObject: 'The object that it is about.',
      lastTimestamp: 'When it last happened.',
      message: 'What happened, for people.',
      metadata:
        'What every object has. The namespace is that of the object that it is about; for objects of the cluster "default".',
      reason: 'One word in CamelCase for what happened, for programs.',
      related: 'Another object that plays a part in it.',
      reportingComponent: 'Name of who told it, such as kubernetes.io/kubelet.',
      reportingInstance: 'Which of several with that name told it, such as the name of the node.',
      series: 'If it goes on happening: how often, and when last. Without it, it happened once.',
      source: 'Who told it, in the older form.',
      type: '"Normal" or "Warning".',
    },
    EventSeries: {
      itself: 'EventSeries tells of an event that goes on happening.',
      count: 'How often it has happened so far.',
      lastObservedTime: 'When it last happened.',
    },
    EventSource: {
      itself: 'EventSource is who told an event.',
      component: 'Name of the program.',
      host: 'Node that it runs on.',
    },
    ComponentStatus: {
      itself:
        'ComponentStatus tells whether a part of the control plane is well. It is worked out at each request and not stored. Use the health checks of the server, /livez and /readyz, instead.',
      conditions: 'Conditions of the component. There is one, of type Healthy.',
    },
    ComponentCondition: {
      itself: 'ComponentCondition tells one thing about a component.',
      error: 'What went wrong when it was asked.',
      message: 'What it answered.',
      status: '"True" if it is well, "False" if it is not, "Unknown" if nobody could find out.',
      type: '"Healthy".',
    },
  },
};
