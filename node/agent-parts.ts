/**
 * What an agent consists of, and what its parts ask each other: each is made here from the agent's options and from those it
 * needs. Nothing runs yet; when each begins and ends is `agent.ts`.
 */
import { join, resolve } from 'node:path';
import type { AgentOptions } from './agent-options.ts';
import {
  ApiEventRecorder,
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
} from './api.ts';
import { Background } from './background.ts';
import { Evictor } from './eviction/evictor.ts';
import { diskSupply, observe } from './eviction/measure.ts';
import { DEFAULT_EVICTION, describeEviction, type EvictionSettings } from './eviction/settings.ts';
import { ImageCollector } from './housekeeping/image-collector.ts';
import { ImageLedger } from './housekeeping/image-ledger.ts';
import { type ImagePolicy, imagePolicy } from './housekeeping/image-plan.ts';
import { ImageServer } from './images/server.ts';
import { NodeIngress } from './ingress/ingress.ts';
import { NODE_STATUS_MS, PODS_MAX, PULLS_MAX, RUNTIME_OPERATIONS_MAX } from './limits.ts';
import { usedImages } from './metrics/machine-usage.ts';
import { type NodeAnnouncer, nodeAnnouncer } from './node-events.ts';
import { NodeNetworking } from './node-networking.ts';
import { type MachineFacts, type NodeInput, reportedImages } from './node-status.ts';
import type { PodContext } from './pods/context.ts';
import { PodManager } from './pods/manager.ts';
import { RuntimeView } from './pods/runtime-view.ts';
import { StatusWriter } from './pods/status-writer.ts';
import { PolicyController } from './policy/controller.ts';
import { ProbeCounts } from './probes/counts.ts';
import { Registration } from './registration.ts';
import { Semaphore } from './semaphore.ts';
import { AgentServer } from './server.ts';
import { StaticPods } from './static-pods/static-pods.ts';
import { NodeCsi } from './volumes/csi/csi.ts';
import { LocalFolder } from './volumes/local-folder.ts';
import { LocalReclaim } from './volumes/local-reclaim.ts';
import { VolumeManager } from './volumes/manager.ts';
import { storedPodUids } from './volumes/pod-folders.ts';
import { Sources } from './volumes/sources.ts';
import { usedVolumes } from './volumes/used-volumes.ts';

/** The parts that the agent starts and stops; those that only other parts need are private. */
export class AgentParts {
  readonly #options: AgentOptions;
  readonly background: Background;
  readonly #recorder: ApiEventRecorder;
  readonly statuses: StatusWriter;
  readonly #sources: Sources;
  readonly #volumes: VolumeManager;
  readonly csi: NodeCsi | undefined;
  readonly #localFolder: LocalFolder;
  readonly localReclaim: LocalReclaim;
  readonly view: RuntimeView;
  readonly server: AgentServer;
  readonly imageServer: ImageServer;
  /** Tells of the node itself. */
  readonly announce: NodeAnnouncer;
  readonly registration: Registration;
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  readonly policies: PolicyController | undefined;
  readonly networking: NodeNetworking;
  readonly ingress: NodeIngress | undefined;
  readonly #eviction: EvictionSettings;
  readonly evictor: Evictor;
  readonly #imagePolicy: ImagePolicy;
  readonly imageLedger: ImageLedger;
  readonly imageCollector: ImageCollector;
  readonly #probeCounts = new ProbeCounts();
  /** What runs pods; undefined before {@link makePods}. */
  manager: PodManager | undefined;
  staticPods: StaticPods | undefined;
  /** What the node is reported with, known once the agent has looked. */
  machine: MachineFacts | undefined;
  runtimeVersion = '';
  /** The node cannot take pods before. */
  networkStarted = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { client, clock, logger, random, runtime, name, timing = {} } = options;
    this.background = new Background({ clock, logger });
    this.#recorder = new ApiEventRecorder({ client, clock, logger, component: 'kubelet', host: name });
    this.statuses = new StatusWriter({ client, clock, logger });
    this.#sources = new Sources({ client, clock });
    const { dataDir, canMount } = options;
    const localFolder = new LocalFolder(resolve(dataDir, 'storage'), name);
    this.#localFolder = localFolder;
    const sources = this.#sources;
    this.csi = canMount ? this.#makeCsi() : undefined;
    const csi = this.csi && { csi: this.csi.volumes, expansion: this.csi.expansion };
    this.#volumes = new VolumeManager({ dataDir, client, sources, localFolder, clock, logger, canMount, ...csi });
    this.localReclaim = new LocalReclaim({ client, clock, random, logger, folder: localFolder });
    this.view = new RuntimeView({
      runtime,
      clock,
      logger,
      onChange: uid => this.manager?.poke(uid),
      ...(timing.runtimeRelistMs !== undefined && { relistMs: timing.runtimeRelistMs }),
    });
    this.announce = nodeAnnouncer(this.#recorder, name);
    this.registration = new Registration({
      client,
      clock,
      logger,
      observe: () => this.#observe(),
      seen: () => this.nodes.list().find(node => node.metadata?.name === name),
      announce: this.announce,
      statusMs: timing.nodeStatusMs ?? NODE_STATUS_MS,
      ...(timing.nodeObserveMs !== undefined && { observeMs: timing.nodeObserveMs }),
    });
    const informer = <T extends KubernetesObject>(kind: Kind<T>, fieldSelector?: string) =>
      new Informer<T>({ client, kind, clock, random, logger, ...(fieldSelector && { fieldSelector }) });
    this.pods = informer(pods, `spec.nodeName=${name}`);
    this.services = informer(services);
    this.slices = informer(endpointslices);
    this.nodes = informer(nodes);
    this.policies = this.#makePolicies();
    this.networking = new NodeNetworking({
      ...{ nodeName: name, dataDir, client, clock, logger, background: this.background },
      ...{ network: options.network, proxy: options.proxy, dns: options.dns },
      ...{ clusterCIDR: options.clusterCIDR, serviceCIDR: options.serviceCIDR },
      ...{ services: this.services, slices: this.slices, nodes: this.nodes, pods: this.pods },
    });
    this.ingress = options.ingress && this.#makeIngress(options.ingress);
    this.#eviction = options.eviction ?? DEFAULT_EVICTION;
    this.evictor = this.#makeEvictor();
    this.#imagePolicy = options.imagePolicy ?? imagePolicy();
    this.imageLedger = new ImageLedger({ runtime, clock, logger, file: join(dataDir, 'pulled-images.json') });
    this.imageCollector = this.#makeImageCollector();
    this.imageServer = new ImageServer({ runtime, dataDir, logger });
    this.server = this.#makeServer();
  }

  /** Makes what runs the API's pods and the node's own. To be called when the machine is known. */
  makePods(): { readonly manager: PodManager; readonly staticPods: StaticPods } {
    const manager = this.#makeManager();
    this.manager = manager;
    const staticPods = this.#makeStaticPods(manager);
    this.staticPods = staticPods;
    return { manager, staticPods };
  }

  #makeImageCollector(): ImageCollector {
    const { name: nodeName, runtime, clock, logger, timing = {} } = this.#options;
    return new ImageCollector({
      ...{ nodeName, runtime, clock, logger, recorder: this.#recorder, ledger: this.imageLedger },
      policy: this.#imagePolicy,
      observe: diskSupply,
      wanted: () => this.manager?.images() ?? [],
      ...(timing.imagesCollectMs !== undefined && { collectMs: timing.imagesCollectMs }),
    });
  }

  #makeServer(): AgentServer {
    const { name, dataDir, clock, logger, runtime, tls, dns, clusterDns, podManifestPath } = this.#options;
    return new AgentServer({
      clock,
      logger,
      runtime,
      tls,
      facts: {
        nodeName: name,
        dataDir,
        cpuCount: () => this.machine?.cpuCount ?? 0,
        memoryBytes: () => this.machine?.memoryBytes ?? 0,
        probeCounts: () => this.#probeCounts.list(),
        dnsMetrics: () => dns?.metrics() ?? [],
        evictions: () => this.evictor.evictions,
        images: () => usedImages(runtime),
        loopEnteredMs: () => this.view.enteredMs,
        volumes: () => usedVolumes(this.manager?.list() ?? [], { volumes: this.#volumes, stats: this.csi?.stats }),
        configuration: () => ({
          port: this.server.port,
          podCIDR: this.nodes.list().find(({ metadata }) => metadata?.name === name)?.spec?.podCIDR,
          clusterDNS: clusterDns?.addresses ?? [],
          clusterDomain: clusterDns?.domain ?? 'cluster.local',
          staticPodPath: podManifestPath ?? join(dataDir, 'manifests'),
          ...describeEviction(this.#eviction),
          imageGCHighThresholdPercent: this.#imagePolicy.highPercent,
          imageGCLowThresholdPercent: this.#imagePolicy.lowPercent,
        }),
      },
      pods: {
        find: (namespace, podName) => this.manager?.find(namespace, podName),
        list: () => this.manager?.list() ?? [],
      },
    });
  }

  #makeCsi(): NodeCsi {
    const { name: nodeName, client, clock, logger, dataDir, kubeletDir, timing = {} } = this.#options;
    return new NodeCsi({
      ...{ nodeName, client, clock, logger, dataDir, sources: this.#sources, recorder: this.#recorder },
      kubeletDir: kubeletDir ?? join(dataDir, 'kubelet'),
      nodeUid: () => this.registration.node?.metadata?.uid,
      reportedInUse: () => this.registration.node?.status?.volumesInUse ?? [],
      onInUse: () => this.registration.nudge(),
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
      pods: () => this.manager?.list() ?? [],
      podDir: uid => this.#volumes.podDir(uid),
      reclaimDisk: () => this.imageCollector.removeUnused(),
      onChange: () => this.registration.nudge(),
      announce: this.announce,
      ...(timing.evictionObserveMs !== undefined && { observeMs: timing.evictionObserveMs }),
    });
  }

  #makePolicies(): PolicyController | undefined {
    const { client, clock, random, logger, policyEnforcer: enforcer, name: nodeName, network } = this.#options;
    if (!enforcer) return undefined;
    const addressOf = (podUid: string) => network.addressOf(podUid);
    const ipv6Of = (podUid: string) => network.ipv6Of(podUid);
    const shared = { client, clock, random, logger, recorder: this.#recorder };
    return new PolicyController({ ...shared, enforcer, nodeName, localPods: this.pods, addressOf, ipv6Of });
  }

  #makeIngress({ ports, defaultCertificate }: NonNullable<AgentOptions['ingress']>): NodeIngress {
    const { name: nodeName, client, clock, random, logger } = this.#options;
    const [services, slices, nodes] = [this.services, this.slices, this.nodes];
    const recorder = this.#recorder;
    return new NodeIngress({
      ...{ nodeName, client, clock, random, logger, recorder, services, slices, nodes },
      ...{ ports, defaultCertificate },
    });
  }

  #makeStaticPods(host: PodManager): StaticPods {
    const { client, clock, logger, name: nodeName, dataDir, podManifestPath, timing = {} } = this.#options;
    return new StaticPods({
      ...{ host, client, clock, logger, nodeName, recorder: this.#recorder, statuses: this.statuses },
      folder: podManifestPath ?? join(dataDir, 'manifests'),
      known: this.pods,
      node: () => this.registration.node,
      ...(timing.manifestsScanMs !== undefined && { scanMs: timing.manifestsScanMs }),
    });
  }

  #makeManager(): PodManager {
    const { client, clock, logger, runtime, network, name, resolvConf, clusterDns, timing = {} } = this.#options;
    const machine = this.machine;
    const context: PodContext = {
      client,
      clock,
      logger,
      runtime,
      network,
      volumes: this.#volumes,
      sources: this.#sources,
      images: this.imageLedger,
      view: this.view,
      statuses: this.statuses,
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
        hasAppArmor: machine?.hasAppArmor ?? false,
        seccompFolder: join(this.#options.dataDir, 'seccomp'),
        resolvConf,
        clusterDns,
      },
      services: () => this.services.list(),
      admit: async () => this.policies?.admit(),
      ownNode: () => this.nodes.list().find(({ metadata }) => metadata?.name === name),
      pressures: () => this.evictor.pressures,
      neighbours: uid => this.manager?.neighbours(uid) ?? [],
      operations: new Semaphore(RUNTIME_OPERATIONS_MAX),
      pulls: new Semaphore(PULLS_MAX),
    };
    return new PodManager({
      context,
      storedPodUids: () => storedPodUids(this.#options.dataDir),
      onForgotten: uid => this.staticPods?.forgotten(uid),
      ...(timing.volumeRefreshMs !== undefined && { volumeRefreshMs: timing.volumeRefreshMs }),
      ...(timing.orphanSweepMs !== undefined && { orphanSweepMs: timing.orphanSweepMs }),
    });
  }

  async #observe(): Promise<NodeInput> {
    const { name, labels = {}, taints = [], version, runtime } = this.#options;
    const machine = this.machine;
    if (!machine) throw new Error('the machine has not been looked at yet');
    let trouble = this.networkStarted
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
      runtimeVersion: this.runtimeVersion,
      port: this.server.port,
      trouble,
      pressures: this.evictor.pressures,
      localFolder: this.#localFolder.path,
      volumesInUse: this.csi?.volumes.inUse() ?? [],
      images: reportedImages(images),
    };
  }
}
