/** What endpoints and endpoint slices have in common: which pods serve a Service, on which ports. Pure but for the handlers. */
import { pods as podsKind, services as servicesKind } from '../api/generated/kinds.ts';
import type { ObjectReference, Pod, Service, ServicePort } from '../api/generated/types.ts';
import type { Informer } from '../client/informer.ts';
import type { Informers } from '../client/informers.ts';
import { keyOf } from '../client/keys.ts';
import { matchesLabels } from '../client/labels.ts';
import type { WorkQueue } from '../client/workqueue.ts';
import { byNamespace, NAMESPACE_INDEX } from './owners.ts';
import { isPodFinished, isPodReady } from './pods.ts';

export interface PortNumber {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** True for Services whose endpoints follow from a selector; all others are kept by somebody else. */
export function hasSelector(service: Service): boolean {
  return service.spec?.type !== 'ExternalName' && Object.keys(service.spec?.selector ?? {}).length > 0;
}

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';

/** Pods that can be endpoints at all: they have an address and have not finished. */
export function servingPods(service: Service, pods: readonly Pod[], includesLeaving: boolean): Pod[] {
  const selector = service.spec?.selector ?? {};
  return pods.filter(
    pod =>
      matchesLabels(selector, pod.metadata?.labels) &&
      Boolean(pod.status?.podIP) &&
      !isPodFinished(pod) &&
      (includesLeaving || !pod.metadata?.deletionTimestamp),
  );
}

/** The Service's ports as this pod has them; a named port that the pod lacks is left out. */
export function portsOf(service: Service, pod: Pod): PortNumber[] {
  return (service.spec?.ports ?? []).flatMap(servicePort => {
    const port = targetPort(servicePort, pod);
    if (port === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

function targetPort({ targetPort: target, port, protocol = 'TCP' }: ServicePort, pod: Pod): number | undefined {
  if (target === undefined || target === 0 || target === '') return port;
  if (typeof target === 'number') return target;
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(pod.spec?.containers ?? []), ...sidecars]
    .flatMap(({ ports = [] }) => ports)
    .find(candidate => candidate.name === target && (candidate.protocol || 'TCP') === protocol)?.containerPort;
}

export function referenceToPod({ metadata }: Pod): ObjectReference {
  return {
    kind: 'Pod',
    ...(metadata?.name && { name: metadata.name }),
    ...(metadata?.namespace && { namespace: metadata.namespace }),
    ...(metadata?.uid && { uid: metadata.uid }),
  };
}

/** The pod's address of a family; undefined if it has none. */
export function addressOfFamily({ status }: Pod, family: string): string | undefined {
  const addresses = status?.podIPs?.map(({ ip }) => ip) ?? [status?.podIP];
  return addresses.find(ip => ip && ip.includes(':') === (family === 'IPv6'));
}

/** The pod's own DNS name under this Service, if it has one. */
export function hostnameIn(service: Service, { spec }: Pod): string | undefined {
  return spec?.hostname && spec.subdomain === service.metadata?.name ? spec.hostname : undefined;
}

/** Queues Services when they or pods that they select change in a way that endpoints show. */
export function followServices(
  informers: Informers,
  queue: WorkQueue,
): { services: Informer<Service>; pods: Informer<Pod> } {
  const services = informers.for(servicesKind);
  const pods = informers.for(podsKind);
  services.addIndex(NAMESPACE_INDEX, byNamespace);
  pods.addIndex(NAMESPACE_INDEX, byNamespace);
  const enqueue = (service: Service) => queue.add(keyOf(service));
  services.addHandler({ added: enqueue, updated: enqueue, deleted: enqueue });
  const enqueueFor = (...versions: Pod[]) => {
    for (const service of services.byIndex(NAMESPACE_INDEX, versions[0]?.metadata?.namespace ?? '')) {
      if (!hasSelector(service)) continue;
      const selector = service.spec?.selector ?? {};
      if (versions.some(pod => matchesLabels(selector, pod.metadata?.labels))) enqueue(service);
    }
  };
  pods.addHandler({
    added: pod => enqueueFor(pod),
    updated: (pod, old) => {
      if (visiblePart(pod) !== visiblePart(old)) enqueueFor(pod, old);
    },
    deleted: pod => enqueueFor(pod),
  });
  return { services, pods };
}

/** All of a pod that endpoints depend on. */
function visiblePart(pod: Pod): string {
  const { metadata, spec, status } = pod;
  return JSON.stringify([
    metadata?.labels,
    Boolean(metadata?.deletionTimestamp),
    spec?.nodeName,
    status?.podIPs ?? status?.podIP,
    isPodFinished(pod),
    isPodReady(pod),
  ]);
}
