/**
 * What to write next so that claims and volumes find each other (k/k pkg/controller/volume/persistentvolume). Pure: each
 * call looks at the present state alone and gives at most one write; after it the state is looked at again. So a crash
 * between any two writes leaves a state from which the plan goes on.
 *
 * A binding is four writes, in this order: the volume's claimRef, the volume's phase, the claim's volumeName, the claim's
 * phase. The first of them decides; it is refused by the API server if somebody else has written the volume meanwhile.
 */
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/generated/types.ts';
import {
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  classNameOf,
  compareStorage,
  defaultClassOf,
  hasAnnotation,
  isBoundTo,
  isDelayed,
  leavesClassOpen,
  modeOf,
  PROVISIONED_BY,
  SELECTED_NODE,
  STORAGE_PROVISIONER,
  STORAGE_PROVISIONER_BETA,
} from '../api/volume-binding.ts';
import type { EventToRecord } from '../client/events.ts';
import { keyOf } from '../client/keys.ts';
import { isEqual } from './equal.ts';
import { findVolume, whyUnfit } from './persistent-volume-match.ts';

export type VolumeWrite =
  | { readonly type: 'volume' | 'volumeStatus'; readonly object: PersistentVolume }
  | { readonly type: 'claim' | 'claimStatus'; readonly object: PersistentVolumeClaim };

export interface ToldEvent {
  readonly about: PersistentVolume | PersistentVolumeClaim;
  readonly event: EventToRecord;
}

export interface VolumeStep {
  readonly write?: VolumeWrite;
  /** Told after the write, if there is one. */
  readonly events?: readonly ToldEvent[];
  /** A claim that is to be looked at. */
  readonly wakes?: string;
  /** True if what is missing may come about without any news of it, and users are to be told again. */
  readonly waits?: boolean;
}

/** What a claim's plan looks at. */
export interface ClaimWorld {
  volume(name: string): PersistentVolume | undefined;
  /** Volumes of the claim's class that nobody has, and those that name the claim. */
  candidates(claim: PersistentVolumeClaim): readonly PersistentVolume[];
  classes(): readonly StorageClass[];
  /** Names of pods that use the claim and have no node yet. */
  podsWaitingFor(claim: PersistentVolumeClaim): readonly string[];
}

const NOTHING: VolumeStep = {};
const WAIT: VolumeStep = { waits: true };

/** The next step for a claim. */
export function planClaim(claim: PersistentVolumeClaim, world: ClaimWorld): VolumeStep {
  return hasAnnotation(claim, BIND_COMPLETED) ? planBoundClaim(claim, world) : planUnboundClaim(claim, world);
}

function planUnboundClaim(claim: PersistentVolumeClaim, world: ClaimWorld): VolumeStep {
  const wanted = claim.spec?.volumeName;
  if (!wanted) return planOpenClaim(claim, world);
  const volume = world.volume(wanted);
  if (!volume) return pending(claim, WAIT);
  if (!volume.spec?.claimRef) {
    const why = whyUnfit(volume, claim);
    if (why === undefined) return planBinding(volume, claim);
    const message = `Cannot bind to requested volume "${wanted}": ${why}`;
    return pending(claim, { ...tell(claim, 'Warning', 'VolumeMismatch', message), waits: true });
  }
  if (isBoundTo(volume, claim)) return planBinding(volume, claim);
  // A choice of the controller that did not last: the claim's user may choose anew only by making it anew.
  if (hasAnnotation(claim, BOUND_BY_CONTROLLER)) return pending(claim, WAIT);
  const message = `volume "${wanted}" already bound to a different claim.`;
  return pending(claim, { ...tell(claim, 'Warning', 'FailedBinding', message), waits: true });
}

/** A claim that does not say which volume. */
function planOpenClaim(claim: PersistentVolumeClaim, world: ClaimWorld): VolumeStep {
  const storageClass = world.classes().find(({ metadata }) => metadata?.name === classNameOf(claim));
  const delayed = isDelayed(storageClass);
  const volume = findVolume(claim, world.candidates(claim), delayed);
  if (volume) return planBinding(volume, claim);
  const preset = leavesClassOpen(claim) ? defaultClassOf(world.classes())?.metadata?.name : undefined;
  if (preset !== undefined) return writeClaim({ ...claim, spec: { ...claim.spec, storageClassName: preset } });
  if (delayed && !hasAnnotation(claim, SELECTED_NODE)) {
    return pending(claim, { ...tellOfDelay(claim, world.podsWaitingFor(claim)), waits: true });
  }
  if (classNameOf(claim) !== '') return planProvisioning(claim, storageClass);
  const message = 'no persistent volumes available for this claim and no storage class is set';
  return pending(claim, { ...tell(claim, 'Normal', 'FailedBinding', message), waits: true });
}

function tellOfDelay(claim: PersistentVolumeClaim, pods: readonly string[]): VolumeStep {
  const waitsForPod = `waiting for ${pods.length > 1 ? 'pods' : 'pod'} ${pods.join(',')} to be scheduled`;
  return pods.length > 0
    ? tell(claim, 'Normal', 'WaitForPodScheduled', waitsForPod)
    : tell(claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
}

/** Volumes are made by provisioners that watch the claims: all that is done here is to say whose turn it is. */
function planProvisioning(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): VolumeStep {
  if (!storageClass) {
    const message = `storageclass.storage.k8s.io "${classNameOf(claim)}" not found`;
    return pending(claim, { ...tell(claim, 'Warning', 'ProvisioningFailed', message), waits: true });
  }
  const { provisioner } = storageClass;
  if (provisioner.startsWith('kubernetes.io/')) {
    const message = `no volume plugin matched name: ${provisioner}`;
    return pending(claim, { ...tell(claim, 'Warning', 'ProvisioningFailed', message), waits: true });
  }
  const annotations = {
    ...claim.metadata?.annotations,
    [STORAGE_PROVISIONER_BETA]: provisioner,
    [STORAGE_PROVISIONER]: provisioner,
  };
  if (!isEqual(annotations, claim.metadata?.annotations)) {
    return writeClaim({ ...claim, metadata: { ...claim.metadata, annotations } });
  }
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
  return pending(claim, { ...tell(claim, 'Normal', 'ExternalProvisioning', message), waits: true });
}

function planBoundClaim(claim: PersistentVolumeClaim, world: ClaimWorld): VolumeStep {
  const name = claim.spec?.volumeName;
  if (!name)
    return lost(claim, 'ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!');
  const volume = world.volume(name);
  if (!volume)
    return lost(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  const reference = volume.spec?.claimRef;
  if (!reference || reference.uid === claim.metadata?.uid) return planBinding(volume, claim);
  return lost(claim, 'ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
}

/** The first of the four writes of a binding that is not done yet. */
export function planBinding(volume: PersistentVolume, claim: PersistentVolumeClaim): VolumeStep {
  const boundVolume = volumeBoundTo(volume, claim);
  if (boundVolume) return { write: { type: 'volume', object: boundVolume } };
  const phase = planPhase(volume, 'Bound');
  if (phase.write) return phase;
  const boundClaim = claimBoundTo(claim, volume);
  return boundClaim ? writeClaim(boundClaim) : planClaimStatus(claim, volume);
}

/** The volume with its claim; undefined if it has it already. */
function volumeBoundTo(volume: PersistentVolume, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const { name, namespace, uid, resourceVersion } = claim.metadata ?? {};
  const present = volume.spec?.claimRef;
  if (isBoundTo(volume, claim) && present?.uid === uid) return undefined;
  const claimRef = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
  // Whoever reserved the volume gets it back when the claim has gone; what the controller reserved becomes free.
  const metadata = isBoundTo(volume, claim) ? volume.metadata : annotated(volume.metadata, BOUND_BY_CONTROLLER);
  return { ...volume, ...(metadata && { metadata }), spec: { ...volume.spec, claimRef } };
}

function claimBoundTo(claim: PersistentVolumeClaim, volume: PersistentVolume): PersistentVolumeClaim | undefined {
  const name = volume.metadata?.name ?? '';
  const isChosen = claim.spec?.volumeName === name;
  if (isChosen && hasAnnotation(claim, BIND_COMPLETED)) return undefined;
  const chosen = isChosen ? claim.metadata : annotated(claim.metadata, BOUND_BY_CONTROLLER);
  return { ...claim, metadata: annotated(chosen, BIND_COMPLETED), spec: { ...claim.spec, volumeName: name } };
}

const annotated = (metadata: PersistentVolume['metadata'], name: string) => ({
  ...metadata,
  annotations: { ...metadata?.annotations, [name]: 'yes' },
});

/** Capacity is taken over only when the claim becomes bound: afterwards it is what whoever enlarges the volume says. */
function planClaimStatus(claim: PersistentVolumeClaim, { spec }: PersistentVolume): VolumeStep {
  const { status = {} } = claim;
  const accessModes = spec?.accessModes ?? [];
  const isNew = status.phase !== 'Bound';
  const size = spec?.capacity?.storage;
  const takesSize = isNew && size !== undefined && compareStorage(size, status.capacity?.storage) !== 0;
  const next = { ...status, phase: 'Bound', accessModes, ...(takesSize && { capacity: { ...spec?.capacity } }) };
  return isEqual(next, status) ? NOTHING : { write: { type: 'claimStatus', object: { ...claim, status: next } } };
}

/** The claim waits, as `otherwise` says, once its status says so too. */
function pending(claim: PersistentVolumeClaim, otherwise: VolumeStep): VolumeStep {
  const write = unboundStatus(claim, 'Pending');
  return write ? { write } : otherwise;
}

function lost(claim: PersistentVolumeClaim, reason: string, message: string): VolumeStep {
  // Told once, when it happens.
  const isNews = claim.status?.phase !== 'Lost';
  const write = unboundStatus(claim, 'Lost');
  return write ? { write, ...(isNews && tell(claim, 'Warning', reason, message)) } : NOTHING;
}

function unboundStatus(claim: PersistentVolumeClaim, phase: string): VolumeWrite | undefined {
  const { accessModes, capacity, ...rest } = claim.status ?? {};
  if (rest.phase === phase && !accessModes && !capacity) return undefined;
  return { type: 'claimStatus', object: { ...claim, status: { ...rest, phase } } };
}

/**
 * The next step for a volume. `claim` is the one that its claimRef names, read anew if the cache does not have it; undefined
 * if there is none, or if another has its name.
 */
export function planVolume(volume: PersistentVolume, claim: PersistentVolumeClaim | undefined): VolumeStep {
  const reference = volume.spec?.claimRef;
  if (!reference?.uid) return planPhase(volume, 'Available');
  if (!claim || claim.metadata?.uid !== reference.uid) return planReclaim(volume);
  const chosen = claim.spec?.volumeName;
  if (!chosen) return planHalfBound(volume, claim);
  if (chosen === volume.metadata?.name) return planPhase(volume, 'Bound');
  // The claim went elsewhere. What was made for it alone is of no use to anybody.
  const isMadeForIt = hasAnnotation(volume, PROVISIONED_BY) && volume.spec?.persistentVolumeReclaimPolicy === 'Delete';
  return isMadeForIt ? planReclaim(volume) : planUnbinding(volume);
}

function planHalfBound(volume: PersistentVolume, claim: PersistentVolumeClaim): VolumeStep {
  if (modeOf(volume) === modeOf(claim)) return { wakes: keyOf(claim) };
  const toVolume = `Cannot bind PersistentVolume to requested PersistentVolumeClaim "${claim.metadata?.name}" due to incompatible volumeMode.`;
  const toClaim = `Cannot bind PersistentVolume "${volume.metadata?.name}" to requested PersistentVolumeClaim due to incompatible volumeMode.`;
  const events = [
    ...(tell(volume, 'Warning', 'VolumeMismatch', toVolume).events ?? []),
    ...(tell(claim, 'Warning', 'VolumeMismatch', toClaim).events ?? []),
  ];
  return { events, wakes: keyOf(claim), waits: true };
}

/** Frees a volume that the controller had reserved; one that a user reserved waits for the next claim of that name. */
function planUnbinding(volume: PersistentVolume): VolumeStep {
  const { claimRef, ...rest } = volume.spec ?? {};
  if (hasAnnotation(volume, BOUND_BY_CONTROLLER)) {
    const { [BOUND_BY_CONTROLLER]: _gone, ...annotations } = volume.metadata?.annotations ?? {};
    const object = { ...volume, metadata: { ...volume.metadata, annotations }, spec: rest };
    return { write: { type: 'volume', object } };
  }
  const { uid: _uid, ...named } = claimRef ?? {};
  return { write: { type: 'volume', object: { ...volume, spec: { ...rest, claimRef: named } } } };
}

/** The claim has gone for good. */
function planReclaim(volume: PersistentVolume): VolumeStep {
  const { phase } = volume.status ?? {};
  if (phase !== 'Released' && phase !== 'Failed') return planPhase(volume, 'Released');
  switch (volume.spec?.persistentVolumeReclaimPolicy) {
    case 'Retain':
      return NOTHING;
    case 'Recycle':
      return failed(volume, 'VolumeFailedRecycle', 'No recycler plugin found for the volume!');
    case 'Delete':
      return planDeletion(volume);
    default:
      return failed(volume, 'VolumeUnknownReclaimPolicy', 'Volume has an unrecognized reclaim policy');
  }
}

/** Who made a volume deletes it; nobody deletes what was made by hand. */
function planDeletion(volume: PersistentVolume): VolumeStep {
  const maker = volume.metadata?.annotations?.[PROVISIONED_BY];
  if (maker !== undefined && !maker.startsWith('kubernetes.io/')) return NOTHING;
  const name = volume.metadata?.name;
  const why = 'no deletable volume plugin matched';
  return failed(volume, 'VolumeFailedDelete', `error getting deleter volume plugin for volume "${name}": ${why}`);
}

function failed(volume: PersistentVolume, reason: string, message: string): VolumeStep {
  const step = planPhase(volume, 'Failed', message);
  return step.write ? { ...step, ...tell(volume, 'Warning', reason, message) } : NOTHING;
}

function planPhase(volume: PersistentVolume, phase: string, message?: string): VolumeStep {
  const { message: _old, phase: before, ...rest } = volume.status ?? {};
  if (before === phase) return NOTHING;
  const status = { ...rest, phase, ...(message !== undefined && { message }) };
  return { write: { type: 'volumeStatus', object: { ...volume, status } } };
}

const writeClaim = (object: PersistentVolumeClaim): VolumeStep => ({ write: { type: 'claim', object } });

const tell = (about: ToldEvent['about'], type: 'Normal' | 'Warning', reason: string, message: string): VolumeStep => ({
  events: [{ about, event: { type, reason, message } }],
});
