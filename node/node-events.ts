/** What is told of the node itself as events, in a kubelet's words (k/k: nodestatus/setters.go, kubelet_node_status.go). Pure. */
import type { EventRecorder, Node, NodeStatus } from './api.ts';

export interface NodeEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Records an event of this node. */
export type NodeAnnouncer = (event: NodeEvent) => void;

/** As agents name their own node, which has no UID before it is registered. */
export function nodeAnnouncer(recorder: EventRecorder, name: string): NodeAnnouncer {
  const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  return event => recorder.record(node, event);
}

export const STARTING: NodeEvent = { type: 'Normal', reason: 'Starting', message: 'Starting kubelet.' };

/** By condition: the reasons of its events where it holds and where it does not. */
const REASONS: Readonly<Record<string, readonly [holds: string, not: string]>> = {
  MemoryPressure: ['NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
  DiskPressure: ['NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
  PIDPressure: ['NodeHasInsufficientPID', 'NodeHasSufficientPID'],
  Ready: ['NodeReady', 'NodeNotReady'],
};

export interface NodeChange {
  readonly name: string;
  /** As the API had it; undefined for a node that is new. */
  readonly before: NodeStatus | undefined;
  readonly after: NodeStatus;
  /** Whether new pods were kept off it, and are. */
  readonly unschedulable: readonly [before: boolean, now: boolean];
}

/** What has changed that people look for. */
export function nodeEvents({ name, before, after, unschedulable: [was, is] }: NodeChange): readonly NodeEvent[] {
  const isNow = (reason: string): NodeEvent => ({
    type: 'Normal',
    reason,
    message: `Node ${name} status is now: ${reason}`,
  });
  const statusOf = (status: NodeStatus | undefined, type: string) =>
    status?.conditions?.find(condition => condition.type === type)?.status;
  const conditions = Object.entries(REASONS).flatMap(([type, [holds, not]]) => {
    const [old, now] = [statusOf(before, type), statusOf(after, type)];
    // Whether a node is ready is news once it was said otherwise.
    const isFirst = old === undefined && type === 'Ready';
    return now === undefined || old === now || isFirst ? [] : [isNow(now === 'True' ? holds : not)];
  });
  const [bootBefore, boot] = [before?.nodeInfo?.bootID, after.nodeInfo?.bootID];
  const rebooted: NodeEvent[] =
    bootBefore && boot && bootBefore !== boot
      ? [{ type: 'Warning', reason: 'Rebooted', message: `Node ${name} has been rebooted, boot id: ${boot}` }]
      : [];
  return [...rebooted, ...conditions, ...(was === is ? [] : [isNow(is ? 'NodeNotSchedulable' : 'NodeSchedulable')])];
}
