/**
 * A node whose containers do not exist: it reports what its pods' commands say, over the same faulty way as everybody. It
 * dies and comes back with nothing running, or works on unseen while it is cut off.
 */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod } from '../../control/api/generated/types.ts';
import { hasReason } from '../../control/api/status.ts';
import type { ApiRequest, ApiResponse } from '../../control/client/client.ts';
import { microTimestamp, sleep, timestamp } from '../../control/client/clock.ts';
import { runController } from '../../control/client/controller.ts';
import { Informer } from '../../control/client/informer.ts';
import { objectKey } from '../../control/client/keys.ts';
import { silentLogger } from '../../control/client/logger.ts';
import { RestClient } from '../../control/client/rest.ts';
import { WorkQueue } from '../../control/client/workqueue.ts';
import type { Random } from '../simulation/random.ts';
import { LifeClock, type VirtualClock } from '../simulation/virtual-clock.ts';
import type { EventName } from './coverage.ts';
import { FaultyTransport, type Weather } from './faults.ts';

export interface HollowNodeOptions {
  readonly name: string;
  readonly clock: VirtualClock;
  readonly startMs: number;
  readonly random: Random;
  readonly weather: Weather;
  readonly note: (name: EventName) => void;
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  readonly heartbeatMs: number;
  readonly cpuMillis: number;
}

/** How one pod fares on its node, in one life of that node. */
interface Container {
  readonly startAtMs: number;
  readyAtMs: number;
  readonly exitAtMs: number;
  readonly exitCode: number;
  restarts: number;
  stopAtMs: number | undefined;
}

interface NodeLife {
  readonly clock: LifeClock;
  readonly transport: FaultyTransport;
  readonly stop: AbortController;
  readonly queue: WorkQueue;
  readonly pods: Informer<Pod>;
  readonly containers: Map<string, Container>;
}

/** An image that is nowhere to be had. */
export const BROKEN_IMAGE = 'broken:1';
const START_MS_MAX = 4_000;
const READY_MS_MAX = 6_000;
const STOP_MS_MAX = 3_000;
const PODS_MAX = '30';
/** As often as a kubelet tells its status (--node-status-update-frequency). */
const RETRY_MS = 10_000;

export class HollowNode {
  readonly name: string;
  readonly #options: HollowNodeOptions;
  #life: NodeLife | undefined;
  #isCut = false;
  #addresses = 0;

  constructor(options: HollowNodeOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  boot(): void {
    const { clock: virtual, startMs, random, weather, note, handle } = this.#options;
    const clock = new LifeClock(virtual, { startMs: startMs + virtual.now() });
    const transport = new FaultyTransport({ handle, life: clock, random, weather, note });
    const client = new RestClient({ transport, clock, userAgent: 'kubelet' });
    const stop = new AbortController();
    const queue = new WorkQueue({ clock, backoffMsMin: 500, backoffMsMax: 30_000 });
    const pods = new Informer<Pod>({
      client,
      kind: kinds.pods,
      clock,
      random,
      logger: silentLogger,
      fieldSelector: `spec.nodeName=${this.name}`,
    });
    const add = (pod: Pod) => queue.add(`${pod.metadata?.namespace}/${pod.metadata?.name}`);
    pods.addHandler({ added: add, updated: add, deleted: pod => void this.#forget(pod) });
    const life: NodeLife = { clock, transport, stop, queue, pods, containers: new Map() };
    this.#life = life;
    this.#isCut = false;
    void this.#run(life, client);
  }

  /** All power is gone. */
  die(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.clock.end();
    life?.transport.cutOff();
  }

  /** Nobody reaches it, and it reaches nobody; its pods go on. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (!this.#life) return;
    this.#life.transport.isCut = isCut;
    if (isCut) this.#life.transport.cutOff();
  }

  /** A container of one of its pods dies, or stops being ready for a while. */
  disturb(index: number, how: 'dies' | 'unready'): boolean {
    const life = this.#life;
    const running = life ? [...life.containers].filter(([, { stopAtMs }]) => stopAtMs === undefined) : [];
    const [uid, container] = running[index % Math.max(running.length, 1)] ?? [];
    const pod = life?.pods.list().find(({ metadata }) => metadata?.uid === uid);
    if (!life || !container || !pod || pod.spec?.restartPolicy !== 'Always') return false;
    const now = life.clock.now();
    if (now < container.readyAtMs) return false;
    if (how === 'dies') container.restarts++;
    container.readyAtMs = now + this.#options.random() * 60_000;
    life.queue.add(`${pod.metadata?.namespace}/${pod.metadata?.name}`);
    return true;
  }

  #forget(pod: Pod): void {
    this.#life?.containers.delete(pod.metadata?.uid ?? '');
  }

  async #run(life: NodeLife, client: RestClient): Promise<void> {
    const { clock, stop, queue, pods } = life;
    void this.#beat(life, client);
    void pods.run(stop.signal);
    await pods.waitForSync(stop.signal);
    await runController({
      name: 'hollow-node',
      queue,
      workers: 4,
      logger: silentLogger,
      signal: stop.signal,
      now: () => clock.now(),
      reconcile: async key => ({ afterMs: await this.#reconcile(life, client, key) }),
    });
  }

  async #beat(life: NodeLife, client: RestClient): Promise<void> {
    const { clock, stop } = life;
    let isRegistered = false;
    while (!stop.signal.aborted) {
      let delayMs = this.#options.heartbeatMs;
      try {
        if (!isRegistered) await this.#register(client, clock);
        isRegistered = await this.#renew(client, clock);
        if (!isRegistered) delayMs = 1_000;
      } catch {
        // A node may be cut off for hours.
        delayMs = RETRY_MS;
      }
      await sleep(clock, delayMs, stop.signal);
    }
  }

  async #register(client: RestClient, clock: LifeClock): Promise<void> {
    const { name } = this;
    const now = timestamp(clock.now());
    const size = { cpu: `${this.#options.cpuMillis}m`, memory: '8Gi', pods: PODS_MAX };
    const condition = (type: string, status: string) => ({
      type,
      status,
      reason: 'Hollow',
      message: 'as if',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    });
    const conditions = [
      condition('Ready', 'True'),
      ...['MemoryPressure', 'DiskPressure', 'PIDPressure'].map(type => condition(type, 'False')),
    ];
    const status = { capacity: size, allocatable: size, conditions };
    await client
      .create(kinds.nodes, { metadata: { name, labels: { 'kubernetes.io/hostname': name } }, status })
      .catch(error => {
        if (!hasReason(error, 'AlreadyExists')) throw error;
      });
    const type = 'application/strategic-merge-patch+json';
    await client.patch(kinds.nodes, { name }, { type, body: { status } }, { subresource: 'status' });
  }

  /** False if the node is not known any more, or counts as silent: it has to register anew. */
  async #renew(client: RestClient, clock: LifeClock): Promise<boolean> {
    const { name } = this;
    const key = { namespace: 'kube-node-lease', name };
    const node = await client.get(kinds.nodes, { name }).catch(error => {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    });
    if (!node) return false;
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(clock.now()) };
    const type = 'application/merge-patch+json';
    try {
      await client.patch(kinds.leases, key, { type, body: { spec } });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      await client.create(kinds.leases, { metadata: key, spec });
    }
    return node.status?.conditions?.find(condition => condition.type === 'Ready')?.status === 'True';
  }

  /** One step of one pod; gives when to look again. */
  async #reconcile(life: NodeLife, client: RestClient, key: string): Promise<number | undefined> {
    const pod = life.pods.get(key);
    if (!pod) return undefined;
    const now = life.clock.now();
    const uid = pod.metadata?.uid ?? '';
    if (pod.metadata?.deletionTimestamp) return this.#stop(life, client, pod);
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return undefined;
    const container = life.containers.get(uid) ?? this.#start(life, pod);
    if (container.stopAtMs !== undefined) return undefined;
    if (container.startAtMs === Number.POSITIVE_INFINITY) return undefined;
    if (now < container.startAtMs) return container.startAtMs - now;
    await this.#report(client, pod, container, now);
    const next = [container.readyAtMs, container.exitAtMs].filter(at => at > now && Number.isFinite(at));
    return next.length === 0 ? undefined : Math.min(...next) - now;
  }

  #start(life: NodeLife, pod: Pod): Container {
    const { random } = this.#options;
    const now = life.clock.now();
    const { image = '', args = [] } = pod.spec?.containers[0] ?? {};
    const wasRunning = pod.status?.phase === 'Running';
    const isLost = wasRunning && pod.spec?.restartPolicy !== 'Always';
    const startAtMs = image === BROKEN_IMAGE ? Number.POSITIVE_INFINITY : now + random() * START_MS_MAX;
    const [what, seconds, failShare] = args;
    const runs = what === 'work' ? random() * Number(seconds) * 1000 : Number.POSITIVE_INFINITY;
    const container: Container = {
      startAtMs,
      readyAtMs: startAtMs + random() * READY_MS_MAX,
      exitAtMs: isLost ? startAtMs : startAtMs + runs,
      exitCode: isLost || random() < Number(failShare ?? 0) ? 1 : 0,
      restarts: wasRunning ? 1 : 0,
      stopAtMs: undefined,
    };
    life.containers.set(pod.metadata?.uid ?? '', container);
    return container;
  }

  async #report(client: RestClient, pod: Pod, container: Container, now: number): Promise<void> {
    const hasEnded = now >= container.exitAtMs;
    const isReady = !hasEnded && now >= container.readyAtMs;
    const phase = hasEnded ? (container.exitCode === 0 ? 'Succeeded' : 'Failed') : 'Running';
    const known = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
    const restarts = pod.status?.containerStatuses?.[0]?.restartCount ?? -1;
    if (pod.status?.phase === phase && known === isReady && restarts === container.restarts) return;
    const time = timestamp(now);
    const condition = (type: string, isTrue: boolean) => {
      const status = isTrue ? 'True' : 'False';
      const before = pod.status?.conditions?.find(other => other.type === type);
      const lastTransitionTime = before?.status === status ? (before.lastTransitionTime ?? time) : time;
      return { type, status, lastTransitionTime };
    };
    const startedAt = timestamp(container.startAtMs);
    const state = hasEnded
      ? { terminated: { exitCode: container.exitCode, startedAt, finishedAt: time } }
      : { running: { startedAt } };
    const podIP = pod.status?.podIP ?? this.#address();
    const { name = 'c', image = '' } = pod.spec?.containers[0] ?? {};
    const status = {
      phase,
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: pod.status?.startTime ?? startedAt,
      conditions: [
        condition('PodReadyToStartContainers', !hasEnded),
        condition('Initialized', true),
        condition('Ready', isReady),
        condition('ContainersReady', isReady),
      ],
      containerStatuses: [
        { name, image, imageID: '', ready: isReady, started: !hasEnded, restartCount: container.restarts, state },
      ],
    };
    await this.#patchStatus(client, pod, status);
  }

  async #patchStatus(client: RestClient, pod: Pod, status: object): Promise<void> {
    const type = 'application/strategic-merge-patch+json';
    const body = { metadata: { uid: pod.metadata?.uid }, status };
    try {
      await client.patch(kinds.pods, objectKey(pod), { type, body }, { subresource: 'status' });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
  }

  /** Lets the container end, says so, and lets go of the pod. */
  async #stop(life: NodeLife, client: RestClient, pod: Pod): Promise<number | undefined> {
    const now = life.clock.now();
    const uid = pod.metadata?.uid ?? '';
    const container = life.containers.get(uid);
    const graceMs = (pod.metadata?.deletionGracePeriodSeconds ?? 0) * 1000;
    if (container && container.startAtMs <= now && container.exitAtMs > now) {
      container.stopAtMs ??= now + Math.min(graceMs, this.#options.random() * STOP_MS_MAX);
      if (now < container.stopAtMs) return container.stopAtMs - now;
    }
    const phase = pod.status?.phase;
    if (phase === 'Running' || phase === 'Pending') {
      const conditions = (pod.status?.conditions ?? []).map(condition =>
        condition.type === 'Ready' || condition.type === 'ContainersReady'
          ? { ...condition, status: 'False', lastTransitionTime: timestamp(now) }
          : condition,
      );
      const finished = container !== undefined && container.exitAtMs <= now && container.exitCode === 0;
      await this.#patchStatus(client, pod, { phase: finished ? 'Succeeded' : 'Failed', conditions });
    }
    try {
      await client.delete(kinds.pods, objectKey(pod), { uid, gracePeriodSeconds: 0 });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    return undefined;
  }

  #address(): string {
    this.#addresses++;
    const node = Number(this.name.slice(this.name.lastIndexOf('-') + 1));
    return `10.43.${node % 256}.${this.#addresses % 250}`;
  }
}
