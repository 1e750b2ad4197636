/** A claim grows only if it is bound and its storage class lets volumes grow (PersistentVolumeClaimResize). */
import { storageclasses } from '../../api/generated/kinds.ts';
import type { PersistentVolumeClaim } from '../../api/generated/types.ts';
import { amountOf, readAmounts } from '../../api/quota/resource-lists.ts';
import { compareQuantities } from '../../api/schema/quantity.ts';
import { forbidden } from '../../api/status.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { findFresh } from './lookup.ts';

const OLD_STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';

export function claimResize(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    validate(request, { object, old }) {
      const { kind, operation, info } = request;
      if (operation !== 'UPDATE' || info.subresource !== '') return undefined;
      if (kind.group !== '' || kind.plural !== 'persistentvolumeclaims' || !object || !old) return undefined;
      const [claim, before] = [object as PersistentVolumeClaim, old as PersistentVolumeClaim];
      if (compareQuantities(storageOf(claim), storageOf(before)) <= 0) return undefined;
      return refuseGrowth(cache, request, { claim, before });
    },
  };
}

/** Throws 403 unless the claim may grow. */
async function refuseGrowth(
  cache: WatchCache,
  { kind, info }: AdmissionRequest,
  { claim, before }: { readonly claim: PersistentVolumeClaim; readonly before: PersistentVolumeClaim },
): Promise<void> {
  const refuse = (why: string) => forbidden(resourceName(kind), info.name, why);
  if (before.status?.phase !== 'Bound') throw refuse('Only bound persistent volume claims can be expanded');
  const name = classOf(claim);
  const mayGrow =
    name !== '' &&
    name === classOf(before) &&
    (await findFresh(cache, storageclasses, name))?.allowVolumeExpansion === true;
  if (mayGrow) return;
  throw refuse(
    'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
}

const storageOf = ({ spec }: PersistentVolumeClaim) => amountOf(readAmounts(spec?.resources?.requests), 'storage');
const classOf = ({ metadata, spec }: PersistentVolumeClaim): string =>
  metadata?.annotations?.[OLD_STORAGE_CLASS] ?? spec?.storageClassName ?? '';
