/**
 * Who owns the claims of a StatefulSet's pods (KEP-1847, persistentVolumeClaimRetentionPolicy): garbage collection does the rest.
 * `whenDeleted: Delete` makes the set the owner, so that they go with it; `whenScaled: Delete` makes a pod that is scaled away the
 * owner of its claims. A claim that somebody else controls is left alone. Pure.
 */
import { pods as podsKind, statefulsets as statefulSetsKind } from '../api/generated/kinds.ts';
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { apiVersionOf } from '../client/rest.ts';
import { isEqual } from './equal.ts';
import { controllerReference } from './owners.ts';
import { isOrdinalWanted } from './stateful-set-identity.ts';

/** The set and one of its pods, which need not exist yet. */
export interface ClaimHolders {
  readonly set: StatefulSet;
  readonly pod: Pod;
  readonly ordinal: number;
}

/** The claim with the owners that the policy asks for; the same object if it has them or is not ours to touch. */
export function withRetention(claim: PersistentVolumeClaim, holders: ClaimHolders): PersistentVolumeClaim {
  if (isOfPredecessor(claim, holders)) return claim;
  const present = claim.metadata?.ownerReferences ?? [];
  const others = present.filter(reference => !isOurs(reference, holders));
  const wanted = hasForeignController(claim, holders) ? others : [...others, ...wantedOwners(holders)];
  if (isEqual(present.toSorted(byUid), wanted.toSorted(byUid))) return claim;
  const { ownerReferences: _, ...metadata } = claim.metadata ?? {};
  return { ...claim, metadata: { ...metadata, ...(wanted.length > 0 && { ownerReferences: wanted }) } };
}

/** A policy is set, and somebody else controls the claim: that is worth a warning. */
export function hasForeignController(claim: PersistentVolumeClaim, holders: ClaimHolders): boolean {
  if (!scalesAway(holders.set) && !goesWithSet(holders.set)) return false;
  return (claim.metadata?.ownerReferences ?? []).some(reference => reference.controller && !isOurs(reference, holders));
}

/** The claim goes with an earlier pod of this name: the next pod has to wait until it is gone. */
export function isStale(claim: PersistentVolumeClaim, { set, pod }: ClaimHolders): boolean {
  return scalesAway(set) && hasOtherUid(claim, podsKind, pod);
}

const scalesAway = ({ spec }: StatefulSet) => spec?.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete';
const goesWithSet = ({ spec }: StatefulSet) => spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';

function wantedOwners({ set, pod, ordinal }: ClaimHolders): OwnerReference[] {
  if (scalesAway(set) && !isOrdinalWanted(set, ordinal)) return [controllerReference(podsKind, pod)];
  return goesWithSet(set) ? [controllerReference(statefulSetsKind, set)] : [];
}

/** An earlier set or pod of the same name is still an owner: garbage collection will see to it. */
function isOfPredecessor(claim: PersistentVolumeClaim, { set, pod }: ClaimHolders): boolean {
  return hasOtherUid(claim, statefulSetsKind, set) || hasOtherUid(claim, podsKind, pod);
}

function hasOtherUid({ metadata }: PersistentVolumeClaim, kind: Kind, owner: KubernetesObject): boolean {
  return (metadata?.ownerReferences ?? []).some(
    reference => names(reference, kind, owner) && reference.uid !== owner.metadata?.uid,
  );
}

const isOurs = (reference: OwnerReference, { set, pod }: ClaimHolders) =>
  names(reference, statefulSetsKind, set) || names(reference, podsKind, pod);

const names = (reference: OwnerReference, kind: Kind, { metadata }: KubernetesObject) =>
  reference.apiVersion === apiVersionOf(kind) && reference.kind === kind.kind && reference.name === metadata?.name;

const byUid = (a: OwnerReference, b: OwnerReference) => (a.uid < b.uid ? -1 : 1);
