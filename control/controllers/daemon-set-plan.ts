/** Which nodes should run a DaemonSet's pod, which pods come and go, and the status that tells of it. Pure. */
import type { DaemonSet, DaemonSetStatus, Node, Pod, PodSpec, Toleration } from '../api/generated/types.ts';
import { matchesRequiredNode } from '../client/node-selectors.ts';
import {
  REPELLING_EFFECTS,
  TAINT_NOT_READY,
  TAINT_UNREACHABLE,
  TAINT_UNSCHEDULABLE,
  untoleratedTaint,
} from '../client/taints.ts';
import { type DaemonUpdate, planReplacement, planSurge, type Situation } from './daemon-set-update.ts';
import { scaledValue } from './deployment-util.ts';
import { POD_WRITES_MAX } from './limits.ts';
import { availableInMs, isPodAvailable, isPodFinished, isPodReady } from './pods.ts';
import { templateHash } from './template-hash.ts';

export const REVISION_HASH_LABEL = 'controller-revision-hash';
export const GENERATION_LABEL = 'pod-template-generation';
const GENERATION_ANNOTATION = 'deprecated.daemonset.template.generation';

export interface DaemonState {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  /** All that it owns, also those that leave. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
  /** By which pods of the present template are known; {@link revisionHash} if not said. */
  readonly hash?: string;
  /** Milliseconds until a failed pod of this node may be replaced. */
  retryInMs?(node: string): number;
}

export interface DaemonPlan {
  /** Names of the nodes that get a pod. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  /** Among `delete`: those that ended by themselves, which is worth an event. */
  readonly ended: readonly Pod[];
  readonly status: DaemonSetStatus;
  readonly afterMs: number | undefined;
}

export function planDaemonSet(whole: DaemonState): DaemonPlan {
  // What has ended and leaves has made room already.
  const pods = whole.pods.filter(pod => !isPodFinished(pod) || !pod.metadata?.deletionTimestamp);
  const state = { ...whole, pods };
  const perNode = Map.groupBy(pods, nodeOf);
  const plans = state.nodes.map(node => planNode(state, node, perNode.get(node.metadata?.name ?? '') ?? []));
  const create = plans.flatMap(plan => plan.create);
  const ended = plans.flatMap(plan => plan.ended);
  const deletions = [...plans.flatMap(plan => plan.delete), ...waitingForGoneNodes(state)];
  // Replacing working pods waits until every node has what it should.
  const isSettled = create.length === 0 && deletions.length === 0;
  const update =
    isSettled && state.set.spec?.updateStrategy?.type !== 'OnDelete' ? planUpdate(state, perNode) : NO_UPDATE;
  return {
    create: [...create, ...update.create].slice(0, POD_WRITES_MAX),
    delete: [...deletions, ...update.delete].slice(0, POD_WRITES_MAX),
    ended,
    status: planStatus(state, perNode),
    afterMs: nextLookMs(state, plans),
  };
}

/** Pods that the scheduler was to bind to a node which is gone. */
function waitingForGoneNodes({ nodes, pods }: DaemonState): Pod[] {
  const names = new Set(nodes.map(({ metadata }) => metadata?.name));
  return pods.filter(pod => !pod.spec?.nodeName && !pod.metadata?.deletionTimestamp && !names.has(nodeOf(pod)));
}

/** The hash of the template, with which a new revision begins. */
export function revisionHash(set: DaemonSet): string {
  return templateHash(set.spec?.template, set.status?.collisionCount);
}

export const templateGeneration = (set: DaemonSet): string => set.metadata?.annotations?.[GENERATION_ANNOTATION] ?? '1';

/** True if the pod may start on the node, and if it may go on running there. */
export function fits(set: DaemonSet, node: Node): { readonly shouldRun: boolean; readonly mayContinue: boolean } {
  const spec = set.spec?.template.spec;
  const isWanted = (!spec?.nodeName || spec.nodeName === node.metadata?.name) && matchesRequiredNode(spec, node);
  if (!isWanted) return { shouldRun: false, mayContinue: false };
  const tolerations = daemonTolerations(spec);
  const taints = node.spec?.taints ?? [];
  return {
    shouldRun: untoleratedTaint(taints, tolerations, REPELLING_EFFECTS) === undefined,
    mayContinue: untoleratedTaint(taints, tolerations, ['NoExecute']) === undefined,
  };
}

/** A daemon stays while its node is in trouble: that is when it is needed (k/k AddOrUpdateDaemonPodTolerations). */
export function daemonTolerations(spec: PodSpec | undefined): Toleration[] {
  const added: Toleration[] = [
    [TAINT_NOT_READY, 'NoExecute'],
    [TAINT_UNREACHABLE, 'NoExecute'],
    ['node.kubernetes.io/disk-pressure', 'NoSchedule'],
    ['node.kubernetes.io/memory-pressure', 'NoSchedule'],
    ['node.kubernetes.io/pid-pressure', 'NoSchedule'],
    [TAINT_UNSCHEDULABLE, 'NoSchedule'],
    ...(spec?.hostNetwork ? [['node.kubernetes.io/network-unavailable', 'NoSchedule'] as const] : []),
  ].map(([key = '', effect = '']) => ({ key, operator: 'Exists', effect }));
  const isAdded = (toleration: Toleration) =>
    added.some(
      ({ key, effect }) => key === toleration.key && effect === toleration.effect && toleration.operator === 'Exists',
    );
  return [...(spec?.tolerations ?? []).filter(toleration => !isAdded(toleration)), ...added];
}

/** Where the pod runs, or which node its affinity names while it waits for the scheduler. */
export function nodeOf(pod: Pod): string {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required?.nodeSelectorTerms?.flatMap(({ matchFields = [] }) => matchFields)[0]?.values?.[0] ?? '';
}

interface NodePlan {
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  readonly ended: readonly Pod[];
  /** Until a failed pod may be replaced. */
  readonly afterMs: number | undefined;
}

function planNode(state: DaemonState, node: Node, pods: readonly Pod[]): NodePlan {
  const { set } = state;
  const name = node.metadata?.name ?? '';
  const { shouldRun, mayContinue } = fits(set, node);
  const staying = pods.filter(isStaying);
  const nothing: NodePlan = { create: [], delete: [], ended: [], afterMs: undefined };
  if (!mayContinue) return { ...nothing, delete: staying };
  // The old pod has to be gone before the next comes: two could fight over host ports and files. Where a surge is allowed,
  // they do not, and a node is not to be without one while the old one goes.
  const inPlace = maxSurge(set, 1) > 0 ? staying : pods;
  if (inPlace.length === 0) return { ...nothing, create: shouldRun ? [name] : [] };
  const waitMs = state.retryInMs?.(name) ?? 0;
  const failed = staying.filter(({ status }) => status?.phase === 'Failed');
  const ended = [
    ...staying.filter(({ status }) => status?.phase === 'Succeeded'),
    // A node that refuses the pod again and again must not be flooded.
    ...(waitMs > 0 ? [] : failed),
  ];
  const running = staying.filter(pod => !isPodFinished(pod)).toSorted(byPlaceAndAge);
  // During a surge two are right: one of each template.
  const surplus = maxSurge(set, 1) > 0 ? duplicates(state, running) : running.slice(1);
  const afterMs = failed.length > 0 && waitMs > 0 ? waitMs : undefined;
  return { create: [], delete: [...ended, ...surplus], ended, afterMs };
}

function duplicates(state: DaemonState, running: readonly Pod[]): Pod[] {
  const [current, old] = [running.filter(pod => isUpdated(state, pod)), running.filter(pod => !isUpdated(state, pod))];
  return [...current.slice(1), ...old.slice(1)];
}

/** Those that have their node first, then the oldest. */
const byPlaceAndAge = (a: Pod, b: Pod) =>
  Number(Boolean(b.spec?.nodeName)) - Number(Boolean(a.spec?.nodeName)) || (ageKey(a) < ageKey(b) ? -1 : 1);
const ageKey = ({ metadata }: Pod) => `${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;
const isStaying = ({ metadata }: Pod) => !metadata?.deletionTimestamp;

const NO_UPDATE: DaemonUpdate = { create: [], delete: [] };

/** Replaces pods of old templates within the bounds of the update strategy. */
function planUpdate(state: DaemonState, perNode: ReadonlyMap<string, readonly Pod[]>): DaemonUpdate {
  const { set, nodes } = state;
  const situations = nodes.flatMap(node => {
    const { shouldRun } = fits(set, node);
    const pods = (perNode.get(node.metadata?.name ?? '') ?? []).filter(isStaying);
    return shouldRun || pods.length > 0 ? [situation(state, { node, shouldRun, pods })] : [];
  });
  const wanted = situations.filter(({ shouldRun }) => shouldRun).length;
  const surge = maxSurge(set, wanted);
  return surge > 0
    ? planSurge(situations, { surge, wanted })
    : planReplacement(situations, maxUnavailable(set, wanted));
}

function situation(
  state: DaemonState,
  { node, shouldRun, pods }: { node: Node; shouldRun: boolean; pods: readonly Pod[] },
): Situation {
  const { set, nowMs } = state;
  const current = pods.find(pod => isUpdated(state, pod));
  const old = pods.find(pod => !isUpdated(state, pod));
  const isAvailable = (pod: Pod | undefined) =>
    pod !== undefined && isPodAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs);
  return {
    node: node.metadata?.name ?? '',
    shouldRun,
    current,
    old,
    isCurrentAvailable: isAvailable(current),
    isOldAvailable: isAvailable(old),
  };
}

function maxSurge(set: DaemonSet, nodes: number): number {
  // Who changes the strategy's type may leave the other's settings behind.
  if (set.spec?.updateStrategy?.type === 'OnDelete') return 0;
  return scaledValue(set.spec?.updateStrategy?.rollingUpdate?.maxSurge ?? 0, nodes, Math.ceil);
}

function maxUnavailable(set: DaemonSet, nodes: number): number {
  return Math.max(1, scaledValue(set.spec?.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, nodes, Math.ceil));
}

function isUpdated({ set, hash }: DaemonState, pod: Pod): boolean {
  const labels = pod.metadata?.labels ?? {};
  return labels[REVISION_HASH_LABEL] === (hash ?? revisionHash(set));
}

function planStatus(state: DaemonState, perNode: ReadonlyMap<string, readonly Pod[]>): DaemonSetStatus {
  const { set, nodes, nowMs } = state;
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
  for (const node of nodes) {
    const pods = perNode.get(node.metadata?.name ?? '') ?? [];
    if (!fits(set, node).shouldRun) {
      if (pods.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    // The oldest speaks for its node, also while it leaves.
    const pod = pods.toSorted(byPlaceAndAge)[0];
    if (!pod) continue;
    counts.current++;
    if (isPodReady(pod)) counts.ready++;
    if (isPodAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs)) counts.available++;
    if (isUpdated(state, pod)) counts.updated++;
  }
  const unavailable = counts.desired - counts.available;
  const { collisionCount, conditions } = set.status ?? {};
  return {
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    desiredNumberScheduled: counts.desired,
    numberReady: counts.ready,
    ...(set.metadata?.generation && { observedGeneration: set.metadata.generation }),
    ...(counts.updated > 0 && { updatedNumberScheduled: counts.updated }),
    ...(counts.available > 0 && { numberAvailable: counts.available }),
    ...(unavailable > 0 && { numberUnavailable: unavailable }),
    ...(collisionCount !== undefined && { collisionCount }),
    ...(conditions && { conditions }),
  };
}

function nextLookMs({ set, pods, nowMs }: DaemonState, plans: readonly NodePlan[]): number | undefined {
  const waits = pods.map(pod => availableInMs(pod, set.spec?.minReadySeconds ?? 0, nowMs) ?? 0).filter(ms => ms > 0);
  const all = [...waits, ...plans.flatMap(({ afterMs }) => afterMs ?? [])];
  return all.length > 0 ? Math.min(...all) : undefined;
}
