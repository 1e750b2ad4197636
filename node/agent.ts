/**
 * The node agent: it registers its node, beats, runs the pods that the API assigns to it, and serves logs, exec and the
 * like to the API server. Start reading here: the agent only joins parts, each of which has one subject —
 *
 *   registration.ts, lease.ts   the node's object and heartbeat
 *   pods/manager.ts             one serial worker a pod; pods/step.ts decides what it does
 *   service-ports.ts            what the service proxy is told
 *   server.ts                   what the API server asks of this node
 *
 * Invariant: losing the API server changes nothing for pods that run. Nothing is stopped or removed but for an object
 * that the API has shown to be gone.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ApiEventRecorder,
  type Client,
  type EndpointSlice,
  endpointslices,
  Informer,
  type Kind,
  type KubernetesObject,
  type Node,
  nodes,
  type Pod,
  pods,
  type Service,
  services,
  type Taint,
} from './api.ts';
import { type Clock, sleep } from './clock.ts';
import { Coalescer } from './coalescer.ts';
import { beat } from './lease.ts';
import { LEASE_RENEW_MS, NODE_STATUS_MS, PULLS_MAX, REGISTER_RETRY_MS, RUNTIME_OPERATIONS_MAX } from './limits.ts';
import type { Logger } from './logger.ts';
import { readMachine } from './machine.ts';
import type { PodNetwork } from './network/network.ts';
import type { MachineFacts, NodeInput } from './node-status.ts';
import type { PodContext } from './pods/context.ts';
import { PodManager } from './pods/manager.ts';
import { RuntimeView } from './pods/runtime-view.ts';
import { StatusWriter } from './pods/status-writer.ts';
import type { ServiceProxy } from './proxy/proxy.ts';
import { Registration } from './registration.ts';
import { planRoutes } from './routes.ts';
import type { Runtime } from './runtime/runtime.ts';
import { Semaphore } from './semaphore.ts';
import { AgentServer, type AgentTls } from './server.ts';
import { planServicePorts } from './service-ports.ts';
import { VolumeManager } from './volumes/manager.ts';
import { Sources } from './volumes/sources.ts';

export interface AgentOptions {
  readonly name: string;
  readonly client: Client;
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  /** Without one, services have no cluster addresses on this node. */
  readonly proxy?: ServiceProxy;
  readonly dataDir: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Certificate and key of the agent's server, and the CA whose clients may use it. */
  readonly tls: AgentTls;
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The node's addresses, the primary one first; taken from the interfaces if there are none. */
  readonly addresses?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
  /** What the node reports as its kubelet's version. */
  readonly version: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** Where the cluster's DNS answers, if it has one. */
  readonly clusterDns?: { readonly addresses: readonly string[]; readonly domain: string };
  /** The text of the node's resolv.conf. */
  readonly resolvConf: string;
  /** Whether the agent may mount file systems (is root). */
  readonly canMount: boolean;
  readonly timing?: AgentTiming;
}

/** Rhythms that may differ from `limits.ts`. */
export interface AgentTiming {
  readonly leaseRenewMs?: number;
  readonly nodeStatusMs?: number;
  readonly nodeObserveMs?: number;
  readonly runtimeRelistMs?: number;
  readonly volumeRefreshMs?: number;
  readonly orphanSweepMs?: number;
}

const PROXY_REST_MS = 50;
const IMAGES_REPORTED_MAX = 50;

/** Makes an agent; {@link Agent.start} brings it to life. */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options);
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #recorder: ApiEventRecorder;
  readonly #statuses: StatusWriter;
  readonly #sources: Sources;
  readonly #volumes: VolumeManager;
  readonly #view: RuntimeView;
  readonly #server: AgentServer;
  readonly #registration: Registration;
  readonly #pods: Informer<Pod>;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #nodes: Informer<Node>;
  readonly #proxySync: Coalescer;
  readonly #routeSync: Coalescer;
  readonly #ready = Promise.withResolvers<void>();
  #manager: PodManager | undefined;
  #machine: MachineFacts | undefined;
  #runtimeVersion = '';
  #networkStarted = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { client, clock, logger, random, runtime, name, timing = {} } = options;
    this.#recorder = new ApiEventRecorder({ client, clock, logger, component: 'kubelet', host: name });
    this.#statuses = new StatusWriter({ client, clock, logger });
    this.#sources = new Sources({ client, clock });
    const { dataDir, canMount } = options;
    this.#volumes = new VolumeManager({ dataDir, sources: this.#sources, clock, logger, canMount });
    this.#view = new RuntimeView({
      runtime,
      clock,
      logger,
      onChange: uid => this.#manager?.poke(uid),
      ...(timing.runtimeRelistMs !== undefined && { relistMs: timing.runtimeRelistMs }),
    });
    this.#registration = new Registration({
      client,
      clock,
      logger,
      observe: () => this.#observe(),
      statusMs: timing.nodeStatusMs ?? NODE_STATUS_MS,
      ...(timing.nodeObserveMs !== undefined && { observeMs: timing.nodeObserveMs }),
    });
    const informer = <T extends KubernetesObject>(kind: Kind<T>, fieldSelector?: string) =>
      new Informer<T>({ client, kind, clock, random, logger, ...(fieldSelector && { fieldSelector }) });
    this.#pods = informer(pods, `spec.nodeName=${name}`);
    this.#services = informer(services);
    this.#slices = informer(endpointslices);
    this.#nodes = informer(nodes);
    const sync = (job: string, work: () => Promise<void>) =>
      new Coalescer({ name: job, job: work, clock, logger, restMs: PROXY_REST_MS });
    this.#proxySync = sync('service proxy', () => this.#syncProxy());
    this.#routeSync = sync('routes', () => this.#syncRoutes());
    this.#server = new AgentServer({
      clock,
      logger,
      runtime,
      tls: options.tls,
      nodeName: name,
      pods: {
        find: (namespace, podName) => this.#manager?.find(namespace, podName),
        list: () => this.#manager?.list() ?? [],
      },
    });
  }

  /** Where the agent's server listens; defined once {@link start} has resolved. */
  get port(): number {
    return this.#server.port;
  }

  /** Resolves when the node is registered, has its network, and has begun to run pods. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * Connects to the runtime, opens the server and begins to work in the background. The API server need not be reachable.
   * Throws `RuntimeUnavailableError`, or the system's error if it cannot listen.
   */
  async start(): Promise<void> {
    const { runtime, dataDir, listen, addresses, logger, client, clock, name, timing = {} } = this.#options;
    await mkdir(join(dataDir, 'pods'), { recursive: true, mode: 0o750 });
    await runtime.start();
    const { name: runtimeName, version } = await runtime.version();
    this.#runtimeVersion = `${runtimeName}://${version}`;
    this.#machine = await readMachine({ dataDir, ...(addresses && { addresses }) });
    await this.#server.listen(listen);
    const { signal } = this.#stopping;
    this.#spawn('registration', () => this.#registration.run(signal));
    this.#spawn('heartbeat', async () => {
      await Promise.race([this.#registration.registered, aborted(signal)]);
      const node = () => this.#registration.node;
      const renewMs = timing.leaseRenewMs ?? LEASE_RENEW_MS;
      await beat({ client, clock, logger, nodeName: name, node, renewMs }, signal);
    });
    this.#spawn('pods', () => this.#work(signal));
  }

  /** New certificates for the agent's server, for connections from now on. */
  setTls(tls: AgentTls): void {
    this.#server.setTls(tls);
  }

  /** Stops the agent. Pods go on running; the next agent of this node finds them. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#options.proxy?.close({ remove: false });
    await this.#options.network.close({ remove: false });
    await this.#options.runtime.close();
  }

  /** Stops the agent and takes everything of the node's pods off the machine: containers, mounts, network and rules. */
  async drainAndRemove(): Promise<void> {
    await this.#stop();
    const { runtime, network, proxy, logger } = this.#options;
    await proxy?.close({ remove: true });
    const slots = new Semaphore(RUNTIME_OPERATIONS_MAX);
    const sandboxes = await runtime.list();
    await Promise.all(sandboxes.map(({ id }) => slots.run(() => runtime.removeSandbox(id))));
    for (const uid of new Set([...sandboxes.map(({ pod }) => pod.uid), ...(await this.#storedPodUids())])) {
      try {
        await network.detach(uid);
        await this.#volumes.unmount(uid);
      } catch (error) {
        logger.warn({ error, podUid: uid }, 'something of a pod could not be removed');
      }
    }
    await network.close({ remove: true });
    await runtime.close();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#statuses.close();
    await this.#server.close();
    await this.#manager?.close();
    await Promise.all([this.#proxySync.close(), this.#routeSync.close()]);
    await Promise.all(this.#running);
  }

  /** From the wait for a podCIDR to the pods. */
  async #work(signal: AbortSignal): Promise<void> {
    const { proxy, network, clusterCIDR, serviceCIDR, name } = this.#options;
    this.#spawn('node informer', () => this.#nodes.run(signal));
    const podCIDR = await this.#waitForPodCIDR(signal);
    if (podCIDR === undefined) return;
    await this.#persist('network', signal, () => network.start({ podCIDR, clusterCIDR }));
    const nodeAddresses = this.#machine?.addresses ?? [];
    if (proxy)
      await this.#persist('service proxy', signal, () => proxy.start({ clusterCIDR, serviceCIDR, nodeAddresses }));
    await this.#persist('runtime list', signal, () => this.#view.refresh());
    if (signal.aborted) return;
    this.#networkStarted = true;
    this.#registration.nudge();
    this.#follow(this.#nodes, () => this.#routeSync.request());
    this.#follow(this.#services, () => this.#proxySync.request());
    this.#follow(this.#slices, () => this.#proxySync.request());
    this.#spawn('service informer', () => this.#services.run(signal));
    this.#spawn('endpoint informer', () => this.#slices.run(signal));
    // Environment variables of services must be whole before the first container is made.
    if (!(await this.#services.waitForSync(signal))) return;
    await this.#runPods(signal);
    this.#options.logger.info({ node: name, podCIDR }, 'node ready');
    this.#ready.resolve();
  }

  async #runPods(signal: AbortSignal): Promise<void> {
    const manager = this.#makeManager();
    this.#manager = manager;
    this.#pods.addHandler({
      added: pod => manager.apply(pod),
      updated: pod => manager.apply(pod),
      deleted: pod => manager.remove(pod),
    });
    this.#spawn('runtime view', () => this.#view.run(signal));
    this.#spawn('pod informer', () => this.#pods.run(signal));
    if (!(await this.#pods.waitForSync(signal))) return;
    manager.markSynced();
    this.#spawn('pod upkeep', () => manager.run(signal));
    this.#spawn('first sweep', () => manager.sweep());
  }

  #makeManager(): PodManager {
    const { client, clock, logger, runtime, network, name, resolvConf, clusterDns, timing = {} } = this.#options;
    const machine = this.#machine;
    const context: PodContext = {
      client,
      clock,
      logger,
      runtime,
      network,
      volumes: this.#volumes,
      sources: this.#sources,
      view: this.#view,
      statuses: this.#statuses,
      recorder: this.#recorder,
      node: {
        name,
        hostname: machine?.hostname ?? name,
        addresses: machine?.addresses ?? [],
        cpuMilli: (machine?.cpuCount ?? 0) * 1000,
        memoryBytes: machine?.memoryBytes ?? 0,
        resolvConf,
        clusterDns,
      },
      services: () => this.#services.list(),
      operations: new Semaphore(RUNTIME_OPERATIONS_MAX),
      pulls: new Semaphore(PULLS_MAX),
    };
    return new PodManager({
      context,
      storedPodUids: () => this.#storedPodUids(),
      ...(timing.volumeRefreshMs !== undefined && { volumeRefreshMs: timing.volumeRefreshMs }),
      ...(timing.orphanSweepMs !== undefined && { orphanSweepMs: timing.orphanSweepMs }),
    });
  }

  async #storedPodUids(): Promise<string[]> {
    return readdir(join(this.#options.dataDir, 'pods'));
  }

  /** Undefined if the agent was stopped before there was one. */
  async #waitForPodCIDR(signal: AbortSignal): Promise<string | undefined> {
    const { name, logger } = this.#options;
    const found = Promise.withResolvers<string>();
    const look = (node: Node) => {
      if (node.metadata?.name === name && node.spec?.podCIDR) found.resolve(node.spec.podCIDR);
    };
    this.#nodes.addHandler({ added: look, updated: look });
    logger.debug({ node: name }, 'waiting for a podCIDR');
    await Promise.race([found.promise, aborted(signal)]);
    return signal.aborted ? undefined : found.promise;
  }

  #follow<T extends KubernetesObject>(informer: Informer<T>, changed: () => void): void {
    informer.addHandler({ added: changed, updated: changed, deleted: changed });
  }

  async #syncProxy(): Promise<void> {
    // Rules from half a picture would cut connections that the other half keeps.
    if (!this.#services.hasSynced || !this.#slices.hasSynced) return;
    await this.#options.proxy?.sync(planServicePorts(this.#services.list(), this.#slices.list(), this.#options.name));
  }

  async #syncRoutes(): Promise<void> {
    await this.#options.network.setRoutes(planRoutes(this.#nodes.list(), this.#options.name));
  }

  async #observe(): Promise<NodeInput> {
    const { name, labels = {}, taints = [], version, runtime } = this.#options;
    const machine = this.#machine;
    if (!machine) throw new Error('the machine has not been looked at yet');
    let trouble = this.#networkStarted
      ? undefined
      : 'container runtime network not ready: the node waits for its podCIDR';
    const images = await runtime.listImages().catch((error: unknown) => {
      trouble = `container runtime is down: ${error instanceof Error ? error.message : String(error)}`;
      return [];
    });
    const largest = images.toSorted((a, b) => b.sizeBytes - a.sizeBytes || (a.id < b.id ? -1 : 1));
    return {
      name,
      facts: machine,
      labels,
      taints,
      kubeletVersion: version,
      runtimeVersion: this.#runtimeVersion,
      port: this.#server.port,
      trouble,
      images: largest.slice(0, IMAGES_REPORTED_MAX).map(({ tags, id, sizeBytes }) => ({
        names: tags.length > 0 ? tags : [id],
        sizeBytes,
      })),
    };
  }

  /** Tries until it works or the agent stops. */
  async #persist(what: string, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        this.#options.logger.error({ error }, `${what} could not be started; trying again`);
        await sleep(this.#options.clock, REGISTER_RETRY_MS * 2, signal);
      }
    }
  }

  /** Runs a part of the agent until it ends by itself; the agent's stop waits for it. */
  #spawn(name: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.#options.logger.error({ error, part: name }, 'a part of the agent failed'))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
