/** Keeps one pod of each DaemonSet on every node that it is for. The pods name their node by affinity; the scheduler binds them. */
import { daemonsets as daemonSetsKind, nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { DaemonSet, Node, Pod } from '../api/generated/types.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { Expectations } from '../client/expectations.ts';
import { keyOf } from '../client/keys.ts';
import { isEmptySelector } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import {
  daemonTolerations,
  GENERATION_LABEL,
  nodeOf,
  planDaemonSet,
  REVISION_HASH_LABEL,
  revisionHash,
  templateGeneration,
} from './daemon-set-plan.ts';
import { isEqual } from './equal.ts';
import { followPods } from './follow-pods.ts';
import { CONTROLLER_INDEX, controllerReference, ORPHAN_INDEX, performClaims, planClaims } from './owners.ts';
import { createPods, deletePods, type PodControl } from './pod-control.ts';
import { podFromTemplate } from './pods.ts';

export function daemonSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const expectations = new Expectations(clock);
  const sets = informers.for<DaemonSet>(daemonSetsKind);
  const pods = informers.for<Pod>(podsKind);
  const nodes = informers.for<Node>(nodesKind);
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
    const candidates = [
      ...pods.byIndex(CONTROLLER_INDEX, uid),
      ...pods.byIndex(ORPHAN_INDEX, set.metadata?.namespace ?? ''),
    ];
    const claims = planClaims(set, set.spec?.selector, candidates);
    const owned = await performClaims({ client, owner: set, ownerKind: daemonSetsKind, kind: podsKind, claims });
    const plan = planDaemonSet({ set, nodes: nodes.list(), pods: owned, nowMs: clock.now() });
    const failure = mayWrite ? await managePods(set, plan) : undefined;
    if (!isEqual(plan.status, set.status)) {
      await client.update(daemonSetsKind, { ...set, status: plan.status }, { subresource: 'status' });
    }
    if (failure) throw failure;
    return { afterMs: plan.afterMs };
  };

  const managePods = async (set: DaemonSet, plan: ReturnType<typeof planDaemonSet>): Promise<unknown> => {
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
      plan.create.map(node => daemonPod(set, node)),
    );
    const deletionError = await deletePods(control, set, plan.delete);
    return creationError ?? deletionError;
  };
  return queueController(context, { name: 'daemonset-controller', queue, reconcile });
}

/** The template's pod, for this node only, and tolerating its troubles. */
function daemonPod(set: DaemonSet, node: string): Pod {
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
        [REVISION_HASH_LABEL]: revisionHash(set),
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
