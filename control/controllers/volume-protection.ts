/**
 * Lets claims and volumes go that wait for their end, once nothing uses them: the finalizers with which they are made keep
 * them until then, and are given back to those that lost them.
 */
import {
  persistentvolumeclaims as claimsKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import { ephemeralClaimName } from '../api/volume-binding.ts';
import { CLAIM_PROTECTION, VOLUME_PROTECTION } from '../api/volume-protection.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isOwnedBy } from './ephemeral-volumes.ts';
import { CLAIM_INDEX, claimsOf, podsByClaim } from './pod-claims.ts';

/**
 * True if a pod that has a node uses the claim. One without a node will not start with a claim that is going; one whose node
 * has put it down does not hold the claims that were made for it, which go with it.
 */
export function isClaimInUse(claim: PersistentVolumeClaim, pods: readonly Pod[]): boolean {
  const { namespace, name } = claim.metadata ?? {};
  return pods.some(
    ({ metadata, spec }) =>
      metadata?.namespace === namespace &&
      !!spec?.nodeName &&
      (spec.volumes ?? []).some(
        volume =>
          volume.persistentVolumeClaim?.claimName === name ||
          (volume.ephemeral &&
            ephemeralClaimName(metadata?.name ?? '', volume.name) === name &&
            !isPutDown(metadata) &&
            isOwnedBy(claim, { ...(metadata && { metadata }) })),
      ),
  );
}

/** The node has nothing more to do with the pod: only somebody's finalizer keeps it. */
const isPutDown = (metadata: Pod['metadata']): boolean =>
  metadata?.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0;

export const isVolumeInUse = ({ status }: PersistentVolume): boolean => status?.phase === 'Bound';

/** The object without the finalizer, if it waits for nothing else than this. Undefined: leave it as it is. */
export function planRelease<T extends KubernetesObject>(object: T, finalizer: string, isInUse: boolean): T | undefined {
  const { metadata } = object;
  if (!metadata?.deletionTimestamp || isInUse || !metadata.finalizers?.includes(finalizer)) return undefined;
  const finalizers = metadata.finalizers.filter(name => name !== finalizer);
  return { ...object, metadata: { ...metadata, finalizers } };
}

/** The object with the finalizer, if it lost it while nobody had deleted it. Undefined: it has what it needs. */
export function planProtection<T extends KubernetesObject>(object: T, finalizer: string): T | undefined {
  const { metadata } = object;
  if (metadata?.deletionTimestamp || metadata?.finalizers?.includes(finalizer)) return undefined;
  return { ...object, metadata: { ...metadata, finalizers: [...(metadata?.finalizers ?? []), finalizer] } };
}

export function claimProtectionController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(CLAIM_INDEX, podsByClaim);
  follow(claims, CLAIM_PROTECTION, key => queue.add(key));
  const enqueueClaims = (pod: Pod) => {
    for (const name of claimsOf(pod)) queue.add(`${pod.metadata?.namespace}/${name}`);
  };
  pods.addHandler({
    updated: (pod, old) => {
      if (isPutDown(pod.metadata) && !isPutDown(old.metadata)) enqueueClaims(pod);
    },
    deleted: enqueueClaims,
  });
  return queueController(context, {
    name: 'persistentvolumeclaim-protection-controller',
    queue,
    async reconcile(key) {
      const claim = claims.get(key);
      const kept = claim && planProtection(claim, CLAIM_PROTECTION);
      if (kept) await unlessGone(() => client.update(claimsKind, kept));
      const released =
        claim && planRelease(claim, CLAIM_PROTECTION, isClaimInUse(claim, pods.byIndex(CLAIM_INDEX, key)));
      if (!claim || !released) return undefined;
      // A cache that lags must not cost a pod its data: the API itself has the last word.
      const { items } = await client.list(podsKind, { namespace: claim.metadata?.namespace ?? '' });
      if (!isClaimInUse(claim, items)) await unlessGone(() => client.update(claimsKind, released));
      return undefined;
    },
  });
}

export function volumeProtectionController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  follow(volumes, VOLUME_PROTECTION, key => queue.add(key));
  return queueController(context, {
    name: 'persistentvolume-protection-controller',
    queue,
    async reconcile(key) {
      const volume = volumes.get(key);
      const next =
        volume &&
        (planProtection(volume, VOLUME_PROTECTION) ?? planRelease(volume, VOLUME_PROTECTION, isVolumeInUse(volume)));
      if (next) await unlessGone(() => client.update(volumesKind, next));
      return undefined;
    },
  });
}

function follow<T extends KubernetesObject>(
  informer: { readonly kind: Kind<T>; addHandler(handler: { added(object: T): void; updated(object: T): void }): void },
  finalizer: string,
  enqueue: (key: string) => void,
): void {
  const look = (object: T) => {
    const { deletionTimestamp, finalizers } = object.metadata ?? {};
    if (deletionTimestamp || !finalizers?.includes(finalizer)) enqueue(keyOf(object));
  };
  informer.addHandler({ added: look, updated: look });
}

/** What is gone needs neither protection nor release. */
async function unlessGone(update: () => Promise<unknown>): Promise<void> {
  try {
    await update();
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
