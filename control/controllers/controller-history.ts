/**
 * The revisions of a pod template: one ControllerRevision each, by which `kubectl rollout history` and `undo` work. The one of
 * the present template has the highest number (k/k pkg/controller/history). DaemonSets and StatefulSets keep theirs alike; they
 * differ in the label that holds the hash and in which old ones count against the limit. Pure but for {@link keepRevision}.
 */
import { controllerrevisions as revisionsKind } from '../api/generated/kinds.ts';
import type { ControllerRevision, PodTemplateSpec } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import { objectKey } from '../client/keys.ts';
import { isSemanticallyEqual } from './equal.ts';
import { REVISION_COLLISIONS_MAX } from './limits.ts';
import { controllerReference } from './owners.ts';
import { withSortedKeys } from './template-hash.ts';

/** Revisions that are kept beside those in use where nothing is said. */
export const HISTORY_LIMIT = 10;

/** Whose revisions they are. */
export interface RevisionOwner {
  readonly object: KubernetesObject;
  readonly kind: Kind;
  readonly template: PodTemplateSpec | undefined;
  /** The label of a revision that holds the hash of its template. */
  readonly hashLabel: string;
  /** How often a name was found to be another template's. */
  readonly collisionCount: number;
  /** The hash of the template after so many collisions. */
  hash(collisionCount: number): string;
}

export interface RevisionPlan {
  /** The revision of the present template, as it is to be. */
  readonly current: ControllerRevision;
  /** What has to be done with it. */
  readonly write: 'create' | 'update' | 'none';
}

/** A template that was there before gets a higher number in place of a second revision. */
export function planRevision(owner: RevisionOwner, revisions: readonly ControllerRevision[]): RevisionPlan {
  const sorted = revisions.toSorted(byNumber);
  const known = sorted.findLast(revision => isOfTemplate(revision, owner.template));
  const number = (sorted.findLast(revision => revision !== known)?.revision ?? 0) + 1;
  if (!known) return { current: newRevision(owner, number), write: 'create' };
  if (known.revision >= number) return { current: known, write: 'none' };
  return { current: { ...known, revision: number }, write: 'update' };
}

/** Lowest number first; equal numbers, which a lost race can leave behind, by age and name. */
export function byNumber(a: ControllerRevision, b: ControllerRevision): number {
  if (a.revision !== b.revision) return a.revision - b.revision;
  const [left, right] = [a, b].map(({ metadata }) => `${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`);
  return (left ?? '') < (right ?? '') ? -1 : 1;
}

/** True if the revision is of this template. */
export function isOfTemplate(revision: ControllerRevision, template: PodTemplateSpec | undefined): boolean {
  return isSemanticallyEqual(templateOf(revision), template);
}

/** The template that the revision puts back. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec | undefined {
  const { $patch: _replace, ...template } = (data as RevisionData | undefined)?.spec?.template ?? {};
  return template;
}

/** What a revision holds: a patch that puts the template back. Clients compare its bytes with what they make of the template. */
export function revisionData(template: PodTemplateSpec | undefined): NonNullable<ControllerRevision['data']> {
  return withSortedKeys({ spec: { template: { ...template, $patch: 'replace' } } });
}

interface RevisionData {
  readonly spec?: { readonly template?: PodTemplateSpec & { readonly $patch?: 'replace' } };
}

function newRevision(owner: RevisionOwner, revision: number): ControllerRevision {
  const { name = '', namespace = '', annotations } = owner.object.metadata ?? {};
  const hash = owner.hash(owner.collisionCount);
  return {
    metadata: {
      name: `${name.slice(0, NAME_PREFIX_LENGTH_MAX)}-${hash}`,
      namespace,
      labels: { ...owner.template?.metadata?.labels, [owner.hashLabel]: hash },
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(owner.kind, owner.object)],
    },
    data: revisionData(owner.template),
    revision,
  };
}

/** Leaves room for the hash in a name (k/k ControllerRevisionName). */
const NAME_PREFIX_LENGTH_MAX = 223;

/** The oldest of `revisions` that nobody needs, as many as there are too many. A limit below zero keeps them all. */
export function surplusRevisions(
  revisions: readonly ControllerRevision[],
  {
    limit = HISTORY_LIMIT,
    isLive,
  }: { readonly limit?: number | undefined; isLive(revision: ControllerRevision): boolean },
): readonly ControllerRevision[] {
  if (limit < 0) return [];
  return revisions
    .toSorted(byNumber)
    .filter(revision => !isLive(revision))
    .slice(0, Math.max(0, revisions.length - limit));
}

/** A revision that is in the API, and how often a name was taken by another template until it was. */
export interface KeptRevision {
  readonly revision: ControllerRevision;
  readonly collisionCount: number;
}

/** Brings the revision of the owner's template into the API. The owner's status has to keep the collision count. */
export async function keepRevision(
  client: Client,
  owner: RevisionOwner,
  revisions: readonly ControllerRevision[],
): Promise<KeptRevision> {
  const { collisionCount } = owner;
  const { current, write } = planRevision(owner, revisions);
  if (write === 'none') return { revision: current, collisionCount };
  if (write === 'update') return { revision: await client.update(revisionsKind, current), collisionCount };
  for (let tries = 0; ; tries++) {
    const wanted = newRevision({ ...owner, collisionCount: collisionCount + tries }, current.revision);
    try {
      return { revision: await client.create(revisionsKind, wanted), collisionCount: collisionCount + tries };
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists') || tries >= REVISION_COLLISIONS_MAX) throw error;
      // The cache may not have seen what we made a moment ago.
      const present = await client.get(revisionsKind, objectKey(wanted));
      if (isOfTemplate(present, owner.template)) return { revision: present, collisionCount: collisionCount + tries };
    }
  }
}

export async function removeRevision(client: Client, revision: ControllerRevision): Promise<void> {
  try {
    await client.delete(revisionsKind, objectKey(revision), { uid: revision.metadata?.uid ?? '' });
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
