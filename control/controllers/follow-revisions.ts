/**
 * Turns what happens to revisions into keys of their DaemonSets (k/k pkg/controller/daemon addHistory, updateHistory,
 * deleteHistory). StatefulSets follow theirs no more than Kubernetes' do.
 */
import type { ControllerRevision } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import type { Informer } from '../client/informer.ts';
import { matchesSelector } from '../client/labels.ts';
import { REVISION_HASH_LABEL } from './daemon-set-plan.ts';
import { isEqual } from './equal.ts';
import { enqueueOwners, type Owners } from './follow-pods.ts';
import { controllerOf, refersTo } from './owners.ts';

export interface FollowRevisionsOptions<T extends KubernetesObject> extends Owners<T> {
  readonly revisions: Informer<ControllerRevision>;
}

/** Puts a handler on the revisions; the owners' informer has the index by namespace. */
export function followRevisions<T extends KubernetesObject>(options: FollowRevisionsOptions<T>): void {
  options.revisions.addHandler({
    // One with an owner was made by it, or by somebody who means it to stay as long as nothing else happens.
    added: revision => {
      if (!controllerOf(revision)) enqueueOwners(options, revision);
    },
    updated: (revision, old) => {
      if (!isChanged(options, revision, old)) return;
      if (controllerOf(old)?.uid !== controllerOf(revision)?.uid) enqueueOwners(options, old);
      enqueueOwners(options, revision);
    },
    deleted: revision => {
      if (controllerOf(revision)) enqueueOwners(options, revision);
    },
  });
}

/** True if something is different that a set looks at. A label more is nothing to its owner, but may be what an orphan lacked. */
function isChanged<T extends KubernetesObject>(
  options: FollowRevisionsOptions<T>,
  revision: ControllerRevision,
  old: ControllerRevision,
): boolean {
  if (!isEqual(looked(revision), looked(old))) return true;
  if (!controllerOf(revision)) return !isEqual(revision.metadata?.labels, old.metadata?.labels);
  return isSelected(options, revision) !== isSelected(options, old);
}

const looked = ({ metadata, data, revision }: ControllerRevision) => [
  metadata?.uid,
  metadata?.ownerReferences,
  metadata?.deletionTimestamp,
  metadata?.labels?.[REVISION_HASH_LABEL],
  data,
  revision,
];

/** Whether the revision's owner selects it. */
function isSelected<T extends KubernetesObject>(
  { owners, kind, selectorOf }: FollowRevisionsOptions<T>,
  revision: ControllerRevision,
): boolean {
  const controller = controllerOf(revision);
  if (!controller || !refersTo(controller, kind)) return false;
  const owner = owners.get(`${revision.metadata?.namespace ?? ''}/${controller.name}`);
  return owner !== undefined && matchesSelector(selectorOf(owner), revision.metadata?.labels);
}
