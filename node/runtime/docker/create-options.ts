/** From what the agent asks to what the engine is told. Pure. */
import type { ContainerCreateOptions, HostConfig, MountConfig } from 'dockerode';
import type { ImageUser } from '../run-as-non-root.ts';
import { type ContainerSpec, CreateContainerError, type SandboxSpec } from '../runtime.ts';
import { containerNameOf, labelsOf, type Mark, type Owner } from './labels.ts';
import { logFileSize, logFilesMax } from './limits.ts';
import { pauseImage } from './pause.ts';

/** The sandbox as far as its containers have to know it. */
export interface SandboxModes {
  readonly id: string;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  readonly shareProcessNamespace: boolean;
  /** Undefined for the engine's usual one. */
  readonly handler?: string | undefined;
}

/** What every option depends on: whose it is and what the machine allows. */
export interface Terms {
  readonly owner: Owner;
  /** Whether an `oom_score_adj` below 0 can be had (see `oom-score.ts`). */
  readonly mayLowerOomScore: boolean;
  /** Handlers of runtime classes that the engine has; the first is its usual one. */
  readonly handlers: readonly string[];
}

const cpuPeriodMicroseconds = 100_000;
/** The kernel takes no smaller quota. */
const cpuQuotaMicrosecondsMin = 1_000;
/** The kernel takes no smaller weight. */
const cpuSharesMin = 2;
const sandboxCpuShares = cpuSharesMin;
/** Never the one to kill when memory is short: with it the pod would lose its address. */
const sandboxOomScoreAdj = -998;

const logConfig = { Type: 'json-file', Config: { 'max-size': logFileSize, 'max-file': String(logFilesMax) } };

export function sandboxOptions(terms: Terms, mark: Mark, spec: SandboxSpec): ContainerCreateOptions {
  const handler = handlerOf(terms, spec.runtimeHandler);
  const hostConfig: HostConfig = {
    // `NetworkDisabled` would make such a namespace too, and the start take a third (the engine's own hook runs once a start),
    // but then the engine has no statistics of the containers that join it (20.10: `docker stats` fails as well).
    NetworkMode: spec.hostNetwork ? 'host' : 'none',
    IpcMode: spec.hostIpc ? 'host' : 'shareable',
    ...(spec.hostPid && { PidMode: 'host' }),
    CpuShares: sandboxCpuShares,
    OomScoreAdj: oomScoreAdjOf(terms, sandboxOomScoreAdj),
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    LogConfig: { Type: 'none', Config: {} },
    RestartPolicy: { Name: 'no' },
    ...(handler !== undefined && { Runtime: handler }),
    ...(Object.keys(spec.sysctls).length > 0 && { Sysctls: { ...spec.sysctls } }),
  };
  return {
    name: containerNameOf(mark),
    Image: pauseImage,
    Labels: labelsOf(terms.owner, mark, spec.labels),
    // With the host's network the host's name comes along.
    ...(!spec.hostNetwork && { Hostname: spec.hostname }),
    HostConfig: hostConfig,
  };
}

/** What the engine calls its usual handler in runtime classes that name one. */
function handlerOf({ handlers }: Terms, wanted: string | undefined): string | undefined {
  if (!wanted) return undefined;
  if (handlers.includes(wanted)) return wanted;
  throw new CreateContainerError(`no runtime for ${JSON.stringify(wanted)} is configured`);
}

export function containerOptions(
  terms: Terms,
  mark: Mark,
  input: { readonly spec: ContainerSpec; readonly sandbox: SandboxModes; readonly image: ImageUser },
): ContainerCreateOptions {
  const { spec, sandbox, image } = input;
  const user = userOf(spec, image);
  return {
    name: containerNameOf(mark),
    Image: spec.image,
    Labels: labelsOf(terms.owner, mark, {}),
    Env: spec.env.map(({ name, value }) => `${name}=${value}`),
    Tty: spec.tty,
    OpenStdin: spec.stdin,
    StdinOnce: spec.stdin && spec.stdinOnce,
    ...(spec.command !== undefined && { Entrypoint: [...spec.command] }),
    ...(spec.args !== undefined && { Cmd: [...spec.args] }),
    ...(spec.workingDir !== undefined && { WorkingDir: spec.workingDir }),
    ...(user !== undefined && { User: user }),
    HostConfig: hostConfigOf(terms, spec, sandbox),
  };
}

function hostConfigOf(terms: Terms, spec: ContainerSpec, sandbox: SandboxModes): HostConfig {
  const { resources, security } = spec;
  const sharedPid = sandbox.shareProcessNamespace ? `container:${sandbox.id}` : undefined;
  const options = securityOptions(security);
  const pidMode = sandbox.hostPid ? 'host' : sharedPid;
  return {
    NetworkMode: `container:${sandbox.id}`,
    ...(sandbox.handler && { Runtime: sandbox.handler }),
    IpcMode: sandbox.hostIpc ? 'host' : `container:${sandbox.id}`,
    ...(pidMode !== undefined && { PidMode: pidMode }),
    LogConfig: logConfig,
    RestartPolicy: { Name: 'no' },
    Mounts: mountsOf(spec),
    ...(spec.devices && {
      Devices: spec.devices.map(({ hostPath, containerPath }) => ({
        PathOnHost: hostPath,
        PathInContainer: containerPath,
        CgroupPermissions: 'mrw',
      })),
    }),
    ...limitOptions(resources),
    ...(resources.oomScoreAdj !== undefined && { OomScoreAdj: oomScoreAdjOf(terms, resources.oomScoreAdj) }),
    Privileged: security.privileged === true,
    ReadonlyRootfs: security.readOnlyRootFilesystem === true,
    ...(security.supplementalGroups !== undefined && { GroupAdd: security.supplementalGroups.map(String) }),
    ...(security.addCapabilities !== undefined && { CapAdd: [...security.addCapabilities] }),
    ...(security.dropCapabilities !== undefined && { CapDrop: [...security.dropCapabilities] }),
    ...(options.length > 0 && { SecurityOpt: options }),
    ...(security.procMount === 'Unmasked' && { MaskedPaths: [], ReadonlyPaths: [] }),
  };
}

/** What the engine is told of a container's limits, at its start or later. */
export function limitOptions(resources: ContainerSpec['resources']): HostConfig {
  return {
    ...(resources.cpuShares !== undefined && { CpuShares: Math.max(cpuSharesMin, resources.cpuShares) }),
    ...(resources.cpuLimitMilli !== undefined && {
      CpuPeriod: cpuPeriodMicroseconds,
      CpuQuota: Math.max(cpuQuotaMicrosecondsMin, Math.ceil((resources.cpuLimitMilli * cpuPeriodMicroseconds) / 1000)),
    }),
    // Equal to the memory limit: no swap on top of it.
    ...(resources.memoryLimitBytes !== undefined && {
      Memory: resources.memoryLimitBytes,
      MemorySwap: resources.memoryLimitBytes,
    }),
  };
}

function oomScoreAdjOf(terms: Terms, wanted: number): number {
  return terms.mayLowerOomScore ? wanted : Math.max(0, wanted);
}

function securityOptions({
  allowPrivilegeEscalation,
  seccomp,
  seccompProfile,
  appArmor,
}: ContainerSpec['security']): string[] {
  const options: string[] = [];
  if (allowPrivilegeEscalation === false) options.push('no-new-privileges');
  if (seccomp === 'Unconfined') options.push('seccomp=unconfined');
  if (seccompProfile !== undefined) options.push(`seccomp=${seccompProfile}`);
  if (appArmor !== undefined) options.push(`apparmor=${appArmor}`);
  return options;
}

const propagationNames = { private: 'rprivate', hostToContainer: 'rslave', bidirectional: 'rshared' } as const;

function mountsOf(spec: ContainerSpec): MountConfig {
  const mounts: MountConfig = spec.mounts.map(mount => ({
    Type: 'bind' as const,
    Source: mount.hostPath,
    Target: mount.containerPath,
    // The engine's own read-only mount would forget that nothing is to be run there (runc 1.1); this one is so already.
    ReadOnly: mount.readOnly && mount.noExec !== true,
    BindOptions: { Propagation: propagationNames[mount.propagation] },
  }));
  if (spec.terminationMessage !== undefined) {
    mounts.push({
      Type: 'bind',
      Source: spec.terminationMessage.hostPath,
      Target: spec.terminationMessage.containerPath,
      ReadOnly: false,
    });
  }
  return mounts;
}

/** The engine's `user[:group]`; undefined keeps the image's. */
function userOf(spec: ContainerSpec, image: ImageUser): string | undefined {
  const { user, group } = spec.security;
  if (group === undefined) return user === undefined ? undefined : String(user);
  const imageUser = image.user.split(':')[0] || '0';
  return `${user ?? imageUser}:${group}`;
}
