/**
 * Nodes that only pretend: they beat, report every pod that is bound to them as running and ready, and let deleted ones go.
 * They live in the test's own process and speak to all masters, so that none of them dies with a master.
 */
import { leases, nodes, pods } from '../../control/api/generated/kinds.ts';
import type { Pod } from '../../control/api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { hasReason } from '../../control/api/status.ts';
import { microTimestamp, sleep, timestamp } from '../../control/client/clock.ts';
import { HttpsTransport } from '../../control/client/https.ts';
import { Informer } from '../../control/client/informer.ts';
import { silentLogger } from '../../control/client/logger.ts';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';

export interface HollowOptions {
  readonly kubeconfig: string;
  /** Of the masters on loopback. */
  readonly ports: readonly number[];
  readonly count: number;
  /** Labels of all of them. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface HollowNodes {
  readonly client: RestClient;
  /** Pods that exist, as they were last heard of. */
  readonly pods: Informer<Pod>;
  /** Follows another kind too, until the end; gives what is there. */
  follow<T extends KubernetesObject>(kind: Kind<T>): () => readonly T[];
  stop(): Promise<void>;
}

const STATUS = { subresource: 'status' } as const;
const STRATEGIC = 'application/strategic-merge-patch+json';
const BEAT_MS = 10_000;
const PODS_EACH = 500;

/** Registers the nodes and begins to run whatever they are given. */
export async function startHollowNodes({ kubeconfig, ports, count, labels = {} }: HollowOptions): Promise<HollowNodes> {
  const { authority, certificate, key } = await readKubeconfigCredentials(kubeconfig);
  const clock = systemClock;
  const transport = new HttpsTransport({
    servers: ports.map(port => `https://127.0.0.1:${port}`),
    clock,
    random: Math.random,
    tls: { ca: authority, cert: certificate, key },
    responseTimeoutMs: 10_000,
  });
  const client = new RestClient({ transport, clock, userAgent: 'hollow' });
  const names = Array.from({ length: count }, (_, index) => `hollow-${index + 1}`);
  const stop = new AbortController();
  await Promise.all(names.map((name, index) => register(client, name, { index, labels })));
  const informer = new Informer<Pod>({ client, kind: pods, clock, random: Math.random, logger: silentLogger });
  const queue = new PodQueue(pod => settle(client, pod));
  const added = (pod: Pod) => queue.add(pod);
  informer.addHandler({ added, updated: added });
  const running = [
    informer.run(stop.signal),
    ...names.map(name => beat(client, name, stop.signal)),
    queue.run(() => informer, stop.signal),
  ];
  await informer.waitForSync(stop.signal);
  return {
    client,
    pods: informer,
    follow: kind => {
      const other = new Informer({ client, kind, clock, random: Math.random, logger: silentLogger });
      running.push(other.run(stop.signal));
      return () => other.list();
    },
    stop: async () => {
      stop.abort();
      await Promise.all(running);
      await transport.close();
    },
  };
}

async function register(
  client: RestClient,
  name: string,
  { index, labels }: { readonly index: number; readonly labels: Readonly<Record<string, string>> },
): Promise<void> {
  const now = timestamp(systemClock.now());
  const room = { cpu: '64', memory: '256Gi', pods: String(PODS_EACH), 'ephemeral-storage': '100Gi' };
  await client.create(nodes, {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels } },
    spec: {},
  });
  const conditions = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map(type => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    reason: 'Hollow',
    message: 'hollow node',
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  }));
  const addresses = [{ type: 'InternalIP', address: `10.90.${Math.floor(index / 250)}.${(index % 250) + 1}` }];
  const body = { status: { capacity: room, allocatable: room, addresses, conditions } };
  await client.patch(nodes, { name }, { type: STRATEGIC, body }, STATUS);
}

async function beat(client: RestClient, name: string, signal: AbortSignal): Promise<void> {
  const key = { namespace: 'kube-node-lease', name };
  while (!signal.aborted) {
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(systemClock.now()) };
    try {
      await client.patch(leases, key, { type: 'application/merge-patch+json', body: { spec } }).catch(error => {
        if (!hasReason(error, 'NotFound')) throw error;
        return client.create(leases, { metadata: key, spec });
      });
    } catch {
      // A master died; the next beat finds another.
    }
    await sleep(systemClock, BEAT_MS, signal);
  }
}

let addresses = 0;

/** Brings one pod to where a node would. @throws what the API says */
async function settle(client: RestClient, pod: Pod): Promise<void> {
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  const key = { namespace, name };
  if (!pod.spec?.nodeName?.startsWith('hollow-')) return;
  try {
    if (pod.metadata?.deletionTimestamp) {
      await client.delete(pods, key, { uid, gracePeriodSeconds: 0 });
      return;
    }
    if (pod.status?.phase === 'Running') return;
    const now = timestamp(systemClock.now());
    const address = ++addresses;
    const podIP = `10.${91 + Math.floor(address / 65_536)}.${Math.floor(address / 256) % 256}.${address % 256}`;
    const conditions = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(type => ({
      type,
      status: 'True',
      lastTransitionTime: now,
    }));
    const containerStatuses = pod.spec.containers.map(({ name: container, image = '' }) => ({
      name: container,
      image,
      imageID: '',
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    }));
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], startTime: now, conditions, containerStatuses };
    await client.patch(pods, key, { type: STRATEGIC, body: { metadata: { uid }, status } }, STATUS);
  } catch (error) {
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}

const WORKERS = 16;
const RETRY_MS = 200;

/** Pods that wait, each once; one that failed comes again. */
class PodQueue {
  readonly #work: (pod: Pod) => Promise<void>;
  readonly #waiting = new Set<string>();
  #wake = () => {};

  constructor(work: (pod: Pod) => Promise<void>) {
    this.#work = work;
  }

  add({ metadata }: Pod): void {
    this.#waiting.add(`${metadata?.namespace}/${metadata?.name}`);
    this.#wake();
  }

  async run(cache: () => Informer<Pod>, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake());
    await Promise.all(Array.from({ length: WORKERS }, () => this.#loop(cache, signal)));
  }

  async #loop(cache: () => Informer<Pod>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [key] = this.#waiting;
      if (key === undefined) {
        await new Promise<void>(resolve => {
          const before = this.#wake;
          this.#wake = () => {
            before();
            this.#wake = () => {};
            resolve();
          };
        });
        continue;
      }
      this.#waiting.delete(key);
      const pod = cache().get(key);
      if (!pod) continue;
      try {
        await this.#work(pod);
      } catch {
        await sleep(systemClock, RETRY_MS, signal);
        this.#waiting.add(key);
      }
    }
  }
}
