/** Which revisions of a DaemonSet's template there are to be (k/k pkg/controller/daemon/update.go). Pure. */
import { daemonsets as daemonSetsKind } from '../api/generated/kinds.ts';
import type { ControllerRevision, DaemonSet, Pod } from '../api/generated/types.ts';
import { isOfTemplate, type RevisionOwner, surplusRevisions } from './controller-history.ts';
import { REVISION_HASH_LABEL } from './daemon-set-plan.ts';
import { templateHash } from './template-hash.ts';

export function revisionOwner(set: DaemonSet): RevisionOwner {
  return {
    object: set,
    kind: daemonSetsKind,
    template: set.spec?.template,
    hashLabel: REVISION_HASH_LABEL,
    collisionCount: set.status?.collisionCount ?? 0,
    hash: collisionCount => templateHash(set.spec?.template, collisionCount),
  };
}

/** The hash by which pods of this revision are known. */
export function hashOfRevision({ metadata }: ControllerRevision): string {
  return metadata?.labels?.[REVISION_HASH_LABEL] ?? '';
}

/** The oldest old ones beyond the limit; those that pods still run count, and stay. */
export function surplusHistory(
  set: DaemonSet,
  revisions: readonly ControllerRevision[],
  pods: readonly Pod[],
): readonly ControllerRevision[] {
  const old = revisions.filter(revision => !isOfTemplate(revision, set.spec?.template));
  const live = new Set(pods.map(({ metadata }) => metadata?.labels?.[REVISION_HASH_LABEL]));
  const isLive = (revision: ControllerRevision) => live.has(hashOfRevision(revision));
  return surplusRevisions(old, { limit: set.spec?.revisionHistoryLimit, isLive });
}

/**
 * Other revisions of the present template, which a user can make: pods that are known by one of them get the label of the one
 * that is kept, so that they need not be replaced, and the others go.
 */
export function planDuplicates(
  { spec }: DaemonSet,
  state: {
    readonly revisions: readonly ControllerRevision[];
    readonly kept: ControllerRevision;
    readonly pods: readonly Pod[];
  },
): { readonly relabel: readonly Pod[]; readonly remove: readonly ControllerRevision[] } {
  const { revisions, kept, pods } = state;
  const remove = revisions.filter(
    revision => revision.metadata?.name !== kept.metadata?.name && isOfTemplate(revision, spec?.template),
  );
  const hashes = new Set(remove.map(hashOfRevision).filter(hash => hash !== hashOfRevision(kept)));
  const relabel = pods.filter(({ metadata }) => hashes.has(metadata?.labels?.[REVISION_HASH_LABEL] ?? ''));
  return { relabel, remove };
}
