/** From a container of the API to what the runtime is asked for. Pure. */
import type { Container, EphemeralContainer, Pod, VolumeMount } from '../api.ts';
import type { ContainerSpec, Mount, SandboxSpec } from '../runtime/runtime.ts';
import { hostnameOf, type PodFiles } from '../volumes/pod-files.ts';
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
  readonly files: PodFiles;
  /** The host file behind `terminationMessagePath`. */
  readonly terminationMessageFile: string;
  readonly nodeMemoryBytes: number;
}

/** What the runtime makes the container from. */
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
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    resources: resourcesOf(input),
    security: securityOf(pod, container),
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

/** The sandbox that holds the pod's namespaces. */
export function makeSandboxSpec(
  pod: Pod,
  { attempt, nodeHostname }: { attempt: number; nodeHostname: string },
): SandboxSpec {
  const { metadata, spec } = pod;
  const hostNetwork = spec?.hostNetwork ?? false;
  const sysctls = Object.fromEntries((spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]));
  return {
    pod: { uid: metadata?.uid ?? '', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' },
    hostname: hostNetwork ? nodeHostname : hostnameOf(pod),
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

function mountsOf({ container, volumePaths, files }: ContainerSpecInput): Mount[] {
  const own = (container.volumeMounts ?? []).map((mount, index) => ({
    hostPath: volumePaths[index] ?? '',
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    readOnly: mount.readOnly ?? false,
    propagation: PROPAGATION[mount.mountPropagation ?? ''] ?? 'private',
  }));
  const taken = new Set(own.map(({ containerPath }) => containerPath));
  const etc = [
    { hostPath: files.hosts, containerPath: '/etc/hosts' },
    { hostPath: files.hostname, containerPath: '/etc/hostname' },
    { hostPath: files.resolvConf, containerPath: '/etc/resolv.conf' },
  ].filter(({ containerPath }) => !taken.has(containerPath));
  return [...own, ...etc.map(file => ({ ...file, readOnly: false, propagation: 'private' as const }))];
}

function resourcesOf({ pod, container, nodeMemoryBytes }: ContainerSpecInput): ContainerSpec['resources'] {
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

function securityOf(pod: Pod, container: AnyContainer): ContainerSpec['security'] {
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
  };
}
