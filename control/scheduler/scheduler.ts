/**
 * The scheduler's loop: takes a pod from the queue, decides on the present snapshot, counts the pod on its node at once and
 * writes the binding beside the next decision. What fails is taken back and tried again. Who finds no place may have others of
 * lower priority evicted, and waits for them to go.
 */
import { pods as podsKind } from '../api/generated/kinds.ts';
import type { Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import type { Informer } from '../client/informer.ts';
import { Informers } from '../client/informers.ts';
import { keyOf } from '../client/keys.ts';
import { holdLease } from '../client/lease.ts';
import type { Logger } from '../client/logger.ts';
import type { ClusterEvent } from './cluster-events.ts';
import { type ClusterWatch, watchCluster } from './cluster-watch.ts';
import { DEFAULT_CONFIGURATION, type SchedulerConfiguration } from './configuration.ts';
import { decide } from './decide.ts';
import { type Diagnosis, explain } from './diagnosis.ts';
import { BINDINGS_CONCURRENT_MAX, QUEUE_REFILL_MS, VOLUME_BINDINGS_CONCURRENT_MAX } from './limits.ts';
import type { SchedulerPlugin } from './plugin.ts';
import { claimsOf } from './plugins/volume-binding.ts';
import { describePod, type PodInfo } from './pod-info.ts';
import { PodWriter } from './pod-writer.ts';
import { planPreemption } from './preempt.ts';
import { DEFAULT_SCHEDULER_NAME, type Profile } from './profile.ts';
import { SchedulingQueue, type WaitingState } from './queue.ts';
import { ClusterSnapshot } from './snapshot.ts';
import { type AssumedVolumes, VolumeBinder } from './volume-binder.ts';
import { planVolumes, sortClaims } from './volume-plan.ts';
import { WritesUnderWay } from './writes-under-way.ts';

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
  readonly configuration?: SchedulerConfiguration;
  readonly metrics?: SchedulerMetrics;
}

/** Numbers for /metrics. */
export interface SchedulerMetrics {
  /** The scheduler begins: how many pods wait may be asked of its queue from now on. */
  started(queue: { count(state: WaitingState): number }): void;
  decided(outcome: { readonly placed: boolean; readonly profile: string; readonly durationMs: number }): void;
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
  /** By the name that pods ask for. */
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #plugins: ReadonlyMap<string, SchedulerPlugin>;
  readonly #writer: PodWriter;
  readonly #binder: VolumeBinder;
  readonly #pods: Informer<Pod>;
  readonly #watch: ClusterWatch;
  readonly #snapshot = new ClusterSnapshot();
  readonly #queue: SchedulingQueue;
  /** UIDs of pods that have a node here, but not yet in the API as far as we know. */
  readonly #assumed = new Set<string>();
  readonly #writes = new WritesUnderWay(BINDINGS_CONCURRENT_MAX);
  /** Pods that wait for their volumes: that may take long, and holds up nobody else. */
  readonly #volumeWrites = new WritesUnderWay(VOLUME_BINDINGS_CONCURRENT_MAX);
  #cancelRefill: (() => void) | undefined;

  constructor(options: SchedulerOptions, informers: Informers) {
    this.#options = options;
    const { profiles, backoffMsMin, backoffMsMax } = options.configuration ?? DEFAULT_CONFIGURATION;
    this.#profiles = new Map(profiles.map(profile => [profile.schedulerName, profile]));
    this.#plugins = new Map(
      profiles.flatMap(({ filterPlugins }) => filterPlugins.map(plugin => [plugin.name, plugin] as const)),
    );
    this.#queue = new SchedulingQueue({ clock: options.clock, backoffMsMin, backoffMsMax });
    this.#writer = new PodWriter(options);
    this.#binder = new VolumeBinder({ ...options, catalog: this.#snapshot.volumes });
    this.#watch = watchCluster({
      informers,
      snapshot: this.#snapshot,
      happened: event => this.#happened(event),
      volumesChanged: () => this.#binder.changed(),
    });
    this.#pods = informers.for(podsKind);
    this.#pods.addHandler({
      added: pod => this.#podSeen(pod, undefined),
      updated: (pod, old) => this.#podSeen(pod, old),
      deleted: pod => this.#podGone(pod),
    });
  }

  async run(): Promise<void> {
    const { signal, logger } = this.#options;
    signal.addEventListener('abort', () => this.#queue.shutDown(), { once: true });
    const informers = [this.#pods, ...this.#watch.informers];
    const synced = await Promise.all(informers.map(informer => informer.waitForSync(signal)));
    if (!synced.every(Boolean)) return;
    logger.info({ nodes: this.#watch.nodes.size }, 'scheduler started');
    this.#options.metrics?.started(this.#queue);
    for (let next = await this.#queue.take(); next && !signal.aborted; next = await this.#queue.take()) {
      this.#schedule(next.pod);
      if (this.#writes.isFull) await this.#writes.room();
      if (this.#volumeWrites.isFull) await this.#volumeWrites.room();
    }
    this.#cancelRefill?.();
    await Promise.all([this.#writes.ended(), this.#volumeWrites.ended()]);
  }

  /** Decides and begins to write; there is no waiting between the two, so the snapshot is the one that was decided on. */
  #schedule(pod: Pod): void {
    const uid = uidOf(pod);
    // The queue may lag behind the cache by one event.
    const current = this.#pods.get(keyOf(pod));
    const profile = current && this.#profileOf(current);
    if (!current || uidOf(current) !== uid || !profile) {
      this.#queue.remove(uid);
      return;
    }
    const startedAtMs = this.#options.clock.now();
    const info = describePod(current);
    const decision = decide(info, this.#snapshot, profile, this.#options.random);
    this.#options.metrics?.decided({
      placed: decision.kind === 'place',
      profile: profile.schedulerName,
      durationMs: this.#options.clock.now() - startedAtMs,
    });
    if (decision.kind === 'place') this.#place(info, decision.node, decision.searched);
    else this.#refuse(info, decision.diagnosis, profile);
  }

  #place(info: PodInfo, nodeName: string, searched: number): void {
    const { pod, uid } = info;
    this.#snapshot.offset = (this.#snapshot.offset + searched) % this.#snapshot.nodes.length;
    const volumes = this.#assumeVolumes(info, nodeName);
    const promised = this.#snapshot.nominationOf(uid);
    this.#snapshot.setPod(pod, nodeName);
    this.#assumed.add(uid);
    if (promised !== undefined && promised !== nodeName) this.#promiseEnded(info);
    (volumes ? this.#volumeWrites : this.#writes).add(this.#bind(pod, nodeName, volumes));
  }

  /** Undefined if there is nothing to be done about the pod's volumes. */
  #assumeVolumes(info: PodInfo, nodeName: string): AssumedVolumes | undefined {
    const { volumes } = this.#snapshot;
    const node = this.#snapshot.node(nodeName);
    if (info.claims.length === 0 || !node) return undefined;
    const claims = claimsOf(info, volumes);
    if ('refusal' in claims) return undefined;
    const sorted = sortClaims(claims, volumes);
    if (typeof sorted === 'string' || sorted.delayed.length === 0) return undefined;
    const plan = planVolumes(sorted, node, volumes);
    return 'obstacles' in plan ? undefined : this.#binder.assume(plan, node);
  }

  async #bind(pod: Pod, nodeName: string, volumes: AssumedVolumes | undefined): Promise<void> {
    const { logger, signal } = this.#options;
    const uid = uidOf(pod);
    let areVolumesThere = false;
    try {
      if (volumes) await this.#binder.bind(uid, volumes, this.#profileOf(pod)?.volumeBindingTimeoutMs);
      areVolumesThere = true;
      await this.#writer.bind(pod, nodeName);
      this.#queue.remove(uid);
    } catch (error) {
      if (signal.aborted) return;
      if (volumes) this.#binder.forget(volumes);
      // Unless the watch told meanwhile that the pod did get its node, what was assumed is taken back.
      if (this.#assumed.delete(uid)) this.#snapshot.removePod(uid);
      this.#podHappened('podRemoved', pod);
      if (hasReason(error, 'NotFound') || !this.#queue.has(uid)) {
        this.#queue.remove(uid);
        return;
      }
      this.#queue.putFailed(uid);
      logger.warn({ pod: keyOf(pod), node: nodeName, err: error }, 'binding failed');
      const why = error instanceof Error ? error.message : String(error);
      const plugin = volumes && !areVolumesThere ? 'PreBind plugin "VolumeBinding"' : 'Bind plugin "DefaultBinder"';
      await this.#writer.report(pod, `running ${plugin}: ${why}`, { reason: 'SchedulerError', nomination: '' });
    }
  }

  #refuse(info: PodInfo, diagnosis: Diagnosis, profile: Profile): void {
    const { pod, uid } = info;
    const nodes = this.#snapshot.nodes.length;
    this.#queue.putUnschedulable(uid, diagnosis.plugins.size > 0 ? diagnosis.plugins : ANY_PLUGIN);
    if (nodes === 0) {
      this.#loseNomination(info);
      this.#writes.add(this.#writer.report(pod, explain(diagnosis, nodes, ''), { nomination: '' }));
      return;
    }
    const preemption = planPreemption(info, this.#snapshot, profile, {
      diagnosis,
      budgets: this.#watch.budgets(),
      random: this.#options.random,
      nowMs: this.#options.clock.now(),
    });
    if (preemption.kind === 'none') {
      const message = explain(diagnosis, nodes, preemption.message);
      if (preemption.losesNomination) this.#loseNomination(info);
      this.#writes.add(this.#writer.report(pod, message, preemption.losesNomination ? { nomination: '' } : {}));
      return;
    }
    const { node, victims } = preemption;
    if (this.#snapshot.nominationOf(uid) !== node) this.#loseNomination(info);
    this.#snapshot.nominate(info, node);
    this.#queue.hold(uid);
    this.#writes.add(this.#preempt(info, { node, victims, message: explain(diagnosis, nodes, '') }));
  }

  async #preempt(
    { pod, uid, priority }: PodInfo,
    {
      node,
      victims,
      message,
    }: { readonly node: string; readonly victims: readonly PodInfo[]; readonly message: string },
  ): Promise<void> {
    this.#options.logger.info({ pod: keyOf(pod), node, victims: victims.map(({ pod }) => keyOf(pod)) }, 'preempting');
    // Whoever of lower priority was to have room there looks for another place.
    const displaced = [...(this.#snapshot.nominatedOn(node)?.values() ?? [])].filter(each => each.priority < priority);
    for (const each of displaced) this.#loseNomination(each);
    await this.#writer.report(pod, message, { nomination: node });
    await Promise.all(displaced.map(each => this.#writer.clearNomination(this.#pods.get(keyOf(each.pod)) ?? each.pod)));
    for (const each of displaced) this.#queue.wakeOne(each.uid);
    const staying = victims.filter(({ isTerminating }) => !isTerminating).map(each => each.pod);
    const isDone = await this.#writer.evict(staying, pod, node);
    this.#queue.release(uid, !isDone);
  }

  /** The profile that the pod is for, if it is waiting for a node at all. */
  #profileOf(pod: Pod): Profile | undefined {
    const { spec, metadata } = pod;
    if (spec?.nodeName || metadata?.deletionTimestamp || isFinished(pod)) return undefined;
    const profile = this.#profiles.get(spec?.schedulerName ?? DEFAULT_SCHEDULER_NAME);
    if (profile?.hasGates && (spec?.schedulingGates ?? []).length > 0) return undefined;
    return profile;
  }

  #podSeen(pod: Pod, old: Pod | undefined): void {
    const uid = uidOf(pod);
    const nodeName = pod.spec?.nodeName;
    if (!nodeName) {
      if (!this.#assumed.has(uid)) this.#waitingSeen(pod, old);
      else if (pod.metadata?.deletionTimestamp) this.#binder.cancel(uid);
      return;
    }
    this.#assumed.delete(uid);
    this.#queue.remove(uid);
    if (isFinished(pod)) {
      this.#podGone(pod);
      return;
    }
    this.#snapshot.setPod(pod, nodeName);
    if (!old?.spec?.nodeName) this.#podHappened('podPlaced', pod);
    else if (this.#queue.hasSleepers && isChanged(old, pod)) {
      this.#happened({ kind: 'podChanged', pod: describePod(pod), old: describePod(old) });
    }
  }

  #waitingSeen(pod: Pod, old: Pod | undefined): void {
    const uid = uidOf(pod);
    if (!this.#profileOf(pod)) {
      this.#podGone(pod);
      return;
    }
    const nominated = pod.status?.nominatedNodeName;
    const known = this.#snapshot.nominationOf(uid);
    if (nominated || known) {
      // Nominations of one's own are known before the API tells; those of a predecessor come from it.
      if (!nominated && old?.status?.nominatedNodeName) this.#loseNomination(describePod(pod));
      else this.#snapshot.nominate(describePod(pod), known ?? nominated ?? '');
    }
    const isNew = !this.#queue.has(uid);
    if (!this.#queue.put(pod)) this.#refillLater();
    else if (!isNew && old && isChanged(old, pod)) this.#ownChange(pod, old);
  }

  /** A change of the waiting pod itself: what refused it is asked whether that may help. */
  #ownChange(pod: Pod, old: Pod): void {
    const uid = uidOf(pod);
    const info = describePod(pod);
    const event = { kind: 'ownChange', pod: info, old: describePod(old) } as const;
    for (const name of this.#queue.refusedBy(uid)) {
      if (this.#mayHelp(this.#plugins.get(name), event, info)) this.#queue.wakeOne(uid);
    }
  }

  #podGone(pod: Pod): void {
    const uid = uidOf(pod);
    this.#assumed.delete(uid);
    this.#binder.cancel(uid);
    this.#queue.remove(uid);
    const wasNominated = this.#snapshot.denominate(uid);
    const wasPlaced = this.#snapshot.hasPod(uid);
    this.#snapshot.removePod(uid);
    if (wasPlaced) this.#podHappened('podRemoved', pod);
    else if (wasNominated) this.#promiseEnded(describePod(pod));
  }

  #loseNomination(info: PodInfo): void {
    if (this.#snapshot.denominate(info.uid)) this.#promiseEnded(info);
  }

  /** Room that the pod was to have is free for whom it was kept from: those who are not more important. */
  #promiseEnded(info: PodInfo): void {
    const { uid, priority } = info;
    this.#happened({ kind: 'podRemoved', pod: info }, each => each.uid !== uid && each.priority <= priority);
  }

  #podHappened(kind: 'podRemoved' | 'podPlaced', pod: Pod): void {
    if (this.#queue.hasSleepers) this.#happened({ kind, pod: describePod(pod) });
  }

  /** Wakes the pods whose refusal the event may have changed. */
  #happened(event: ClusterEvent, concerns: (pod: PodInfo) => boolean = () => true): void {
    if (!this.#queue.hasSleepers) return;
    if (event.kind === 'node' && !event.old) this.#queue.wake(NO_NODES, () => true);
    for (const plugin of this.#plugins.values()) {
      if (!plugin.helpedBy?.includes(event.kind)) continue;
      this.#queue.wake(plugin.name, pod => concerns(pod) && this.#mayHelp(plugin, event, pod));
    }
  }

  #mayHelp(plugin: SchedulerPlugin | undefined, event: ClusterEvent, pod: PodInfo): boolean {
    if (!plugin?.helpedBy?.includes(event.kind)) return false;
    return plugin.mayHelp ? plugin.mayHelp(event, pod, this.#snapshot) : true;
  }

  /** The queue was full: when it has room again, the pods that were left out are found in the cache. */
  #refillLater(): void {
    this.#cancelRefill ??= this.#options.clock.setTimeout(() => {
      this.#cancelRefill = undefined;
      for (const pod of this.#pods.list()) {
        if (!this.#profileOf(pod) || this.#assumed.has(uidOf(pod))) continue;
        if (!this.#queue.put(pod)) return this.#refillLater();
      }
    }, QUEUE_REFILL_MS);
  }
}

/** Stands for a plugin where there was no node to refuse. */
const NO_NODES = '';
const ANY_PLUGIN: ReadonlySet<string> = new Set([NO_NODES]);

const uidOf = (pod: Pod) => pod.metadata?.uid ?? '';
const isFinished = ({ status }: Pod) => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** Most changes of a pod are to its status, which no plugin looks at. */
const isChanged = (old: Pod, pod: Pod) =>
  old.metadata?.generation !== pod.metadata?.generation ||
  old.metadata?.deletionTimestamp !== pod.metadata?.deletionTimestamp ||
  JSON.stringify([old.metadata?.labels, old.spec]) !== JSON.stringify([pod.metadata?.labels, pod.spec]);
