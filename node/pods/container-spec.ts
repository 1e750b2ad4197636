/** From a container of the API to what the runtime is asked for. Pure. */
import type { AppArmorProfile, Container, EphemeralContainer, Pod, SeccompProfile, VolumeMount } from '../api.ts';
import type { ContainerSpec, Device, Mount, SandboxSpec } from '../runtime/runtime.ts';
import { isProjected } from '../volumes/content.ts';
import { kernelHostnameOf, type PodFiles } from '../volumes/pod-files.ts';
import { ConfigError, expand, type Variable } from './environment.ts';
import { cpuShares, milliValue, oomScoreAdjustment, quantityValue } from './quantity.ts';

type AnyContainer = Container | EphemeralContainer;

export interface ContainerSpecInput {
  readonly pod: Pod;
  readonly container: AnyContainer;
  readonly attempt: number;
  readonly env: readonly Variable[];
  /** The container's volume mounts with their paths on the node, in the spec's order. */
  readonly volumePaths: readonly string[];
  /** The container's block devices with their paths on the node. */
  readonly devices?: readonly Device[];
  readonly files: PodFiles;
  /** The host file behind `terminationMessagePath`. */
  readonly terminationMessageFile: string;
  readonly nodeMemoryBytes: number;
  /** The node's own seccomp profile that the container asks for. */
  readonly seccomp?: NodeProfile | undefined;
}
/** A seccomp profile that lies on the node. */
export interface NodeProfile {
  /** JSON. */
  readonly text: string;
  readonly path: string;
}

/** What the runtime makes the container from. Throws {@link ConfigError} for what no runtime can do. */
export function makeContainerSpec(input: ContainerSpecInput): ContainerSpec {
  const { pod, container, attempt, env, terminationMessageFile } = input;
  const lookup = (name: string) => env.find(variable => variable.name === name)?.value;
  const expanded = (values: readonly string[] | undefined) =>
    values?.length ? values.map(value => expand(value, lookup)) : undefined;
  const containerPath = container.terminationMessagePath || '/dev/termination-log';
  return {
    name: container.name,
    attempt,
    image: container.image ?? '',
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir || undefined,
    env,
    mounts: mountsOf(input),
    ...(input.devices?.length && { devices: input.devices }),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    resources: runtimeResources(pod, container, input.nodeMemoryBytes),
    security: securityOf(input),
    terminationMessage: { containerPath, hostPath: terminationMessageFile },
  };
}

/** A mount's subPath with variables filled in. Throws {@link ConfigError} for a variable that is not there. */
export function subPathOf(mount: VolumeMount, env: readonly Variable[]): string {
  if (!mount.subPathExpr) return mount.subPath ?? '';
  return expand(mount.subPathExpr, name => {
    const found = env.find(variable => variable.name === name);
    if (!found) throw new ConfigError(`failed to expand subPathExpr of volume ${mount.name}: missing variable ${name}`);
    return found.value;
  });
}

/** The pod asks for what no runtime here can do, and would have less without than it relies on. */
class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
  readonly code = 'POD_UNSUPPORTED';
}

/** The sandbox that holds the pod's namespaces. Throws `HostnameError`, and {@link UnsupportedError}. */
export function makeSandboxSpec(
  pod: Pod,
  {
    attempt,
    nodeHostname,
    clusterDomain,
    runtimeHandler,
  }: { attempt: number; nodeHostname: string; clusterDomain?: string; runtimeHandler?: string | undefined },
): SandboxSpec {
  const { metadata, spec } = pod;
  const hostNetwork = spec?.hostNetwork ?? false;
  if (spec?.hostUsers === false)
    throw new UnsupportedError("can't set `spec.hostUsers: false`, runtime does not support user namespaces");
  const sysctls = Object.fromEntries((spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]));
  return {
    pod: { uid: metadata?.uid ?? '', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' },
    hostname: hostNetwork ? nodeHostname : kernelHostnameOf(pod, clusterDomain),
    ...(runtimeHandler && { runtimeHandler }),
    hostNetwork,
    hostPid: spec?.hostPID ?? false,
    hostIpc: spec?.hostIPC ?? false,
    ...(spec?.shareProcessNamespace && { shareProcessNamespace: true }),
    sysctls,
    labels: metadata?.labels ?? {},
    attempt,
  };
}

const PROPAGATION: Readonly<Record<string, Mount['propagation']>> = {
  HostToContainer: 'hostToContainer',
  Bidirectional: 'bidirectional',
};

/**
 * True for volumes that no container writes to, whatever its mount says. What comes from the API is the agent's to write:
 * a container that could would lead it elsewhere (CVE-2017-1002102).
 */
function isReadOnly({ spec }: Pod, name: string): boolean {
  const volume = spec?.volumes?.find(each => each.name === name);
  if (!volume) return false;
  const { persistentVolumeClaim, nfs, csi, image } = volume;
  return (
    Boolean(image) ||
    isProjected(volume) ||
    (persistentVolumeClaim?.readOnly ?? nfs?.readOnly ?? csi?.readOnly ?? false)
  );
}

/** That the mounts below a mount are read-only too is something that none of our runtimes sees to. Throws {@link ConfigError}. */
function refuseRecursive({ name, recursiveReadOnly }: VolumeMount): void {
  if (recursiveReadOnly === 'Enabled')
    throw new ConfigError(
      `volume "${name}" requested recursive read-only mode, but it is not supported by the runtime`,
    );
}

function mountsOf({ pod, container, volumePaths, files }: ContainerSpecInput): Mount[] {
  container.volumeMounts?.forEach(refuseRecursive);
  const images = new Set((pod.spec?.volumes ?? []).flatMap(({ name, image }) => (image ? [name] : [])));
  const own = (container.volumeMounts ?? []).map((mount, index) => ({
    hostPath: volumePaths[index] ?? '',
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    readOnly: (mount.readOnly ?? false) || isReadOnly(pod, mount.name),
    propagation: PROPAGATION[mount.mountPropagation ?? ''] ?? 'private',
    ...(images.has(mount.name) && { noExec: true as const }),
  }));
  const taken = new Set(own.map(({ containerPath }) => containerPath));
  const etc = [
    { hostPath: files.hosts, containerPath: '/etc/hosts' },
    { hostPath: files.hostname, containerPath: '/etc/hostname' },
    { hostPath: files.resolvConf, containerPath: '/etc/resolv.conf' },
  ].filter(({ containerPath }) => !taken.has(containerPath));
  return [...own, ...etc.map(file => ({ ...file, readOnly: false, propagation: 'private' as const }))];
}

/** What the runtime is told of a container's requests and limits. */
export function runtimeResources(
  pod: Pod,
  container: AnyContainer,
  nodeMemoryBytes: number,
): ContainerSpec['resources'] {
  const { requests, limits } = container.resources ?? {};
  // A limit without a request is a request too.
  const cpuRequest = milliValue(requests?.cpu) ?? milliValue(limits?.cpu) ?? 0;
  const cpuLimit = milliValue(limits?.cpu);
  const memoryLimit = quantityValue(limits?.memory);
  return {
    cpuShares: cpuShares(cpuRequest),
    ...(cpuLimit && { cpuLimitMilli: cpuLimit }),
    ...(memoryLimit && { memoryLimitBytes: Math.floor(memoryLimit) }),
    oomScoreAdj: oomScoreAdjustment(pod, container, nodeMemoryBytes),
  };
}

type Security = ContainerSpec['security'];

function seccompOf(
  profile: SeccompProfile | undefined,
  own: NodeProfile | undefined,
): Pick<Security, 'seccomp' | 'seccompProfile' | 'seccompProfilePath'> {
  if (profile?.type === 'RuntimeDefault' || profile?.type === 'Unconfined') return { seccomp: profile.type };
  return own === undefined ? {} : { seccompProfile: own.text, seccompProfilePath: own.path };
}

/** The file of the node's own seccomp profile that the container asks for; undefined if it asks for none. */
export function seccompFileOf(pod: Pod, container: AnyContainer): string | undefined {
  const profile = container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
  return profile?.type === 'Localhost' ? profile.localhostProfile : undefined;
}

function appArmorOf(profile: AppArmorProfile | undefined): Pick<Security, 'appArmor'> {
  if (profile?.type === 'Unconfined') return { appArmor: 'unconfined' };
  return profile?.type === 'Localhost' ? { appArmor: profile.localhostProfile ?? '' } : {};
}

function securityOf({ pod, container, seccomp }: ContainerSpecInput): Security {
  const shared = pod.spec?.securityContext;
  const own = container.securityContext;
  const user = own?.runAsUser ?? shared?.runAsUser;
  const group = own?.runAsGroup ?? shared?.runAsGroup;
  const runAsNonRoot = own?.runAsNonRoot ?? shared?.runAsNonRoot;
  const groups = [...(shared?.supplementalGroups ?? []), ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup])];
  return {
    ...(user !== undefined && { user }),
    ...(group !== undefined && { group }),
    ...(groups.length > 0 && { supplementalGroups: groups }),
    ...(own?.privileged !== undefined && { privileged: own.privileged }),
    ...(own?.readOnlyRootFilesystem !== undefined && { readOnlyRootFilesystem: own.readOnlyRootFilesystem }),
    ...(own?.allowPrivilegeEscalation !== undefined && { allowPrivilegeEscalation: own.allowPrivilegeEscalation }),
    ...(own?.capabilities?.add && { addCapabilities: own.capabilities.add }),
    ...(own?.capabilities?.drop && { dropCapabilities: own.capabilities.drop }),
    ...(runAsNonRoot !== undefined && { runAsNonRoot }),
    ...seccompOf(own?.seccompProfile ?? shared?.seccompProfile, seccomp),
    ...appArmorOf(own?.appArmorProfile ?? shared?.appArmorProfile),
    ...(own?.procMount === 'Unmasked' && { procMount: 'Unmasked' as const }),
  };
}
