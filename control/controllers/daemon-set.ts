/** Keeps one pod of each DaemonSet on every node that it is for. The pods name their node by affinity; the scheduler binds them. */
import {
  daemonsets as daemonSetsKind,
  nodes as nodesKind,
  pods as podsKind,
  controllerrevisions as revisionsKind,
} from '../api/generated/kinds.ts';
import type { ControllerRevision, DaemonSet, DaemonSetStatus, Node, Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { isEmptySelector } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { hashOfRevision, isOfTemplate, planHistory } from './daemon-set-history.ts';
import {
  type DaemonPlan,
  daemonTolerations,
  GENERATION_LABEL,
  nodeOf,
  planDaemonSet,
  REVISION_HASH_LABEL,
  templateGeneration,
} from './daemon-set-plan.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import {
  byControllerUid,
  CONTROLLER_INDEX,
  controllerReference,
  ORPHAN_INDEX,
  orphansByNamespace,
  performClaims,
  planClaims,
} from './owners.ts';
import { createPods, deletePods, type PodControl } from './pod-control.ts';
import { podFromTemplate } from './pods.ts';

export function daemonSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const expectations = new Expectations(clock);
  const sets = informers.for<DaemonSet>(daemonSetsKind);
  const pods = informers.for<Pod>(podsKind);
  const nodes = informers.for<Node>(nodesKind);
  const revisions = informers.for<ControllerRevision>(revisionsKind);
  revisions.addIndex(CONTROLLER_INDEX, byControllerUid);
  revisions.addIndex(ORPHAN_INDEX, orphansByNamespace);
  const recorder = context.recorder('daemonset-controller');
  const control: PodControl = { client, recorder, expectations };
  followPods({
    pods,
    owners: sets,
    kind: daemonSetsKind,
    queue,
    expectations,
    selectorOf: ({ spec }) => spec?.selector,
  });
  const enqueueAll = () => {
    for (const set of sets.list()) queue.add(keyOf(set));
  };
  nodes.addHandler({
    added: enqueueAll,
    deleted: enqueueAll,
    updated: (node, old) => {
      // Heartbeats are of no interest: only what decides where daemons run.
      if (!isEqual([node.metadata?.labels, node.spec?.taints], [old.metadata?.labels, old.spec?.taints])) enqueueAll();
    },
  });

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    const set = sets.get(key);
    if (!set || isEmptySelector(set.spec?.selector)) return undefined;
    const uid = set.metadata?.uid ?? '';
    const mayWrite = expectations.areMet(uid) && !set.metadata?.deletionTimestamp;
    const owned = await claim({ client, set, kind: podsKind, informer: pods });
    const history = await claim({ client, set, kind: revisionsKind, informer: revisions });
    const revision = await keepHistory({ client, set, revisions: history, pods: owned });
    if (!revision) return undefined;
    const hash = hashOfRevision(revision);
    const plan = planDaemonSet({ set, nodes: nodes.list(), pods: owned, nowMs: clock.now(), hash });
    const failure = mayWrite ? await managePods(set, plan, hash) : undefined;
    if (!isEqual(plan.status, set.status)) {
      await client.update(daemonSetsKind, { ...set, status: plan.status }, { subresource: 'status' });
    }
    if (failure) throw failure;
    return { afterMs: plan.afterMs };
  };

  const managePods = async (set: DaemonSet, plan: DaemonPlan, hash: string): Promise<unknown> => {
    const uid = set.metadata?.uid ?? '';
    for (const pod of plan.failed) {
      const message = `Found failed daemon pod ${keyOf(pod)} on node ${nodeOf(pod)}, will try to kill it`;
      recorder.record(set, { type: 'Warning', reason: 'FailedDaemonPod', message });
    }
    expectations.expect(uid, {
      creations: plan.create.length,
      deletions: plan.delete.map(({ metadata }) => metadata?.uid ?? ''),
    });
    const creationError = await createPods(
      control,
      set,
      plan.create.map(node => daemonPod(set, node, hash)),
    );
    const deletionError = await deletePods(control, set, plan.delete);
    return creationError ?? deletionError;
  };
  return queueController(context, { name: 'daemonset-controller', queue, reconcile });
}

interface Claiming<T extends KubernetesObject> {
  readonly client: Client;
  readonly set: DaemonSet;
  readonly kind: Kind<T>;
  readonly informer: Informer<T>;
}

/** Takes over what the set selects, lets go of the rest; gives what it owns. */
function claim<T extends KubernetesObject>({ client, set, kind, informer }: Claiming<T>): Promise<readonly T[]> {
  const candidates = [
    ...informer.byIndex(CONTROLLER_INDEX, set.metadata?.uid ?? ''),
    ...informer.byIndex(ORPHAN_INDEX, set.metadata?.namespace ?? ''),
  ];
  const claims = planClaims(set, set.spec?.selector, candidates);
  return performClaims({ client, owner: set, ownerKind: daemonSetsKind, kind, claims });
}

interface History {
  readonly client: Client;
  readonly set: DaemonSet;
  readonly revisions: readonly ControllerRevision[];
  readonly pods: readonly Pod[];
}

/**
 * Brings the history up to date and gives the present template's revision; undefined if its name is another template's, which
 * the status then tells, so that the next attempt takes another name. The history of a set that leaves stays as it is.
 */
async function keepHistory({ client, set, revisions, pods }: History): Promise<ControllerRevision | undefined> {
  const { current, write, remove } = planHistory({ set, revisions, pods });
  if (set.metadata?.deletionTimestamp) return current;
  for (const revision of remove) await removeRevision(client, revision);
  if (write === 'none') return current;
  if (write === 'update') return client.update(revisionsKind, current);
  try {
    return await client.create(revisionsKind, current);
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
    // The cache may not have seen what we made a moment ago.
    const present = await client.get(revisionsKind, objectKey(current));
    if (isOfTemplate(present, set)) return present;
    // Every stored set has a status with all its numbers.
    const status = { ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 } as DaemonSetStatus;
    await client.update(daemonSetsKind, { ...set, status }, { subresource: 'status' });
    return undefined;
  }
}

async function removeRevision(client: Client, revision: ControllerRevision): Promise<void> {
  try {
    await client.delete(revisionsKind, objectKey(revision), { uid: revision.metadata?.uid ?? '' });
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}

/** The template's pod, for this node only, and tolerating its troubles. */
function daemonPod(set: DaemonSet, node: string, hash: string): Pod {
  const { name = '', namespace = '' } = set.metadata ?? {};
  const pod = podFromTemplate(set.spec?.template, {
    name,
    namespace,
    reference: controllerReference(daemonSetsKind, set),
  });
  const affinity = pod.spec?.affinity;
  return {
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata?.labels,
        [REVISION_HASH_LABEL]: hash,
        [GENERATION_LABEL]: templateGeneration(set),
      },
    },
    spec: {
      ...pod.spec,
      containers: pod.spec?.containers ?? [],
      tolerations: daemonTolerations(pod.spec),
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
          },
        },
      },
    },
  };
}
