/**
 * The pages of the agent that Prometheus reads, with a kubelet's names: `/metrics/resource` (KEP-727), `/metrics/cadvisor`,
 * `/metrics/probes` and `/metrics`. Pure.
 */
import { type Metric, renderMetrics, type Sample } from './text.ts';
import type { NodeUsage, UsedContainer, UsedPod, UsedVolume, VolumeFigures } from './usage.ts';

const NANOSECONDS = 1e9;

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
  const containers = (read: (container: UsedContainer) => number) =>
    pods.flatMap(({ name, namespace, containers: all }) =>
      all.map(container => at(read(container), { container: container.name, namespace, pod: name })),
    );
  const sums = (read: (container: UsedContainer) => number) =>
    pods
      .filter(({ containers: all }) => all.length > 0)
      .map(({ name, namespace, containers: all }) =>
        at(
          all.reduce((sum, container) => sum + read(container), 0),
          { namespace, pod: name },
        ),
      );
  const cpu = ({ usage }: UsedContainer) => usage.cpuNanoseconds / NANOSECONDS;
  const memory = ({ usage }: UsedContainer) => usage.memoryBytes;
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
      containers(({ startedAt }) => startedAt / 1000),
    ),
    counter('node_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the node in core-seconds', [
      at(node.cpuNanoseconds / NANOSECONDS),
    ]),
    gauge('node_memory_working_set_bytes', 'Current working set of the node in bytes', [at(node.memoryBytes)]),
    counter('pod_cpu_usage_seconds_total', 'Cumulative cpu time consumed by the pod in core-seconds', sums(cpu)),
    gauge('pod_memory_working_set_bytes', 'Current working set of the pod in bytes', sums(memory)),
    gauge('resource_scrape_error', '1 if there was an error while getting container metrics, 0 otherwise', [
      { value: 0 },
    ]),
  ]);
}

export function cadvisorPage(
  { now, node, pods }: PageInput,
  machine: { readonly cpuCount: number; readonly memoryBytes: number },
): string {
  const samples = (read: (container: UsedContainer) => number) => [
    ...pods.flatMap(({ name, namespace, uid, containers }) =>
      containers.map(container => ({
        labels: {
          container: container.name,
          id: `/kubepods/pod${uid}/${container.id}`,
          image: container.image,
          name: container.id,
          namespace,
          pod: name,
        },
        value: read(container),
        at: now,
      })),
    ),
  ];
  const root = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };
  return renderMetrics([
    counter('container_cpu_usage_seconds_total', 'Cumulative cpu time consumed in seconds.', [
      { labels: root, value: node.cpuNanoseconds / NANOSECONDS, at: now },
      ...samples(({ usage }) => usage.cpuNanoseconds / NANOSECONDS),
    ]),
    gauge(
      'container_last_seen',
      'Last time a container was seen by the exporter',
      samples(() => now / 1000),
    ),
    gauge('container_memory_working_set_bytes', 'Current working set in bytes.', [
      { labels: root, value: node.memoryBytes, at: now },
      ...samples(({ usage }) => usage.memoryBytes),
    ]),
    gauge(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds.',
      samples(({ startedAt }) => startedAt / 1000),
    ),
    gauge('machine_cpu_cores', 'Number of logical CPU cores.', [{ value: machine.cpuCount }]),
    gauge('machine_memory_bytes', 'Amount of memory installed on the machine.', [{ value: machine.memoryBytes }]),
  ]);
}

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

const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  name,
  help,
  type: 'gauge',
  samples,
});
const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  name,
  help,
  type: 'counter',
  samples,
});
