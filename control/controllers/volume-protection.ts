/**
 * Lets claims and volumes go that wait for their end, once nothing uses them: the finalizers with which they are made keep
 * them until then.
 */
import {
  persistentvolumeclaims as claimsKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import { CLAIM_PROTECTION, VOLUME_PROTECTION } from '../api/volume-protection.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

/** The claims that a pod uses, its ephemeral ones too. */
export function claimsOf({ metadata, spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [`${metadata?.name}-${name}`] : [];
  });
}

/** True if a pod that has a node uses the claim. One without a node will not start with a claim that is going. */
export function isClaimInUse({ metadata }: PersistentVolumeClaim, pods: readonly Pod[]): boolean {
  return pods.some(
    pod =>
      pod.metadata?.namespace === metadata?.namespace &&
      !!pod.spec?.nodeName &&
      claimsOf(pod).includes(metadata?.name ?? ''),
  );
}

export const isVolumeInUse = ({ status }: PersistentVolume): boolean => status?.phase === 'Bound';

/** The object without the finalizer, if it waits for nothing else than this. Undefined: leave it as it is. */
export function planRelease<T extends KubernetesObject>(object: T, finalizer: string, isInUse: boolean): T | undefined {
  const { metadata } = object;
  if (!metadata?.deletionTimestamp || isInUse || !metadata.finalizers?.includes(finalizer)) return undefined;
  const finalizers = metadata.finalizers.filter(name => name !== finalizer);
  return { ...object, metadata: { ...metadata, finalizers } };
}

export function claimProtectionController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const pods = informers.for<Pod>(podsKind);
  followDeletions(claims, key => queue.add(key));
  const enqueueClaims = (pod: Pod) => {
    for (const name of claimsOf(pod)) queue.add(`${pod.metadata?.namespace}/${name}`);
  };
  pods.addHandler({ deleted: enqueueClaims });
  return queueController(context, {
    name: 'persistentvolumeclaim-protection-controller',
    queue,
    async reconcile(key) {
      const claim = claims.get(key);
      if (!claim?.metadata?.deletionTimestamp) return undefined;
      const released = planRelease(claim, CLAIM_PROTECTION, isClaimInUse(claim, pods.list()));
      if (released) await release(() => client.update(claimsKind, released));
      return undefined;
    },
  });
}

export function volumeProtectionController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  followDeletions(volumes, key => queue.add(key));
  return queueController(context, {
    name: 'persistentvolume-protection-controller',
    queue,
    async reconcile(key) {
      const volume = volumes.get(key);
      const released = volume && planRelease(volume, VOLUME_PROTECTION, isVolumeInUse(volume));
      if (released) await release(() => client.update(volumesKind, released));
      return undefined;
    },
  });
}

function followDeletions<T extends KubernetesObject>(
  informer: { readonly kind: Kind<T>; addHandler(handler: { added(object: T): void; updated(object: T): void }): void },
  enqueue: (key: string) => void,
): void {
  const look = (object: T) => {
    if (object.metadata?.deletionTimestamp) enqueue(keyOf(object));
  };
  informer.addHandler({ added: look, updated: look });
}

/** What is gone needs no release. */
async function release(update: () => Promise<unknown>): Promise<void> {
  try {
    await update();
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
