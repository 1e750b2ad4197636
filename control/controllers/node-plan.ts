/** A node's conditions and taints as its silence or its words demand. Pure. */
import type { Node, NodeCondition, Taint } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { TAINT_NOT_READY, TAINT_UNREACHABLE, TAINT_UNSCHEDULABLE } from '../client/taints.ts';

/** Conditions that only the node itself can vouch for. */
const WATCHED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

/** Conditions that keep pods away, with their taints (k/k nodelifecycle: nodeConditionToTaintKeyStatusMap). */
const PRESSURE_TAINTS: readonly (readonly [string, string])[] = [
  ['MemoryPressure', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'node.kubernetes.io/disk-pressure'],
  ['NetworkUnavailable', 'node.kubernetes.io/network-unavailable'],
  ['PIDPressure', 'node.kubernetes.io/pid-pressure'],
];
const MANAGED_KEYS: ReadonlySet<string> = new Set([
  TAINT_NOT_READY,
  TAINT_UNREACHABLE,
  TAINT_UNSCHEDULABLE,
  ...PRESSURE_TAINTS.map(([, key]) => key),
]);

export function nodeCondition(node: Node, type: string): NodeCondition | undefined {
  return node.status?.conditions?.find(condition => condition.type === type);
}

export function isNodeReady(node: Node): boolean {
  return nodeCondition(node, 'Ready')?.status === 'True';
}

/** The conditions of a node that has been silent for too long. The same array if nothing changes. */
export function planSilentConditions(node: Node, nowMs: number): readonly NodeCondition[] {
  const conditions = node.status?.conditions ?? [];
  const isUnknown = (type: string) => conditions.find(condition => condition.type === type)?.status === 'Unknown';
  if (WATCHED.every(isUnknown)) return conditions;
  const now = timestamp(nowMs);
  const kept = conditions.map(condition =>
    WATCHED.includes(condition.type) && condition.status !== 'Unknown'
      ? {
          ...condition,
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
          message: 'Kubelet stopped posting node status.',
          lastTransitionTime: now,
        }
      : condition,
  );
  const missing = WATCHED.filter(type => !conditions.some(condition => condition.type === type)).map(type => ({
    type,
    status: 'Unknown',
    reason: 'NodeStatusNeverUpdated',
    message: 'Kubelet never posted node status.',
    lastHeartbeatTime: node.metadata?.creationTimestamp ?? now,
    lastTransitionTime: now,
  }));
  return [...kept, ...missing];
}

/**
 * The taints that follow from conditions and from `spec.unschedulable`; all others stay. NoExecute only while `evicts`: when no
 * node is ready, the fault is more likely on our side than on all of theirs.
 */
export function planNodeTaints(node: Node, evicts: boolean, nowMs: number): readonly Taint[] {
  const current = node.spec?.taints ?? [];
  const wanted: { readonly key: string; readonly effect: string }[] = [];
  const want = (key: string, ...effects: string[]) => wanted.push(...effects.map(effect => ({ key, effect })));
  const ready = nodeCondition(node, 'Ready')?.status;
  const effects = evicts ? ['NoSchedule', 'NoExecute'] : ['NoSchedule'];
  if (ready === 'Unknown') want(TAINT_UNREACHABLE, ...effects);
  else if (ready === 'False') want(TAINT_NOT_READY, ...effects);
  else if (ready === undefined) want(TAINT_NOT_READY, 'NoSchedule');
  for (const [condition, key] of PRESSURE_TAINTS) {
    if (nodeCondition(node, condition)?.status === 'True') want(key, 'NoSchedule');
  }
  if (node.spec?.unschedulable) want(TAINT_UNSCHEDULABLE, 'NoSchedule');
  const isWanted = ({ key, effect }: Taint) => wanted.some(taint => taint.key === key && taint.effect === effect);
  const kept = current.filter(taint => !MANAGED_KEYS.has(taint.key) || isWanted(taint));
  const added = wanted.filter(({ key, effect }) => !kept.some(taint => taint.key === key && taint.effect === effect));
  if (added.length === 0 && kept.length === current.length) return current;
  return [...kept, ...added.map(taint => ({ ...taint, timeAdded: timestamp(nowMs) }))];
}
