/**
 * The pages of the agent that Prometheus reads, with a kubelet's names: `/metrics/resource` (KEP-727), `/metrics/probes` and
 * `/metrics`; `/metrics/cadvisor` is in `cadvisor-page.ts`. Pure.
 */
import { counter, gauge, renderMetrics, type Sample } from './text.ts';
import type { NodeUsage, UsedContainer, UsedPod, UsedVolume, VolumeFigures } from './usage.ts';

export const NANOSECONDS = 1e9;

export interface PageInput {
  readonly now: number;
  readonly node: NodeUsage;
  readonly pods: readonly UsedPod[];
}

export function resourcePage({ now, node, pods }: PageInput): string {
  const at = (value: number, labels?: Record<string, string>): Sample => ({
    value,
    at: now,
    ...(labels && { labels }),
  });
  const all = pods.flatMap(({ name, namespace, containers }) =>
    containers.map(container => ({ container, labels: { container: container.name, namespace, pod: name } })),
  );
  const containers = (read: (container: UsedContainer) => number | undefined) =>
    all.flatMap(({ container, labels }) => {
      const value = read(container);
      return value === undefined ? [] : [at(value, labels)];
    });
  const sums = (read: (container: UsedContainer) => number | undefined) =>
    pods.flatMap(({ name, namespace, containers: own }) => {
      const values = own.flatMap(container => read(container) ?? []);
      const value = values.reduce((sum, one) => sum + one, 0);
      return values.length > 0 ? [at(value, { namespace, pod: name })] : [];
    });
  const cpu = ({ usage }: UsedContainer) => usage.cpuNanoseconds / NANOSECONDS;
  const memory = ({ usage }: UsedContainer) => usage.memoryBytes;
  const swap = ({ usage }: UsedContainer) => usage.memory?.swapBytes;
  return renderMetrics([
    counter(
      'container_cpu_usage_seconds_total',
      'Cumulative cpu time consumed by the container in core-seconds',
      containers(cpu),
    ),
    gauge('container_memory_working_set_bytes', 'Current working set of the container in bytes', containers(memory)),
    gauge(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds',
      // A time does not change: it has none of its own.
      all.map(({ container, labels }) => ({ labels, value: container.startedAt / 1000 })),
    ),
    gauge('container_swap_usage_bytes', `Current amount of the container swap ${SWAP}`, containers(swap)),
    counter('node_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the node in core-seconds', [
      at(node.cpuNanoseconds / NANOSECONDS),
    ]),
    gauge('node_memory_working_set_bytes', 'Current working set of the node in bytes', [at(node.memoryBytes)]),
    gauge('node_swap_usage_bytes', `Current swap usage of the node in bytes. ${SYSTEMS}`, [
      at(node.memory.swapBytes ?? 0),
    ]),
    counter('pod_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the pod in core-seconds', sums(cpu)),
    gauge('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', sums(memory)),
    gauge('pod_swap_usage_bytes', `Current amount of the pod swap ${SWAP}`, sums(swap)),
    gauge('resource_scrape_error', '1 if there was an error while getting container metrics, 0 otherwise', [
      { value: 0 },
    ]),
  ]);
}

const SYSTEMS = 'Reported only on non-windows systems';
const SWAP = `usage in bytes. ${SYSTEMS}`;

/** How often probes ended how. */
export interface ProbeCount {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly container: string;
  readonly kind: 'Startup' | 'Liveness' | 'Readiness';
  readonly result: 'successful' | 'failed';
  readonly count: number;
}

export function probesPage(counts: readonly ProbeCount[]): string {
  const help = 'Cumulative number of a liveness, readiness or startup probe for a container by result.';
  return renderMetrics([
    counter(
      'prober_probe_total',
      help,
      counts.map(({ namespace, pod, podUid, container, kind, result, count }) => ({
        labels: { container, namespace, pod, pod_uid: podUid, probe_type: kind, result },
        value: count,
      })),
    ),
  ]);
}

/** Of volumes behind claims; one that several pods have is told once. */
export function volumesPage(volumes: readonly UsedVolume[]): string {
  const byClaim = new Map(
    volumes.flatMap(({ namespace, claim = '', figures }) =>
      claim === '' ? [] : [[`${namespace}/${claim}`, { namespace, claim, figures }] as const],
    ),
  );
  const samples = (read: (figures: VolumeFigures) => number | undefined): Sample[] =>
    [...byClaim.values()].flatMap(({ namespace, claim, figures }) => {
      const value = read(figures);
      return value === undefined ? [] : [{ labels: { namespace, persistentvolumeclaim: claim }, value }];
    });
  const figure = (name: string, help: string, read: (figures: VolumeFigures) => number | undefined) =>
    gauge(`kubelet_volume_stats_${name}`, help, samples(read));
  return renderMetrics([
    figure('available_bytes', 'Number of available bytes in the volume', ({ availableBytes }) => availableBytes),
    figure('capacity_bytes', 'Capacity in bytes of the volume', ({ capacityBytes }) => capacityBytes),
    figure('inodes', 'Maximum number of inodes in the volume', ({ inodes }) => inodes),
    figure('inodes_free', 'Number of free inodes in the volume', ({ inodesFree }) => inodesFree),
    figure('inodes_used', 'Number of used inodes in the volume', ({ inodesUsed }) => inodesUsed),
    figure('used_bytes', 'Number of used bytes in the volume', ({ usedBytes }) => usedBytes),
  ]);
}

export interface AgentFigures {
  readonly nodeName: string;
  readonly runningPods: number;
  /** By state: created, running, exited. */
  readonly containers: Readonly<Record<string, number>>;
  readonly evictions: Readonly<Record<string, number>>;
  readonly own: { readonly cpuSeconds: number; readonly residentBytes: number; readonly startedAt: number };
}

export function agentPage({ nodeName, runningPods, containers, evictions, own }: AgentFigures): string {
  const by = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
  return renderMetrics([
    gauge('kubelet_node_name', "The node's name. The count is always 1.", [{ labels: { node: nodeName }, value: 1 }]),
    gauge('kubelet_running_pods', 'Number of pods that have a running pod sandbox', [{ value: runningPods }]),
    gauge('kubelet_running_containers', 'Number of containers currently running', by('container_state', containers)),
    counter(
      'kubelet_evictions',
      'Cumulative number of pod evictions by eviction signal',
      by('eviction_signal', evictions),
    ),
    counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', [
      { value: own.cpuSeconds },
    ]),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', [{ value: own.residentBytes }]),
    gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', [
      { value: own.startedAt / 1000 },
    ]),
  ]);
}
