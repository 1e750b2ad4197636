/**
 * Watches over nodes: one that is silent for longer than the grace period becomes Unknown, its pods not ready, and taints keep
 * pods away from it. Silence counts from when this process last saw a heartbeat change, in time that it was awake for: a new
 * leader, which has seen none yet, and one that was stopped for a while both give every node the whole period anew. The nodes'
 * own clocks do not matter.
 */
import { leases as leasesKind, nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Lease, Node, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import type { EventRecorder } from '../client/events.ts';
import { Informer } from '../client/informer.ts';
import { objectKey } from '../client/keys.ts';
import { AwakeClock } from './awake-clock.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import { LOOK_AGAIN_MS_MAX, SILENT_NODE_RECHECK_MS } from './limits.ts';
import { EvictionPace, evictionRate, NODE_HEALTH_DEFAULTS, ZoneCensus, zoneOf, zoneState } from './node-health.ts';
import {
  asksForEviction,
  type ExecutePolicy,
  isBeingEvicted,
  isNodeReady,
  nodeCondition,
  planNodeLabels,
  planNodeTaints,
  planSilentConditions,
} from './node-plan.ts';
import { isPodReady } from './pods.ts';

export const NODE_INDEX = 'nodeName';
export const byNodeName = (pod: Pod): string[] => (pod.spec?.nodeName ? [pod.spec.nodeName] : []);

const LEASE_NAMESPACE = 'kube-node-lease';
const MERGE = 'application/merge-patch+json';
const STRATEGIC_MERGE = 'application/strategic-merge-patch+json';

export function nodeLifecycleController(context: ControllerContext): Controller {
  const { client, clock, informers, signal } = context;
  const settings = { ...NODE_HEALTH_DEFAULTS, ...context.options.nodeHealth };
  const awake = new AwakeClock(clock);
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
  const census = new ZoneCensus();
  const pace = new EvictionPace();
  let isDisrupted = false;
  const zoneStates = new Map<string, string>();

  nodes.addHandler({
    added: node => {
      heardMs.set(nameOf(node), awake.now());
      const message = `Node ${nameOf(node)} event: Registered Node ${nameOf(node)} in Controller`;
      tell(recorder, node, 'RegisteredNode', message);
      census.note(node);
      noticeDisruption(zoneOf(node));
      queue.add(nameOf(node));
    },
    updated: (node, old) => {
      if (heartbeat(node) !== heartbeat(old)) heardMs.set(nameOf(node), awake.now());
      if (verdict(node) === verdict(old)) return;
      census.note(node);
      noticeDisruption(zoneOf(node), zoneOf(old));
      queue.add(nameOf(node));
    },
    deleted: node => {
      heardMs.delete(nameOf(node));
      census.forget(nameOf(node));
      noticeDisruption(zoneOf(node));
      tell(recorder, node, 'RemovingNode', `Node ${nameOf(node)} event: Removing Node ${nameOf(node)} from Controller`);
    },
  });
  leases.addHandler({
    updated: (lease, old) => {
      const name = lease.metadata?.name ?? '';
      if (lease.spec?.renewTime !== old.spec?.renewTime && heardMs.has(name)) heardMs.set(name, awake.now());
    },
  });

  /** When a zone, or the whole cluster, falls silent or speaks again, the taints of its nodes are due. */
  const noticeDisruption = (...zones: readonly string[]) => {
    const isNow = census.isWhollyDisrupted;
    if (isNow !== isDisrupted) {
      isDisrupted = isNow;
      // Somebody speaks again, so the others shall have their time to do so too.
      if (!isNow) hearAll();
      for (const node of nodes.list()) queue.add(nameOf(node));
    }
    for (const zone of zones) {
      const state = zoneState(census.count(zone), settings);
      if (zoneStates.get(zone) === state) continue;
      zoneStates.set(zone, state);
      for (const node of nodes.list()) if (zoneOf(node) === zone && !isNodeReady(node)) queue.add(nameOf(node));
    }
  };
  const hearAll = () => {
    for (const name of heardMs.keys()) heardMs.set(name, awake.now());
  };

  /** A node is not silent before its Lease has run out: it may be one that beats more slowly than the cluster expects. */
  const graceOf = (node: Node): number => {
    if (!nodeCondition(node, 'Ready')) return settings.startupGracePeriodMs;
    const lease = leases.get(`${LEASE_NAMESPACE}/${nameOf(node)}`);
    return Math.max(settings.gracePeriodMs, (lease?.spec?.leaseDurationSeconds ?? 0) * 1_000);
  };

  const reconcile = async (name: string) => {
    let node = nodes.get(name);
    if (!node) return undefined;
    const leftMs = (heardMs.get(name) ?? awake.now()) + graceOf(node) - awake.now();
    if (leftMs <= 0) node = await silence(node);
    const labels = planNodeLabels(node);
    if (labels) node = await client.patch(nodesKind, { name }, { type: MERGE, body: { metadata: { labels } } });
    if (nodeCondition(node, 'Ready')?.status === 'Unknown') await markPodsNotReady(node);
    const waitMs = await taint(node);
    return { afterMs: Math.min(waitMs, leftMs > 0 ? leftMs : SILENT_NODE_RECHECK_MS, LOOK_AGAIN_MS_MAX) };
  };

  const silence = async (node: Node): Promise<Node> => {
    const conditions = planSilentConditions(node, clock.now());
    if (conditions === (node.status?.conditions ?? conditions) && node.status?.conditions) return node;
    if (isNodeReady(node)) {
      tell(recorder, node, 'NodeNotReady', `Node ${nameOf(node)} status is now: NodeNotReady`);
    }
    const silent = { ...node, status: { ...node.status, conditions: [...conditions] } };
    return client.update(nodesKind, silent, { subresource: 'status' });
  };

  /** Gives the node the taints it should have; how long until its pods may be driven away, if that has to wait. */
  const taint = async (node: Node): Promise<number> => {
    const zone = zoneOf(node);
    let policy: ExecutePolicy = census.isWhollyDisrupted ? 'remove' : 'keep';
    let waitMs = Number.POSITIVE_INFINITY;
    if (policy === 'keep' && asksForEviction(node) && !isBeingEvicted(node)) {
      waitMs = pace.take(zone, evictionRate(census.count(zone), settings), awake.now());
      if (waitMs === 0) policy = 'add';
    }
    const taints = planNodeTaints(node, policy, clock.now());
    if (taints !== (node.spec?.taints ?? taints) || (!node.spec?.taints && taints.length > 0)) {
      const body = {
        metadata: { resourceVersion: node.metadata?.resourceVersion },
        spec: { taints: taints.length > 0 ? taints : null },
      };
      try {
        await client.patch(nodesKind, { name: nameOf(node) }, { type: MERGE, body });
      } catch (error) {
        if (policy === 'add') pace.giveBack(zone);
        throw error;
      }
    }
    return policy === 'add' ? Number.POSITIVE_INFINITY : waitMs;
  };

  /** Pods of a silent node must not get traffic, whatever their last word was. */
  const markPodsNotReady = async (node: Node) => {
    for (const pod of pods.byIndex(NODE_INDEX, nameOf(node))) {
      if (!isPodReady(pod)) continue;
      const now = timestamp(clock.now());
      const conditions = (pod.status?.conditions ?? []).map(condition =>
        condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime: now } : condition,
      );
      try {
        const patch = { type: STRATEGIC_MERGE, body: { status: { conditions } } } as const;
        await client.patch(podsKind, objectKey(pod), patch, { subresource: 'status' });
        recorder.record(pod, { type: 'Warning', reason: 'NodeNotReady', message: 'Node is not ready' });
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
      const ticking = awake.run(signal);
      // Whatever was read at the start is no sign of life, nor is the time until now silence.
      hearAll();
      await controller.run();
      await Promise.all([watching, ticking]);
    },
  };
}

const nameOf = ({ metadata }: Node) => metadata?.name ?? '';
const heartbeat = (node: Node) => nodeCondition(node, 'Ready')?.lastHeartbeatTime;

/** What of a node decides about its taints and labels. */
const verdict = ({ metadata, spec, status }: Node) =>
  JSON.stringify([
    metadata?.labels,
    spec?.unschedulable,
    spec?.taints,
    status?.conditions?.map(condition => [condition.type, condition.status]),
  ]);

function tell(recorder: EventRecorder, node: Node, reason: string, message: string): void {
  recorder.record(node, { type: 'Normal', reason, message });
}
