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
 * What may be done about NoExecute: `add` it where a node is not ready, `keep` what is there (it may still change its key), or
 * `remove` it everywhere, because no node is heard of and the fault is more likely on our side.
 */
export type ExecutePolicy = 'add' | 'keep' | 'remove';

const EXECUTE_KEYS: ReadonlySet<string> = new Set([TAINT_NOT_READY, TAINT_UNREACHABLE]);

/** True if pods are already being driven from the node because it is not ready. */
export function isBeingEvicted({ spec }: Node): boolean {
  return (spec?.taints ?? []).some(({ key, effect }) => effect === 'NoExecute' && EXECUTE_KEYS.has(key));
}

/** True if the node's silence, or its own word, asks for its pods to go. */
export function asksForEviction(node: Node): boolean {
  const ready = nodeCondition(node, 'Ready')?.status;
  return ready === 'Unknown' || ready === 'False';
}

/** The taints that follow from conditions and from `spec.unschedulable`; all others stay. The same array if nothing changes. */
export function planNodeTaints(node: Node, policy: ExecutePolicy, nowMs: number): readonly Taint[] {
  const current = node.spec?.taints ?? [];
  const wanted: { readonly key: string; readonly effect: string }[] = [];
  const want = (key: string, ...effects: string[]) => wanted.push(...effects.map(effect => ({ key, effect })));
  const ready = nodeCondition(node, 'Ready')?.status;
  const evicts = policy === 'add' || (policy === 'keep' && isBeingEvicted(node));
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

/** Labels that older clients look for, with those that they repeat (k/k nodelifecycle: labelReconcileInfo). */
const REPEATED_LABELS: readonly (readonly [string, string])[] = [
  ['beta.kubernetes.io/os', 'kubernetes.io/os'],
  ['beta.kubernetes.io/arch', 'kubernetes.io/arch'],
];

/** The labels that the node lacks; undefined if it lacks none. */
export function planNodeLabels({ metadata }: Node): Record<string, string> | undefined {
  const labels = metadata?.labels ?? {};
  const missing = REPEATED_LABELS.flatMap(([name, from]) => {
    const value = labels[from];
    return value !== undefined && labels[name] !== value ? [[name, value] as const] : [];
  });
  return missing.length > 0 ? Object.fromEntries(missing) : undefined;
}
