/**
 * Keeps as many pods as a ReplicaSet asks for. The same loop serves ReplicationControllers, which differ only in how they
 * spell their selector; {@link ReplicaSetLike} hides that.
 */
import { pods as podsKind, replicasets as replicaSetsKind } from '../api/generated/kinds.ts';
import type { LabelSelector, Pod, PodTemplateSpec, ReplicaSet, ReplicaSetStatus } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import {
  byControllerUid,
  CONTROLLER_INDEX,
  controllerOf,
  controllerReference,
  ORPHAN_INDEX,
  performClaims,
  planClaims,
} from './owners.ts';
import { createPods, deletePods, messageOf, type PodControl } from './pod-control.ts';
import { isPodActive, podFromTemplate } from './pods.ts';
import { nextAvailabilityMs, planReplicaStatus, planReplicas } from './replica-set-plan.ts';

/** An object that asks for replicas of a pod. */
export interface ReplicaSetLike extends KubernetesObject {
  spec?: { replicas?: number; minReadySeconds?: number; template?: PodTemplateSpec };
  status?: ReplicaSetStatus;
}

export interface ReplicaSetSpec<T extends ReplicaSetLike> {
  readonly name: string;
  readonly kind: Kind<T>;
  selectorOf(set: T): LabelSelector | undefined;
}

export function replicaSetController(context: ControllerContext): Controller {
  return replicaController<ReplicaSet>(context, {
    name: 'replicaset-controller',
    kind: replicaSetsKind,
    selectorOf: set => set.spec?.selector,
  });
}

interface Parts<T extends ReplicaSetLike> extends PodControl {
  readonly context: ControllerContext;
  readonly spec: ReplicaSetSpec<T>;
  readonly sets: Informer<T>;
  readonly pods: Informer<Pod>;
}

/** Sets up the controller of any kind that asks for replicas. */
export function replicaController<T extends ReplicaSetLike>(
  context: ControllerContext,
  spec: ReplicaSetSpec<T>,
): Controller {
  const queue = newQueue(context);
  const expectations = new Expectations(context.clock);
  const sets = context.informers.for(spec.kind);
  const pods = context.informers.for(podsKind);
  sets.addIndex(CONTROLLER_INDEX, byControllerUid);
  followPods({ pods, owners: sets, kind: spec.kind, queue, expectations, selectorOf: spec.selectorOf });
  const recorder = context.recorder(spec.name);
  const parts: Parts<T> = { context, spec, sets, pods, expectations, recorder, client: context.client };
  return queueController(context, { name: spec.name, queue, reconcile: key => reconcile(parts, key) });
}

async function reconcile<T extends ReplicaSetLike>(parts: Parts<T>, key: string): Promise<ReconcileResult | undefined> {
  const { context, spec, sets, pods, client, expectations } = parts;
  const set = sets.get(key);
  if (!set) return undefined;
  // Asked before the claims: they wait, and what is seen meanwhile must not pass for complete.
  const mayWrite = expectations.areMet(set.metadata?.uid ?? '') && !set.metadata?.deletionTimestamp;
  const candidates = [
    ...pods.byIndex(CONTROLLER_INDEX, set.metadata?.uid ?? ''),
    ...pods.byIndex(ORPHAN_INDEX, set.metadata?.namespace ?? ''),
  ].filter(isPodActive);
  const claims = planClaims(set, spec.selectorOf(set), candidates);
  const owned = await performClaims({ client, owner: set, ownerKind: spec.kind, kind: podsKind, claims });
  const failure = mayWrite ? await manageReplicas(parts, set, owned) : undefined;
  const nowMs = context.clock.now();
  const minReadySeconds = set.spec?.minReadySeconds ?? 0;
  const status = planReplicaStatus({
    old: set.status,
    pods: owned,
    templateLabels: set.spec?.template?.metadata?.labels ?? {},
    minReadySeconds,
    generation: set.metadata?.generation ?? 0,
    failure: failure && { reason: failure.reason, message: messageOf(failure.error) },
    nowMs,
  });
  if (!isEqual(status, set.status)) await client.update(spec.kind, { ...set, status }, { subresource: 'status' });
  if (failure) throw failure.error;
  return { afterMs: nextAvailabilityMs(owned, minReadySeconds, nowMs) };
}

interface Failure {
  readonly reason: 'FailedCreate' | 'FailedDelete';
  readonly error: unknown;
}

async function manageReplicas<T extends ReplicaSetLike>(
  parts: Parts<T>,
  set: T,
  owned: readonly Pod[],
): Promise<Failure | undefined> {
  const { expectations, spec, context } = parts;
  const uid = set.metadata?.uid ?? '';
  const plan = planReplicas({
    replicas: set.spec?.replicas ?? 1,
    pods: owned,
    relatedPods: () => relatedPods(parts, set),
    nowMs: context.clock.now(),
  });
  if (plan.create > 0) {
    expectations.expect(uid, { creations: plan.create });
    const { name = '', namespace = '' } = set.metadata ?? {};
    const pod = podFromTemplate(set.spec?.template, {
      name,
      namespace,
      reference: controllerReference(spec.kind, set),
    });
    const error = await createPods(parts, set, Array<Pod>(plan.create).fill(pod));
    if (error) return { reason: 'FailedCreate', error };
  }
  if (plan.delete.length > 0) {
    expectations.expect(uid, { deletions: plan.delete.map(({ metadata }) => metadata?.uid ?? '') });
    const error = await deletePods(parts, set, plan.delete);
    if (error) return { reason: 'FailedDelete', error };
  }
  return undefined;
}

/** Active pods of all sets that belong to the same Deployment; of this set alone if it belongs to none. */
function relatedPods<T extends ReplicaSetLike>({ sets, pods }: Parts<T>, set: T): Pod[] {
  const deployment = controllerOf(set);
  const siblings = deployment ? sets.byIndex(CONTROLLER_INDEX, deployment.uid) : [set];
  return siblings.flatMap(({ metadata }) => pods.byIndex(CONTROLLER_INDEX, metadata?.uid ?? '')).filter(isPodActive);
}
