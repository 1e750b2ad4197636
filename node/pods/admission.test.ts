import test from 'ava';
import type { Node, Pod } from '../api.ts';
import { type AdmissionInput, judgeAdmission } from './admission.ts';
import { forbiddenSysctl, normalized } from './sysctls.ts';

type Spec = NonNullable<Pod['spec']>;
const podOf = (spec: Partial<Spec> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'n', uid: 'u' },
  spec: { containers: [{ name: 'c' }], ...spec },
});
const asking = (requests: Record<string, string>): Partial<Spec> => ({
  containers: [{ name: 'c', resources: { requests } }],
});
const listening = (hostPort: number, more: object = {}): Partial<Spec> => ({
  containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...more }] }],
});
const node: Node = { metadata: { name: 'a', labels: { disk: 'ssd' } } };

function judge(spec: Partial<Spec>, more: Partial<AdmissionInput> = {}) {
  return judgeAdmission({
    pod: podOf(spec),
    node,
    operatingSystem: 'linux',
    allocatable: { cpuMilli: 2000, memoryBytes: 4096, storageBytes: 4096, pods: 3 },
    others: [],
    pressures: [],
    hasAppArmor: false,
    ...more,
  }).refusal;
}

const CASES: readonly [string, Partial<Spec>, Partial<AdmissionInput>, string | undefined, RegExp?][] = [
  ['what asks for nothing', {}, {}, undefined],
  ['what fits', asking({ cpu: '2', memory: '4Ki' }), {}, undefined],
  [
    'too much CPU',
    asking({ cpu: '1500m' }),
    { others: [podOf(asking({ cpu: '600m' }))] },
    'OutOfcpu',
    /^Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000$/,
  ],
  ['groups of the manifest alone', { securityContext: { supplementalGroupsPolicy: 'Merge' } }, {}, undefined],
  [
    'groups of the manifest and no others',
    { securityContext: { supplementalGroupsPolicy: 'Strict' } },
    {},
    'SupplementalGroupsPolicyNotSupported',
    /^SupplementalGroupsPolicy=Strict is not supported in this node$/,
  ],
  [
    'a profile that nothing enforces',
    { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } },
    {},
    'AppArmor',
    /^Cannot enforce AppArmor: AppArmor is not enabled on the host$/,
  ],
  ['a profile', { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }, { hasAppArmor: true }, undefined],
  [
    'no profile',
    {
      securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } },
      containers: [{ name: 'c', securityContext: { appArmorProfile: { type: 'Unconfined' } } }],
    },
    {},
    undefined,
  ],
  [
    'a profile of one container',
    { containers: [{ name: 'c', securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } } }] },
    {},
    'AppArmor',
  ],
  ['nothing asked of what is overdrawn', {}, { others: [podOf(asking({ cpu: '9' }))] }, undefined],
  ['too much memory', asking({ memory: '5Ki' }), {}, 'OutOfmemory'],
  ['too much disk', asking({ 'ephemeral-storage': '5Ki' }), {}, 'OutOfephemeral-storage'],
  [
    'one pod too many',
    {},
    { others: [podOf(), podOf(), podOf()] },
    'OutOfpods',
    /pods, requested: 1, used: 3, capacity: 3/,
  ],
  ['the overhead counts', { ...asking({ cpu: '1900m' }), overhead: { cpu: '200m' } }, {}, 'OutOfcpu'],
  [
    'init containers count by their peak',
    { containers: [{ name: 'c' }], initContainers: [{ name: 'i', resources: { requests: { cpu: '3' } } }] },
    {},
    'OutOfcpu',
  ],
  ['a label that fits', { nodeSelector: { disk: 'ssd' } }, {}, undefined],
  [
    'a label that does not',
    { nodeSelector: { disk: 'hdd' } },
    {},
    'NodeAffinity',
    /^Predicate NodeAffinity failed: node\(s\) didn't match Pod's node affinity\/selector$/,
  ],
  ['an unknown node is not judged', { nodeSelector: { disk: 'hdd' } }, { node: undefined }, undefined],
  ['a free port', listening(80), { others: [podOf(listening(81))] }, undefined],
  ['a taken port', listening(80), { others: [podOf(listening(80))] }, 'NodePorts'],
  ['a port of another protocol', listening(80, { protocol: 'UDP' }), { others: [podOf(listening(80))] }, undefined],
  [
    'a port of another address',
    listening(80, { hostIP: '10.0.0.1' }),
    { others: [podOf(listening(80, { hostIP: '10.0.0.2' }))] },
    undefined,
  ],
  [
    'a port of any address',
    listening(80, { hostIP: '10.0.0.1' }),
    { others: [podOf(listening(80, { hostIP: '0.0.0.0' }))] },
    'NodePorts',
  ],
  [
    'a taint that drives pods off',
    {},
    { node: { ...node, spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } } },
    'TaintToleration',
  ],
  [
    "a taint that only keeps new ones away is the scheduler's affair",
    {},
    { node: { ...node, spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } } },
    undefined,
  ],
  ['another system', { os: { name: 'windows' } }, {}, 'PodOSNotSupported'],
  ['under memory pressure, who asked for nothing', {}, { pressures: ['MemoryPressure'] }, 'Evicted'],
  ['under memory pressure, who asked', asking({ memory: '1Ki' }), { pressures: ['MemoryPressure'] }, undefined],
  [
    'under disk pressure, all',
    asking({ memory: '1Ki' }),
    { pressures: ['DiskPressure'] },
    'Evicted',
    /^The node had condition: \[DiskPressure\]\. $/,
  ],
  ['under pressure, what the cluster needs', { priority: 2_000_001_000 }, { pressures: ['DiskPressure'] }, undefined],
  [
    'an unsafe parameter',
    { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    {},
    'SysctlForbidden',
    /^forbidden sysctl: "kernel.msgmax" not allowlisted$/,
  ],
];

for (const [title, spec, more, reason, message] of CASES)
  test(`admission: ${title}`, t => {
    const refusal = judge(spec, more);
    t.is(refusal?.reason, reason);
    if (message) t.regex(refusal?.message ?? '', message);
  });

test('parameters of namespaces that the pod does not have are refused', t => {
  const sysctls = (name: string, more: Partial<Spec>) =>
    forbiddenSysctl(podOf({ securityContext: { sysctls: [{ name, value: '1' }] }, ...more }));
  t.is(sysctls('net.ipv4.tcp_syncookies', {}), undefined);
  t.regex(sysctls('net.ipv4.tcp_syncookies', { hostNetwork: true }) ?? '', /not allowed with host net enabled/);
  t.regex(sysctls('kernel.shm_rmid_forced', { hostIPC: true }) ?? '', /not allowed with host ipc enabled/);
  t.is(sysctls('net/ipv4/tcp_syncookies', {}), undefined);
  t.is(normalized('net/ipv4/conf/eno2.100/x'), 'net.ipv4.conf.eno2/100.x');
});

const named = (name: string, spec: Partial<Spec> = {}): Pod => ({ ...podOf(spec), metadata: { name, uid: name } });
const CRITICAL = 2_000_000_000;

test('a pod’s own label of its system has to be the node’s', t => {
  const labelled = (os: string) =>
    judgeAdmission({
      pod: { ...podOf(), metadata: { name: 'p', labels: { 'kubernetes.io/os': os } } },
      ...{ node, operatingSystem: 'linux', others: [], pressures: [], hasAppArmor: false },
      allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 1, pods: 3 },
    }).refusal?.reason;
  t.is(labelled('linux'), undefined);
  t.is(labelled('windows'), 'PodOSSelectorNodeLabelDoesNotMatch');
});

test('a critical pod takes the room of others, unless something else stands against it', t => {
  const others = [named('a', asking({ cpu: '1' })), named('b', asking({ cpu: '1' }))];
  const judged = (spec: Partial<Spec>, more: Partial<AdmissionInput> = {}) => {
    const allocatable = { cpuMilli: 2000, memoryBytes: 4096, storageBytes: 4096, pods: 3 };
    const pod = podOf({ ...asking({ cpu: '500m' }), priority: CRITICAL, ...spec });
    const judgement = judgeAdmission({
      ...{ pod, node, operatingSystem: 'linux', allocatable, others, pressures: [], hasAppArmor: false },
      ...more,
    });
    return judgement.refusal ?? judgement.victims.map(({ metadata }) => metadata?.name);
  };
  t.deepEqual(judged({}), ['a']);
  t.deepEqual(judged({ priority: CRITICAL - 1 }), {
    reason: 'OutOfcpu',
    message: "Node didn't have enough resource: cpu, requested: 500, used: 2000, capacity: 2000",
  });
  t.like(judged({ nodeSelector: { disk: 'none' } }), { reason: 'NodeAffinity' });
  t.like(judged({ os: { name: 'windows' } }), { reason: 'PodOSNotSupported' });
  t.deepEqual(judged({}, { others: [] }), []);
  const protectedOnes = others.map(
    ({ metadata, spec }) =>
      ({ metadata, spec: { ...spec, containers: spec?.containers ?? [], priority: CRITICAL } }) as Pod,
  );
  t.deepEqual(judged({}, { others: protectedOnes }), {
    reason: 'UnexpectedAdmissionError',
    message:
      'Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 500), ]',
  });
  t.deepEqual(judged({ priority: CRITICAL + 1000 }, { others: protectedOnes }), ['a'], 'the more critical goes first');
  const isStatic = {
    metadata: { annotations: { 'kubernetes.io/config.source': 'file' } },
    spec: asking({ cpu: '2' }) as Spec,
  };
  t.deepEqual(judged({}, { pod: isStatic }), ['a', 'b']);
});
