/** A pod goes where its volumes are, or where there are some for it, or where some can be made. */
import type { PersistentVolumeClaim, Pod } from '../../api/generated/types.ts';
import { parseQuantity } from '../../client/quantities.ts';
import { differs } from '../cluster-events.ts';
import { incurable, type PodRefusal, type SchedulerPlugin } from '../plugin.ts';
import { isOwnClaim, type PodInfo } from '../pod-info.ts';
import type { Snapshot } from '../snapshot.ts';
import { planVolumes, sortClaims } from '../volume-plan.ts';
import type { VolumeCatalog } from '../volumes.ts';

export const volumeBinding: SchedulerPlugin = {
  name: 'VolumeBinding',
  filter(pod, { volumes }) {
    if (pod.claims.length === 0) return undefined;
    const claims = claimsOf(pod, volumes);
    if ('refusal' in claims) return claims;
    const sorted = sortClaims(claims, volumes);
    if (typeof sorted === 'string') return { refusal: sorted };
    return {
      refuse(node) {
        const plan = planVolumes(sorted, node, volumes);
        return 'obstacles' in plan ? incurable(...plan.obstacles) : undefined;
      },
    };
  },
  helpedBy: ['node', 'claim', 'volume', 'storageClass', 'csiNode', 'csiDriver', 'storageCapacity'],
  mayHelp(event, pod, snapshot) {
    switch (event.kind) {
      case 'node':
        return event.changes.labels;
      case 'claim':
        return isOwnClaim(pod, event.claim);
      case 'volume':
        return true;
      case 'storageClass':
        return differs(event.storageClass, event.old, ({ allowedTopologies }) => allowedTopologies);
      case 'csiNode':
        return event.old === undefined;
      case 'csiDriver':
        // Nothing is held against the driver's volumes any more.
        return (
          Boolean(event.old?.spec.storageCapacity && !event.csiDriver.spec.storageCapacity) &&
          usesDriver(pod, event.csiDriver.metadata?.name ?? '', snapshot)
        );
      case 'storageCapacity':
        return event.old === undefined || limitOf(event.capacity) > limitOf(event.old);
      default:
        return false;
    }
  },
};

function usesDriver(pod: PodInfo, driver: string, { volumes }: Snapshot): boolean {
  const claims = pod.claims.map(name => volumes.claims.get(`${pod.namespace}/${name}`));
  return claims.some(claim => claim && volumes.classOf(claim)?.provisioner === driver);
}

const limitOf = ({
  maximumVolumeSize,
  capacity,
}: {
  maximumVolumeSize?: string | number;
  capacity?: string | number;
}) => parseQuantity(maximumVolumeSize ?? capacity);

/** The pod's claims, or why it cannot have them. */
export function claimsOf(pod: PodInfo, { claims }: VolumeCatalog): readonly PersistentVolumeClaim[] | PodRefusal {
  const found: PersistentVolumeClaim[] = [];
  for (const name of pod.claims) {
    const claim = claims.get(`${pod.namespace}/${name}`);
    const refusal = whyNot(pod, name, claim);
    if (refusal !== undefined) return { refusal };
    if (claim) found.push(claim);
  }
  return found;
}

function whyNot({ pod, uid }: PodInfo, name: string, claim: PersistentVolumeClaim | undefined): string | undefined {
  const ephemeral = isEphemeral(pod, name);
  if (!claim) {
    return ephemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  }
  if (claim.status?.phase === 'Lost') {
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`;
  }
  if (claim.metadata?.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
  if (ephemeral && !claim.metadata?.ownerReferences?.some(owner => owner.controller && owner.uid === uid)) {
    const { namespace, name: podName } = pod.metadata ?? {};
    return `PVC ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`;
  }
  return undefined;
}

const isEphemeral = ({ metadata, spec }: Pod, claim: string) =>
  Boolean(spec?.volumes?.some(({ name, ephemeral }) => ephemeral && `${metadata?.name ?? ''}-${name}` === claim));
