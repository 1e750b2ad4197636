/**
 * What is written on a container so that it can be found and understood again: by this runtime after a restart, and by
 * people who look with `docker ps` (names and `io.kubernetes.*` labels are as Kubernetes' own Docker support had them).
 * Pure.
 */
import type { PodIdentity } from '../runtime.ts';

/** Which node of which cluster owns a container: several may share one engine. */
export interface Owner {
  readonly clusterId: string;
  readonly nodeName: string;
}
export interface SandboxMark {
  readonly kind: 'sandbox';
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly shareProcessNamespace: boolean;
}
export interface ContainerMark {
  readonly kind: 'container';
  readonly pod: PodIdentity;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  /** As the spec named it. */
  readonly image: string;
}
export type Mark = SandboxMark | ContainerMark;

export const podUidLabel = 'raftsman.pod-uid';
export const sandboxIdLabel = 'raftsman.sandbox-id';
const clusterLabel = 'raftsman.cluster';
const nodeLabel = 'raftsman.node';
export const kindLabel = 'raftsman.kind';
const namespaceLabel = 'raftsman.pod-namespace';
const podNameLabel = 'raftsman.pod-name';
const containerNameLabel = 'raftsman.container-name';
const attemptLabel = 'raftsman.attempt';
const imageLabel = 'raftsman.image';
const shareProcessesLabel = 'raftsman.share-process-namespace';

/** The labels on all that this node made. */
export function ownerLabels(owner: Owner): Record<string, string> {
  return { [clusterLabel]: owner.clusterId, [nodeLabel]: owner.nodeName };
}

/** The same as filters for the engine. */
export function ownerFilter(owner: Owner): string[] {
  return Object.entries(ownerLabels(owner)).map(([name, value]) => `${name}=${value}`);
}

export function isOwnedBy(owner: Owner, labels: Readonly<Record<string, string>>): boolean {
  return labels[clusterLabel] === owner.clusterId && labels[nodeLabel] === owner.nodeName;
}

/** Our labels over the pod's own: a pod cannot forge them. */
export function labelsOf(
  owner: Owner,
  mark: Mark,
  podLabels: Readonly<Record<string, string>>,
): Record<string, string> {
  const container = mark.kind === 'container' ? mark.name : 'POD';
  return {
    ...podLabels,
    'io.kubernetes.docker.type': mark.kind === 'sandbox' ? 'podsandbox' : 'container',
    'io.kubernetes.pod.namespace': mark.pod.namespace,
    'io.kubernetes.pod.name': mark.pod.name,
    'io.kubernetes.pod.uid': mark.pod.uid,
    'io.kubernetes.container.name': container,
    [clusterLabel]: owner.clusterId,
    [nodeLabel]: owner.nodeName,
    [kindLabel]: mark.kind,
    [podUidLabel]: mark.pod.uid,
    [namespaceLabel]: mark.pod.namespace,
    [podNameLabel]: mark.pod.name,
    [attemptLabel]: String(mark.attempt),
    ...(mark.kind === 'sandbox' && mark.shareProcessNamespace && { [shareProcessesLabel]: 'true' }),
    ...(mark.kind === 'container' && {
      [sandboxIdLabel]: mark.sandboxId,
      [containerNameLabel]: mark.name,
      [imageLabel]: mark.image,
    }),
  };
}

/** Reads labels back; undefined if they are not whole, as with a container that somebody else labelled. */
export function markOf(labels: Readonly<Record<string, string>>): Mark | undefined {
  const uid = labels[podUidLabel];
  const namespace = labels[namespaceLabel];
  const podName = labels[podNameLabel];
  const attempt = Number(labels[attemptLabel]);
  if (uid === undefined || namespace === undefined || podName === undefined) return undefined;
  if (!Number.isSafeInteger(attempt)) return undefined;
  const pod: PodIdentity = { uid, namespace, name: podName };
  if (labels[kindLabel] === 'sandbox') {
    return { kind: 'sandbox', pod, attempt, shareProcessNamespace: labels[shareProcessesLabel] === 'true' };
  }
  const sandboxId = labels[sandboxIdLabel];
  const name = labels[containerNameLabel];
  const image = labels[imageLabel];
  if (labels[kindLabel] !== 'container') return undefined;
  if (sandboxId === undefined || name === undefined || image === undefined) return undefined;
  return { kind: 'container', pod, sandboxId, name, attempt, image };
}

/** `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; the sandbox is container `POD`. */
export function containerNameOf(mark: Mark): string {
  const container = mark.kind === 'container' ? mark.name : 'POD';
  return ['k8s', container, mark.pod.name, mark.pod.namespace, mark.pod.uid, String(mark.attempt)].join('_');
}
