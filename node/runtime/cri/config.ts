/** From what the agent asks to what the runtime is told. Pure. */
import path from 'node:path';
import type { Init } from '../../grpc/proto.ts';
import { type ContainerMark, labelsOf, type Owner, type SandboxMark } from '../docker/labels.ts';
import type { ImageUser } from '../run-as-non-root.ts';
import type { ContainerSpec, PodIdentity, SandboxSpec } from '../runtime.ts';
import {
  type containerConfig,
  mountPropagation,
  namespaceMode,
  type sandboxConfig,
  securityProfile,
} from './messages.ts';

/** What every configuration depends on: whose it is and what the machine allows. */
export interface Terms {
  readonly owner: Owner;
  /** Holds a directory for each pod's logs. */
  readonly logDirectory: string;
  /** Whether an `oom_score_adj` below 0 can be had (see `oom-score.ts`). */
  readonly mayLowerOomScore: boolean;
  /** Whether the kernel counts swap, so that a memory limit can hold for both together. */
  readonly hasSwapAccounting: boolean;
  readonly hasSeccomp: boolean;
}

const specAnnotation = 'raftsman.sandbox';
const cpuPeriodMicroseconds = 100_000;
/** The kernel takes no smaller quota and no smaller weight. */
const cpuQuotaMicrosecondsMin = 1_000;
const cpuSharesMin = 2;

/** What of the machine's is hidden from containers, or may not be written by them (the kubelet's default proc mount). */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The part of a sandbox's specification that its containers have to be told again. */
export type SandboxMemory = Pick<
  SandboxSpec,
  'hostname' | 'hostNetwork' | 'hostPid' | 'hostIpc' | 'shareProcessNamespace' | 'sysctls' | 'runtimeHandler'
>;

/** Which container of a pod, and which making of it. */
interface Attempt {
  readonly name: string;
  readonly attempt: number;
}

/** Where the logs of a pod's containers are, named as Kubernetes does. */
export function podLogDirectory(terms: Pick<Terms, 'logDirectory'>, pod: PodIdentity): string {
  return path.join(terms.logDirectory, [pod.namespace, pod.name, pod.uid].join('_'));
}

/** A container's log, below its pod's directory. */
function logPathOf(container: Attempt): string {
  return path.join(container.name, `${container.attempt}.log`);
}

export function logFileOf(terms: Pick<Terms, 'logDirectory'>, pod: PodIdentity, container: Attempt): string {
  return path.join(podLogDirectory(terms, pod), logPathOf(container));
}

export function sandboxConfigOf(terms: Terms, spec: SandboxSpec): Init<typeof sandboxConfig> {
  const { pod, attempt } = spec;
  const mark: SandboxMark = {
    kind: 'sandbox',
    pod,
    attempt,
    shareProcessNamespace: spec.shareProcessNamespace === true,
  };
  const memory: SandboxMemory = {
    hostname: spec.hostname,
    hostNetwork: spec.hostNetwork,
    hostPid: spec.hostPid,
    hostIpc: spec.hostIpc,
    ...(spec.shareProcessNamespace === true && { shareProcessNamespace: true }),
    sysctls: spec.sysctls,
    ...(spec.runtimeHandler && { runtimeHandler: spec.runtimeHandler }),
  };
  return {
    metadata: { ...pod, attempt },
    // With the host's network the host's name comes along.
    ...(!spec.hostNetwork && { hostname: spec.hostname }),
    logDirectory: podLogDirectory(terms, pod),
    labels: labelsOf(terms.owner, mark, spec.labels),
    annotations: { [specAnnotation]: JSON.stringify(memory) },
    linux: {
      securityContext: {
        namespaceOptions: namespacesOf(spec),
        readonlyRootfs: true,
        seccomp: seccompOf(terms, {}),
      },
      sysctls: spec.sysctls,
    },
  };
}

/** Reads back what {@link sandboxConfigOf} wrote; undefined if somebody else made the sandbox. */
export function sandboxMemoryOf(annotations: Readonly<Record<string, string>>): SandboxMemory | undefined {
  const text = annotations[specAnnotation];
  // The annotation is this runtime's own: nobody else can write it, and it never changes.
  return text === undefined ? undefined : (JSON.parse(text) as SandboxMemory);
}

function namespacesOf(spec: Omit<SandboxMemory, 'sysctls' | 'hostname'>) {
  const own = spec.shareProcessNamespace === true ? namespaceMode.pod : namespaceMode.container;
  return {
    network: spec.hostNetwork ? namespaceMode.node : namespaceMode.pod,
    pid: spec.hostPid ? namespaceMode.node : own,
    ipc: spec.hostIpc ? namespaceMode.node : namespaceMode.pod,
  };
}

/** A profile that the node's kernel has loaded, by its name. */
function appArmorOf(name: string) {
  if (name === 'unconfined') return { profileType: securityProfile.unconfined };
  return { profileType: securityProfile.localhost, localhostRef: name };
}

/** The runtime's usual filter or one of the node, unless none is wanted or the kernel has none. */
function seccompOf(
  terms: Terms,
  security: Pick<ContainerSpec['security'], 'privileged' | 'seccomp' | 'seccompProfilePath'>,
) {
  const isFiltered = terms.hasSeccomp && security.privileged !== true && security.seccomp !== 'Unconfined';
  const path = security.seccompProfilePath;
  if (isFiltered && path !== undefined) return { profileType: securityProfile.localhost, localhostRef: path };
  return { profileType: isFiltered ? securityProfile.runtimeDefault : securityProfile.unconfined };
}

export function containerConfigOf(
  terms: Terms,
  mark: ContainerMark,
  input: {
    readonly spec: ContainerSpec;
    readonly sandbox: SandboxMemory;
    readonly image: ImageUser & { readonly id: string };
  },
): Init<typeof containerConfig> {
  const { spec, sandbox, image } = input;
  return {
    metadata: { name: spec.name, attempt: spec.attempt },
    image: { image: image.id, userSpecifiedImage: spec.image },
    command: spec.command,
    args: spec.args,
    workingDir: spec.workingDir,
    envs: spec.env.map(({ name, value }) => ({ key: name, value })),
    mounts: mountsOf(spec),
    devices: (spec.devices ?? []).map(({ hostPath, containerPath }) => ({
      hostPath,
      containerPath,
      permissions: 'mrw',
    })),
    labels: labelsOf(terms.owner, mark, {}),
    logPath: logPathOf(spec),
    stdin: spec.stdin,
    stdinOnce: spec.stdin && spec.stdinOnce,
    tty: spec.tty,
    linux: {
      resources: resourcesOf(terms, spec.resources),
      securityContext: securityOf(terms, { spec, sandbox, image }),
    },
  };
}

function mountsOf(spec: ContainerSpec) {
  const mounts = spec.mounts.map(mount => ({
    hostPath: mount.hostPath,
    containerPath: mount.containerPath,
    readonly: mount.readOnly,
    propagation: mountPropagation[mount.propagation],
  }));
  if (spec.terminationMessage === undefined) return mounts;
  const { hostPath, containerPath } = spec.terminationMessage;
  return [...mounts, { hostPath, containerPath, readonly: false, propagation: mountPropagation.private }];
}

/** Limits, at a container's start or later. */
export function resourcesOf(terms: Terms, resources: ContainerSpec['resources']) {
  const { cpuShares, cpuLimitMilli, memoryLimitBytes, oomScoreAdj } = resources;
  return {
    ...(cpuShares !== undefined && { cpuShares: Math.max(cpuSharesMin, cpuShares) }),
    ...(cpuLimitMilli !== undefined && {
      cpuPeriod: cpuPeriodMicroseconds,
      cpuQuota: Math.max(cpuQuotaMicrosecondsMin, Math.ceil((cpuLimitMilli * cpuPeriodMicroseconds) / 1000)),
    }),
    ...(memoryLimitBytes !== undefined && {
      memoryLimitInBytes: memoryLimitBytes,
      // Equal to the memory limit: no swap on top of it.
      ...(terms.hasSwapAccounting && { memorySwapLimitInBytes: memoryLimitBytes }),
    }),
    ...(oomScoreAdj !== undefined && {
      oomScoreAdj: terms.mayLowerOomScore ? oomScoreAdj : Math.max(0, oomScoreAdj),
    }),
  };
}

function securityOf(
  terms: Terms,
  { spec, sandbox, image }: { spec: ContainerSpec; sandbox: SandboxMemory; image: ImageUser },
) {
  const { security } = spec;
  const privileged = security.privileged === true;
  return {
    capabilities: {
      addCapabilities: security.addCapabilities,
      dropCapabilities: security.dropCapabilities,
    },
    privileged,
    namespaceOptions: namespacesOf(sandbox),
    ...userOf(spec, image),
    readonlyRootfs: security.readOnlyRootFilesystem,
    supplementalGroups: security.supplementalGroups,
    noNewPrivs: security.allowPrivilegeEscalation === false,
    ...(!privileged && security.procMount !== 'Unmasked' && { maskedPaths, readonlyPaths }),
    seccomp: seccompOf(terms, security),
    ...(security.appArmor !== undefined && { apparmor: appArmorOf(security.appArmor) }),
  };
}

/** A group can only be given together with a user: without one in the specification it is the image's. */
function userOf({ security: { user, group } }: ContainerSpec, image: ImageUser) {
  if (group === undefined) return user === undefined ? {} : { runAsUser: { value: user } };
  const runAsGroup = { value: group };
  if (user !== undefined) return { runAsUser: { value: user }, runAsGroup };
  const imageUser = image.user.split(':')[0] || '0';
  if (/^\d+$/.test(imageUser)) return { runAsUser: { value: Number(imageUser) }, runAsGroup };
  return { runAsUsername: imageUser, runAsGroup };
}
