/** Rolls Deployments out: reads its ReplicaSets from the cache, asks {@link planDeployment} for the next step, takes it. */
import {
  deployments as deploymentsKind,
  pods as podsKind,
  replicasets as replicaSetsKind,
} from '../api/generated/kinds.ts';
import type { Deployment, DeploymentStatus, Pod, ReplicaSet } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { ReconcileResult } from '../client/controller.ts';
import type { EventRecorder } from '../client/events.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { isEmptySelector, matchesSelector } from '../client/labels.ts';
import type { WorkQueue } from '../client/workqueue.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { type DeploymentPlan, planDeployment, type SetUpdate } from './deployment-plan.ts';
import { planRollback } from './deployment-rollback.ts';
import { condition, hasProgressDeadline, setCondition } from './deployment-status.ts';
import { hasTemplate, REVISION, replicasOf } from './deployment-util.ts';
import { isEqual } from './equal.ts';
import {
  byControllerUid,
  byNamespace,
  CONTROLLER_INDEX,
  controllerOf,
  NAMESPACE_INDEX,
  ORPHAN_INDEX,
  orphansByNamespace,
  performClaims,
  planClaims,
  refersTo,
} from './owners.ts';
import { isNamespaceTerminating, messageOf } from './pod-control.ts';
import { isPodFinished } from './pods.ts';
import { UnseenWrites } from './unseen-writes.ts';

interface Parts {
  readonly context: ControllerContext;
  readonly client: Client;
  readonly recorder: EventRecorder;
  readonly deployments: Informer<Deployment>;
  readonly sets: Informer<ReplicaSet>;
  readonly pods: Informer<Pod>;
  readonly queue: WorkQueue;
  readonly unseen: UnseenWrites<ReplicaSet>;
}

export function deploymentController(context: ControllerContext): Controller {
  const parts: Parts = {
    context,
    client: context.client,
    recorder: context.recorder('deployment-controller'),
    deployments: context.informers.for(deploymentsKind),
    sets: context.informers.for(replicaSetsKind),
    pods: context.informers.for(podsKind),
    queue: newQueue(context),
    unseen: new UnseenWrites(context.informers.for(replicaSetsKind), context.clock),
  };
  follow(parts);
  const name = 'deployment-controller';
  return queueController(context, { name, queue: parts.queue, reconcile: key => reconcile(parts, key) });
}

function follow(parts: Parts): void {
  const { deployments, sets, pods, queue } = parts;
  deployments.addIndex(NAMESPACE_INDEX, byNamespace);
  sets.addIndex(CONTROLLER_INDEX, byControllerUid);
  sets.addIndex(ORPHAN_INDEX, orphansByNamespace);
  pods.addIndex(CONTROLLER_INDEX, byControllerUid);
  const enqueue = (deployment: Deployment) => queue.add(keyOf(deployment));
  deployments.addHandler({
    added: enqueue,
    updated: enqueue,
    deleted: deployment => {
      parts.unseen.forget(deployment.metadata?.uid ?? '');
      enqueue(deployment);
    },
  });
  sets.addHandler({
    added: set => enqueueOwners(parts, set),
    updated: (set, old) => {
      if (controllerOf(old)?.uid !== controllerOf(set)?.uid) enqueueOwners(parts, old);
      enqueueOwners(parts, set);
    },
    deleted: set => enqueueOwners(parts, set),
  });
  // Recreating waits for the last old pod to be gone, which no ReplicaSet's status tells.
  pods.addHandler({ deleted: pod => enqueueRecreating(parts, pod) });
}

function enqueueOwners({ deployments, queue }: Parts, set: ReplicaSet): void {
  const controller = controllerOf(set);
  const namespace = set.metadata?.namespace ?? '';
  if (controller) {
    if (refersTo(controller, deploymentsKind)) queue.add(`${namespace}/${controller.name}`);
    return;
  }
  for (const deployment of deployments.byIndex(NAMESPACE_INDEX, namespace)) {
    if (matchesSelector(deployment.spec?.selector, set.metadata?.labels)) queue.add(keyOf(deployment));
  }
}

function enqueueRecreating({ deployments, sets, queue }: Parts, pod: Pod): void {
  const owner = controllerOf(pod);
  const set = owner && sets.get(`${pod.metadata?.namespace}/${owner.name}`);
  const controller = set && controllerOf(set);
  const deployment = controller && deployments.get(`${pod.metadata?.namespace}/${controller.name}`);
  if (deployment?.spec?.strategy?.type === 'Recreate') queue.add(keyOf(deployment));
}

async function reconcile(parts: Parts, key: string): Promise<ReconcileResult | undefined> {
  const { context, client, deployments, sets } = parts;
  const deployment = deployments.get(key);
  if (!deployment || isEmptySelector(deployment.spec?.selector)) return undefined;
  const waitMs = parts.unseen.waitMs(deployment.metadata?.uid ?? '');
  if (waitMs !== undefined) return { afterMs: waitMs };
  const candidates = [
    ...sets.byIndex(CONTROLLER_INDEX, deployment.metadata?.uid ?? ''),
    ...sets.byIndex(ORPHAN_INDEX, deployment.metadata?.namespace ?? ''),
  ];
  const claims = planClaims(deployment, deployment.spec?.selector, candidates);
  const owned = await performClaims({
    client,
    owner: deployment,
    ownerKind: deploymentsKind,
    kind: replicaSetsKind,
    claims,
  });
  if (claims.adopt.length > 0) {
    // What was adopted has a new version; it comes back through the watch and brings this key again.
    return undefined;
  }
  const rollback = planRollback(deployment, owned);
  if (rollback) {
    await client.update(deploymentsKind, rollback.deployment);
    parts.recorder.record(deployment, rollback.event);
    // As it is now it comes back through the watch.
    return undefined;
  }
  const plan = planDeployment({
    deployment,
    sets: owned,
    hasOldPods: hasOldPods(parts, deployment, owned),
    nowMs: context.clock.now(),
  });
  await perform(parts, deployment, plan);
  return { afterMs: plan.afterMs };
}

async function perform(parts: Parts, deployment: Deployment, plan: DeploymentPlan): Promise<void> {
  const { client } = parts;
  const creation = plan.create && (await createSet(parts, deployment, plan.create));
  if (!creation || creation.outcome === 'created') {
    for (const update of plan.updates) await updateSet(parts, deployment, update);
  }
  for (const set of plan.remove) await removeSet(client, set);
  const status = creation ? withCreation(parts, deployment, plan, creation) : plan.status;
  const revision = creation?.outcome === 'collision' ? undefined : plan.revision;
  if (revision !== undefined || !isEqual(status, deployment.status)) {
    // The annotation travels with the status: on the Deployment itself it would count as a change of what is wanted.
    const metadata = withRevision(deployment, revision);
    await client.update(deploymentsKind, { ...deployment, metadata, status }, { subresource: 'status' });
  }
  if (creation?.outcome === 'failed' && !isNamespaceTerminating(creation.error)) throw creation.error;
}

function withRevision({ metadata }: Deployment, revision: string | undefined): NonNullable<Deployment['metadata']> {
  if (revision === undefined) return { ...metadata };
  return { ...metadata, annotations: { ...metadata?.annotations, [REVISION]: revision } };
}

async function updateSet(
  { client, recorder, unseen }: Parts,
  deployment: Deployment,
  { old, next }: SetUpdate,
): Promise<void> {
  unseen.wrote(deployment.metadata?.uid ?? '', await client.update(replicaSetsKind, next));
  const [from, to] = [replicasOf(old), replicasOf(next)];
  if (from === to) return;
  const direction = to > from ? 'up' : 'down';
  recorder.record(deployment, {
    type: 'Normal',
    reason: 'ScalingReplicaSet',
    message: `Scaled ${direction} replica set ${next.metadata?.name} from ${from} to ${to}`,
  });
}

type Creation =
  | { readonly outcome: 'created'; readonly name: string }
  | { readonly outcome: 'collision'; readonly name: string }
  | { readonly outcome: 'failed'; readonly message: string; readonly error: unknown };

const CREATION_FAILED = 'ReplicaSetCreateError';

async function createSet(
  { client, recorder, unseen }: Parts,
  deployment: Deployment,
  set: ReplicaSet,
): Promise<Creation> {
  const name = set.metadata?.name ?? '';
  try {
    unseen.wrote(deployment.metadata?.uid ?? '', await client.create(replicaSetsKind, set));
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) {
      const message = `Failed to create new replica set "${name}": ${messageOf(error)}`;
      if (!isNamespaceTerminating(error)) {
        recorder.record(deployment, { type: 'Warning', reason: CREATION_FAILED, message });
      }
      return { outcome: 'failed', message, error };
    }
    const present = await client.get(replicaSetsKind, objectKey(set));
    unseen.wrote(deployment.metadata?.uid ?? '', present);
    const isOurs =
      controllerOf(present)?.uid === deployment.metadata?.uid && hasTemplate(present, deployment.spec?.template);
    return isOurs ? { outcome: 'created', name } : { outcome: 'collision', name };
  }
  const replicas = replicasOf(set);
  if (replicas > 0) {
    recorder.record(deployment, {
      type: 'Normal',
      reason: 'ScalingReplicaSet',
      message: `Scaled up replica set ${name} from 0 to ${replicas}`,
    });
  }
  return { outcome: 'created', name };
}

/** The status after an attempt to create: another name after a collision, a condition otherwise. */
function withCreation(
  parts: Parts,
  deployment: Deployment,
  plan: DeploymentPlan,
  creation: Creation,
): DeploymentStatus {
  const { status } = plan;
  if (creation.outcome === 'collision') return { ...status, collisionCount: (status.collisionCount ?? 0) + 1 };
  if (creation.outcome === 'failed' && isNamespaceTerminating(creation.error)) return status;
  if (!hasProgressDeadline(deployment)) return status;
  const progress =
    creation.outcome === 'created'
      ? condition('Progressing', 'True', 'NewReplicaSetCreated', `Created new replica set "${creation.name}"`)
      : condition('Progressing', 'False', CREATION_FAILED, creation.message);
  return { ...status, conditions: [...setCondition(status.conditions ?? [], progress, parts.context.clock.now())] };
}

async function removeSet(client: Client, set: ReplicaSet): Promise<void> {
  try {
    await client.delete(replicaSetsKind, objectKey(set), { uid: set.metadata?.uid ?? '' });
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}

function hasOldPods({ pods }: Parts, deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  if (deployment.spec?.strategy?.type !== 'Recreate') return false;
  return sets
    .filter(set => !hasTemplate(set, deployment.spec?.template))
    .some(set => pods.byIndex(CONTROLLER_INDEX, set.metadata?.uid ?? '').some(pod => !isPodFinished(pod)));
}
