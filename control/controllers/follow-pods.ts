/** Turns what happens to pods into keys of their owners: the same for all controllers that own pods. */
import type { LabelSelector, Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import type { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf } from '../client/keys.ts';
import { matchesSelector } from '../client/labels.ts';
import type { WorkQueue } from '../client/workqueue.ts';
import {
  byControllerUid,
  byNamespace,
  CONTROLLER_INDEX,
  controllerOf,
  NAMESPACE_INDEX,
  ORPHAN_INDEX,
  orphansByNamespace,
  refersTo,
} from './owners.ts';

/** Who may own what is followed, and where their keys go. */
export interface Owners<T extends KubernetesObject> {
  readonly owners: Informer<T>;
  readonly kind: Kind<T>;
  readonly queue: WorkQueue;
  selectorOf(owner: T): LabelSelector | undefined;
}

export interface FollowPodsOptions<T extends KubernetesObject> extends Owners<T> {
  readonly pods: Informer<Pod>;
  readonly expectations: Expectations;
}

/** Puts handlers and indexes on both informers. */
export function followPods<T extends KubernetesObject>(options: FollowPodsOptions<T>): void {
  const { pods, owners, queue, expectations } = options;
  pods.addIndex(CONTROLLER_INDEX, byControllerUid);
  pods.addIndex(ORPHAN_INDEX, orphansByNamespace);
  owners.addIndex(NAMESPACE_INDEX, byNamespace);
  owners.addHandler({
    added: owner => queue.add(keyOf(owner)),
    updated: owner => queue.add(keyOf(owner)),
    deleted: owner => {
      expectations.forget(owner.metadata?.uid ?? '');
      queue.add(keyOf(owner));
    },
  });
  pods.addHandler({
    added: pod => {
      // A pod that is leaving already never counted as created.
      if (pod.metadata?.deletionTimestamp) return leaving(options, pod);
      const controller = controllerOf(pod);
      if (controller && refersTo(controller, options.kind)) expectations.creationObserved(controller.uid);
      enqueueOwners(options, pod);
    },
    updated: (pod, old) => {
      if (pod.metadata?.deletionTimestamp && !old.metadata?.deletionTimestamp) leaving(options, pod);
      if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) enqueueOwners(options, old);
      enqueueOwners(options, pod);
    },
    deleted: pod => leaving(options, pod),
  });
}

function leaving<T extends KubernetesObject>(options: FollowPodsOptions<T>, pod: Pod): void {
  const controller = controllerOf(pod);
  if (!controller || !refersTo(controller, options.kind)) return;
  options.expectations.deletionObserved(controller.uid, pod.metadata?.uid ?? '');
  enqueueOwners(options, pod);
}

/** The controller, or for an orphan everyone who would take it. Asks for the {@link NAMESPACE_INDEX} of the owners. */
export function enqueueOwners<T extends KubernetesObject>(
  { owners, kind, queue, selectorOf }: Owners<T>,
  object: KubernetesObject,
): void {
  const controller = controllerOf(object);
  const namespace = object.metadata?.namespace ?? '';
  if (controller) {
    if (refersTo(controller, kind)) queue.add(`${namespace}/${controller.name}`);
    return;
  }
  for (const owner of owners.byIndex(NAMESPACE_INDEX, namespace)) {
    if (matchesSelector(selectorOf(owner), object.metadata?.labels)) queue.add(keyOf(owner));
  }
}
