/** `/metrics/cadvisor`: containers, pods and the machine, with cAdvisor's names and labels. Pure. */
import type { MemoryDetails } from '../runtime/runtime.ts';
import type { InterfaceCounts } from './interfaces.ts';
import { NANOSECONDS, type PageInput } from './pages.ts';
import { counter, gauge, type Metric, renderMetrics, type Sample } from './text.ts';

/** One line of each metric: a container, all of a pod, or the machine. */
interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  readonly memory: MemoryDetails | undefined;
  readonly processes: number | undefined;
  readonly startedAt: number | undefined;
  readonly interfaces: readonly InterfaceCounts[];
}

export function cadvisorPage(
  input: PageInput,
  machine: { readonly cpuCount: number; readonly memoryBytes: number },
): string {
  const { now } = input;
  const rows = [machineRow(input), ...input.pods.flatMap(podRows)];
  const samples = (read: (row: Row) => number | undefined, labels: Readonly<Record<string, string>> = {}): Sample[] =>
    rows.flatMap(row => {
      const value = read(row);
      return value === undefined ? [] : [{ labels: { ...row.labels, ...labels }, value, at: now }];
    });
  const networks = (read: (counts: InterfaceCounts) => number): Sample[] =>
    rows.flatMap(({ labels, interfaces }) =>
      interfaces.map(one => ({ labels: { ...labels, interface: one.name }, value: read(one), at: now })),
    );
  return renderMetrics([
    counter(
      'container_cpu_usage_seconds_total',
      'Cumulative cpu time consumed in seconds.',
      samples(({ cpuNanoseconds }) => cpuNanoseconds / NANOSECONDS, { cpu: 'total' }),
    ),
    gauge(
      'container_last_seen',
      'Last time a container was seen by the exporter',
      samples(() => now / 1000),
    ),
    ...memoryMetrics(samples),
    ...networkMetrics(networks),
    gauge(
      'container_processes',
      'Number of processes running inside the container.',
      samples(({ processes }) => processes),
    ),
    gauge(
      'container_start_time_seconds',
      'Start time of the container since unix epoch in seconds.',
      samples(({ startedAt }) => startedAt && startedAt / 1000),
    ),
    gauge('machine_cpu_cores', 'Number of logical CPU cores.', [{ value: machine.cpuCount }]),
    gauge('machine_memory_bytes', 'Amount of memory installed on the machine.', [{ value: machine.memoryBytes }]),
  ]);
}

function machineRow({ node }: PageInput): Row {
  const { cpuNanoseconds, memoryBytes, memory, startedAt, interfaces } = node;
  const labels = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };
  return { labels, cpuNanoseconds, memoryBytes, memory, processes: undefined, startedAt, interfaces };
}

/** Of a pod all together, with its network, and of each container. */
function podRows({
  name: pod,
  namespace,
  uid,
  startedAt,
  containers,
  interfaces = [],
}: PageInput['pods'][number]): Row[] {
  const group = `/kubepods/pod${uid}`;
  const own = containers.map(
    ({ name: container, id, image, usage, startedAt: at }): Row => ({
      labels: { container, id: `${group}/${id}`, image, name: id, namespace, pod },
      ...{ cpuNanoseconds: usage.cpuNanoseconds, memoryBytes: usage.memoryBytes, memory: usage.memory },
      ...{ processes: usage.processes, startedAt: at, interfaces: [] },
    }),
  );
  if (own.length === 0) return [];
  const sum = (read: (row: Row) => number | undefined) => own.reduce((total, row) => total + (read(row) ?? 0), 0);
  const all: Row = {
    labels: { container: '', id: group, image: '', name: '', namespace, pod },
    cpuNanoseconds: sum(row => row.cpuNanoseconds),
    memoryBytes: sum(row => row.memoryBytes),
    memory: {
      usageBytes: sum(({ memory }) => memory?.usageBytes),
      rssBytes: sum(({ memory }) => memory?.rssBytes),
      swapBytes: sum(({ memory }) => memory?.swapBytes),
    },
    ...{ processes: undefined, startedAt, interfaces },
  };
  return [all, ...own];
}

function memoryMetrics(
  samples: (read: (row: Row) => number | undefined, labels?: Readonly<Record<string, string>>) => Sample[],
): Metric[] {
  const failures = (type: string, read: (memory: MemoryDetails) => number | undefined) =>
    samples(({ memory }) => memory && read(memory), { failure_type: type, scope: 'container' });
  return [
    counter('container_memory_failures_total', 'Cumulative count of memory allocation failures.', [
      ...failures('pgfault', ({ pageFaults }) => pageFaults),
      ...failures('pgmajfault', ({ majorPageFaults }) => majorPageFaults),
    ]),
    gauge(
      'container_memory_rss',
      'Size of RSS in bytes.',
      samples(({ memory }) => memory?.rssBytes),
    ),
    gauge(
      'container_memory_swap',
      'Container swap usage in bytes.',
      samples(({ memory }) => memory?.swapBytes),
    ),
    gauge(
      'container_memory_usage_bytes',
      'Current memory usage in bytes, including all memory regardless of when it was accessed',
      samples(({ memory }) => memory?.usageBytes),
    ),
    gauge(
      'container_memory_working_set_bytes',
      'Current working set in bytes.',
      samples(({ memoryBytes }) => memoryBytes),
    ),
    gauge(
      'container_spec_memory_limit_bytes',
      'Memory limit for the container.',
      // 0 is none, as cAdvisor says it.
      samples(({ labels, memory }) => (labels.container === '' ? undefined : (memory?.limitBytes ?? 0))),
    ),
  ];
}

function networkMetrics(networks: (read: (counts: InterfaceCounts) => number) => Sample[]): Metric[] {
  const count = (name: string, what: string, read: (counts: InterfaceCounts) => number) =>
    counter(`container_network_${name}_total`, `Cumulative count of ${what}`, networks(read));
  return [
    count('receive_bytes', 'bytes received', one => one.receivedBytes),
    count('receive_errors', 'errors encountered while receiving', one => one.receiveErrors),
    count('receive_packets_dropped', 'packets dropped while receiving', one => one.receiveDrops),
    count('receive_packets', 'packets received', one => one.receivedPackets),
    count('transmit_bytes', 'bytes transmitted', one => one.sentBytes),
    count('transmit_errors', 'errors encountered while transmitting', one => one.sendErrors),
    count('transmit_packets_dropped', 'packets dropped while transmitting', one => one.sendDrops),
    count('transmit_packets', 'packets transmitted', one => one.sentPackets),
  ];
}
