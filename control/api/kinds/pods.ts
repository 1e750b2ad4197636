/** Pods and pod templates. */
import * as kinds from '../generated/kinds.ts';
import type { Container, Pod, PodCondition, PodSpec, PodStatus } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { podWarnings, validatePod, validatePodUpdate } from '../validation/pod.ts';
import { declare, metadataOf, STATUS } from './declare.ts';
import { defaultPodSpec } from './pod-defaults.ts';
import { qosClassOf } from './pod-qos.ts';

const GRACE_SECONDS = 30;

/** The condition of a pod that waits for its scheduling gates to be taken away. */
const GATED: PodCondition = {
  type: 'PodScheduled',
  status: 'False',
  reason: 'SchedulingGated',
  message: 'Scheduling is blocked due to non-empty scheduling gates',
};

export const pod = declare(kinds.pods, {
  tracksGeneration: true,
  subresources: [
    { name: 'attach', verbs: ['create', 'get'], responseKind: { group: '', version: 'v1', kind: 'PodAttachOptions' } },
    { name: 'binding', verbs: ['create'], responseKind: { group: '', version: 'v1', kind: 'Binding' } },
    { name: 'ephemeralcontainers', verbs: ['get', 'patch', 'update'] },
    { name: 'eviction', verbs: ['create'], responseKind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
    { name: 'exec', verbs: ['create', 'get'], responseKind: { group: '', version: 'v1', kind: 'PodExecOptions' } },
    { name: 'log', verbs: ['get'] },
    {
      name: 'portforward',
      verbs: ['create', 'get'],
      responseKind: { group: '', version: 'v1', kind: 'PodPortForwardOptions' },
    },
    {
      name: 'proxy',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
      responseKind: { group: '', version: 'v1', kind: 'PodProxyOptions' },
    },
    { name: 'resize', verbs: ['get', 'patch', 'update'] },
    STATUS,
  ],
  podSpecOf: ({ spec }) => spec,
  defaults(object) {
    if (object.spec) defaultPodSpec(object.spec);
  },
  prepareForCreate(object, { now }) {
    if (object.spec) dropUnsupported(object.spec);
    object.status = { phase: 'Pending', qosClass: qosClassOf(object.spec) };
    if (object.spec?.schedulingGates?.length) object.status.conditions = [{ ...GATED, lastTransitionTime: now }];
  },
  prepareForUpdate(object, old, { subresource }) {
    if (object.spec) dropUnsupported(object.spec);
    if (subresource === 'ephemeralcontainers') keepSpecBut(object, old, ['ephemeralContainers']);
    else if (subresource === 'resize') keepSpecForResize(object, old);
  },
  prepareForStatusUpdate(object, old) {
    // Old kubelets wrote wrong owners, by which the garbage collector would go.
    const { ownerReferences } = old.metadata ?? {};
    if (ownerReferences) metadataOf(object).ownerReferences = ownerReferences;
    else delete metadataOf(object).ownerReferences;
    const { status } = object;
    if (!status) return;
    if (!status.qosClass && old.status?.qosClass) status.qosClass = old.status.qosClass;
    syncPodIps(status);
  },
  isSpecChanged: (object, old) => !isEqual(object.spec, old.spec),
  validate: validatePod,
  judgesWholeFirst: true,
  validateUpdate: validatePodUpdate,
  warnings: podWarnings,
  decideDeletion: decidePodDeletion,
  selectableFieldNames: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  selectableFields: ({ spec, status }) => ({
    'spec.nodeName': spec?.nodeName ?? '',
    'spec.restartPolicy': spec?.restartPolicy ?? '',
    'spec.schedulerName': spec?.schedulerName ?? '',
    'spec.serviceAccountName': spec?.serviceAccountName ?? '',
    'spec.hostNetwork': String(spec?.hostNetwork ?? false),
    'status.phase': status?.phase ?? '',
    'status.podIP': status?.podIPs?.[0]?.ip ?? status?.podIP ?? '',
    'status.podIPs': status?.podIPs?.[0]?.ip ?? status?.podIP ?? '',
    'status.nominatedNodeName': status?.nominatedNodeName ?? '',
  }),
});

/**
 * How long a pod has to stop. A pod that no node runs, or that has ended, goes at once; a pod already stopping may only get
 * less time (Kubernetes' pkg/registry/core/pod/strategy.go, CheckGracefulDelete).
 */
function decidePodDeletion(pod: Pod, requestedGraceSeconds: number | undefined): { gracePeriodSeconds: number } {
  const { phase } = pod.status ?? {};
  if (!pod.spec?.nodeName || phase === 'Failed' || phase === 'Succeeded') return { gracePeriodSeconds: 0 };
  const grace = requestedGraceSeconds ?? pod.spec.terminationGracePeriodSeconds ?? GRACE_SECONDS;
  return { gracePeriodSeconds: grace < 0 ? 1 : grace };
}

/** The old field holds the first of the new one's addresses. */
function syncPodIps(status: PodStatus): void {
  const [first] = status.podIPs ?? [];
  if (status.podIP && first?.ip !== status.podIP) status.podIPs = [{ ip: status.podIP }];
  else if (!status.podIP && first) status.podIP = first.ip;
}

/** Fields of features that are off in Kubernetes 1.33 by default and that nothing here would act on. */
function dropUnsupported(spec: PodSpec): void {
  delete spec.resources;
  delete spec.resourceClaims;
  const containers: Partial<Container>[] = [
    ...(spec.containers ?? []),
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    if (container.lifecycle?.stopSignal) delete container.lifecycle.stopSignal;
    if (container.resources?.claims) delete container.resources.claims;
  }
}

function keepSpecBut(pod: Pod, old: Pod, fields: readonly (keyof PodSpec)[]): void {
  if (!old.spec) return;
  const spec = { ...old.spec };
  for (const field of fields) {
    const value = pod.spec?.[field];
    if (value === undefined) delete spec[field];
    else (spec as Record<string, unknown>)[field] = value;
  }
  pod.spec = spec;
}

/** A resize changes resources and resize policies of containers; whether containers came or went is validation's affair. */
function keepSpecForResize(pod: Pod, old: Pod): void {
  if (!old.spec) return;
  const before = new Map(old.spec.containers.map(container => [container.name, container]));
  const containers = (pod.spec?.containers ?? []).map(container => {
    const known = before.get(container.name);
    if (!known) return container;
    const { resources, resizePolicy } = container;
    return { ...known, ...(resources && { resources }), ...(resizePolicy && { resizePolicy }) };
  });
  pod.spec = { ...old.spec, containers };
}
