/**
 * Watches over nodes: one that is silent for longer than the grace period becomes Unknown, its pods not ready, and taints keep
 * pods away from it. Silence counts from when this process last saw a heartbeat change, so that a new leader, which has seen
 * none yet, gives every node the whole period anew; the nodes' own clocks do not matter.
 */
import { leases as leasesKind, nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Lease, Node, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import type { EventRecorder } from '../client/events.ts';
import { Informer } from '../client/informer.ts';
import { objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import { NODE_GRACE_PERIOD_MS } from './limits.ts';
import { isNodeReady, nodeCondition, planNodeTaints, planSilentConditions } from './node-plan.ts';
import { isPodReady } from './pods.ts';

export const NODE_INDEX = 'nodeName';
export const byNodeName = (pod: Pod): string[] => (pod.spec?.nodeName ? [pod.spec.nodeName] : []);

const LEASE_NAMESPACE = 'kube-node-lease';

export function nodeLifecycleController(context: ControllerContext): Controller {
  const { client, clock, informers, signal } = context;
  const graceMs = context.options.nodeGracePeriodMs ?? NODE_GRACE_PERIOD_MS;
  const recorder = context.recorder('node-controller');
  const queue = newQueue(context);
  const nodes = informers.for<Node>(nodesKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(NODE_INDEX, byNodeName);
  const leases = new Informer<Lease>({
    ...context,
    client: readerOf(context),
    kind: leasesKind,
    namespace: LEASE_NAMESPACE,
  });
  /** When each node was last heard of, by our clock. */
  const heardMs = new Map<string, number>();
  let isDisrupted = false;

  nodes.addHandler({
    added: node => {
      heardMs.set(nameOf(node), clock.now());
      tell(
        recorder,
        node,
        'RegisteredNode',
        `Node ${nameOf(node)} event: Registered Node ${nameOf(node)} in Controller`,
      );
      noticeDisruption();
      queue.add(nameOf(node));
    },
    updated: (node, old) => {
      if (heartbeat(node) !== heartbeat(old)) heardMs.set(nameOf(node), clock.now());
      if (verdict(node) === verdict(old)) return;
      noticeDisruption();
      queue.add(nameOf(node));
    },
    deleted: node => {
      heardMs.delete(nameOf(node));
      tell(recorder, node, 'RemovingNode', `Node ${nameOf(node)} event: Removing Node ${nameOf(node)} from Controller`);
    },
  });
  leases.addHandler({
    updated: (lease, old) => {
      if (lease.spec?.renewTime !== old.spec?.renewTime) heardMs.set(lease.metadata?.name ?? '', clock.now());
    },
  });

  /** When the last node falls silent, or the first one speaks again, the taints of all are due. */
  const noticeDisruption = () => {
    const all = nodes.list();
    const now = all.length > 0 && !all.some(isNodeReady);
    if (now === isDisrupted) return;
    isDisrupted = now;
    for (const node of all) queue.add(nameOf(node));
  };

  const reconcile = async (name: string) => {
    let node = nodes.get(name);
    if (!node) return undefined;
    const silentMs = clock.now() - (heardMs.get(name) ?? clock.now());
    if (silentMs >= graceMs) {
      const conditions = planSilentConditions(node, clock.now());
      if (conditions !== (node.status?.conditions ?? conditions) || !node.status?.conditions) {
        if (isNodeReady(node)) tell(recorder, node, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
        node = await client.update(
          nodesKind,
          { ...node, status: { ...node.status, conditions: [...conditions] } },
          { subresource: 'status' },
        );
      }
    }
    const taints = planNodeTaints(node, !isDisrupted, clock.now());
    if (taints !== (node.spec?.taints ?? taints) || (!node.spec?.taints && taints.length > 0)) {
      const body = {
        metadata: { resourceVersion: node.metadata?.resourceVersion },
        spec: { taints: taints.length > 0 ? taints : null },
      };
      await client.patch(nodesKind, { name }, { type: 'application/merge-patch+json', body });
    }
    if (nodeCondition(node, 'Ready')?.status === 'Unknown') await markPodsNotReady(node);
    return { afterMs: Math.max(graceMs - silentMs, MIN_RECHECK_MS) };
  };

  /** Pods of a silent node must not get traffic, whatever their last word was. */
  const markPodsNotReady = async (node: Node) => {
    for (const pod of pods.byIndex(NODE_INDEX, nameOf(node))) {
      if (!isPodReady(pod)) continue;
      const now = timestamp(clock.now());
      const conditions = (pod.status?.conditions ?? []).map(condition =>
        condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime: now } : condition,
      );
      recorder.record(pod, { type: 'Warning', reason: 'NodeNotReady', message: 'Node is not ready' });
      try {
        const type = 'application/strategic-merge-patch+json';
        await client.patch(
          podsKind,
          objectKey(pod),
          { type, body: { status: { conditions } } },
          { subresource: 'status' },
        );
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
      }
    }
  };

  const controller = queueController(context, { name: 'node-lifecycle-controller', queue, reconcile });
  return {
    name: controller.name,
    run: async () => {
      const watching = leases.run(signal);
      // Whatever was read at the start is no sign of life, nor is the time until now silence.
      for (const name of heardMs.keys()) heardMs.set(name, clock.now());
      await controller.run();
      await watching;
    },
  };
}

/** A node that stays silent needs no more looks than this; one that speaks brings itself. */
const MIN_RECHECK_MS = 5_000;

const nameOf = ({ metadata }: Node) => metadata?.name ?? '';
const heartbeat = (node: Node) => nodeCondition(node, 'Ready')?.lastHeartbeatTime;

/** What of a node decides about its taints. */
const verdict = ({ spec, status }: Node) =>
  JSON.stringify([
    spec?.unschedulable,
    spec?.taints,
    status?.conditions?.map(condition => [condition.type, condition.status]),
  ]);

function tell(recorder: EventRecorder, node: Node, reason: string, message: string): void {
  recorder.record(node, { type: 'Normal', reason, message });
}
