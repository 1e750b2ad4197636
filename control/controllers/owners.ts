/** Ownership: who controls an object, and which objects a controller may take over or must let go. Pure but for the two writes. */
import type { LabelSelector, OwnerReference } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import { objectKey } from '../client/keys.ts';
import { matchesSelector } from '../client/labels.ts';
import { apiVersionOf } from '../client/rest.ts';

/** The one owner that manages the object. */
export function controllerOf(object: KubernetesObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find(({ controller }) => controller);
}

/** The reference by which `owner` controls what it creates. */
export function controllerReference(kind: Kind, owner: KubernetesObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: owner.metadata?.name ?? '',
    uid: owner.metadata?.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The references with one to the controller; an owner that did not control before is not named twice. */
export function withController(
  references: readonly OwnerReference[] | undefined,
  controller: OwnerReference,
): OwnerReference[] {
  const present = references ?? [];
  const isNamed = present.some(({ uid }) => uid === controller.uid);
  return isNamed ? present.map(each => (each.uid === controller.uid ? controller : each)) : [...present, controller];
}

/** True if the reference names this kind, in whatever version. */
export function refersTo(reference: OwnerReference, kind: Kind): boolean {
  const slash = reference.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : reference.apiVersion.slice(0, slash);
  return reference.kind === kind.kind && group === kind.group;
}

/** Index functions for informers whose objects have controllers. */
export const CONTROLLER_INDEX = 'controllerUid';
export const byControllerUid = (object: KubernetesObject): string[] => {
  const controller = controllerOf(object);
  return controller ? [controller.uid] : [];
};
export const ORPHAN_INDEX = 'orphansInNamespace';
export const orphansByNamespace = (object: KubernetesObject): string[] =>
  controllerOf(object) ? [] : [object.metadata?.namespace ?? ''];
export const NAMESPACE_INDEX = 'namespace';
export const byNamespace = (object: KubernetesObject): string[] => [object.metadata?.namespace ?? ''];

export interface Claims<T> {
  /** Controlled already, and rightly. */
  readonly owned: readonly T[];
  /** Without a controller, and selected. */
  readonly adopt: readonly T[];
  /** Controlled, but no longer selected. */
  readonly release: readonly T[];
}

/**
 * Sorts candidates by what their owner must do with them. An owner that is being deleted takes over and lets go of nothing, and
 * what is being deleted itself is not taken over (k/k controller_ref_manager.go). `isMember` says what else than labels makes a
 * candidate the owner's.
 */
export function planClaims<T extends KubernetesObject>(
  owner: KubernetesObject,
  selector: LabelSelector | undefined,
  candidates: readonly T[],
  isMember: (candidate: T) => boolean = () => true,
): Claims<T> {
  const isLeaving = owner.metadata?.deletionTimestamp !== undefined;
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  for (const candidate of candidates) {
    const controller = controllerOf(candidate);
    const isSelected = matchesSelector(selector, candidate.metadata?.labels) && isMember(candidate);
    if (controller?.uid === owner.metadata?.uid) {
      if (isSelected) owned.push(candidate);
      else if (!isLeaving) release.push(candidate);
    } else if (!controller && isSelected && !isLeaving && !candidate.metadata?.deletionTimestamp) adopt.push(candidate);
  }
  return { owned, adopt, release };
}

export interface ClaimRequest<T extends KubernetesObject> {
  readonly client: Client;
  readonly owner: KubernetesObject;
  readonly ownerKind: Kind;
  readonly kind: Kind<T>;
  readonly claims: Claims<T>;
}

/** Performs the claims; gives all objects that are owned afterwards. */
export async function performClaims<T extends KubernetesObject>(request: ClaimRequest<T>): Promise<readonly T[]> {
  const { client, owner, ownerKind, kind, claims } = request;
  for (const object of claims.release) {
    const others = (object.metadata?.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata?.uid);
    await patchOwners(client, kind, object, others);
  }
  if (claims.adopt.length === 0) return claims.owned;
  // The cache may not know yet that the owner is gone or replaced; an adoption by a ghost would end in garbage collection.
  const fresh = await client.get(ownerKind, objectKey(owner));
  if (fresh.metadata?.uid !== owner.metadata?.uid || fresh.metadata?.deletionTimestamp) return claims.owned;
  const adopted: T[] = [];
  for (const object of claims.adopt) {
    const references = withController(object.metadata?.ownerReferences, controllerReference(ownerKind, owner));
    if (await patchOwners(client, kind, object, references)) adopted.push(object);
  }
  return [...claims.owned, ...adopted];
}

/** False if the object is gone. The version makes the write safe against changes that the cache has not seen. */
async function patchOwners<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  object: T,
  ownerReferences: readonly OwnerReference[],
): Promise<boolean> {
  const { resourceVersion, uid } = object.metadata ?? {};
  const body = {
    metadata: { resourceVersion, uid, ownerReferences: ownerReferences.length > 0 ? ownerReferences : null },
  };
  try {
    await client.patch(kind, objectKey(object), { type: 'application/merge-patch+json', body });
    return true;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return false;
    throw error;
  }
}
