/** The group apps: StatefulSets. */
import type { TextTable } from '../texts.ts';

export const STATEFUL_SETS: TextTable = {
  prefix: 'io.k8s.api.apps.v1.',
  texts: {
    StatefulSet: {
      itself:
        'StatefulSet runs pods that each have an identity: a name with a number (NAME-0, NAME-1, …), a host name in DNS, and claims for storage of their own. A pod that is replaced gets all of them back.',
    },
    StatefulSetSpec: {
      itself:
        'StatefulSetSpec says which pods a StatefulSet runs. Of an existing set one may change replicas, ordinals, template, updateStrategy, revisionHistoryLimit, persistentVolumeClaimRetentionPolicy and minReadySeconds, nothing else.',
      minReadySeconds:
        'Seconds that a new pod has to be ready without a break before it counts as available. 0, the default, means at once.',
      ordinals: 'From which number on the pods are counted. Without it they begin at 0.',
      persistentVolumeClaimRetentionPolicy:
        'What becomes of the claims made from volumeClaimTemplates when pods or the whole set go. By default they stay.',
      podManagementPolicy:
        'In which order pods come and go. "OrderedReady", the default: one after the other by number, each once the one before is available; downwards in reverse. "Parallel": all at once. Updates keep their order either way. It cannot be changed.',
      replicas: 'How many pods are wanted; 1 by default.',
      revisionHistoryLimit: 'How many old revisions of the template are kept as ControllerRevisions; 10 by default.',
      selector:
        "Labels by which the StatefulSet knows its pods. The template's labels have to match it. It cannot be changed.",
      serviceName:
        "Name of the headless Service, made by you, that gives each pod a host name: POD.SERVICE.NAMESPACE.svc and the cluster's domain. It cannot be changed.",
      template: 'What the pods are made from. Their names, host names and claims come from the set.',
      updateStrategy: 'How pods are brought to a changed template.',
      volumeClaimTemplates:
        "Claims that each pod gets, named TEMPLATE-POD. A volume of the pod has the template's name and takes the place of one with that name in the pod's template. It cannot be changed.",
    },
    StatefulSetOrdinals: {
      itself: 'StatefulSetOrdinals says how the pods are numbered.',
      start:
        'Number of the first pod; 0 by default. The pods have the numbers from here to start + replicas - 1. Changed, the pods outside of that range go and the missing ones come.',
    },
    StatefulSetPersistentVolumeClaimRetentionPolicy: {
      itself:
        'StatefulSetPersistentVolumeClaimRetentionPolicy says what becomes of the claims that were made from volumeClaimTemplates.',
      whenDeleted:
        'What happens to the claims when the StatefulSet is deleted: "Retain", the default, keeps them, "Delete" deletes them.',
      whenScaled:
        'What happens to the claims of pods that go because replicas became fewer: "Retain", the default, keeps them for when the pods come back, "Delete" deletes them.',
    },
    StatefulSetUpdateStrategy: {
      itself: 'StatefulSetUpdateStrategy says how pods are brought to a changed template.',
      rollingUpdate: 'How far a rolling update goes. Only with the type "RollingUpdate".',
      type: '"RollingUpdate", the default, replaces the pods from the highest number down, each once the one before is available. "OnDelete" waits until somebody deletes a pod, and makes it anew from the new template.',
    },
    RollingUpdateStatefulSetStrategy: {
      itself: 'RollingUpdateStatefulSetStrategy says which pods a rolling update takes, and how many at once.',
      maxUnavailable:
        'How many pods may be unavailable during an update, as a number or in percent. It is behind a feature gate that is off in this version: the server drops it, and one pod is replaced at a time.',
      partition:
        'Only pods with this number or a higher one are updated; the others keep the old template, even when they are made anew. 0, the default, updates all.',
    },
    StatefulSetStatus: {
      itself: 'StatefulSetStatus is what the controller last saw of a StatefulSet and its pods.',
      availableReplicas: 'Pods that have been ready for minReadySeconds.',
      collisionCount:
        "How often the name for a new ControllerRevision was already another template's. It goes into the hash of the name, so that the next one differs.",
      conditions: 'What holds of the StatefulSet. The controller writes none.',
      currentReplicas: 'Pods that are made from the revision named in currentRevision.',
      currentRevision:
        'Name of the ControllerRevision that the pods have which are not updated yet. Once an update is complete it is the same as updateRevision.',
      observedGeneration: 'The generation of the StatefulSet that this status is about.',
      readyReplicas: 'Pods whose condition Ready is true.',
      replicas: 'Pods of the set that exist.',
      updateRevision: 'Name of the ControllerRevision that holds the present template.',
      updatedReplicas: 'Pods that are made from the revision named in updateRevision.',
    },
    StatefulSetCondition: {
      itself: 'StatefulSetCondition is one thing that holds, or does not, of a StatefulSet.',
    },
  },
};
