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
import { scaledValue, templateHash } from './deployment-util.ts';
import { POD_WRITES_MAX } from './limits.ts';
import { availableInMs, isPodAvailable, isPodFinished, isPodReady } from './pods.ts';

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
}

export interface DaemonPlan {
  /** Names of the nodes that get a pod. */
  readonly create: readonly string[];
  readonly delete: readonly Pod[];
  /** Among `delete`: those that ended by themselves, which is worth an event. */
  readonly failed: readonly Pod[];
  readonly status: DaemonSetStatus;
  readonly afterMs: number | undefined;
}

export function planDaemonSet(state: DaemonState): DaemonPlan {
  const perNode = groupByNode(state.pods);
  const plans = state.nodes.map(node => planNode(state, node, perNode.get(node.metadata?.name ?? '') ?? []));
  const create = plans.flatMap(plan => plan.create);
  const failed = plans.flatMap(plan => plan.failed);
  const deletions = [...plans.flatMap(plan => plan.delete)];
  // Replacing working pods waits until every node has what it should.
  const isSettled = create.length === 0 && deletions.length === 0;
  const update =
    isSettled && state.set.spec?.updateStrategy?.type !== 'OnDelete' ? planUpdate(state, perNode) : NO_UPDATE;
  return {
    create: [...create, ...update.create].slice(0, POD_WRITES_MAX),
    delete: [...deletions, ...update.delete].slice(0, POD_WRITES_MAX),
    failed,
    status: planStatus(state, perNode),
    afterMs: nextAvailabilityMs(state),
  };
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

function groupByNode(pods: readonly Pod[]): Map<string, Pod[]> {
  return Map.groupBy(pods, nodeOf);
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
  readonly failed: readonly Pod[];
}

function planNode(state: DaemonState, node: Node, pods: readonly Pod[]): NodePlan {
  const { set } = state;
  const name = node.metadata?.name ?? '';
  const { shouldRun, mayContinue } = fits(set, node);
  const staying = pods.filter(({ metadata }) => !metadata?.deletionTimestamp);
  if (!mayContinue) return { create: [], delete: staying, failed: [] };
  const failed = staying.filter(isPodFinished);
  const running = staying.filter(pod => !isPodFinished(pod)).toSorted(byAge);
  if (running.length === 0) {
    // The old pod has to be gone before the next comes: two could fight over host ports and files.
    return { create: shouldRun && pods.length === 0 ? [name] : [], delete: failed, failed };
  }
  // During a surge two are right: one of each template.
  const surplus = maxSurge(set, 1) > 0 ? duplicates(state, running) : running.slice(1);
  return { create: [], delete: [...failed, ...surplus], failed };
}

function duplicates(state: DaemonState, running: readonly Pod[]): Pod[] {
  const [current, old] = [running.filter(pod => isUpdated(state, pod)), running.filter(pod => !isUpdated(state, pod))];
  return [...current.slice(1), ...old.slice(1)];
}

const byAge = (a: Pod, b: Pod) => (ageKey(a) < ageKey(b) ? -1 : 1);
const ageKey = ({ metadata }: Pod) => `${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;

const NO_UPDATE: { readonly create: readonly string[]; readonly delete: readonly Pod[] } = { create: [], delete: [] };

/** Replaces pods of old templates within the bounds of the update strategy. */
function planUpdate(state: DaemonState, perNode: ReadonlyMap<string, readonly Pod[]>) {
  const { set, nodes } = state;
  const wanted = nodes.filter(node => fits(set, node).shouldRun);
  const situations = wanted.map(node => situation(state, node, perNode.get(node.metadata?.name ?? '') ?? []));
  const surge = maxSurge(set, wanted.length);
  return surge > 0 ? planSurge(situations, surge) : planReplacement(situations, maxUnavailable(set, wanted.length));
}

interface Situation {
  readonly node: string;
  readonly current: Pod | undefined;
  readonly old: Pod | undefined;
  readonly isCurrentAvailable: boolean;
  readonly isOldAvailable: boolean;
}

function situation(state: DaemonState, node: Node, pods: readonly Pod[]): Situation {
  const { set, nowMs } = state;
  const staying = pods.filter(({ metadata }) => !metadata?.deletionTimestamp);
  const current = staying.find(pod => isUpdated(state, pod));
  const old = staying.find(pod => !isUpdated(state, pod));
  const isAvailable = (pod: Pod | undefined) =>
    pod !== undefined && isPodAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs);
  return {
    node: node.metadata?.name ?? '',
    current,
    old,
    isCurrentAvailable: isAvailable(current),
    isOldAvailable: isAvailable(old),
  };
}

/** Takes old pods away, the unavailable ones at once, the others as far as enough remain available. */
function planReplacement(situations: readonly Situation[], maxUnavailable: number) {
  const unavailable = situations.filter(each => !each.isCurrentAvailable && !each.isOldAvailable).length;
  const broken = situations.flatMap(({ old, current, isOldAvailable }) =>
    old && !current && !isOldAvailable ? [old] : [],
  );
  const working = situations.flatMap(({ old, current, isOldAvailable }) =>
    old && !current && isOldAvailable ? [old] : [],
  );
  return { create: [], delete: [...broken, ...working.slice(0, Math.max(0, maxUnavailable - unavailable))] };
}

/** Brings new pods beside old ones first, and takes the old ones away when the new ones serve. */
function planSurge(situations: readonly Situation[], surge: number) {
  const surging = situations.filter(
    ({ old, current, isCurrentAvailable }) => old && current && !isCurrentAvailable,
  ).length;
  const replaced = situations.flatMap(({ old, isCurrentAvailable }) => (old && isCurrentAvailable ? [old] : []));
  const broken = situations.filter(({ old, current, isOldAvailable }) => old && !current && !isOldAvailable);
  const working = situations.filter(({ old, current, isOldAvailable }) => old && !current && isOldAvailable);
  const create = [...broken, ...working.slice(0, Math.max(0, surge - surging - broken.length))].map(({ node }) => node);
  return { create, delete: replaced };
}

function maxSurge(set: DaemonSet, nodes: number): number {
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
    const pods = (perNode.get(node.metadata?.name ?? '') ?? []).filter(({ metadata }) => !metadata?.deletionTimestamp);
    if (!fits(set, node).shouldRun) {
      if (pods.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    const pod = pods.toSorted(byAge)[0];
    if (!pod) continue;
    counts.current++;
    if (isPodReady(pod)) counts.ready++;
    if (isPodAvailable(pod, set.spec?.minReadySeconds ?? 0, nowMs)) counts.available++;
    if (pods.some(each => isUpdated(state, each))) counts.updated++;
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

function nextAvailabilityMs({ set, pods, nowMs }: DaemonState): number | undefined {
  const waits = pods.map(pod => availableInMs(pod, set.spec?.minReadySeconds ?? 0, nowMs) ?? 0).filter(ms => ms > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}
