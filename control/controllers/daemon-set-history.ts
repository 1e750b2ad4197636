/**
 * The revisions of a DaemonSet's template: one ControllerRevision each, by which `kubectl rollout history` and `undo` work.
 * The one of the present template has the highest number; its hash is on the pods that are up to date (k/k
 * pkg/controller/daemon/update.go). Pure.
 */
import { daemonsets as daemonSetsKind } from '../api/generated/kinds.ts';
import type { ControllerRevision, DaemonSet, Pod, PodTemplateSpec } from '../api/generated/types.ts';
import { REVISION_HASH_LABEL, revisionHash } from './daemon-set-plan.ts';
import { isSemanticallyEqual } from './equal.ts';
import { controllerReference } from './owners.ts';

/** Revisions that are kept beside the present one where nothing is said. */
const HISTORY_LIMIT = 10;

export interface HistoryState {
  readonly set: DaemonSet;
  /** All that it owns. */
  readonly revisions: readonly ControllerRevision[];
  readonly pods: readonly Pod[];
}

export interface HistoryPlan {
  /** The revision of the present template, as it is to be. */
  readonly current: ControllerRevision;
  /** What has to be done with it. */
  readonly write: 'create' | 'update' | 'none';
  /** Revisions that nobody needs any more. */
  readonly remove: readonly ControllerRevision[];
}

export function planHistory({ set, revisions, pods }: HistoryState): HistoryPlan {
  const sorted = revisions.toSorted((a, b) => a.revision - b.revision);
  const known = sorted.findLast(revision => isOfTemplate(revision, set));
  const old = sorted.filter(revision => revision !== known);
  const number = (old.at(-1)?.revision ?? 0) + 1;
  const isBehind = known !== undefined && known.revision < number;
  return {
    current: known ? { ...known, ...(isBehind && { revision: number }) } : newRevision(set, number),
    write: known ? (isBehind ? 'update' : 'none') : 'create',
    remove: surplus(set, old, pods),
  };
}

/** True if the revision is of the template that the set has now. */
export function isOfTemplate({ data }: ControllerRevision, { spec }: DaemonSet): boolean {
  const { $patch: _replace, ...template } = (data as RevisionData | undefined)?.spec?.template ?? {};
  return isSemanticallyEqual(template, spec?.template);
}

/** The hash by which pods of this revision are known. */
export function hashOfRevision({ metadata }: ControllerRevision): string {
  return metadata?.labels?.[REVISION_HASH_LABEL] ?? '';
}

/** What a revision holds: a patch that puts the template back. */
interface RevisionData {
  readonly spec?: { readonly template?: PodTemplateSpec & { readonly $patch?: 'replace' } };
}

function newRevision(set: DaemonSet, revision: number): ControllerRevision {
  const { name = '', namespace = '', annotations } = set.metadata ?? {};
  const hash = revisionHash(set);
  const data = { spec: { template: { ...set.spec?.template, $patch: 'replace' } } };
  return {
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...set.spec?.template.metadata?.labels, [REVISION_HASH_LABEL]: hash },
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(daemonSetsKind, set)],
    },
    data,
    revision,
  };
}

/** The oldest beyond the limit; those that pods still run stay. */
function surplus(
  set: DaemonSet,
  old: readonly ControllerRevision[],
  pods: readonly Pod[],
): readonly ControllerRevision[] {
  const count = old.length - (set.spec?.revisionHistoryLimit ?? HISTORY_LIMIT);
  if (count <= 0) return [];
  const live = new Set(pods.map(({ metadata }) => metadata?.labels?.[REVISION_HASH_LABEL]));
  return old.filter(revision => !live.has(hashOfRevision(revision))).slice(0, count);
}
