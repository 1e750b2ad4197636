/** Namespaces, and the limits and quotas within them. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const SCOPE_NAMES =
  '"Terminating": pods with activeDeadlineSeconds. "NotTerminating": those without. "BestEffort", "NotBestEffort": by their class of service. "PriorityClass": by their priority class. "CrossNamespacePodAffinity": pods whose affinity looks at other namespaces. "VolumeAttributesClass": claims, by that class.';

export const NAMESPACES: TextTable = {
  prefix: CORE_V1,
  texts: {
    Namespace: {
      itself:
        'Namespace is a space in which names are unique and to which roles, quotas and policies apply. Deleting it deletes all that is in it.',
      spec: 'What has to happen before the namespace may go.',
      status: 'Whether the namespace is in use or on its way out.',
    },
    NamespaceSpec: {
      itself: 'NamespaceSpec says what has to happen before a namespace may go.',
      finalizers:
        'Who has something to do before the namespace is removed. "kubernetes", which empties it, is always there. Entries are taken away through the subresource "finalize".',
    },
    NamespaceStatus: {
      itself: 'NamespaceStatus tells whether a namespace is in use.',
      conditions: 'What is left to do, or is in the way, while the namespace is being emptied.',
      phase: '"Active": in use. "Terminating": it is being emptied, and nothing can be made in it.',
    },
    NamespaceCondition: {
      itself: 'NamespaceCondition tells one thing about the emptying of a namespace.',
    },
    LimitRange: {
      itself:
        'LimitRange bounds what single pods, containers and claims of a namespace may ask for, and gives defaults to those that do not say. It holds when they are made.',
      spec: 'The bounds and defaults.',
    },
    LimitRangeSpec: {
      itself: 'LimitRangeSpec is a list of bounds.',
      limits: 'Bounds and defaults, for one type of thing each.',
    },
    LimitRangeItem: {
      itself: 'LimitRangeItem is the bounds and defaults for one type of thing, by resource.',
      default: 'Limits of containers that name none. Without it those of max.',
      defaultRequest: 'Requests of containers that name none. Without it those of default, then those of min.',
      max: 'The most that may be asked for.',
      maxLimitRequestRatio: 'How many times its request a limit may be. Then both have to be set.',
      min: 'The least that must be asked for.',
      type: '"Container"; "Pod", for all of its containers together; "PersistentVolumeClaim"; or a type with a domain of its own.',
    },
    ResourceQuota: {
      itself:
        'ResourceQuota bounds what all objects of a namespace may use together. Whatever would go above is refused when it is made or changed.',
      spec: 'The bounds.',
      status: 'The bounds in force, and what is used of them.',
    },
    ResourceQuotaSpec: {
      itself: 'ResourceQuotaSpec is the bounds of a quota, and what counts towards them.',
      hard: 'Bounds by name: requests.cpu, limits.memory, requests.storage, pods, services.nodeports, count/deployments.apps and the like. With one on CPU or memory every pod has to say what it asks for.',
      scopeSelector: 'Further conditions that an object has to meet to count, with values.',
      scopes: `Conditions that an object has to meet, all of them, to count. They cannot be changed. ${SCOPE_NAMES}`,
    },
    ResourceQuotaStatus: {
      itself: 'ResourceQuotaStatus is the bounds in force, and what is used of them.',
      hard: 'Bounds by name. They are those of the spec once the change has been seen.',
      used: 'What is used, by the same names.',
    },
    ScopeSelector: {
      itself: 'ScopeSelector chooses what counts towards a quota.',
      matchExpressions: 'Conditions, all of which have to be met.',
    },
    ScopedResourceSelectorRequirement: {
      itself: 'ScopedResourceSelectorRequirement is one condition.',
      operator:
        '"In", "NotIn": the object has, or has not, one of the values. "Exists", "DoesNotExist": it has any, or none. Scopes other than classes take Exists only.',
      scopeName: SCOPE_NAMES,
      values: 'What is compared with: at least one for In and NotIn, none for the others.',
    },
  },
};
