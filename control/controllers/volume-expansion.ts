/**
 * Tells of claims that wait for somebody to enlarge their volume. Who made a volume enlarges it: the local provisioner its
 * own, drivers theirs (k/k pkg/controller/volume/expand).
 */
import {
  persistentvolumeclaims as claimsKind,
  storageclasses as classesKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/generated/types.ts';
import { isLocalVolume } from '../api/local-volumes.ts';
import { compareStorage, requestedStorage } from '../api/volume-binding.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

/** True if the claim is bound and asks for more than it has. Pure. */
export const wantsMore = (claim: PersistentVolumeClaim): boolean =>
  claim.status?.phase === 'Bound' && compareStorage(requestedStorage(claim), claim.status.capacity?.storage) > 0;

/** What a claim is told that waits for a driver. */
export const EXTERNAL_EXPANSION =
  "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external controller to process this PVC.";

export function volumeExpansionController(context: ControllerContext): Controller {
  const { informers } = context;
  const queue = newQueue(context);
  const claims = informers.for<PersistentVolumeClaim>(claimsKind);
  const volumes = informers.for<PersistentVolume>(volumesKind);
  const classes = informers.for<StorageClass>(classesKind);
  const recorder = context.recorder('volume_expand');
  claims.addHandler({
    updated: (claim, old) => {
      const isNews = wantsMore(claim) && compareStorage(requestedStorage(claim), requestedStorage(old)) > 0;
      if (isNews) queue.add(keyOf(claim));
    },
  });
  return queueController(context, {
    name: 'persistentvolume-expander-controller',
    queue,
    async reconcile(key) {
      const claim = claims.get(key);
      const volume = volumes.get(claim?.spec?.volumeName ?? '');
      if (!claim || !volume || !wantsMore(claim) || isLocalVolume(volume)) return undefined;
      if (!classes.get(volume.spec?.storageClassName ?? '')?.allowVolumeExpansion) return undefined;
      recorder.record(claim, { type: 'Normal', reason: 'ExternalExpanding', message: EXTERNAL_EXPANSION });
      return undefined;
    },
  });
}
