/** The figures that the agent's server gives: `/stats/summary`, `/metrics…`, `/configz`. */
import type { Clock } from './clock.ts';
import type { PodHandle } from './container-lookup.ts';
import {
  EVICTION_OBSERVE_MS,
  LEASE_DURATION_SECONDS,
  NODE_OBSERVE_MS,
  NODE_STATUS_MS,
  PODS_MAX,
  PRESSURE_TRANSITION_MS,
  PROC_READS_MAX,
  PULLS_MAX,
} from './limits.ts';
import { cadvisorPage } from './metrics/cadvisor-page.ts';
import { type InterfaceCounts, interfacesOf } from './metrics/interfaces.ts';
import { type MachineQuestion, machineUsage, processUsage } from './metrics/machine-usage.ts';
import { agentPage, type PageInput, type ProbeCount, probesPage, resourcePage, volumesPage } from './metrics/pages.ts';
import { type Metric, renderMetrics } from './metrics/text.ts';
import { type UsedVolume, usedPods } from './metrics/usage.ts';
import { mapBounded } from './runtime/bounded.ts';
import type { Runtime } from './runtime/runtime.ts';
import { Summaries } from './stats.ts';

/** What the agent knows of itself beyond its pods. */
export interface AgentFacts {
  readonly nodeName: string;
  readonly dataDir: string;
  readonly cpuCount: () => number;
  readonly memoryBytes: () => number;
  readonly probeCounts: () => readonly ProbeCount[];
  /** What the node's DNS server counted. */
  readonly dnsMetrics?: () => readonly Metric[];
  /** When the agent last began to look at what the runtime has; undefined before the first time. */
  readonly loopEnteredMs?: () => number | undefined;
  /** Where images are, if that is on this machine, and how much they are. */
  readonly images?: () => Promise<MachineQuestion['images']>;
  /** What volumes hold whose drivers count it. */
  readonly volumes?: () => Promise<readonly UsedVolume[]>;
  /** Pods that were ended for what the node was short of, by signal. */
  readonly evictions: () => Readonly<Record<string, number>>;
  /** What an administrator may have chosen, as a KubeletConfiguration. */
  readonly configuration: () => object;
}

export interface FiguresOptions {
  readonly clock: Clock;
  readonly runtime: Pick<Runtime, 'list' | 'usage'>;
  readonly facts: AgentFacts;
  readonly pods: () => readonly PodHandle[];
}

/** As `metav1.Duration` is written: `10s`, `5m0s`, `1h0m0s`. */
function duration(ms: number): string {
  const seconds = ms / 1_000;
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}h` : ''}${seconds >= 60 ? `${minutes}m` : ''}${seconds % 60}s`;
}

export class Figures {
  readonly #options: FiguresOptions;
  readonly #summaries = new Summaries();

  constructor(options: FiguresOptions) {
    this.#options = options;
  }

  async summary(): Promise<object> {
    const { nodeName, volumes } = this.#options.facts;
    const [used, held] = await Promise.all([this.#used(), volumes?.()]);
    return this.#summaries.make({ nodeName, ...used, volumes: held ?? [] });
  }

  /** One of the pages for Prometheus, by what follows `/metrics`; undefined if there is no such page. */
  async page(name: string | undefined): Promise<string | undefined> {
    const { facts } = this.#options;
    switch (name) {
      case undefined:
      case '':
        return this.#agentPage() + volumesPage((await facts.volumes?.()) ?? []);
      case 'resource':
        return resourcePage(await this.#used());
      case 'cadvisor':
        return cadvisorPage(await this.#used(), { cpuCount: facts.cpuCount(), memoryBytes: facts.memoryBytes() });
      case 'probes':
        return probesPage(facts.probeCounts());
      default:
        return undefined;
    }
  }

  /** `/configz`, as conformance tests and support tools read it. */
  configuration(): object {
    return {
      kubeletconfig: {
        kind: 'KubeletConfiguration',
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        enableServer: true,
        authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
        enableDebuggingHandlers: true,
        enableSystemLogHandler: true,
        enableSystemLogQuery: false,
        registerNode: true,
        maxPods: PODS_MAX,
        nodeStatusReportFrequency: duration(NODE_STATUS_MS),
        nodeStatusUpdateFrequency: duration(NODE_OBSERVE_MS),
        nodeLeaseDurationSeconds: LEASE_DURATION_SECONDS,
        cpuCFSQuota: true,
        cpuCFSQuotaPeriod: '100ms',
        cpuManagerPolicy: 'none',
        memoryManagerPolicy: 'None',
        topologyManagerPolicy: 'none',
        podPidsLimit: -1,
        serializeImagePulls: false,
        maxParallelImagePulls: PULLS_MAX,
        // Connections last as long as their clients hold them.
        streamingConnectionIdleTimeout: '0s',
        localStorageCapacityIsolation: true,
        protectKernelDefaults: false,
        seccompDefault: true,
        evictionPressureTransitionPeriod: duration(PRESSURE_TRANSITION_MS),
        housekeepingInterval: duration(EVICTION_OBSERVE_MS),
        ...this.#options.facts.configuration(),
      },
    };
  }

  async #used(): Promise<PageInput> {
    const { clock, facts, pods, runtime } = this.#options;
    const now = clock.now();
    const all = pods();
    const [images, usages, interfaces] = await Promise.all([
      // Of a runtime that does not say it the rest is worth having.
      facts.images?.().catch(() => undefined),
      runtime.usage(),
      this.#interfaces(all),
    ]);
    return {
      now,
      node: await machineUsage({ folder: facts.dataDir, images, now }),
      pods: usedPods(all, usages, interfaces),
    };
  }

  /** Of pods with a network of their own, by uid. */
  async #interfaces(pods: readonly PodHandle[]): Promise<ReadonlyMap<string, readonly InterfaceCounts[]>> {
    const own = new Set(pods.filter(({ pod }) => !pod.spec?.hostNetwork).map(({ uid }) => uid));
    const sandboxes = (await this.#options.runtime.list()).filter(
      ({ pod, pid }) => pid !== undefined && own.has(pod.uid),
    );
    const found = await mapBounded(sandboxes, PROC_READS_MAX, async ({ pod, pid = 0 }) => {
      const interfaces = await interfacesOf(pid);
      return interfaces && ([pod.uid, interfaces] as const);
    });
    return new Map(found.filter(one => one !== undefined));
  }

  #agentPage(): string {
    const { clock, facts, pods } = this.#options;
    const containers: Record<string, number> = { running: 0, created: 0, exited: 0 };
    let runningPods = 0;
    for (const { status } of pods()) {
      if (status?.phase === 'Running') runningPods++;
      for (const { state } of status?.containerStatuses ?? []) {
        const key = state?.running ? 'running' : state?.terminated ? 'exited' : 'created';
        containers[key] = (containers[key] ?? 0) + 1;
      }
    }
    const { nodeName } = facts;
    const dns = renderMetrics(facts.dnsMetrics?.() ?? []);
    const own = agentPage({
      nodeName,
      runningPods,
      containers,
      evictions: facts.evictions(),
      own: processUsage(clock.now()),
    });
    return own + dns;
  }
}
