import test from 'ava';
import { bareUsage, sampleUsage } from './metrics/test-usage.ts';
import { Summaries } from './stats.ts';

const time = '1970-01-01T00:00:10Z';

test('a summary has what the types of stats.k8s.io have', t => {
  const summary = new Summaries().make({ nodeName: 'n', ...sampleUsage });
  const cpu = (usageCoreNanoSeconds: number) => ({ time, usageNanoCores: 0, usageCoreNanoSeconds });
  const imageFs = {
    ...{ time, availableBytes: 90, capacityBytes: 200, usedBytes: 12, inodesFree: 25, inodes: 30, inodesUsed: 5 },
  };
  const eth0 = { name: 'eth0', rxBytes: 20, rxErrors: 22, txBytes: 24, txErrors: 26 };
  const [usage, faults] = [
    { usageBytes: 151, rssBytes: 82 },
    { pageFaults: 10, majorPageFaults: 5 },
  ];
  const all = {
    cpu: cpu(6e9),
    memory: { time, workingSetBytes: 200, ...usage, ...faults },
    swap: { time, swapUsageBytes: 5 },
  };
  t.deepEqual(summary, {
    node: {
      nodeName: 'n',
      systemContainers: [
        {
          ...{ name: 'kubelet', startTime: '1970-01-01T00:00:01Z', cpu: cpu(1e9) },
          memory: { time, workingSetBytes: 77, usageBytes: 77 },
        },
        { name: 'pods', startTime: '1970-01-01T00:00:01Z', ...all },
      ],
      startTime: '1970-01-01T00:00:01Z',
      cpu: cpu(9e9),
      memory: {
        ...{ time, workingSetBytes: 1_000, usageBytes: 2_000, rssBytes: 700, pageFaults: 70, majorPageFaults: 3 },
        availableBytes: 3_000,
      },
      network: {
        ...{ time, name: '' },
        interfaces: [{ name: 'ens3', rxBytes: 10, rxErrors: 12, txBytes: 14, txErrors: 16 }],
      },
      fs: { time, availableBytes: 40, capacityBytes: 100, usedBytes: 60, inodesFree: 15, inodes: 20, inodesUsed: 5 },
      runtime: { imageFs, containerFs: imageFs },
      rlimit: { time, maxpid: 4_096, curproc: 90 },
      swap: { time, swapUsageBytes: 50, swapAvailableBytes: 60 },
    },
    pods: [
      {
        podRef: { name: 'web', namespace: 'ns', uid: 'u1' },
        startTime: '1970-01-01T00:00:01Z',
        containers: [
          {
            ...{ name: 'app', startTime: '1970-01-01T00:00:02Z', cpu: cpu(3e9) },
            memory: {
              ...{ time, availableBytes: 300, workingSetBytes: 100, usageBytes: 150, rssBytes: 80 },
              ...{ pageFaults: 7, majorPageFaults: 1 },
            },
            swap: { time, swapUsageBytes: 5 },
          },
          {
            ...{ name: 'side', startTime: '1970-01-01T00:00:02Z', cpu: cpu(3e9) },
            memory: { time, workingSetBytes: 100, usageBytes: 1, rssBytes: 2, pageFaults: 3, majorPageFaults: 4 },
            swap: { time, swapUsageBytes: 0 },
          },
        ],
        ...all,
        network: { time, ...eth0, interfaces: [eth0] },
        process_stats: { process_count: 4 },
      },
    ],
  });
});

test('what is not known is left out', t => {
  const { node, pods } = new Summaries().make({ nodeName: 'n', ...bareUsage }) as {
    node: object;
    pods: readonly object[];
  };
  t.deepEqual(Object.keys(node).sort(), ['cpu', 'memory', 'nodeName', 'startTime', 'systemContainers']);
  t.deepEqual(Object.keys(pods[0] ?? {}).sort(), ['containers', 'cpu', 'memory', 'podRef', 'startTime']);
  t.like(pods[0], { memory: { time, workingSetBytes: 2, usageBytes: 2 } });
});

test('a rate is reckoned from two looks that are a second apart, of node, agent and containers', t => {
  const summaries = new Summaries();
  const at = (now: number, factor: number) => {
    const { node, pods } = sampleUsage;
    return summaries.make({
      ...{ nodeName: 'n', now },
      node: { ...node, cpuNanoseconds: 9e9 * factor, agent: { ...node.agent, cpuNanoseconds: 1e9 * factor } },
      pods: pods.map(pod => ({
        ...pod,
        containers: pod.containers.map(one => ({ ...one, usage: { ...one.usage, cpuNanoseconds: 3e9 * factor } })),
      })),
    });
  };
  at(10_000, 1);
  t.like(at(12_000, 2), {
    node: {
      cpu: { usageNanoCores: 4.5e9 },
      systemContainers: [{ cpu: { usageNanoCores: 5e8 } }, { cpu: { usageNanoCores: 3e9 } }],
    },
    pods: [{ cpu: { usageNanoCores: 3e9 } }],
  });
});
