/** Where pods go: affinity, taints, spreading. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const POD_PLACES =
  'Pods are looked for on the nodes that share the value of the label topologyKey: that is the place that a term speaks of.';

export const SCHEDULING: TextTable = {
  prefix: CORE_V1,
  texts: {
    Affinity: {
      itself: 'Affinity draws a pod to nodes, or keeps it from them.',
      nodeAffinity: 'Rules about the nodes themselves.',
      podAffinity: 'Rules that draw the pod to where certain other pods are.',
      podAntiAffinity: 'Rules that keep the pod from where certain other pods are.',
    },
    NodeAffinity: {
      itself: 'NodeAffinity tells by labels and fields which nodes a pod may and should run on.',
      preferredDuringSchedulingIgnoredDuringExecution:
        'Wishes. Of the nodes that will do, one is preferred that fulfils more of them, by weight.',
      requiredDuringSchedulingIgnoredDuringExecution:
        'Conditions. A node that does not meet them does not get the pod. A pod stays where it is when its node changes later.',
    },
    NodeSelector: {
      itself: 'NodeSelector chooses nodes: those that at least one of its terms fits.',
      nodeSelectorTerms: 'The terms, at least one. A node needs to fit one of them only.',
    },
    NodeSelectorTerm: {
      itself: 'NodeSelectorTerm fits a node that meets all of its requirements. One without any fits no node.',
      matchExpressions: 'Requirements on labels of the node.',
      matchFields:
        'Requirements on fields of the node. Only metadata.name can be asked for, with In or NotIn and one value.',
    },
    NodeSelectorRequirement: {
      itself: 'NodeSelectorRequirement is one requirement on a label or a field of a node.',
      key: 'Key of the label, or name of the field.',
      operator:
        '"In": the value is one of these. "NotIn": it is none of them, or there is none. "Exists", "DoesNotExist": it is there, or not. "Gt", "Lt": as a whole number it is greater, or less.',
      values:
        'What is compared with: at least one for In and NotIn, none for Exists and DoesNotExist, just one whole number for Gt and Lt.',
    },
    PreferredSchedulingTerm: {
      itself: 'PreferredSchedulingTerm is a wish for nodes of one sort. An empty term wishes for nothing.',
      preference: 'The sort of nodes.',
      weight: 'What a node that fits gets added to its score, 1 to 100.',
    },
    PodAffinity: {
      itself: `PodAffinity draws a pod to where other pods are. ${POD_PLACES}`,
      preferredDuringSchedulingIgnoredDuringExecution:
        'Wishes. Of the nodes that will do, one is preferred that fulfils more of them, by weight.',
      requiredDuringSchedulingIgnoredDuringExecution:
        'Conditions, all of which must be met for a node to get the pod. A pod stays where it is when the others go later.',
    },
    PodAntiAffinity: {
      itself: `PodAntiAffinity keeps a pod from where other pods are. ${POD_PLACES}`,
      preferredDuringSchedulingIgnoredDuringExecution:
        'Wishes. Of the nodes that will do, one is preferred that goes against fewer of them, by weight.',
      requiredDuringSchedulingIgnoredDuringExecution:
        'Conditions: where pods of one of these terms are, this pod does not go, nor do they go where it is. A pod stays where it is when others come later.',
    },
    PodAffinityTerm: {
      itself:
        'PodAffinityTerm names some pods of some namespaces, and what counts as being at the same place as they are.',
      labelSelector: 'Chooses the pods by their labels. Without it no pod is meant.',
      matchLabelKeys:
        'Labels of the pod to be scheduled that the others must have with the same values, besides what labelSelector asks for; such as pod-template-hash, to mean pods of the same rollout only. Labels that it has not are passed over. It takes a labelSelector, whose keys it may not repeat.',
      mismatchLabelKeys:
        'Labels of the pod to be scheduled that the others must have with other values, besides what labelSelector asks for. Labels that it has not are passed over. It takes a labelSelector.',
      namespaceSelector:
        'Chooses namespaces by their labels; those in the list namespaces are meant besides. An empty selector means all namespaces.',
      namespaces:
        'Names of namespaces. If there are none and no namespaceSelector either, the namespace of the pod is meant.',
      topologyKey:
        'Key of the node label whose values tell places apart: kubernetes.io/hostname for nodes, topology.kubernetes.io/zone for zones. It must not be empty.',
    },
    WeightedPodAffinityTerm: {
      itself: 'WeightedPodAffinityTerm is a wish about other pods.',
      podAffinityTerm: 'Which pods, and what counts as their place.',
      weight: 'How much the wish counts, 1 to 100.',
    },
    Taint: {
      itself: 'Taint keeps pods from a node, but for those that tolerate it.',
      effect:
        '"NoSchedule": no new pods. "PreferNoSchedule": none if there is another node. "NoExecute": no new pods, and those that are there are evicted.',
      key: 'Key of the taint, in the form of a label key.',
      timeAdded: 'When the taint was put there. It is set for NoExecute, to count the time for which pods tolerate it.',
      value: 'Value that goes with the key.',
    },
    Toleration: {
      itself:
        'Toleration lets a pod onto nodes that have a taint of this key, value and effect. It does not draw it there.',
      effect: 'Effect of the taint. Empty means every effect.',
      key: 'Key of the taint. Empty means every key, and takes the operator Exists.',
      operator: '"Equal" (the default): the values must be the same. "Exists": any value will do, and none is given.',
      tolerationSeconds:
        'Seconds for which a taint of effect NoExecute is tolerated before the pod is evicted. Without it for good; 0 or less means not at all. Other effects cannot have it.',
      value: 'Value of the taint, for the operator Equal.',
    },
    TopologySpreadConstraint: {
      itself:
        'TopologySpreadConstraint spreads pods evenly over places: nodes, zones, or whatever a node label tells apart. Skew is how many more pods a place has than the one with the fewest.',
      labelSelector: 'Chooses the pods that are counted, in the namespace of the pod. Without it none is.',
      matchLabelKeys:
        'Labels of the pod to be scheduled: only pods with the same values are counted. Such as pod-template-hash, to spread each rollout by itself. Labels that it has not are passed over. It takes a labelSelector, whose keys it may not repeat.',
      maxSkew: 'The largest skew allowed, at least 1. With ScheduleAnyway places that keep to it are preferred.',
      minDomains:
        'How many places there should be. While there are fewer, the least count is taken to be 0, so that no place gets more than maxSkew pods. At least 1, and only with DoNotSchedule. The default is 1.',
      nodeAffinityPolicy:
        'Which nodes count. "Honor" (the default): those that the pod\'s nodeSelector and node affinity allow. "Ignore": all.',
      nodeTaintsPolicy:
        'Whether tainted nodes count. "Ignore" (the default): all nodes do. "Honor": those without taints, and those whose taints the pod tolerates.',
      topologyKey:
        'Key of the node label whose values tell places apart. Nodes without it do not count, and get no pod if the constraint has to be met.',
      whenUnsatisfiable:
        '"DoNotSchedule": the pod waits until it fits. "ScheduleAnyway": it goes where the skew is least.',
    },
    TopologySelectorTerm: {
      itself: 'TopologySelectorTerm fits places whose labels meet all of its requirements. An empty one fits none.',
      matchLabelExpressions: 'The requirements.',
    },
    TopologySelectorLabelRequirement: {
      itself: 'TopologySelectorLabelRequirement asks for a node label with one of some values.',
      key: 'Key of the label.',
      values: 'The values. One of them has to be that of the label.',
    },
  },
};
