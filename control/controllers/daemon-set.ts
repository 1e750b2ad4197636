/** Keeps one pod of each DaemonSet on every node that it is for. The pods name their node by affinity; the scheduler binds them. */
import {
  daemonsets as daemonSetsKind,
  nodes as nodesKind,
  pods as podsKind,
  controllerrevisions as revisionsKind,
} from '../api/generated/kinds.ts';
import type { ControllerRevision, DaemonSet, Node, Pod } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { ReconcileResult } from '../client/controller.ts';
import type { EventToRecord } from '../client/events.ts';
import { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { isEmptySelector } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { type KeptRevision, keepRevision, planRevision, removeRevision } from './controller-history.ts';
import { hashOfRevision, planDuplicates, revisionOwner, surplusHistory } from './daemon-set-history.ts';
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
import { FailureBackoff } from './failure-backoff.ts';
import { followPods, type Owners } from './follow-pods.ts';
import { followRevisions } from './follow-revisions.ts';
import { DAEMON_BACKOFF_MS_MAX, DAEMON_BACKOFF_MS_MIN, DAEMON_FAILURES_MAX } from './limits.ts';
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
  const failures = new FailureBackoff(clock, {
    minMs: DAEMON_BACKOFF_MS_MIN,
    maxMs: DAEMON_BACKOFF_MS_MAX,
    keysMax: DAEMON_FAILURES_MAX,
  });
  const control: PodControl = { client, recorder, expectations };
  const owners: Owners<DaemonSet> = {
    owners: sets,
    kind: daemonSetsKind,
    queue,
    selectorOf: ({ spec }) => spec?.selector,
  };
  followPods({ ...owners, pods, expectations });
  followRevisions({ ...owners, revisions });
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
    const kept = await keepHistory({ client, set, revisions: history, pods: owned });
    // What was relabelled comes back through the watch and brings this key again.
    if (kept === 'pods-relabelled') return undefined;
    const { revision, collisionCount } = kept;
    const hash = hashOfRevision(revision);
    const plan = planDaemonSet({
      set,
      nodes: nodes.list(),
      pods: owned,
      nowMs: clock.now(),
      hash,
      retryInMs: node => failures.remainingMs(failureKey(set, node)),
    });
    const failure = mayWrite ? await managePods(set, plan, hash) : undefined;
    const status = { ...plan.status, ...(collisionCount > 0 && { collisionCount }) };
    if (!isEqual(status, set.status)) {
      await client.update(daemonSetsKind, { ...set, status }, { subresource: 'status' });
    }
    if (failure) throw failure;
    return { afterMs: plan.afterMs };
  };

  const managePods = async (set: DaemonSet, plan: DaemonPlan, hash: string): Promise<unknown> => {
    const uid = set.metadata?.uid ?? '';
    for (const pod of plan.ended) {
      const isFailed = pod.status?.phase === 'Failed';
      if (isFailed) failures.failed(failureKey(set, nodeOf(pod)));
      recorder.record(set, endEvent(pod, isFailed));
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

/** A new template deserves a new try. */
const failureKey = ({ metadata, status }: DaemonSet, node: string) =>
  `${metadata?.uid}/${status?.observedGeneration ?? 0}/${node}`;

function endEvent(pod: Pod, isFailed: boolean): EventToRecord {
  const place = `daemon pod ${keyOf(pod)} on node ${nodeOf(pod)}`;
  return isFailed
    ? { type: 'Warning', reason: 'FailedDaemonPod', message: `Found failed ${place}, will try to kill it` }
    : { type: 'Normal', reason: 'SucceededDaemonPod', message: `Found succeeded ${place}, will try to delete it` };
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

/** Brings the history up to date and gives the present template's revision. The history of a set that leaves stays as it is. */
async function keepHistory({ client, set, revisions, pods }: History): Promise<KeptRevision | 'pods-relabelled'> {
  const owner = revisionOwner(set);
  if (set.metadata?.deletionTimestamp) {
    return { revision: planRevision(owner, revisions).current, collisionCount: owner.collisionCount };
  }
  const kept = await keepRevision(client, owner, revisions);
  const { relabel, remove } = planDuplicates(set, { revisions, kept: kept.revision, pods });
  const body = { metadata: { labels: { [REVISION_HASH_LABEL]: hashOfRevision(kept.revision) } } };
  for (const pod of relabel) {
    await client.patch(podsKind, objectKey(pod), { type: 'application/merge-patch+json', body });
  }
  for (const revision of remove) await removeRevision(client, revision);
  if (relabel.length > 0) return 'pods-relabelled';
  for (const revision of surplusHistory(set, revisions, pods)) await removeRevision(client, revision);
  return kept;
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
