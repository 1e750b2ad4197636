/** Volumes and claims to them, and the group storage.k8s.io. */
import * as kinds from '../generated/kinds.ts';
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '../generated/types.ts';
import {
  claimWarnings,
  validateClaim,
  validateClaimUpdate,
  validateVolume,
  validateVolumeUpdate,
  volumeWarnings,
} from '../validation/persistent-volumes.ts';
import {
  validateAttachment,
  validateAttachmentUpdate,
  validateCapacity,
  validateCapacityUpdate,
  validateCsiDriver,
  validateCsiDriverUpdate,
  validateCsiNode,
  validateCsiNodeUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
} from '../validation/storage.ts';
import { CLAIM_PROTECTION, VOLUME_PROTECTION } from '../volume-protection.ts';
import { declare, metadataOf, STATUS } from './declare.ts';
import { roundResources } from './pod-defaults.ts';

function protect(object: PersistentVolumeClaim, finalizer: string): void {
  const metadata = metadataOf(object);
  if (metadata.finalizers?.includes(finalizer)) return;
  metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
}

export const persistentVolume = declare(kinds.persistentvolumes, {
  subresources: [STATUS],
  defaults({ spec }) {
    if (!spec) return;
    spec.persistentVolumeReclaimPolicy ||= 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath) spec.hostPath.type ??= '';
    if (spec.azureDisk) spec.azureDisk.readOnly ??= false;
    roundResources(spec.capacity);
  },
  prepareForCreate(object, { now }) {
    object.status = { phase: 'Pending', lastPhaseTransitionTime: now };
    // Behind a feature gate that is off in 1.33.
    delete object.spec?.volumeAttributesClassName;
    protect(object, VOLUME_PROTECTION);
  },
  prepareForUpdate({ spec }, old) {
    if (!old.spec?.volumeAttributesClassName) delete spec?.volumeAttributesClassName;
  },
  // Whoever writes the phase need not know the time of the change; who names another time knows better.
  prepareForStatusUpdate({ status }, old, { now }) {
    if (!status || status.phase === old.status?.phase) return;
    const before = old.status?.lastPhaseTransitionTime;
    if (!status.lastPhaseTransitionTime || status.lastPhaseTransitionTime === before)
      status.lastPhaseTransitionTime = now;
  },
  validate: validateVolume,
  judgesWholeFirst: true,
  validateUpdate: validateVolumeUpdate,
  warnings: volumeWarnings,
});

/** Defaults of a claim, alone and in a workload's template. */
export function defaultClaim(claim: PersistentVolumeClaim): void {
  claim.status = { phase: 'Pending', ...claim.status };
  if (!claim.spec) return;
  claim.spec.volumeMode ??= 'Filesystem';
  roundResources(claim.spec.resources?.requests);
  roundResources(claim.spec.resources?.limits);
}

export const persistentVolumeClaim = declare(kinds.persistentvolumeclaims, {
  subresources: [STATUS],
  defaults: defaultClaim,
  prepareForCreate(object) {
    object.status = { phase: 'Pending' };
    if (object.spec) {
      delete object.spec.volumeAttributesClassName;
      matchSources(object.spec, undefined);
    }
    protect(object, CLAIM_PROTECTION);
  },
  prepareForUpdate({ spec }, old) {
    if (!spec) return;
    if (!old.spec?.volumeAttributesClassName) delete spec.volumeAttributesClassName;
    matchSources(spec, old.spec);
  },
  validate: validateClaim,
  judgesWholeFirst: true,
  validateUpdate: validateClaimUpdate,
  warnings: claimWarnings,
});

/**
 * The old field and the new one name the same thing. The old one takes claims and snapshots only and drops the rest in
 * silence, as it always did; whoever leaves the new one out does not know it.
 */
function matchSources(spec: PersistentVolumeClaimSpec, old: PersistentVolumeClaimSpec | undefined): void {
  const { dataSource } = spec;
  if (old) {
    if (old.dataSource && !spec.dataSource && !spec.dataSourceRef) return;
    if (old.dataSourceRef && !spec.dataSourceRef) spec.dataSourceRef = old.dataSourceRef;
  } else if (dataSource && !isClaimOrSnapshot(dataSource)) delete spec.dataSource;
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
    spec.dataSource = { ...spec.dataSourceRef };
  }
}

const isClaimOrSnapshot = ({ kind, apiGroup }: { readonly kind: string; readonly apiGroup?: string | null }): boolean =>
  (kind === 'PersistentVolumeClaim' && !apiGroup) ||
  (kind === 'VolumeSnapshot' && apiGroup === 'snapshot.storage.k8s.io');

export const storageClass = declare(kinds.storageclasses, {
  defaults(object) {
    object.reclaimPolicy ??= 'Delete';
    object.volumeBindingMode ??= 'Immediate';
  },
  validate: validateStorageClass,
  validateUpdate: validateStorageClassUpdate,
  judgesOnlyChanges: true,
});

export const csiDriver = declare(kinds.csidrivers, {
  allowUnconditionalUpdate: false,
  defaults({ spec }) {
    if (!spec) return;
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
    if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ['Persistent'];
  },
  // Behind a feature gate that is off in 1.33.
  prepareForCreate({ spec }) {
    delete spec?.nodeAllocatableUpdatePeriodSeconds;
  },
  prepareForUpdate({ spec }, old) {
    if (old.spec?.nodeAllocatableUpdatePeriodSeconds === undefined) delete spec?.nodeAllocatableUpdatePeriodSeconds;
  },
  validate: validateCsiDriver,
  validateUpdate: validateCsiDriverUpdate,
});

export const csiNode = declare(kinds.csinodes, {
  allowUnconditionalUpdate: false,
  validate: validateCsiNode,
  validateUpdate: validateCsiNodeUpdate,
});

export const csiStorageCapacity = declare(kinds.csistoragecapacities, {
  validate: validateCapacity,
  validateUpdate: validateCapacityUpdate,
  allowUnconditionalUpdate: false,
});

export const volumeAttachment = declare(kinds.volumeattachments, {
  allowUnconditionalUpdate: false,
  statusKeepsMetadata: true,
  subresources: [STATUS],
  validate: validateAttachment,
  validateUpdate: validateAttachmentUpdate,
});
