/**
 * The node's own judgement of a pod that was given to it: whoever bound it may have known less, or nothing. What does not
 * fit fails at once, with a kubelet's reasons and words (k/k: pkg/kubelet/lifecycle/predicate.go, sysctl/allowlist.go,
 * eviction/eviction_manager.go). Pure.
 */
import { matchesRequiredNode, type Node, type Pod, untoleratedTaint } from '../api.ts';
import { qosClassOf } from './quantity.ts';
import { type Amounts, NO_AMOUNTS, plus, podRequests } from './requests.ts';
import { forbiddenSysctl } from './sysctls.ts';

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

export interface Allocatable extends Amounts {
  readonly pods: number;
}

export type Pressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

export interface AdmissionInput {
  readonly pod: Pod;
  /** Undefined while the agent has not seen its own node: then labels and taints are not judged. */
  readonly node: Node | undefined;
  readonly operatingSystem: string;
  readonly allocatable: Allocatable;
  /** Pods of this node that were taken and have not ended. */
  readonly others: readonly Pod[];
  /** What the node is short of now. */
  readonly pressures: readonly Pressure[];
}

const MEMORY_PRESSURE_TAINT = { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' };

/** Why the node does not take the pod; undefined if it does. */
export function refusalOf(input: AdmissionInput): Refusal | undefined {
  return (
    underPressure(input) ??
    sysctlRefusal(input.pod) ??
    otherSystem(input) ??
    tooMuch(input) ??
    otherNode(input) ??
    takenPorts(input) ??
    taintRefusal(input)
  );
}

function underPressure({ pod, pressures }: AdmissionInput): Refusal | undefined {
  if (pressures.length === 0 || isCritical(pod)) return undefined;
  // Short of memory alone, the node still takes pods that said what they need.
  if (pressures.every(pressure => pressure === 'MemoryPressure')) {
    const tolerates =
      untoleratedTaint([MEMORY_PRESSURE_TAINT], pod.spec?.tolerations ?? [], ['NoSchedule']) === undefined;
    if (qosClassOf(pod) !== 'BestEffort' || tolerates) return undefined;
  }
  return { reason: 'Evicted', message: `The node had condition: [${pressures.join(' ')}]. ` };
}

function sysctlRefusal(pod: Pod): Refusal | undefined {
  const message = forbiddenSysctl(pod);
  return message === undefined ? undefined : { reason: 'SysctlForbidden', message };
}

function otherSystem({ pod, operatingSystem }: AdmissionInput): Refusal | undefined {
  const wanted = pod.spec?.os?.name;
  if (wanted === undefined || wanted === operatingSystem) return undefined;
  return { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" };
}

function tooMuch({ pod, allocatable, others }: AdmissionInput): Refusal | undefined {
  if (others.length + 1 > allocatable.pods) return outOf('pods', 1, others.length, allocatable.pods);
  const used = others.map(podRequests).reduce(plus, NO_AMOUNTS);
  const wanted = podRequests(pod);
  for (const [name, key] of AMOUNTS) {
    if (wanted[key] > 0 && wanted[key] > allocatable[key] - used[key])
      return outOf(name, wanted[key], used[key], allocatable[key]);
  }
  return undefined;
}

const AMOUNTS = [
  ['cpu', 'cpuMilli'],
  ['memory', 'memoryBytes'],
  ['ephemeral-storage', 'storageBytes'],
] as const satisfies readonly (readonly [string, keyof Amounts])[];

function outOf(name: string, requested: number, used: number, capacity: number): Refusal {
  const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
  return { reason: `OutOf${name}`, message };
}

function otherNode({ pod, node }: AdmissionInput): Refusal | undefined {
  if (!node || matchesRequiredNode(pod.spec, node)) return undefined;
  return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector");
}

function takenPorts({ pod, others }: AdmissionInput): Refusal | undefined {
  const taken = others.flatMap(hostPorts);
  const clashes = hostPorts(pod).some(own =>
    taken.some(
      other =>
        other.port === own.port &&
        other.protocol === own.protocol &&
        (other.address === own.address || other.address === '' || own.address === ''),
    ),
  );
  return clashes ? predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports") : undefined;
}

interface HostPort {
  readonly port: number;
  readonly protocol: string;
  /** '' is any address. */
  readonly address: string;
}

function hostPorts({ spec }: Pod): HostPort[] {
  return (spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, protocol = 'TCP', hostIP = '' }) =>
      hostPort ? [{ port: hostPort, protocol, address: hostIP === '0.0.0.0' ? '' : hostIP }] : [],
    ),
  );
}

function taintRefusal({ pod, node }: AdmissionInput): Refusal | undefined {
  const taint = untoleratedTaint(node?.spec?.taints ?? [], pod.spec?.tolerations ?? [], ['NoExecute']);
  return taint && predicate('TaintToleration', `node(s) had taints that the pod didn't tolerate`);
}

function predicate(name: string, why: string): Refusal {
  return { reason: name, message: `Predicate ${name} failed: ${why}` };
}

/** Of those that the cluster cannot do without (k/k: types.IsCriticalPod). */
export function isCritical(pod: Pod): boolean {
  return (pod.spec?.priority ?? 0) >= SYSTEM_CRITICAL_PRIORITY || isStatic(pod);
}

/** Says where the node has a pod from; what the API has there counts for nothing. */
export const SOURCE_ANNOTATION = 'kubernetes.io/config.source';

/** Read from the node's own folder, and not from the API. */
export function isStatic({ metadata }: Pod): boolean {
  const source = metadata?.annotations?.[SOURCE_ANNOTATION];
  return source !== undefined && source !== 'api';
}

const SYSTEM_CRITICAL_PRIORITY = 2_000_000_000;
