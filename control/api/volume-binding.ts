/**
 * The annotations by which the volume controller, the scheduler, provisioners and agents agree on who binds which claim to
 * which volume, and what can be read off claims, volumes and classes alone (k/k pkg/controller/volume/persistentvolume and
 * component-helpers/storage/volume). Pure.
 */
import type { PersistentVolume, PersistentVolumeClaim, Quantity, StorageClass } from './generated/types.ts';
import { compareQuantities, parseQuantity } from './schema/quantity.ts';

/** On a claim: both sides of the binding are written. */
export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
/** On a claim or a volume: the other side was chosen by the controller (or scheduler), not by a user. */
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
/** On a claim: the node for which the scheduler wants its volume. */
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
/** On a claim: who is to make its volume. */
export const STORAGE_PROVISIONER = 'volume.kubernetes.io/storage-provisioner';
export const STORAGE_PROVISIONER_BETA = 'volume.beta.kubernetes.io/storage-provisioner';
/** On a volume: who made it. */
export const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
/** How a claim or a volume named its class before there was a field for it. */
const CLASS_BETA = 'volume.beta.kubernetes.io/storage-class';
/** What marks a class as the default one. */
export const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';
const DEFAULT_CLASS_BETA = 'storageclass.beta.kubernetes.io/is-default-class';

/** The provisioner of classes whose volumes are made by hand. */
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

export type StorageObject = PersistentVolume | PersistentVolumeClaim;

/** The name of the class, '' for none. */
export function classNameOf({ metadata, spec }: StorageObject): string {
  return metadata?.annotations?.[CLASS_BETA] ?? spec?.storageClassName ?? '';
}

/** True for a claim that left the choice of a class to the cluster. */
export const leavesClassOpen = ({ metadata, spec }: PersistentVolumeClaim): boolean =>
  spec?.storageClassName === undefined && metadata?.annotations?.[CLASS_BETA] === undefined;

export const hasAnnotation = ({ metadata }: StorageObject | StorageClass, name: string): boolean =>
  metadata?.annotations?.[name] !== undefined;

/** True if the volume's claimRef names the claim; one without a uid was written by a user for whoever has the name. */
export function isBoundTo({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const reference = spec?.claimRef;
  if (!reference || reference.name !== metadata?.name || reference.namespace !== metadata?.namespace) return false;
  return !reference.uid || reference.uid === metadata?.uid;
}

export const modeOf = ({ spec }: StorageObject): string => spec?.volumeMode ?? 'Filesystem';

export const requestedStorage = ({ spec }: PersistentVolumeClaim): Quantity | undefined =>
  spec?.resources?.requests?.storage;
export const capacityOf = ({ spec }: PersistentVolume): Quantity | undefined => spec?.capacity?.storage;

/** Below, equal or above zero as `a` is smaller than, the same as or larger than `b`; what is missing is nothing. */
export function compareStorage(a: Quantity | undefined, b: Quantity | undefined): number {
  return compareQuantities(parseQuantity(String(a ?? 0)), parseQuantity(String(b ?? 0)));
}

/** True if the volume can be used in each of the ways that the claim asks for. */
export function offersModes(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const offered = new Set(volume.spec?.accessModes ?? []);
  return (claim.spec?.accessModes ?? []).every(mode => offered.has(mode));
}

/** Which class is the default: the newest of those marked so, and of equally new ones the first by name. */
export function defaultClassOf(classes: readonly StorageClass[]): StorageClass | undefined {
  const created = ({ metadata }: StorageClass) => metadata?.creationTimestamp ?? '';
  const name = ({ metadata }: StorageClass) => metadata?.name ?? '';
  return classes
    .filter(({ metadata: { annotations = {} } = {} }) =>
      [DEFAULT_CLASS, DEFAULT_CLASS_BETA].some(mark => annotations[mark] === 'true'),
    )
    .sort((a, b) => compare(created(b), created(a)) || compare(name(a), name(b)))[0];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** True if a claim of this class waits for a pod before it gets a volume. */
export const isDelayed = (storageClass: StorageClass | undefined): boolean =>
  storageClass?.volumeBindingMode === 'WaitForFirstConsumer';

/** The name of the claim of a pod's ephemeral volume. */
export const ephemeralClaimName = (podName: string, volumeName: string): string => `${podName}-${volumeName}`;
