/** The groups policy, scheduling.k8s.io and node.k8s.io: what holds pods back, ranks them, and runs them. */
import type { TextTable } from '../texts.ts';

export const POLICY: TextTable = {
  prefix: 'io.k8s.api.policy.v1.',
  texts: {
    Eviction: {
      itself:
        'Eviction asks that a pod be deleted, unless a PodDisruptionBudget forbids it at the moment (429 then). It is sent to pods/NAME/eviction and not stored.',
      deleteOptions: 'How the pod is deleted, such as with which grace period.',
    },
    PodDisruptionBudget: {
      itself:
        'PodDisruptionBudget says how many of some pods may be away at once because somebody evicts them. It does not hold back crashes, nor who deletes pods directly.',
    },
    PodDisruptionBudgetSpec: {
      itself:
        'PodDisruptionBudgetSpec says how many of which pods may be away. It has minAvailable or maxUnavailable, not both.',
      maxUnavailable:
        'How many of the pods may be unavailable after an eviction, as a number or in percent (at most 100%) of those that are wanted, rounded up. Only for pods whose controller tells how many it wants.',
      minAvailable:
        'How many of the pods have to be available after an eviction, as a number or in percent (at most 100%) of those that are wanted, rounded up. 100% forbids all evictions.',
      selector: 'Labels of the pods. Empty, all of the namespace are meant; missing, none.',
      unhealthyPodEvictionPolicy:
        'When pods that run and are not ready may be evicted: "IfHealthyBudget", the default, only while enough others are ready, "AlwaysAllow" always.',
    },
    PodDisruptionBudgetStatus: {
      itself: 'PodDisruptionBudgetStatus is what the controller last counted.',
      conditions:
        'What holds of the budget: "DisruptionAllowed" is true while a pod may be evicted, with the reason in words.',
      currentHealthy: 'Pods that are ready.',
      desiredHealthy: 'Pods that have to stay ready.',
      disruptedPods:
        'Pods whose eviction was granted and that are not seen to go yet, with the time of that. They are no longer counted as ready; after two minutes they are again.',
      disruptionsAllowed: 'How many pods may be evicted at the moment.',
      expectedPods: 'Pods that the budget counts: as many as their controllers want.',
      observedGeneration:
        'The generation of the budget that this status is about. Evictions are refused until it is the present one.',
    },
  },
};

export const PRIORITY_CLASSES: TextTable = {
  prefix: 'io.k8s.api.scheduling.v1.',
  texts: {
    PriorityClass: {
      itself:
        'PriorityClass is a name for a priority of pods. Pods with more priority are placed first, and others with less may have to make room for them. Pods keep what the class said when they were made.',
      description: 'When the class should be used, in words.',
      globalDefault:
        'True for the class of pods that name none. Without such a class their priority is 0. Only one class may be it.',
      preemptionPolicy:
        'Whether pods of the class may drive others out: "PreemptLowerPriority", the default, or "Never", where they wait first in line for room. It cannot be changed.',
      value:
        'The priority: more goes first. Up to 1000000000; above are only the classes of the system itself. It cannot be changed.',
    },
  },
};

export const RUNTIME_CLASSES: TextTable = {
  prefix: 'io.k8s.api.node.v1.',
  texts: {
    RuntimeClass: {
      itself:
        'RuntimeClass is a way of running containers that pods can choose by name, such as in virtual machines, with what it costs and which nodes have it.',
      handler:
        'What the runtime of the nodes calls it: a name in lower case, as in a host name. It cannot be changed. The agents of raftsman do not look at it.',
      overhead: 'What a pod takes in addition to its containers.',
      scheduling: 'Which nodes have the class. Missing: all.',
    },
    Overhead: {
      itself: 'Overhead is what it costs to run a pod, apart from its containers.',
      podFixed: 'Resources that each pod takes. They are added to what it requests, and count for quotas.',
    },
    Scheduling: {
      itself: 'Scheduling says on which nodes the pods of a class may run.',
      nodeSelector:
        "Labels that nodes must have, added to those of the pod's nodeSelector. Where the two contradict each other, the pod is refused.",
      tolerations: 'Tolerations that the pods get in addition to their own.',
    },
  },
};
