/** Replication controllers. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const REPLICATION_CONTROLLERS: TextTable = {
  prefix: CORE_V1,
  texts: {
    ReplicationController: {
      itself: 'ReplicationController keeps a number of like pods running. Deployments have taken its place.',
      metadata: 'What every object has. Without labels it gets those of the template.',
      spec: 'How many pods, and which.',
      status: 'How many there are. It may be a little behind.',
    },
    ReplicationControllerSpec: {
      itself: 'ReplicationControllerSpec says how many pods there should be, and which.',
      minReadySeconds:
        'Seconds that a new pod has to be ready without a break to count as available. The default is 0.',
      replicas: 'How many pods there should be. The default is 1.',
      selector:
        'Labels of the pods that are counted. The template must have them too. The default is the labels of the template.',
      template: 'What missing pods are made from. A change has no effect on pods that are there.',
    },
    ReplicationControllerStatus: {
      itself: 'ReplicationControllerStatus tells how many pods there are.',
      availableReplicas: 'How many are available: ready for at least minReadySeconds.',
      conditions: 'Conditions, such as ReplicaFailure when pods cannot be made or deleted.',
      fullyLabeledReplicas: 'How many have all labels of the template.',
      observedGeneration: 'The generation of the object that the controller has seen.',
      readyReplicas: 'How many are ready.',
      replicas: 'How many there are.',
    },
    ReplicationControllerCondition: {
      itself: 'ReplicationControllerCondition tells one thing about a replication controller.',
    },
  },
};
