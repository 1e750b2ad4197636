/** The figures that the agent's server gives: `/stats/summary`, `/metrics…`, `/configz`. */
import type { Clock } from './clock.ts';
import type { PodHandle } from './container-lookup.ts';
import { EVICTION_OBSERVE_MS, NODE_STATUS_MS, PODS_MAX, PRESSURE_TRANSITION_MS } from './limits.ts';
import { machineUsage, processUsage } from './metrics/machine-usage.ts';
import {
  agentPage,
  cadvisorPage,
  type PageInput,
  type ProbeCount,
  probesPage,
  resourcePage,
  volumesPage,
} from './metrics/pages.ts';
import { type Metric, renderMetrics } from './metrics/text.ts';
import { type UsedVolume, usedPods } from './metrics/usage.ts';
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
  /** What volumes hold whose drivers count it. */
  readonly volumes?: () => Promise<readonly UsedVolume[]>;
  /** Pods that were ended for what the node was short of, by signal. */
  readonly evictions: () => Readonly<Record<string, number>>;
  /** What an administrator may have chosen, as a KubeletConfiguration. */
  readonly configuration: () => object;
}

export interface FiguresOptions {
  readonly clock: Clock;
  readonly runtime: Pick<Runtime, 'usage'>;
  readonly facts: AgentFacts;
  readonly pods: () => readonly PodHandle[];
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
        maxPods: PODS_MAX,
        nodeStatusReportFrequency: `${NODE_STATUS_MS / 1000}s`,
        evictionPressureTransitionPeriod: `${PRESSURE_TRANSITION_MS / 1000}s`,
        housekeepingInterval: `${EVICTION_OBSERVE_MS / 1000}s`,
        ...this.#options.facts.configuration(),
      },
    };
  }

  async #used(): Promise<PageInput> {
    const { clock, facts, pods, runtime } = this.#options;
    const now = clock.now();
    const [node, usages] = await Promise.all([machineUsage(facts.dataDir, now), runtime.usage()]);
    return { now, node, pods: usedPods(pods(), usages) };
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
