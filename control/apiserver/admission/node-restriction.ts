/**
 * A node's agent writes its own Node, its own pods and nothing of other nodes, and cannot draw work to itself by labels or
 * taints (k/k plugin/pkg/admission/noderestriction). Tokens are looked at where they are made, in subresources/token.ts.
 */
import { nodes } from '../../api/generated/kinds.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { isLocalVolume, LOCAL_FINALIZER, LOCAL_NODE } from '../../api/local-volumes.ts';
import { isEqual } from '../../api/schema/equal.ts';
import { forbidden } from '../../api/status.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { ResourceRequest } from '../core.ts';
import { resourceName } from '../keys.ts';
import type { Identity } from '../types.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from './admission.ts';
import { findFresh } from './lookup.ts';
import { MIRROR_ANNOTATION } from './pod-defaults.ts';
import { type Reference, referencesIn } from './pod-references.ts';

const NODE_USER = 'system:node:';
const NODE_GROUP = 'system:nodes';
const LEASE_NAMESPACE = 'kube-node-lease';

/** Which node asks; undefined if it is none. */
export function nodeOfIdentity({ user, groups }: Identity): string | undefined {
  return user.startsWith(NODE_USER) && groups.includes(NODE_GROUP) ? user.slice(NODE_USER.length) : undefined;
}

export function nodeRestriction(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    mutate(request, states) {
      const nodeName = nodeOfIdentity(request.identity);
      return nodeName === undefined ? undefined : restrict(cache, request, { states, nodeName });
    },
  };
}

/** Throws 403. */
async function restrict(
  cache: WatchCache,
  request: AdmissionRequest,
  { states, nodeName }: { readonly states: States; readonly nodeName: string },
): Promise<void> {
  const refusal =
    nodeName === ''
      ? `could not determine node from user ${quote(request.identity.user)}`
      : (refuse(request, states, nodeName) ?? (await refuseOwner(cache, request, { states, nodeName })));
  if (refusal) throw forbidden(resourceName(request.kind), request.info.name || nameOf(states), refusal);
}

/** A node evicts its own pods only. Throws 403. */
export function refuseForeignEviction({ identity, kind, info }: ResourceRequest, pod: Pod): void {
  const nodeName = nodeOfIdentity(identity);
  if (nodeName === undefined || pod.spec?.nodeName === nodeName) return;
  const why = `node ${nodeName} can only evict pods with spec.nodeName set to itself`;
  throw forbidden(resourceName(kind), info.name, why);
}

const quote = (text: string) => JSON.stringify(text);
const nameOf = ({ object, old }: States) => (object ?? old)?.metadata?.name ?? '';
const nodeNameIn = (object: KubernetesObject | undefined) => (object as Pod | undefined)?.spec?.nodeName;

/** Why the write is refused; undefined if it is not. */
function refuse(request: AdmissionRequest, states: States, nodeName: string): string | undefined {
  const { kind } = request;
  switch (`${kind.group}/${kind.plural}`) {
    case '/nodes':
      return refuseNode(request, states, nodeName);
    case '/pods':
      return refusePod(request, states, nodeName);
    case '/persistentvolumeclaims':
      return refuseClaim(request, states, nodeName);
    case '/persistentvolumes':
      return refuseVolume(states, nodeName);
    case 'coordination.k8s.io/leases':
      if (request.info.namespace !== LEASE_NAMESPACE) {
        return `can only access leases in the "${LEASE_NAMESPACE}" system namespace`;
      }
      if (nameOf(states) === nodeName) return undefined;
      return 'can only access node lease with the same name as the requesting node';
    case 'storage.k8s.io/csinodes':
      if (nameOf(states) === nodeName) return undefined;
      return 'can only access CSINode with the same name as the requesting node';
    default:
      return undefined;
  }
}

function refusePod({ operation, info }: AdmissionRequest, { object, old }: States, nodeName: string) {
  const node = `node ${quote(nodeName)}`;
  switch (info.subresource) {
    case '':
      if (operation === 'CREATE') return refuseMirrorPod(object as Pod, nodeName);
      if (operation === 'UPDATE') {
        return `unexpected operation "UPDATE", ${node} can only create and delete mirror pods`;
      }
      if (nodeNameIn(old) === nodeName) return undefined;
      return `${node} can only delete pods with spec.nodeName set to itself`;
    case 'status':
      if (nodeNameIn(old) !== nodeName) {
        return `${node} can only update pod status for pods with spec.nodeName set to itself`;
      }
      if (!isEqual(old?.metadata?.labels ?? {}, object?.metadata?.labels ?? {})) {
        return `${node} cannot update labels through pod status`;
      }
      if (!isEqual(claimStatuses(old), claimStatuses(object))) return `${node} cannot update resource claim statues`;
      return undefined;
    case 'eviction':
      // Asked before: refuseForeignEviction.
      return undefined;
    default:
      return `unexpected pod subresource ${quote(info.subresource)}, only 'status' and 'eviction' are allowed`;
  }
}

const claimStatuses = (object: KubernetesObject | undefined) => (object as Pod)?.status?.resourceClaimStatuses ?? [];

function refuseMirrorPod({ metadata, spec }: Pod, nodeName: string): string | undefined {
  const node = `node ${quote(nodeName)}`;
  if (metadata?.annotations?.[MIRROR_ANNOTATION] === undefined) {
    return `pod does not have "${MIRROR_ANNOTATION}" annotation, ${node} can only create mirror pods`;
  }
  if (spec?.nodeName !== nodeName) return `${node} can only create pods with spec.nodeName set to itself`;
  const [owner, ...others] = metadata.ownerReferences ?? [];
  if (others.length > 0) return `${node} can only create pods with a single owner reference set to itself`;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== nodeName) {
    return `${node} can only create pods with an owner reference set to itself`;
  }
  if (!owner.controller) return `${node} can only create pods with a controller owner reference set to itself`;
  if (owner.blockOwnerDeletion) return `${node} must not set blockOwnerDeletion on an owner reference`;
  const [reference] = referencesIn(spec).filter(each => REFUSED_REFERENCES.includes(each));
  return reference && `${node} can not create pods that reference ${REFERENCE_NAMES[reference] ?? reference}`;
}

const REFUSED_REFERENCES: readonly Reference[] = [
  'service accounts',
  'secrets',
  'configmaps',
  'clustertrustbundles',
  'persistentvolumeclaims',
];
const REFERENCE_NAMES: Readonly<Partial<Record<Reference, string>>> = { 'service accounts': 'a service account' };

/** A mirror pod's owner is the very node that is there, not one of its name. */
async function refuseOwner(
  cache: WatchCache,
  { kind, operation, info }: AdmissionRequest,
  { states, nodeName }: { readonly states: States; readonly nodeName: string },
): Promise<string | undefined> {
  if (kind.group !== '' || kind.plural !== 'pods' || operation !== 'CREATE' || info.subresource !== '')
    return undefined;
  const expected = states.object?.metadata?.ownerReferences?.[0]?.uid;
  const present = (await findFresh(cache, nodes, nodeName))?.metadata?.uid;
  if (present === undefined)
    return `error looking up node ${nodeName} to verify uid: node ${quote(nodeName)} not found`;
  return expected === present ? undefined : `node ${nodeName} UID mismatch: expected ${expected} got ${present}`;
}

function refuseNode({ operation }: AdmissionRequest, states: States, nodeName: string): string | undefined {
  const node = `node ${quote(nodeName)}`;
  const name = nameOf(states);
  if (name !== nodeName) return `${node} is not allowed to modify node ${quote(name)}`;
  const object = states.object as Node | undefined;
  const old = states.old as Node | undefined;
  if (operation === 'DELETE' || !object) return undefined;
  const source = object.spec?.configSource;
  if (operation === 'CREATE') {
    if (source) return `${node} is not allowed to create pods with a non-nil configSource`;
    const labels = forbiddenLabels(object, undefined);
    return labels && `${node} is not allowed to set the following labels: ${labels}`;
  }
  if (source && !isEqual(source, old?.spec?.configSource)) {
    return `${node} is not allowed to update configSource to a new non-nil configSource`;
  }
  if (!isEqual(object.spec?.taints ?? [], old?.spec?.taints ?? [])) return `${node} is not allowed to modify taints`;
  const labels = forbiddenLabels(object, old);
  return labels && `is not allowed to modify labels: ${labels}`;
}

/** Labels of Kubernetes' own domains that agents say of their machines (k8s.io/kubelet/pkg/apis). */
const AGENT_LABELS = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'node.kubernetes.io/windows-build',
]);
const AGENT_DOMAINS = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
const isWithin = (domain: string, root: string) => domain === root || domain.endsWith(`.${root}`);

function isForbiddenLabel(label: string): boolean {
  const slash = label.indexOf('/');
  const domain = slash < 0 ? '' : label.slice(0, slash);
  if (isWithin(domain, 'node-restriction.kubernetes.io')) return true;
  if (!isWithin(domain, 'kubernetes.io') && !isWithin(domain, 'k8s.io')) return false;
  return !AGENT_LABELS.has(label) && !AGENT_DOMAINS.some(root => isWithin(domain, root));
}

function forbiddenLabels(object: Node, old: Node | undefined): string | undefined {
  const [now, before] = [object.metadata?.labels ?? {}, old?.metadata?.labels ?? {}];
  const changed = [...new Set([...Object.keys(now), ...Object.keys(before)])].filter(
    label => now[label] !== before[label],
  );
  return changed.filter(isForbiddenLabel).sort().join(', ') || undefined;
}

/** Ours, not Kubernetes': a node may say of a volume that it keeps that the directory is gone, and nothing else. */
function refuseVolume({ object, old }: States, nodeName: string): string | undefined {
  const [now, before] = [object as PersistentVolume | undefined, old as PersistentVolume | undefined];
  if (!now || !before || !isLocalVolume(before) || before.metadata?.annotations?.[LOCAL_NODE] !== nodeName) {
    return `node ${quote(nodeName)} can only update local volumes that it keeps`;
  }
  const finalizers = before.metadata.finalizers?.filter(name => name !== LOCAL_FINALIZER) ?? [];
  if (
    isEqual(withFinalizers(now, []), withFinalizers(before, [])) &&
    isEqual(now.metadata?.finalizers ?? [], finalizers)
  )
    return undefined;
  return `node ${quote(nodeName)} can only remove the finalizer ${LOCAL_FINALIZER} of a volume`;
}

function withFinalizers({ metadata, ...rest }: PersistentVolume, finalizers: string[]): PersistentVolume {
  const { managedFields: _managed, resourceVersion: _version, ...others } = metadata ?? {};
  return { ...rest, metadata: { ...others, finalizers } };
}

function refuseClaim({ info }: AdmissionRequest, { object, old }: States, nodeName: string): string | undefined {
  if (info.subresource !== 'status') return 'may only update PVC status';
  if (isEqual(withoutNodesPart(object), withoutNodesPart(old))) return undefined;
  return `node ${quote(nodeName)} is not allowed to update fields other than status.capacity and status.conditions`;
}

/** A claim without what nodes say of it when they have enlarged its volume. */
function withoutNodesPart(object: KubernetesObject | undefined) {
  const { metadata, spec, status } = (object ?? {}) as PersistentVolumeClaim;
  const { managedFields: _managed, resourceVersion: _version, ...rest } = metadata ?? {};
  const {
    capacity: _capacity,
    conditions: _conditions,
    allocatedResources: _allocated,
    allocatedResourceStatuses: _statuses,
    ...others
  } = status ?? {};
  return { metadata: rest, spec, status: others };
}
