/**
 * The scheduler's loop: takes a pod from the queue, decides on the present snapshot, counts the pod on its node at once and
 * writes the binding beside the next decision. What fails is taken back and tried again.
 */
import { namespaces as namespacesKind, nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Namespace, Node, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import { type Clock, timestamp } from '../client/clock.ts';
import { ApiEventRecorder, type EventRecorder } from '../client/events.ts';
import type { Informer } from '../client/informer.ts';
import { Informers } from '../client/informers.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { holdLease } from '../client/lease.ts';
import type { Logger } from '../client/logger.ts';
import { type Decision, decide } from './decide.ts';
import { BINDINGS_CONCURRENT_MAX } from './limits.ts';
import type { ClusterEvent } from './plugin.ts';
import { DEFAULT_PROFILE, type Profile } from './profile.ts';
import { SchedulingQueue } from './queue.ts';
import { ClusterSnapshot, describePod } from './snapshot.ts';

export interface SchedulerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** This process's name: in the lease and as the events' instance. */
  readonly identity: string;
  /** Shared with others in the process; without it the scheduler keeps its own. */
  readonly informers?: Informers;
  readonly profile?: Profile;
  readonly metrics?: SchedulerMetrics;
}

/** Numbers for /metrics. */
export interface SchedulerMetrics {
  decided(outcome: { readonly placed: boolean; readonly durationMs: number }): void;
}

/** Runs until the signal aborts. Never rejects. */
export async function runScheduler(options: SchedulerOptions): Promise<void> {
  const { signal } = options;
  const informers = options.informers ?? new Informers(options);
  const scheduler = new Scheduler(options, informers);
  if (!options.informers) informers.start(signal);
  const lease = holdLease({ ...options, name: 'kube-scheduler' }, signal);
  await scheduler.run();
  await lease;
  if (!options.informers) await informers.stopped();
}

class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #profile: Profile;
  readonly #recorder: EventRecorder;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #namespaces: Informer<Namespace>;
  readonly #snapshot = new ClusterSnapshot();
  readonly #queue: SchedulingQueue;
  /** UIDs of pods that have a node here, but not yet in the API as far as we know. */
  readonly #assumed = new Set<string>();
  readonly #writes = new Set<Promise<void>>();

  constructor(options: SchedulerOptions, informers: Informers) {
    this.#options = options;
    this.#profile = options.profile ?? DEFAULT_PROFILE;
    this.#queue = new SchedulingQueue(options.clock);
    this.#recorder = new ApiEventRecorder({
      client: options.client,
      clock: options.clock,
      logger: options.logger,
      component: this.#profile.schedulerName,
      instance: `${this.#profile.schedulerName}-${options.identity}`,
    });
    this.#pods = informers.for(podsKind);
    this.#nodes = informers.for(nodesKind);
    this.#namespaces = informers.for(namespacesKind);
    const setNamespace = (namespace: Namespace) => this.#snapshot.setNamespace(namespace);
    this.#namespaces.addHandler({
      added: setNamespace,
      updated: setNamespace,
      deleted: ({ metadata }) => this.#snapshot.removeNamespace(metadata?.name ?? ''),
    });
    this.#nodes.addHandler({
      added: node => this.#nodeSeen(node, 'nodeAdded'),
      updated: (node, old) => {
        if (isRelevantChange(old, node)) this.#nodeSeen(node, 'nodeChanged');
      },
      deleted: node => this.#snapshot.removeNode(node.metadata?.name ?? ''),
    });
    this.#pods.addHandler({
      added: pod => this.#podSeen(pod, undefined),
      updated: (pod, old) => this.#podSeen(pod, old),
      deleted: pod => this.#podGone(pod),
    });
  }

  async run(): Promise<void> {
    const { signal, logger } = this.#options;
    signal.addEventListener('abort', () => this.#queue.shutDown(), { once: true });
    const informers = [this.#nodes, this.#namespaces, this.#pods];
    const synced = await Promise.all(informers.map(informer => informer.waitForSync(signal)));
    if (!synced.every(Boolean)) return;
    logger.info({ nodes: this.#nodes.size }, 'scheduler started');
    for (let next = await this.#queue.take(); next && !signal.aborted; next = await this.#queue.take()) {
      this.#schedule(next.pod);
      if (this.#writes.size >= BINDINGS_CONCURRENT_MAX) await Promise.race(this.#writes);
    }
    await Promise.all(this.#writes);
  }

  /** Decides and begins to write; there is no waiting between the two, so the snapshot is the one that was decided on. */
  #schedule(pod: Pod): void {
    const uid = uidOf(pod);
    // The queue may lag behind the cache by one event.
    const current = this.#pods.get(keyOf(pod));
    if (!current || uidOf(current) !== uid || !this.#isOurs(current)) {
      this.#queue.remove(uid);
      return;
    }
    const startedAtMs = this.#options.clock.now();
    const decision = decide(describePod(current), this.#snapshot, this.#profile);
    this.#options.metrics?.decided({
      placed: decision.kind === 'place',
      durationMs: this.#options.clock.now() - startedAtMs,
    });
    if (decision.kind === 'place') {
      this.#snapshot.offset = (this.#snapshot.offset + decision.searched) % this.#snapshot.nodes.length;
      this.#snapshot.setPod(current, decision.node);
      this.#assumed.add(uid);
      this.#track(this.#bind(current, decision.node));
    } else {
      this.#queue.putUnschedulable(uid, decision.plugins);
      this.#track(this.#report(current, decision));
    }
  }

  #track(write: Promise<void>): void {
    const tracked = write.finally(() => this.#writes.delete(tracked));
    this.#writes.add(tracked);
  }

  async #bind(pod: Pod, node: string): Promise<void> {
    const { client, logger } = this.#options;
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const uid = uidOf(pod);
    try {
      await client.createSubresource(podsKind, objectKey(pod), 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { kind: 'Node', name: node },
      });
      this.#queue.remove(uid);
      this.#recorder.record(pod, {
        type: 'Normal',
        reason: 'Scheduled',
        action: 'Binding',
        message: `Successfully assigned ${namespace}/${name} to ${node}`,
      });
    } catch (error) {
      if (this.#options.signal.aborted) return;
      // Unless the watch told meanwhile that the pod did get its node, what was assumed is taken back.
      if (this.#assumed.delete(uid)) this.#snapshot.removePod(uid);
      if (hasReason(error, 'NotFound')) this.#queue.remove(uid);
      else this.#queue.putFailed(uid);
      this.#wakeOn('podRemoved');
      logger.warn({ pod: keyOf(pod), node, err: error }, 'binding failed');
    }
  }

  async #report(pod: Pod, { message }: Extract<Decision, { kind: 'refuse' }>): Promise<void> {
    const { client, clock, logger } = this.#options;
    this.#recorder.record(pod, { type: 'Warning', reason: 'FailedScheduling', action: 'Scheduling', message });
    const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (known?.status === 'False' && known.reason === 'Unschedulable' && known.message === message) return;
    const lastTransitionTime = known?.status === 'False' ? known.lastTransitionTime : timestamp(clock.now());
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime };
    try {
      await client.patch(
        podsKind,
        objectKey(pod),
        {
          type: 'application/strategic-merge-patch+json',
          body: { metadata: { uid: uidOf(pod) }, status: { conditions: [condition] } },
        },
        { subresource: 'status' },
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !this.#options.signal.aborted) {
        logger.warn({ pod: keyOf(pod), err: error }, 'condition not written');
      }
    }
  }

  #isOurs(pod: Pod): boolean {
    return (
      !pod.spec?.nodeName &&
      !pod.metadata?.deletionTimestamp &&
      !isFinished(pod) &&
      (pod.spec?.schedulerName ?? DEFAULT_PROFILE.schedulerName) === this.#profile.schedulerName &&
      (pod.spec?.schedulingGates ?? []).length === 0
    );
  }

  #podSeen(pod: Pod, old: Pod | undefined): void {
    const uid = uidOf(pod);
    const nodeName = pod.spec?.nodeName;
    if (!nodeName) {
      if (this.#assumed.has(uid)) return;
      if (this.#isOurs(pod)) this.#queue.put(pod);
      else this.#queue.remove(uid);
      return;
    }
    this.#assumed.delete(uid);
    this.#queue.remove(uid);
    if (isFinished(pod)) {
      this.#podGone(pod);
      return;
    }
    this.#snapshot.setPod(pod, nodeName);
    if (!old?.spec?.nodeName) this.#wakeOn('podPlaced');
    else if (isChanged(old, pod)) this.#wakeOn('podChanged');
  }

  #podGone(pod: Pod): void {
    const uid = uidOf(pod);
    this.#assumed.delete(uid);
    this.#queue.remove(uid);
    if (!this.#snapshot.hasPod(uid)) return;
    this.#snapshot.removePod(uid);
    this.#wakeOn('podRemoved');
  }

  #nodeSeen(node: Node, event: ClusterEvent): void {
    this.#snapshot.setNode(node);
    this.#wakeOn(event);
  }

  #wakeOn(event: ClusterEvent): void {
    const helpful = this.#profile.plugins.filter(({ wakesOn }) => wakesOn.includes(event));
    if (helpful.length > 0) this.#queue.wake(refusedBy => helpful.some(({ name }) => refusedBy.has(name)));
  }
}

const uidOf = (pod: Pod) => pod.metadata?.uid ?? '';
const isFinished = ({ status }: Pod) => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** Most changes of a pod are to its status, which no plugin looks at. */
const isChanged = (old: Pod, pod: Pod) =>
  old.metadata?.generation !== pod.metadata?.generation ||
  JSON.stringify(old.metadata?.labels) !== JSON.stringify(pod.metadata?.labels);

/** Heartbeats change a node every few seconds and help nobody. */
function isRelevantChange(old: Node, node: Node): boolean {
  const relevant = ({ metadata, spec, status }: Node) =>
    JSON.stringify([metadata?.labels, spec, status?.allocatable, status?.images]);
  return relevant(old) !== relevant(node);
}
