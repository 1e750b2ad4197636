/** Which volume suits which claim (k/k component-helpers/storage/volume, FindMatchingVolume). Pure. */
import type { PersistentVolume, PersistentVolumeClaim } from '../api/generated/types.ts';
import {
  capacityOf,
  classNameOf,
  compareStorage,
  isBoundTo,
  modeOf,
  offersModes,
  requestedStorage,
} from '../api/volume-binding.ts';
import { matchesSelector } from '../client/labels.ts';

/**
 * The volume to bind the claim to: one that is reserved for it, else the smallest of those with the fewest access modes.
 * A claim that is delayed gets from here only what is reserved for it; the scheduler chooses the rest.
 */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  isDelayed: boolean,
): PersistentVolume | undefined {
  const large = volumes.filter(
    volume =>
      !volume.metadata?.deletionTimestamp &&
      offersModes(volume, claim) &&
      modeOf(volume) === modeOf(claim) &&
      compareStorage(capacityOf(volume), requestedStorage(claim)) >= 0,
  );
  const reserved = large.filter(volume => isBoundTo(volume, claim)).sort(byFit)[0];
  if (reserved || isDelayed) return reserved;
  return large.filter(volume => isFreeFor(volume, claim)).sort(byFit)[0];
}

function isFreeFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (
    !volume.spec?.claimRef &&
    volume.status?.phase === 'Available' &&
    classNameOf(volume) === classNameOf(claim) &&
    (!claim.spec?.selector || matchesSelector(claim.spec.selector, volume.metadata?.labels))
  );
}

function byFit(a: PersistentVolume, b: PersistentVolume): number {
  const modes = (a.spec?.accessModes?.length ?? 0) - (b.spec?.accessModes?.length ?? 0);
  const size = compareStorage(capacityOf(a), capacityOf(b));
  return modes || size || ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1);
}

/** Why the claim cannot have the volume that it asks for by name; undefined if it can. */
export function whyUnfit(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (compareStorage(requestedStorage(claim), capacityOf(volume)) > 0) return 'requested PV is too small';
  if (classNameOf(claim) !== classNameOf(volume)) return 'storageClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  return offersModes(volume, claim) ? undefined : 'incompatible accessMode';
}
