/**
 * The node's own judgement of a pod that was given to it: whoever bound it may have known less, or nothing. What does not
 * fit fails at once, with a kubelet's reasons and words (k/k: pkg/kubelet/lifecycle/predicate.go, sysctl/allowlist.go,
 * eviction/eviction_manager.go). Pure.
 */
import { matchesRequiredNode, type Node, type Pod, untoleratedTaint } from '../api.ts';
import { type Missing, noRoomMessage, planPreemption } from './preemption.ts';
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
  /** The kernel has AppArmor, and it is switched on. */
  readonly hasAppArmor: boolean;
}

const MEMORY_PRESSURE_TAINT = { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' };

export type Judgement =
  | { readonly refusal: Refusal }
  /** The node takes it once these have ended; for most pods none has to. */
  | { readonly refusal: undefined; readonly victims: readonly Pod[] };

/**
 * Whether the node takes the pod. For one that the cluster cannot do without, a lack of room is no reason to refuse it: others go
 * (k/k: pkg/kubelet/preemption).
 */
export function judgeAdmission(input: AdmissionInput): Judgement {
  const missing = missingAmounts(input);
  const before = underPressure(input) ?? sysctlRefusal(input.pod) ?? otherSystem(input) ?? unenforceable(input);
  const behind = otherNode(input) ?? takenPorts(input) ?? taintRefusal(input);
  if (before) return { refusal: before };
  const [lack] = missing;
  if (!lack) return behind ? { refusal: behind } : { refusal: undefined, victims: [] };
  if (!isCritical(input.pod)) return { refusal: lack.refusal };
  if (behind) return { refusal: behind };
  const candidates = input.others.filter(other => isPreemptable(input.pod, other));
  const victims = planPreemption(missing, candidates);
  if (victims) return { refusal: undefined, victims };
  const why = noRoomMessage(missing, candidates);
  const message = `Unexpected error while attempting to recover from admission failure: ${why}`;
  return { refusal: { reason: 'UnexpectedAdmissionError', message } };
}

/** k/k: types.Preemptable. */
function isPreemptable(pod: Pod, other: Pod): boolean {
  if (!isCritical(other)) return true;
  const [own, its] = [pod.spec?.priority, other.spec?.priority];
  return own !== undefined && its !== undefined && own > its;
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
  const label = pod.metadata?.labels?.['kubernetes.io/os'];
  if (label !== undefined && label !== operatingSystem) {
    const message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
    return { reason: 'PodOSSelectorNodeLabelDoesNotMatch', message };
  }
  const wanted = pod.spec?.os?.name;
  if (wanted === undefined || wanted === operatingSystem) return undefined;
  return { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" };
}

/** What would protect the node or the pod, and is not there: a pod is not run with less. */
function unenforceable({ pod: { spec }, hasAppArmor }: AdmissionInput): Refusal | undefined {
  const { securityContext } = spec ?? {};
  // None of our runtimes leaves out the groups that an image names for its user.
  if (securityContext?.supplementalGroupsPolicy === 'Strict') {
    const message = 'SupplementalGroupsPolicy=Strict is not supported in this node';
    return { reason: 'SupplementalGroupsPolicyNotSupported', message };
  }
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const profiles = containers.map(one => one.securityContext?.appArmorProfile ?? securityContext?.appArmorProfile);
  if (hasAppArmor || !profiles.some(profile => profile && profile.type !== 'Unconfined')) return undefined;
  return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' };
}

/** What the pod asks for and the node has not left, each with the reason to refuse it. */
function missingAmounts({ pod, allocatable, others }: AdmissionInput): readonly (Missing & { refusal: Refusal })[] {
  const used = others.map(podRequests).reduce(plus, NO_AMOUNTS);
  const wanted = podRequests(pod);
  const lacks = [
    { name: 'pods', key: 'pods' as const, wanted: 1, used: others.length },
    ...AMOUNTS.map(([name, key]) => ({ name, key, wanted: wanted[key], used: used[key] })),
  ].filter(one => one.wanted > 0 && one.wanted > allocatable[one.key] - one.used);
  return lacks.map(({ name, key, wanted: requested, used: taken }) => ({
    ...{ name, key, quantity: requested - (allocatable[key] - taken) },
    refusal: outOf(name, requested, taken, allocatable[key]),
  }));
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
function isStatic({ metadata }: Pod): boolean {
  const source = metadata?.annotations?.[SOURCE_ANNOTATION];
  return source !== undefined && source !== 'api';
}

const SYSTEM_CRITICAL_PRIORITY = 2_000_000_000;
