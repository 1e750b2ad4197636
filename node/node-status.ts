/** What the node says of itself: capacity, addresses, conditions, versions. Pure; the facts are read in `machine.ts`. */
import { LOCAL_FOLDER, MANAGED_ATTACH, type Node, type NodeCondition, type NodeStatus, type Taint } from './api.ts';
import { timeText } from './clock.ts';
import { IMAGES_REPORTED_MAX, PODS_MAX } from './limits.ts';
import { nodeAmounts, sorted } from './node-amounts.ts';
import type { Pressure } from './pods/admission.ts';
import type { ImageStatus } from './runtime/runtime.ts';

/** The machine under the node. */
export interface MachineFacts {
  readonly hostname: string;
  /** IP addresses, the primary one first. */
  readonly addresses: readonly string[];
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly architecture: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly hasAppArmor: boolean;
}

export interface NodeInput {
  readonly name: string;
  readonly facts: MachineFacts;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly kubeletVersion: string;
  /** `docker://20.10.7`. */
  readonly runtimeVersion: string;
  readonly port: number;
  /** Why the node cannot take pods; undefined if it can. */
  readonly trouble: string | undefined;
  /** What the node is short of. */
  readonly pressures: readonly Pressure[];
  /** Where volumes of the local class lie. */
  readonly localFolder: string;
  /** Attached volumes that must not be detached: they are mounted, or are going to be. */
  readonly volumesInUse?: readonly string[];
  readonly images: readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
}

type Words = readonly [reason: string, message: string];

/** The object to register with. */
export function newNode(input: NodeInput, now: number): Node {
  const { name, facts, labels, taints } = input;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': facts.operatingSystem,
        'kubernetes.io/arch': facts.architecture,
        'beta.kubernetes.io/os': facts.operatingSystem,
        'beta.kubernetes.io/arch': facts.architecture,
        ...labels,
      },
      annotations: {
        [MANAGED_ATTACH]: 'true',
        [LOCAL_FOLDER]: input.localFolder,
      },
    },
    spec: taints.length > 0 ? { taints: [...taints] } : {},
    status: nodeStatus(input, undefined, now),
  };
}

/** The status now; times of conditions that did not change are kept from `before`. */
export function nodeStatus(input: NodeInput, before: NodeStatus | undefined, now: number): NodeStatus {
  const { name, facts, port, images, volumesInUse = [] } = input;
  const amounts = {
    cpu: String(facts.cpuCount),
    'ephemeral-storage': `${Math.floor(facts.diskBytes / 1024)}Ki`,
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(PODS_MAX),
  };
  return {
    addresses: [
      ...facts.addresses.map(address => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: name },
    ],
    ...nodeAmounts(amounts, before),
    conditions: conditions(input, before?.conditions ?? [], now),
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: {
      architecture: facts.architecture,
      bootID: facts.bootId,
      containerRuntimeVersion: input.runtimeVersion,
      kernelVersion: facts.kernelVersion,
      kubeProxyVersion: '',
      kubeletVersion: input.kubeletVersion,
      machineID: facts.machineId,
      operatingSystem: facts.operatingSystem,
      osImage: facts.osImage,
      systemUUID: facts.systemUuid,
    },
    images: images.map(({ names, sizeBytes }) => ({ names: [...names], sizeBytes })),
    // Left out where there is nothing to say and nothing to take back.
    ...((volumesInUse.length > 0 || before?.volumesInUse?.length) && { volumesInUse: [...volumesInUse] }),
  };
}

function conditions({ trouble, pressures }: NodeInput, before: readonly NodeCondition[], now: number): NodeCondition[] {
  const pressure = (type: Pressure, [reason, message]: Words, [fineReason, fineMessage]: Words) =>
    pressures.includes(type)
      ? { type, status: 'True', reason, message }
      : { type, status: 'False', reason: fineReason, message: fineMessage };
  const wanted = [
    pressure(
      'MemoryPressure',
      ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
      ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ),
    pressure(
      'DiskPressure',
      ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
      ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ),
    pressure(
      'PIDPressure',
      ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
      ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ),
    trouble === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: trouble },
  ];
  return wanted.map(condition => {
    const known = before.find(({ type }) => type === condition.type);
    const since = known?.status === condition.status ? known.lastTransitionTime : undefined;
    return { ...condition, lastHeartbeatTime: timeText(now), lastTransitionTime: since ?? timeText(now) };
  });
}

/** True if two statuses differ in more than the time of the heartbeat. */
export function saysMore(a: NodeStatus | undefined, b: NodeStatus): boolean {
  return a === undefined || withoutHeartbeat(a) !== withoutHeartbeat(b);
}

function withoutHeartbeat(status: NodeStatus): string {
  const conditions = (status.conditions ?? []).map(({ lastHeartbeatTime: _, ...rest }) => rest);
  const { capacity = {}, allocatable = {} } = status;
  return JSON.stringify({ ...status, conditions, capacity: sorted(capacity), allocatable: sorted(allocatable) });
}

/** The largest images, as many as are told of. */
export function reportedImages(images: readonly ImageStatus[]): NodeInput['images'] {
  return images
    .toSorted((left, right) => right.sizeBytes - left.sizeBytes || (left.id < right.id ? -1 : 1))
    .slice(0, IMAGES_REPORTED_MAX)
    .map(({ tags, id, sizeBytes }) => ({ names: tags.length > 0 ? tags : [id], sizeBytes }));
}
