/** The group apps: DaemonSets, and the ControllerRevisions of DaemonSets and StatefulSets. */
import type { TextTable } from '../texts.ts';

export const DAEMON_SETS: TextTable = {
  prefix: 'io.k8s.api.apps.v1.',
  texts: {
    DaemonSet: {
      itself:
        'DaemonSet runs one pod on every node, or on every node that the template fits. Nodes that come get theirs, and the pods of nodes that go are removed.',
    },
    DaemonSetSpec: {
      itself: 'DaemonSetSpec says which pod each node gets, and how the pods are replaced.',
      minReadySeconds:
        'Seconds that a new pod has to be ready without a break before it counts as available. 0, the default, means at once.',
      revisionHistoryLimit: 'How many old revisions of the template are kept as ControllerRevisions; 10 by default.',
      selector:
        "Labels by which the DaemonSet knows its pods. The template's labels have to match it. It cannot be changed.",
      template:
        'What the pods are made from. The nodes that get one follow from the template\'s nodeSelector, node affinity and tolerations; the tolerations for nodes that are not ready, out of reach, under pressure or cordoned are added. Its restartPolicy has to be "Always".',
      updateStrategy: 'How pods are brought to a changed template.',
    },
    DaemonSetUpdateStrategy: {
      itself: 'DaemonSetUpdateStrategy says how pods are brought to a changed template.',
      rollingUpdate: 'How many nodes a rolling update takes at once. Only with the type "RollingUpdate".',
      type: '"RollingUpdate", the default, replaces the pods node by node. "OnDelete" waits until somebody deletes a pod, and makes it anew from the new template.',
    },
    RollingUpdateDaemonSet: {
      itself:
        'RollingUpdateDaemonSet bounds a rolling update. Exactly one of the two numbers has to be greater than 0: either old pods go first, or new ones come first.',
      maxSurge:
        'On how many nodes a new pod may run beside the old one until it is available, as a number or in percent of the nodes that should have a pod, rounded up. 0 by default; for more, maxUnavailable has to be set to 0. Nodes need room for both pods, and these cannot share a host port.',
      maxUnavailable:
        'On how many nodes the pod may be unavailable, as a number or in percent of the nodes that should have one, rounded up. 1 by default.',
    },
    DaemonSetStatus: {
      itself: 'DaemonSetStatus is what the controller last saw of a DaemonSet, counted by nodes.',
      collisionCount:
        "How often the name for a new ControllerRevision was already another template's. It goes into the hash of the name, so that the next one differs.",
      conditions: 'What holds of the DaemonSet. The controller writes none.',
      currentNumberScheduled: 'Nodes that should have a pod and have at least one.',
      desiredNumberScheduled: 'Nodes that should have a pod.',
      numberAvailable: 'Nodes that should have a pod and whose pod has been ready for minReadySeconds.',
      numberMisscheduled: 'Nodes that have a pod and should have none.',
      numberReady: 'Nodes that should have a pod and whose pod is ready.',
      numberUnavailable: 'Nodes that should have a pod and have none that is available.',
      observedGeneration: 'The generation of the DaemonSet that this status is about.',
      updatedNumberScheduled: 'Nodes whose pod is made from the present template.',
    },
    DaemonSetCondition: {
      itself: 'DaemonSetCondition is one thing that holds, or does not, of a DaemonSet.',
    },
    ControllerRevision: {
      itself:
        'ControllerRevision holds one state of the template of a DaemonSet or StatefulSet, so that one can go back to it. Controllers make and remove them; other programs should only read.',
      data: 'The state that was kept: a part of the owner, as JSON. It cannot be changed.',
      revision: 'Number of the state: the higher, the newer. One that is used again gets a new, higher number.',
    },
  },
};
