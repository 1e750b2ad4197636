/**
 * The node agent: it registers its node, beats, runs the pods that the API assigns to it, and serves logs, exec and the
 * like to the API server. Start reading here: the agent only joins parts, each of which has one subject —
 *
 *   registration.ts, lease.ts   the node's object and heartbeat
 *   pods/manager.ts             one serial worker a pod; pods/step.ts decides what it does
 *   static-pods/static-pods.ts  pods that a folder of this node wants
 *   node-networking.ts          pod network, service proxy and DNS, kept to what the API says
 *   removal.ts                  everything off the machine
 *   ingress/ingress.ts          HTTP from outside to services
 *   server.ts                   what the API server asks of this node
 *
 * Invariant: losing the API server changes nothing for pods that run. Nothing is stopped or removed but for an object
 * that the API has shown to be gone.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { AgentOptions } from './agent-options.ts';
import {
  ApiEventRecorder,
  type EndpointSlice,
  endpointslices,
  familiesOf,
  Informer,
  type Kind,
  type KubernetesObject,
  type Node,
  nodes,
  type Pod,
  pods,
  type Service,
  services,
} from './api.ts';
import { Background } from './background.ts';
import { aborted } from './clock.ts';
import { Evictor } from './eviction/evictor.ts';
import { diskSupply, observe } from './eviction/measure.ts';
import { DEFAULT_EVICTION, describeEviction, type EvictionSettings } from './eviction/settings.ts';
import { ImageCollector } from './housekeeping/image-collector.ts';
import { ImageLedger } from './housekeeping/image-ledger.ts';
import { type ImagePolicy, imagePolicy } from './housekeeping/image-plan.ts';
import { importFolder } from './images/folder.ts';
import { ImageServer } from './images/server.ts';
import { NodeIngress } from './ingress/ingress.ts';
import { beat } from './lease.ts';
import {
  LEASE_DURATION_SECONDS,
  LEASE_RENEW_SHARE,
  NODE_STATUS_MS,
  PODS_MAX,
  PULLS_MAX,
  RUNTIME_OPERATIONS_MAX,
} from './limits.ts';
import { readMachine } from './machine.ts';
import { NodeNetworking } from './node-networking.ts';
import { type MachineFacts, type NodeInput, reportedImages } from './node-status.ts';
import type { PodContext } from './pods/context.ts';
import { PodManager } from './pods/manager.ts';
import { RuntimeView } from './pods/runtime-view.ts';
import { StatusWriter } from './pods/status-writer.ts';
import { PolicyController } from './policy/controller.ts';
import { ProbeCounts } from './probes/counts.ts';
import { Registration } from './registration.ts';
import { removeHoldings } from './removal.ts';
import { Semaphore } from './semaphore.ts';
import { AgentServer, type AgentTls } from './server.ts';
import { StaticPods } from './static-pods/static-pods.ts';
import { NodeCsi } from './volumes/csi/csi.ts';
import { LocalFolder } from './volumes/local-folder.ts';
import { LocalReclaim } from './volumes/local-reclaim.ts';
import { VolumeManager } from './volumes/manager.ts';
import { storedPodUids } from './volumes/pod-folders.ts';
import { Sources } from './volumes/sources.ts';
import { usedVolumes } from './volumes/used-volumes.ts';

/** Makes an agent; {@link Agent.start} brings it to life. */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options);
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #stopping = new AbortController();
  readonly #background: Background;
  readonly #recorder: ApiEventRecorder;
  readonly #statuses: StatusWriter;
  readonly #sources: Sources;
  readonly #volumes: VolumeManager;
  readonly #csi: NodeCsi | undefined;
  readonly #localFolder: LocalFolder;
  readonly #localReclaim: LocalReclaim;
  readonly #view: RuntimeView;
  readonly #server: AgentServer;
  readonly #imageServer: ImageServer;
  readonly #registration: Registration;
  readonly #pods: Informer<Pod>;
  readonly #services: Informer<Service>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #nodes: Informer<Node>;
  readonly #policies: PolicyController | undefined;
  readonly #networking: NodeNetworking;
  readonly #ingress: NodeIngress | undefined;
  readonly #eviction: EvictionSettings;
  readonly #evictor: Evictor;
  readonly #imagePolicy: ImagePolicy;
  readonly #imageLedger: ImageLedger;
  readonly #imageCollector: ImageCollector;
  readonly #probeCounts = new ProbeCounts();
  readonly #ready = Promise.withResolvers<void>();
  #manager: PodManager | undefined;
  #staticPods: StaticPods | undefined;
  #machine: MachineFacts | undefined;
  #runtimeVersion = '';
  #networkStarted = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { client, clock, logger, random, runtime, name, timing = {} } = options;
    this.#background = new Background({ clock, logger });
    this.#recorder = new ApiEventRecorder({ client, clock, logger, component: 'kubelet', host: name });
    this.#statuses = new StatusWriter({ client, clock, logger });
    this.#sources = new Sources({ client, clock });
    const { dataDir, canMount } = options;
    const localFolder = new LocalFolder(resolve(dataDir, 'storage'), name);
    this.#localFolder = localFolder;
    const sources = this.#sources;
    this.#csi = canMount ? this.#makeCsi() : undefined;
    const csi = this.#csi && { csi: this.#csi.volumes, expansion: this.#csi.expansion };
    this.#volumes = new VolumeManager({ dataDir, client, sources, localFolder, clock, logger, canMount, ...csi });
    this.#localReclaim = new LocalReclaim({ client, clock, random, logger, folder: localFolder });
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
      seen: () => this.#nodes.list().find(node => node.metadata?.name === name),
      statusMs: timing.nodeStatusMs ?? NODE_STATUS_MS,
      ...(timing.nodeObserveMs !== undefined && { observeMs: timing.nodeObserveMs }),
    });
    const informer = <T extends KubernetesObject>(kind: Kind<T>, fieldSelector?: string) =>
      new Informer<T>({ client, kind, clock, random, logger, ...(fieldSelector && { fieldSelector }) });
    this.#pods = informer(pods, `spec.nodeName=${name}`);
    this.#services = informer(services);
    this.#slices = informer(endpointslices);
    this.#nodes = informer(nodes);
    this.#policies = this.#makePolicies();
    this.#networking = new NodeNetworking({
      ...{ nodeName: name, dataDir, client, clock, logger, background: this.#background },
      ...{ network: options.network, proxy: options.proxy, dns: options.dns },
      ...{ clusterCIDR: options.clusterCIDR, serviceCIDR: options.serviceCIDR },
      ...{ services: this.#services, slices: this.#slices, nodes: this.#nodes, pods: this.#pods },
    });
    this.#ingress = options.ingress && this.#makeIngress(options.ingress);
    this.#eviction = options.eviction ?? DEFAULT_EVICTION;
    this.#evictor = this.#makeEvictor();
    this.#imagePolicy = options.imagePolicy ?? imagePolicy();
    this.#imageLedger = new ImageLedger({ runtime, clock, logger, file: join(dataDir, 'pulled-images.json') });
    this.#imageCollector = this.#makeImageCollector();
    this.#imageServer = new ImageServer({ runtime, dataDir, logger });
    this.#server = this.#makeServer();
  }

  /** Where requests for Ingresses are taken; undefined where they are not. */
  ingressPort(protocol: 'http' | 'https'): number | undefined {
    return this.#ingress?.port(protocol);
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
    const hasBothFamilies = familiesOf(this.#options.clusterCIDR).length > 1;
    const { runtime, dataDir, listen, addresses, logger, client, clock, name, timing = {} } = this.#options;
    await mkdir(join(dataDir, 'pods'), { recursive: true, mode: 0o750 });
    await runtime.start();
    const { name: runtimeName, version } = await runtime.version();
    this.#runtimeVersion = `${runtimeName}://${version}`;
    this.#machine = await readMachine({ dataDir, ...(addresses && { addresses }), hasBothFamilies });
    await this.#server.listen(listen);
    await this.#imageServer.listen();
    const { signal } = this.#stopping;
    await this.#csi?.volumes.load();
    this.#background.spawn('registration', () => this.#registration.run(signal));
    this.#background.spawn('heartbeat', async () => {
      await Promise.race([this.#registration.registered, aborted(signal)]);
      const node = () => this.#registration.node;
      const durationSeconds = timing.leaseDurationSeconds ?? LEASE_DURATION_SECONDS;
      const renewMs = timing.leaseRenewMs ?? durationSeconds * 1_000 * LEASE_RENEW_SHARE;
      await beat({ client, clock, logger, nodeName: name, node, renewMs, durationSeconds }, signal);
    });
    const csi = this.#csi;
    if (csi) this.#background.spawn('CSI drivers', () => csi.run(signal));
    this.#background.spawn('pods', () => this.#work(signal));
  }

  /** New certificates for the agent's server, for connections from now on. */
  setTls(tls: AgentTls): void {
    this.#server.setTls(tls);
  }

  /** Stops the agent. Pods go on running; the next agent of this node finds them. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#options.dns?.close({ remove: false });
    await this.#options.proxy?.close({ remove: false });
    await this.#policies?.close({ remove: false });
    await this.#options.network.close({ remove: false });
    await this.#options.runtime.close();
  }

  /**
   * Stops the agent and takes everything of the node's pods off the machine: containers, mounts, network and rules.
   * Throws `RemovalError` if something is still there.
   */
  async drainAndRemove(): Promise<void> {
    await this.#stop();
    const { dataDir, runtime, network, proxy, dns } = this.#options;
    await removeHoldings({ dataDir, runtime, network, services: [dns, proxy], policies: this.#policies });
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#statuses.close();
    await this.#server.close();
    await this.#ingress?.close();
    await this.#imageServer.close();
    await this.#csi?.close();
    await this.#staticPods?.close();
    await this.#manager?.close();
    await Promise.all([this.#networking.close(), this.#localReclaim.close()]);
    await this.#background.ended();
  }

  /** From the wait for a podCIDR to the pods. */
  async #work(signal: AbortSignal): Promise<void> {
    const { name, runtime, dataDir, logger } = this.#options;
    this.#background.spawn('node informer', () => this.#nodes.run(signal));
    // Before the first pod asks for one of them.
    await importFolder({ runtime, directory: join(dataDir, 'images'), logger });
    await this.#imageLedger.load();
    const podCIDR = await this.#networking.start(this.#machine?.addresses ?? [], signal);
    await this.#background.persist('runtime list', signal, () => this.#view.refresh());
    if (signal.aborted) return;
    this.#networkStarted = true;
    this.#registration.nudge();
    this.#networking.follow();
    this.#background.spawn('service informer', () => this.#services.run(signal));
    this.#background.spawn('endpoint informer', () => this.#slices.run(signal));
    const policies = this.#policies;
    if (policies) this.#background.spawn('network policies', () => policies.run(signal));
    const ingress = this.#ingress;
    if (ingress) this.#background.spawn('ingress', () => ingress.run(signal));
    const [manager, staticPods] = await this.#runStaticPods(signal);
    // Environment variables of services must be whole before the first container of the API's pods is made.
    if (!(await this.#services.waitForSync(signal))) return;
    await this.#runPods(manager, staticPods, signal);
    logger.info({ node: name, podCIDR }, 'node ready');
    this.#ready.resolve();
  }

  /** Pods of the node's own, which need no API server. */
  async #runStaticPods(signal: AbortSignal): Promise<readonly [PodManager, StaticPods]> {
    const manager = this.#makeManager();
    this.#manager = manager;
    const staticPods = this.#makeStaticPods(manager);
    this.#staticPods = staticPods;
    this.#background.spawn('runtime view', () => this.#view.run(signal));
    await staticPods.start();
    this.#background.spawn('static pods', () => staticPods.run(signal));
    return [manager, staticPods];
  }

  async #runPods(manager: PodManager, staticPods: StaticPods, signal: AbortSignal): Promise<void> {
    this.#pods.addHandler(staticPods.handler);
    this.#background.spawn('pod informer', () => this.#pods.run(signal));
    if (!(await this.#pods.waitForSync(signal))) return;
    this.#networking.podsKnown();
    manager.markSynced();
    staticPods.apiReady();
    this.#background.spawn('pod upkeep', () => manager.run(signal));
    this.#background.spawn('eviction', () => this.#evictor.run(signal));
    this.#background.spawn('image collection', () => this.#imageCollector.run(signal));
    this.#background.spawn('first sweep', () => manager.sweep());
    this.#background.spawn('local volumes', () => this.#localReclaim.run(signal));
  }

  #makeImageCollector(): ImageCollector {
    const { name: nodeName, runtime, clock, logger, timing = {} } = this.#options;
    return new ImageCollector({
      ...{ nodeName, runtime, clock, logger, recorder: this.#recorder, ledger: this.#imageLedger },
      policy: this.#imagePolicy,
      observe: diskSupply,
      wanted: () => this.#manager?.images() ?? [],
      ...(timing.imagesCollectMs !== undefined && { collectMs: timing.imagesCollectMs }),
    });
  }

  #makeServer(): AgentServer {
    const { name, dataDir, clock, logger, runtime, tls, dns, clusterDns } = this.#options;
    return new AgentServer({
      clock,
      logger,
      runtime,
      tls,
      facts: {
        nodeName: name,
        dataDir,
        cpuCount: () => this.#machine?.cpuCount ?? 0,
        memoryBytes: () => this.#machine?.memoryBytes ?? 0,
        probeCounts: () => this.#probeCounts.list(),
        dnsMetrics: () => dns?.metrics() ?? [],
        evictions: () => this.#evictor.evictions,
        volumes: () => usedVolumes(this.#manager?.list() ?? [], { volumes: this.#volumes, stats: this.#csi?.stats }),
        configuration: () => ({
          port: this.#server.port,
          podCIDR: this.#nodes.list().find(({ metadata }) => metadata?.name === name)?.spec?.podCIDR,
          clusterDNS: clusterDns?.addresses ?? [],
          clusterDomain: clusterDns?.domain ?? 'cluster.local',
          ...describeEviction(this.#eviction),
          imageGCHighThresholdPercent: this.#imagePolicy.highPercent,
          imageGCLowThresholdPercent: this.#imagePolicy.lowPercent,
        }),
      },
      pods: {
        find: (namespace, podName) => this.#manager?.find(namespace, podName),
        list: () => this.#manager?.list() ?? [],
      },
    });
  }

  #makeCsi(): NodeCsi {
    const { name: nodeName, client, clock, logger, dataDir, kubeletDir, timing = {} } = this.#options;
    return new NodeCsi({
      ...{ nodeName, client, clock, logger, dataDir, sources: this.#sources, recorder: this.#recorder },
      kubeletDir: kubeletDir ?? join(dataDir, 'kubelet'),
      nodeUid: () => this.#registration.node?.metadata?.uid,
      reportedInUse: () => this.#registration.node?.status?.volumesInUse ?? [],
      onInUse: () => this.#registration.nudge(),
      ...(timing.socketsScanMs !== undefined && { scanMs: timing.socketsScanMs }),
    });
  }

  #makeEvictor(): Evictor {
    const { clock, logger, runtime, dataDir, observeSupplies, timing = {} } = this.#options;
    let imageFolder: string | undefined;
    const observeDisks = async () => {
      // Where the images are is asked until the runtime has said it: it may be away just now.
      imageFolder ??= await runtime.imageFolder().catch(() => undefined);
      return await observe(dataDir, imageFolder);
    };
    return new Evictor({
      clock,
      logger,
      runtime,
      settings: this.#eviction,
      observe: observeSupplies ?? observeDisks,
      pods: () => this.#manager?.list() ?? [],
      podDir: uid => this.#volumes.podDir(uid),
      reclaimDisk: () => this.#imageCollector.removeUnused(),
      onChange: () => this.#registration.nudge(),
      ...(timing.evictionObserveMs !== undefined && { observeMs: timing.evictionObserveMs }),
    });
  }

  #makePolicies(): PolicyController | undefined {
    const { client, clock, random, logger, policyEnforcer: enforcer, name: nodeName, network } = this.#options;
    if (!enforcer) return undefined;
    const addressOf = (podUid: string) => network.addressOf(podUid);
    const ipv6Of = (podUid: string) => network.ipv6Of(podUid);
    const shared = { client, clock, random, logger, recorder: this.#recorder };
    return new PolicyController({ ...shared, enforcer, nodeName, localPods: this.#pods, addressOf, ipv6Of });
  }

  #makeIngress({ ports, defaultCertificate }: NonNullable<AgentOptions['ingress']>): NodeIngress {
    const { name: nodeName, client, clock, random, logger } = this.#options;
    const [services, slices, nodes] = [this.#services, this.#slices, this.#nodes];
    const recorder = this.#recorder;
    return new NodeIngress({
      ...{ nodeName, client, clock, random, logger, recorder, services, slices, nodes },
      ...{ ports, defaultCertificate },
    });
  }

  #makeStaticPods(host: PodManager): StaticPods {
    const { client, clock, logger, name: nodeName, dataDir, podManifestPath, timing = {} } = this.#options;
    return new StaticPods({
      ...{ host, client, clock, logger, nodeName, recorder: this.#recorder, statuses: this.#statuses },
      folder: podManifestPath ?? join(dataDir, 'manifests'),
      known: this.#pods,
      node: () => this.#registration.node,
      ...(timing.manifestsScanMs !== undefined && { scanMs: timing.manifestsScanMs }),
    });
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
      images: this.#imageLedger,
      view: this.#view,
      statuses: this.#statuses,
      recorder: this.#recorder,
      probeCounts: this.#probeCounts,
      node: {
        name,
        hostname: machine?.hostname ?? name,
        addresses: machine?.addresses ?? [],
        cpuMilli: (machine?.cpuCount ?? 0) * 1000,
        memoryBytes: machine?.memoryBytes ?? 0,
        storageBytes: machine?.diskBytes ?? 0,
        pods: PODS_MAX,
        operatingSystem: machine?.operatingSystem ?? 'linux',
        seccompFolder: join(this.#options.dataDir, 'seccomp'),
        resolvConf,
        clusterDns,
      },
      services: () => this.#services.list(),
      admit: async () => this.#policies?.admit(),
      ownNode: () => this.#nodes.list().find(({ metadata }) => metadata?.name === name),
      pressures: () => this.#evictor.pressures,
      neighbours: uid => this.#manager?.neighbours(uid) ?? [],
      operations: new Semaphore(RUNTIME_OPERATIONS_MAX),
      pulls: new Semaphore(PULLS_MAX),
    };
    return new PodManager({
      context,
      storedPodUids: () => storedPodUids(this.#options.dataDir),
      onForgotten: uid => this.#staticPods?.forgotten(uid),
      ...(timing.volumeRefreshMs !== undefined && { volumeRefreshMs: timing.volumeRefreshMs }),
      ...(timing.orphanSweepMs !== undefined && { orphanSweepMs: timing.orphanSweepMs }),
    });
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
    return {
      name,
      facts: machine,
      labels,
      taints,
      kubeletVersion: version,
      runtimeVersion: this.#runtimeVersion,
      port: this.#server.port,
      trouble,
      pressures: this.#evictor.pressures,
      localFolder: this.#localFolder.path,
      volumesInUse: this.#csi?.volumes.inUse() ?? [],
      images: reportedImages(images),
    };
  }
}
