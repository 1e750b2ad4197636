/**
 * Keeps the numbers of PodDisruptionBudgets, which evictions ask; what they must be is decided in disruption-plan.ts. Where a
 * budget counts in shares, the whole is what the pods' controllers want: Deployments, the other workloads, and whatever else
 * has a scale.
 */
import {
  poddisruptionbudgets as budgetsKind,
  deployments as deploymentsKind,
  pods as podsKind,
  replicasets as replicaSetsKind,
  replicationcontrollers as replicationControllersKind,
  statefulsets as statefulSetsKind,
} from '../api/generated/kinds.ts';
import type { OwnerReference, Pod, PodDisruptionBudget, Scale } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import { printLabelSelector } from '../api/validation/go-text.ts';
import type { ReconcileResult } from '../client/controller.ts';
import type { Informer } from '../client/informer.ts';
import { keyOf, type objectKey } from '../client/keys.ts';
import { matchesSelector } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import {
  type ControllerScale,
  needsScale,
  planBudget,
  planFailure,
  staleDisruptionInMs,
  withoutDisruption,
} from './disruption-plan.ts';
import { isEqual } from './equal.ts';
import { byNamespace, controllerOf, NAMESPACE_INDEX, refersTo } from './owners.ts';
import { messageOf } from './pod-control.ts';

export function disruptionController(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const { informers, client, clock } = context;
  const recorder = context.recorder('controllermanager');
  const queue = newQueue(context);
  const budgets = informers.for<PodDisruptionBudget>(budgetsKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(NAMESPACE_INDEX, byNamespace);
  budgets.addIndex(NAMESPACE_INDEX, byNamespace);
  const scales = new Scales(context, kinds);
  const enqueueBudgetsOf = (pod: Pod) => {
    const { namespace = '', name = '', labels } = pod.metadata ?? {};
    const matching = budgets
      .byIndex(NAMESPACE_INDEX, namespace)
      .filter(({ spec }) => matchesSelector(spec?.selector, labels));
    for (const budget of matching) queue.add(keyOf(budget));
    const [first] = matching;
    if (!first || matching.length === 1) return;
    // Kubernetes counts such a pod for one of them only, and says so; here it counts for all. No eviction of it is granted.
    const chosen = `Chose ${JSON.stringify(first.metadata?.name)} arbitrarily.`;
    const message = `Pod ${JSON.stringify(namespace)}/${JSON.stringify(name)} matches multiple PodDisruptionBudgets.  ${chosen}`;
    recorder.record(pod, { type: 'Warning', reason: 'MultiplePodDisruptionBudgets', message });
  };
  pods.addHandler({
    added: enqueueBudgetsOf,
    updated: (pod, old) => {
      enqueueBudgetsOf(pod);
      if (pod.metadata?.labels !== old.metadata?.labels) enqueueBudgetsOf(old);
    },
    deleted: enqueueBudgetsOf,
  });
  const enqueue = (budget: PodDisruptionBudget) => queue.add(keyOf(budget));
  budgets.addHandler({ added: enqueue, updated: enqueue });

  const write = (budget: PodDisruptionBudget, status: PodDisruptionBudget['status']) =>
    client.update(budgetsKind, { ...budget, ...(status && { status }) }, { subresource: 'status' });

  const count = async (budget: PodDisruptionBudget): Promise<ReconcileResult> => {
    const warn = (reason: string, message: string) => recorder.record(budget, { type: 'Warning', reason, message });
    const selected = pods
      .byIndex(NAMESPACE_INDEX, budget.metadata?.namespace ?? '')
      .filter(({ metadata }) => matchesSelector(budget.spec?.selector, metadata?.labels));
    if (selected.length === 0) {
      recorder.record(budget, { type: 'Normal', reason: 'NoPods', message: 'No matching pods found' });
    }
    let found: readonly ControllerScale[] = [];
    if (needsScale(budget)) {
      try {
        found = await scales.of(selected);
      } catch (error) {
        warn('CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${messageOf(error)}`);
        throw error;
      }
      if (selected.some(pod => !controllerOf(pod))) warn('UnmanagedPods', unmanagedMessage(budget));
    }
    const plan = planBudget({ budget, pods: selected, scales: found, nowMs: clock.now() });
    for (const pod of plan.notDeleted) {
      const { namespace, name } = budget.metadata ?? {};
      const message = `Pod was expected by PDB ${namespace}/${name} to be deleted but it wasn't`;
      recorder.record(pod, { type: 'Warning', reason: 'NotDeleted', message });
    }
    if (plan.isChanged) await write(budget, plan.status);
    return { afterMs: plan.afterMs };
  };

  const counting = queueController(context, {
    name: 'disruption-controller',
    queue,
    async reconcile(key) {
      const budget = budgets.get(key);
      if (!budget) return undefined;
      try {
        return await count(budget);
      } catch (error) {
        if (hasReason(error, 'Conflict') || context.signal.aborted) throw error;
        // Not to know how many there should be must not let anybody go.
        const status = planFailure(budget, messageOf(error), clock.now());
        if (!isEqual(status, budget.status)) await write(budget, status);
        throw error;
      }
    },
  });
  const cleaning = staleDisruptions(context, pods);
  return {
    name: counting.name,
    run: async () => {
      await Promise.all([counting.run(), cleaning.run()]);
    },
  };
}

/** Takes back what pods said of a disruption that did not come. */
function staleDisruptions(context: ControllerContext, pods: Informer<Pod>): Controller {
  const { client, clock } = context;
  const queue = newQueue(context);
  const follow = (pod: Pod) => {
    const leftMs = staleDisruptionInMs(pod, clock.now());
    if (leftMs !== undefined) queue.addAfter(keyOf(pod), leftMs);
  };
  pods.addHandler({ added: follow, updated: follow });
  return queueController(context, {
    name: 'stale-disruption-controller',
    queue,
    workers: 1,
    async reconcile(key) {
      const pod = pods.get(key);
      const leftMs = pod && staleDisruptionInMs(pod, clock.now());
      if (!pod || leftMs === undefined) return undefined;
      if (leftMs > 0) return { afterMs: leftMs };
      await client.update(podsKind, withoutDisruption(pod, clock.now()), { subresource: 'status' });
      return undefined;
    },
  });
}

const unmanagedMessage = ({ spec }: PodDisruptionBudget): string =>
  `Pods selected by this PodDisruptionBudget (selector: ${printLabelSelector(spec?.selector ?? {})}) were found to be ` +
  'unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. ' +
  'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.';

interface Replicated extends KubernetesObject {
  spec?: { replicas?: number };
}

/** How many pods controllers want: from the caches of the workloads, else from the scale of whatever it is. */
class Scales {
  readonly #context: ControllerContext;
  readonly #kinds: DiscoveredKinds;
  readonly #workloads: readonly { readonly kind: Kind; readonly informer: Informer<Replicated> }[];

  constructor(context: ControllerContext, kinds: DiscoveredKinds) {
    this.#context = context;
    this.#kinds = kinds;
    const workload = (kind: Kind<Replicated>) => ({ kind, informer: context.informers.for<Replicated>(kind) });
    this.#workloads = [replicationControllersKind, replicaSetsKind, deploymentsKind, statefulSetsKind].map(kind =>
      workload(kind as Kind<Replicated>),
    );
  }

  /** Of the controllers of all pods that have one. Throws if one cannot be found. */
  async of(pods: readonly Pod[]): Promise<ControllerScale[]> {
    const found = new Map<string, ControllerScale>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (!owner || found.has(owner.uid)) continue;
      const scale = await this.#scaleOf(owner, pod.metadata?.namespace ?? '');
      if (!scale) throw new Error(`found no controllers for pod ${JSON.stringify(pod.metadata?.name)}`);
      found.set(owner.uid, scale);
    }
    return [...found.values()];
  }

  async #scaleOf(owner: OwnerReference, namespace: string): Promise<ControllerScale | undefined> {
    const object = this.#find(owner, namespace);
    const above = object && controllerOf(object);
    // A ReplicaSet of a Deployment counts as part of it: in a rollout there are two.
    if (above?.kind === deploymentsKind.kind && refersTo(owner, replicaSetsKind)) {
      const deployment = this.#find(above, namespace);
      if (deployment) return scaleIn(deployment);
    } else if (object) return scaleIn(object);
    return this.#readScale(owner, namespace);
  }

  #find(owner: OwnerReference, namespace: string): Replicated | undefined {
    const workload = this.#workloads.find(({ kind }) => refersTo(owner, kind));
    const object = workload?.informer.get(`${namespace}/${owner.name}`);
    return object?.metadata?.uid === owner.uid ? object : undefined;
  }

  async #readScale(owner: OwnerReference, namespace: string): Promise<ControllerScale | undefined> {
    await this.#kinds.refresh();
    const { apiVersion, kind: kindName, name, uid } = owner;
    const kind = this.#kinds.find(apiVersion, kindName);
    if (!kind)
      throw new Error(`no matches for kind ${JSON.stringify(kindName)} in version ${JSON.stringify(apiVersion)}`);
    const key = { ...(kind.namespaced && { namespace }), name };
    try {
      const scale = await this.#context.client.get<Scale>(kind as Kind<Scale>, key, { subresource: 'scale' });
      return scale.metadata?.uid === uid ? scaleIn(scale) : undefined;
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      // Either it is gone, or its kind has no scale.
      if (await this.#isThere(kind, key)) {
        const resource = kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
        throw new Error(`${resource} does not implement the scale subresource`);
      }
      return undefined;
    }
  }

  async #isThere(kind: Kind, key: ReturnType<typeof objectKey>): Promise<boolean> {
    try {
      await this.#context.client.get(kind, key);
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false;
      throw error;
    }
  }
}

const scaleIn = ({ metadata, spec }: Replicated): ControllerScale => ({
  uid: metadata?.uid ?? '',
  replicas: spec?.replicas ?? 0,
});
