/**
 * Deletes pods from nodes with NoExecute taints that they do not tolerate, or tolerate for a time only. The time counts from
 * when this process first saw pod and taint together, and while it was awake: a new leader, and one that was stopped for a
 * while, never shorten anybody's time.
 */
import { nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Node, Pod, Taint, Toleration } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { tolerates } from '../client/taints.ts';
import { AwakeClock } from './awake-clock.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { LOOK_AGAIN_MS_MAX } from './limits.ts';
import { byNodeName, NODE_INDEX } from './node-lifecycle.ts';

/** Seconds that the pod may stay: 0 at once, Infinity for ever. Of several tolerations of a taint the first counts. Pure. */
export function toleratedSeconds(taints: readonly Taint[], tolerations: readonly Toleration[]): number {
  let seconds = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue;
    const first = tolerations.find(toleration => tolerates(toleration, taint));
    if (!first) return 0;
    if (first.tolerationSeconds !== undefined) seconds = Math.min(seconds, Math.max(0, first.tolerationSeconds));
  }
  return seconds;
}

export function taintEvictionController(context: ControllerContext): Controller {
  const { client, clock, informers, signal } = context;
  const awake = new AwakeClock(clock);
  const recorder = context.recorder('taint-eviction-controller');
  const queue = newQueue(context);
  const nodes = informers.for<Node>(nodesKind);
  const pods = informers.for<Pod>(podsKind);
  pods.addIndex(NODE_INDEX, byNodeName);
  /** Pods, by UID, on nodes whose taints will end them: since when, and until when they may stay at most. */
  const ends = new Map<string, { readonly sinceMs: number; readonly dueMs: number }>();
  const noExecute = ({ spec }: Node) =>
    JSON.stringify((spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute'));
  const enqueueAll = (node: Node) => {
    for (const pod of pods.byIndex(NODE_INDEX, node.metadata?.name ?? '')) queue.add(keyOf(pod));
  };
  nodes.addHandler({
    added: enqueueAll,
    updated: (node, old) => {
      if (noExecute(node) !== noExecute(old)) enqueueAll(node);
    },
  });
  pods.addHandler({
    added: pod => queue.add(keyOf(pod)),
    updated: (pod, old) => {
      if (pod.spec?.nodeName !== old.spec?.nodeName || pod.metadata?.generation !== old.metadata?.generation)
        queue.add(keyOf(pod));
    },
    deleted: pod => ends.delete(pod.metadata?.uid ?? ''),
  });

  const reconcile = async (key: string) => {
    const pod = pods.get(key);
    const node = pod?.spec?.nodeName && nodes.get(pod.spec.nodeName);
    if (!pod || !node || pod.metadata?.deletionTimestamp) return undefined;
    const uid = pod.metadata?.uid ?? '';
    const seconds = toleratedSeconds(node.spec?.taints ?? [], pod.spec?.tolerations ?? []);
    if (seconds === Number.POSITIVE_INFINITY) {
      if (ends.delete(uid)) tell(pod, `Cancelling deletion of Pod ${key}`);
      return undefined;
    }
    const before = ends.get(uid);
    const sinceMs = before?.sinceMs ?? awake.now();
    // A toleration that is made longer afterwards comes too late: an end that was set stands until no taint asks for one.
    const dueMs = Math.min(before?.dueMs ?? Number.POSITIVE_INFINITY, sinceMs + seconds * 1000);
    ends.set(uid, { sinceMs, dueMs });
    const leftMs = dueMs - awake.now();
    if (leftMs > 0) return { afterMs: Math.min(leftMs, LOOK_AGAIN_MS_MAX) };
    await evict(pod);
    ends.delete(uid);
    return undefined;
  };

  const evict = async (pod: Pod) => {
    tell(pod, `Marking for deletion Pod ${keyOf(pod)}`);
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: timestamp(clock.now()),
    };
    const conditions = [...(pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type), condition];
    try {
      const type = 'application/strategic-merge-patch+json';
      await client.patch(
        podsKind,
        objectKey(pod),
        { type, body: { status: { conditions } } },
        { subresource: 'status' },
      );
      await client.delete(podsKind, objectKey(pod), { uid: pod.metadata?.uid ?? '' });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  };
  const tell = (pod: Pod, message: string) =>
    recorder.record(pod, { type: 'Normal', reason: 'TaintManagerEviction', message });
  const controller = queueController(context, { name: 'taint-eviction-controller', queue, reconcile });
  return {
    name: controller.name,
    run: async () => {
      await Promise.all([controller.run(), awake.run(signal)]);
    },
  };
}
