/**
 * Which volumes a pod's claims get on a node: those that they have, those that lie ready, or new ones (k/k volumebinding).
 * Pure; what is written for it is in volume-binder.ts.
 */
import type { PersistentVolume, PersistentVolumeClaim, TopologySelectorTerm } from '../api/generated/types.ts';
import { matchesSelector } from '../client/labels.ts';
import { matchesNodeTerm } from '../client/node-selectors.ts';
import { parseQuantity } from '../client/quantities.ts';
import type { NodeInfo } from './node-info.ts';
import { classNameOf, isFullyBound, NO_PROVISIONER, SELECTED_NODE, type VolumeCatalog } from './volumes.ts';

/** A pod's claims by what has to be done. */
export interface PodClaims {
  readonly bound: readonly PersistentVolumeClaim[];
  /** To be bound, or made, where the pod goes. */
  readonly delayed: readonly PersistentVolumeClaim[];
}

export interface StaticBinding {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
}

export interface VolumePlan {
  readonly bindings: readonly StaticBinding[];
  /** Claims whose volumes are to be made for the node. */
  readonly provisions: readonly PersistentVolumeClaim[];
}

export type VolumeObstacle =
  | "node(s) didn't match PersistentVolume's node affinity"
  | "node(s) didn't find available persistent volumes to bind"
  | 'node(s) did not have enough free storage'
  | 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';

const CONFLICT: VolumeObstacle = "node(s) didn't match PersistentVolume's node affinity";
const NOTHING_TO_BIND: VolumeObstacle = "node(s) didn't find available persistent volumes to bind";
const NO_SPACE: VolumeObstacle = 'node(s) did not have enough free storage';
const NO_VOLUME: VolumeObstacle = 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)';

/** What is to be done for the pod's claims on this node, or what stands against it. */
export function planVolumes(
  claims: PodClaims,
  node: NodeInfo,
  catalog: VolumeCatalog,
): VolumePlan | { readonly obstacles: readonly VolumeObstacle[] } {
  const obstacles: VolumeObstacle[] = [];
  const atHand = checkBound(claims.bound, node, catalog);
  if (atHand) obstacles.push(atHand);
  const plan = planDelayed(claims.delayed, node, catalog);
  if (typeof plan === 'string') obstacles.push(plan);
  else if (obstacles.length === 0) return plan;
  return { obstacles };
}

function checkBound(
  claims: readonly PersistentVolumeClaim[],
  node: NodeInfo,
  catalog: VolumeCatalog,
): VolumeObstacle | undefined {
  for (const { spec } of claims) {
    const volume = catalog.volumes.get(spec?.volumeName ?? '');
    if (!volume) return NO_VOLUME;
    if (!isReachable(volume, node)) return CONFLICT;
  }
  return undefined;
}

/** True if the volume can be used on the node. */
export function isReachable({ spec }: PersistentVolume, { node }: NodeInfo): boolean {
  const required = spec?.nodeAffinity?.required;
  return !required || (required.nodeSelectorTerms ?? []).some(term => matchesNodeTerm(term, node));
}

function planDelayed(
  claims: readonly PersistentVolumeClaim[],
  node: NodeInfo,
  catalog: VolumeCatalog,
): VolumePlan | VolumeObstacle {
  const bindings: StaticBinding[] = [];
  const provisions: PersistentVolumeClaim[] = [];
  const chosen = new Set<string>();
  const isSelected = ({ metadata }: PersistentVolumeClaim) => metadata?.annotations?.[SELECTED_NODE] !== undefined;
  for (const claim of claims.filter(isSelected)) {
    if (claim.metadata?.annotations?.[SELECTED_NODE] !== node.name) return NOTHING_TO_BIND;
    provisions.push(claim);
  }
  // The smallest first, so that none takes a volume that only a larger one needs.
  for (const claim of claims.filter(each => !isSelected(each)).toSorted((a, b) => sizeOf(a) - sizeOf(b))) {
    const volume = findVolume(claim, node, { catalog, chosen });
    if (!volume) {
      provisions.push(claim);
      continue;
    }
    chosen.add(volume.metadata?.name ?? '');
    bindings.push({ claim, volume });
  }
  for (const claim of provisions) {
    const obstacle = whyNotProvisioned(claim, node, catalog);
    if (obstacle) return obstacle;
  }
  return { bindings, provisions };
}

const sizeOf = ({ spec }: PersistentVolumeClaim) => parseQuantity(spec?.resources?.requests?.storage);
const capacityOf = ({ spec }: PersistentVolume) => parseQuantity(spec?.capacity?.storage);

interface Stock {
  readonly catalog: VolumeCatalog;
  readonly chosen: ReadonlySet<string>;
}

/** The volume that is meant for the claim, or the smallest free one that will do on this node. */
function findVolume(
  claim: PersistentVolumeClaim,
  node: NodeInfo,
  { catalog, chosen }: Stock,
): PersistentVolume | undefined {
  const className = classNameOf(claim);
  let smallest: PersistentVolume | undefined;
  for (const volume of catalog.volumes.values()) {
    const { metadata, spec } = volume;
    if ((spec?.storageClassName ?? '') !== className || chosen.has(metadata?.name ?? '')) continue;
    if (
      metadata?.deletionTimestamp ||
      (spec?.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem')
    ) {
      continue;
    }
    if (capacityOf(volume) < sizeOf(claim)) continue;
    if (isMeantFor(volume, claim)) return isReachable(volume, node) ? volume : undefined;
    if (!isFree(volume) || !suits(volume, claim) || !isReachable(volume, node)) continue;
    if (!smallest || capacityOf(volume) < capacityOf(smallest)) smallest = volume;
  }
  return smallest;
}

function isMeantFor({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const { namespace, name, uid } = spec?.claimRef ?? {};
  return name === metadata?.name && namespace === metadata?.namespace && (!uid || uid === metadata?.uid);
}

const isFree = ({ spec, status }: PersistentVolume) => !spec?.claimRef && status?.phase === 'Available';

function suits({ metadata, spec }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const selector = claim.spec?.selector;
  if (selector && !matchesSelector(selector, metadata?.labels)) return false;
  return (claim.spec?.accessModes ?? []).every(mode => spec?.accessModes?.includes(mode));
}

function whyNotProvisioned(
  claim: PersistentVolumeClaim,
  node: NodeInfo,
  catalog: VolumeCatalog,
): VolumeObstacle | undefined {
  const storageClass = catalog.classOf(claim);
  const provisioner = storageClass?.provisioner;
  if (!storageClass || !provisioner || provisioner === NO_PROVISIONER) return NOTHING_TO_BIND;
  if (!matchesTopology(storageClass.allowedTopologies ?? [], node)) return NOTHING_TO_BIND;
  if (catalog.csiDrivers.get(provisioner)?.spec?.storageCapacity !== true) return undefined;
  const className = storageClass.metadata?.name;
  for (const { storageClassName, capacity, maximumVolumeSize, nodeTopology } of catalog.capacities.values()) {
    const limit = maximumVolumeSize ?? capacity;
    if (storageClassName !== className || limit === undefined || parseQuantity(limit) < sizeOf(claim)) continue;
    if (nodeTopology && matchesSelector(nodeTopology, node.labels)) return undefined;
  }
  return NO_SPACE;
}

function matchesTopology(terms: readonly TopologySelectorTerm[], { labels }: NodeInfo): boolean {
  if (terms.length === 0) return true;
  return terms.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
  );
}

/** Sorts a pod's claims; a string says why no node will do yet. `names` are the claims of the pod's volumes. */
export function sortClaims(
  claims: readonly PersistentVolumeClaim[],
  catalog: VolumeCatalog,
): PodClaims | 'pod has unbound immediate PersistentVolumeClaims' {
  const bound = claims.filter(isFullyBound);
  const others = claims.filter(claim => !isFullyBound(claim));
  const isDelayed = (claim: PersistentVolumeClaim) => catalog.isDelayed(claim) && !claim.spec?.volumeName;
  if (!others.every(isDelayed)) return 'pod has unbound immediate PersistentVolumeClaims';
  return { bound, delayed: others };
}
