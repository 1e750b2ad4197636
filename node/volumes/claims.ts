/** Which PersistentVolume stands behind a claim that a pod uses, and whether the pod may have it. */
import {
  type Client,
  ephemeralClaimName,
  hasReason,
  isBoundTo,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  persistentvolumeclaims,
  persistentvolumes,
  type Volume,
} from '../api.ts';
import { VolumeError } from './content.ts';

export interface FoundVolume {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
}

/** The name of the claim behind a volume of the pod; undefined if there is none. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  if (volume.ephemeral) return ephemeralClaimName(pod.metadata?.name ?? '', volume.name);
  return volume.persistentVolumeClaim?.claimName;
}

/**
 * Reads claim and volume anew, so that nothing is mounted on an old word. Throws {@link VolumeError} while the claim is not
 * there or not bound.
 */
export async function findVolumeOf(client: Client, pod: Pod, volume: Volume): Promise<FoundVolume> {
  const namespace = pod.metadata?.namespace ?? '';
  const name = claimNameOf(pod, volume) ?? '';
  const refuse = (why: string) => new VolumeError(volume.name, `error processing PVC ${namespace}/${name}: ${why}`);
  const claim = await orUndefined(client.get(persistentvolumeclaims, { namespace, name }));
  if (!claim) {
    throw refuse(`failed to fetch PVC from API server: persistentvolumeclaims "${name}" not found`);
  }
  const why = whyUnusable(pod, volume, claim);
  if (why !== undefined) throw refuse(why);
  const volumeName = claim.spec?.volumeName ?? '';
  const found = await orUndefined(client.get(persistentvolumes, { name: volumeName }));
  if (!found)
    throw refuse(`failed to fetch PV ${volumeName} from API server: persistentvolumes "${volumeName}" not found`);
  if (!found.spec?.claimRef?.uid || !isBoundTo(found, claim))
    throw refuse(`PV ${volumeName} is bound to another claim`);
  return { claim, volume: found };
}

function whyUnusable(pod: Pod, volume: Volume, { metadata, spec, status }: PersistentVolumeClaim): string | undefined {
  // Starting with a claim that is going would keep it from going.
  if (metadata?.deletionTimestamp) return 'PVC is being deleted';
  const isOwner = metadata?.ownerReferences?.some(({ uid, controller }) => controller && uid === pod.metadata?.uid);
  if (volume.ephemeral && !isOwner) return 'PVC was not created for pod (pod is not owner)';
  return status?.phase === 'Bound' && spec?.volumeName ? undefined : 'PVC is not bound';
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}
