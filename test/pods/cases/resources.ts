/** Limits, classes of service, resize, what the node refuses, images. */
import { check, type PodCase, sh, waits } from '../case.ts';

const done = { phase: 'Succeeded' } as const;
const limits = (cpu: string, memory: string) => ({ limits: { cpu, memory }, requests: { cpu, memory } });
const cpuLimit = 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d" " -f1 /sys/fs/cgroup/cpu.max';
const memoryLimit = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max';
const STRATEGIC = 'application/strategic-merge-patch+json';
const resize = (resources: object) => ({ spec: { containers: [{ name: 'main', resources }] } });

export const resources: readonly PodCase[] = [
  {
    name: 'qos-guaranteed',
    spec: { containers: [waits('main', { resources: limits('50m', '32Mi') })] },
    end: { phase: 'Running', qosClass: 'Guaranteed' },
  },
  {
    name: 'qos-burstable',
    spec: { containers: [waits('main', { resources: { requests: { cpu: '10m' } } })] },
    end: { phase: 'Running', qosClass: 'Burstable' },
  },
  {
    name: 'qos-best-effort',
    spec: { containers: [sh('cat /proc/self/oom_score_adj')] },
    end: { phase: 'Succeeded', qosClass: 'BestEffort' },
    logs: { main: '1000\n' },
  },
  {
    name: 'limits-in-the-cgroup',
    spec: { containers: [sh(`${cpuLimit}; ${memoryLimit}`, { resources: limits('250m', '64Mi') })] },
    end: done,
    logs: { main: '25000\n67108864\n' },
  },
  {
    name: 'resources-in-the-status',
    spec: { containers: [waits('main', { resources: limits('50m', '32Mi') })] },
    end: { phase: 'Running' },
    then: async pod => {
      const { status } = await pod.read();
      const [found] = (status?.containerStatuses ?? []) as { resources?: object; allocatedResources?: object }[];
      check(JSON.stringify(found?.allocatedResources) === '{"cpu":"50m","memory":"32Mi"}', JSON.stringify(found));
      check(JSON.stringify(found?.resources) === JSON.stringify(limits('50m', '32Mi')), JSON.stringify(found));
    },
  },
  {
    name: 'resize-without-a-restart',
    short: true,
    spec: { restartPolicy: 'Always', containers: [waits('main', { resources: limits('100m', '64Mi') })] },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.patch(resize(limits('200m', '96Mi')), { subresource: 'resize', type: STRATEGIC });
      await pod.becomes({
        containers: { main: { state: 'running', restarts: 0 } },
        conditions: { PodResizePending: undefined, PodResizeInProgress: undefined },
      });
      const deadline = Date.now() + 20_000;
      for (;;) {
        const { status } = await pod.read();
        const [found] = (status?.containerStatuses ?? []) as { resources?: object; allocatedResources?: object }[];
        if (JSON.stringify(found?.resources) === JSON.stringify(limits('200m', '96Mi'))) break;
        check(Date.now() < deadline, JSON.stringify(found));
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    },
  },
  {
    name: 'resize-is-seen-inside',
    spec: {
      restartPolicy: 'Always',
      containers: [sh(`while :; do echo "$(${cpuLimit})"; sleep 0.5; done`, { resources: limits('100m', '64Mi') })],
    },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.patch(resize(limits('300m', '64Mi')), { subresource: 'resize', type: STRATEGIC });
      await pod.says('main', /30000\n$/);
    },
  },
  {
    name: 'resize-with-a-restart',
    spec: {
      restartPolicy: 'Always',
      containers: [
        waits('main', {
          resources: limits('100m', '64Mi'),
          resizePolicy: [
            { resourceName: 'memory', restartPolicy: 'RestartContainer' },
            { resourceName: 'cpu', restartPolicy: 'NotRequired' },
          ],
        }),
      ],
    },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.patch(resize(limits('100m', '96Mi')), { subresource: 'resize', type: STRATEGIC });
      await pod.becomes({ containers: { main: { state: 'running', restarts: 1 } } });
    },
  },
  {
    name: 'resize-beyond-the-node',
    spec: { restartPolicy: 'Always', containers: [waits('main', { resources: limits('100m', '64Mi') })] },
    end: { phase: 'Running' },
    then: async pod => {
      await pod.patch(resize(limits('5000', '64Mi')), { subresource: 'resize', type: STRATEGIC });
      await pod.becomes({ conditions: { PodResizePending: 'True' } });
      const { status } = await pod.read();
      const found = ((status?.conditions ?? []) as { type: string; reason: string; message: string }[]).find(
        ({ type }) => type === 'PodResizePending',
      );
      check(found?.reason === 'Infeasible', JSON.stringify(found));
      check(
        /Node didn't have enough capacity: cpu, requested: 5000000, capacity: \d+/.test(found?.message ?? ''),
        JSON.stringify(found),
      );
    },
  },
  {
    name: 'too-much-cpu-for-the-node',
    short: true,
    spec: { nodeName: 'node-1', containers: [waits('main', { resources: { requests: { cpu: '5000' } } })] },
    end: {
      phase: 'Failed',
      reason: 'OutOfcpu',
      message:
        /^Pod was rejected: Node didn't have enough resource: cpu, requested: 5000000, used: \d+, capacity: \d+$/,
    },
    events: [['OutOfcpu', /Node didn't have enough resource: cpu/]],
  },
  {
    name: 'too-much-memory-for-the-node',
    spec: { nodeName: 'node-1', containers: [waits('main', { resources: { requests: { memory: '900Ti' } } })] },
    end: { phase: 'Failed', reason: 'OutOfmemory' },
  },
  {
    name: 'a-node-that-does-not-fit',
    short: true,
    spec: { nodeName: 'node-1', nodeSelector: { no: 'where' }, containers: [waits()] },
    end: {
      phase: 'Failed',
      reason: 'NodeAffinity',
      message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    },
    events: [['NodeAffinity', /Predicate NodeAffinity failed/]],
  },
  {
    name: 'an-image-that-never-comes',
    short: true,
    spec: { containers: [waits('main', { image: 'raftsman-pods/none:1', imagePullPolicy: 'Never' })] },
    end: { phase: 'Pending', containers: { main: { state: 'waiting', reason: 'ErrImageNeverPull' } } },
    events: [['ErrImageNeverPull', /Container image "raftsman-pods\/none:1" is not present with pull policy of Never/]],
  },
  {
    name: 'an-image-that-cannot-be-pulled',
    spec: { containers: [waits('main', { image: 'localhost:1/none:1' })] },
    end: {
      phase: 'Pending',
      containers: { main: { state: 'waiting', reason: 'ImagePullBackOff', message: /Back-off pulling image/ } },
    },
    events: [
      ['Pulling', /Pulling image "localhost:1\/none:1"/],
      ['Failed', /Failed to pull image "localhost:1\/none:1": /],
      ['BackOff', /Back-off pulling image "localhost:1\/none:1"/],
    ],
  },
  {
    name: 'an-image-with-an-impossible-name',
    spec: { containers: [waits('main', { image: 'NO/SUCH:::name' })] },
    end: {
      containers: {
        main: {
          state: 'waiting',
          reason: 'InvalidImageName',
          message: /Failed to apply default image tag "NO\/SUCH:::name": couldn't parse image name/,
        },
      },
    },
    events: [['InspectFailed', /Failed to apply default image tag/]],
  },
  {
    name: 'a-handler-that-nobody-has',
    objects: [{ kind: 'RuntimeClass', apiVersion: 'node.k8s.io/v1', metadata: { name: 'odd' }, handler: 'odd' }],
    spec: { runtimeClassName: 'odd', containers: [waits()] },
    events: [['FailedCreatePodSandBox', /no runtime for "odd" is configured/]],
  },
];
