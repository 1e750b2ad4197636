/** What the records of a container mean, and what the native runtime cannot do. Pure. */
import type { ContainerSpec, ContainerStatus, ImageStatus } from '../runtime.ts';
import type { ContainerRecord, ExitRecord, StartedRecord } from './layout.ts';
import { unknownCapabilities } from './program/capabilities.ts';
import type { Architecture } from './program/numbers.ts';
import { profileFilter, SeccompProfileError } from './program/seccomp-profile.ts';

/** The machine's own root file system. */
export const hostImage: ImageStatus = { id: 'host', tags: ['host'], sizeBytes: 0 };

export function isHostImage(reference: string): boolean {
  return reference === 'host' || reference === 'host:latest';
}

export interface Evidence {
  readonly started: StartedRecord | undefined;
  readonly alive: boolean;
  readonly exit: ExitRecord | undefined;
  /** The supervisor that runs now. */
  readonly supervisor: string | undefined;
}

const lostExitCode = 137;

export function containerStatusOf(record: ContainerRecord, evidence: Evidence): ContainerStatus {
  const { started, alive, exit, supervisor } = evidence;
  const { id, createdAt, spec } = record;
  const common = {
    id,
    name: spec.name,
    attempt: spec.attempt,
    image: spec.image,
    imageId: record.imageName,
    createdAt,
  };
  if (exit !== undefined) return { ...common, state: 'exited', ...withoutUndefined(exit) };
  if (started === undefined) return { ...common, state: 'created' };
  // The end of a process comes a moment before its record; its own supervisor is going to write it.
  if (alive || started.supervisor === supervisor) {
    return { ...common, state: 'running', startedAt: started.startedAt, pid: started.init.pid };
  }
  return {
    ...common,
    state: 'exited',
    startedAt: started.startedAt,
    finishedAt: started.startedAt,
    exitCode: lostExitCode,
    oomKilled: false,
    message: 'nobody saw its end: the machine or the supervisor was stopped',
  };
}

function withoutUndefined(
  exit: ExitRecord,
): Omit<ExitRecord, 'signal' | 'message'> & { signal?: number; message?: string } {
  const { signal, message, ...rest } = exit;
  return { ...rest, ...(signal !== undefined && { signal }), ...(message !== undefined && { message }) };
}

/** Why a container cannot be made here; undefined if it can. */
export function refuseUnsupported(spec: ContainerSpec, architecture: Architecture): string | undefined {
  const files = [...spec.mounts, ...(spec.devices ?? [])];
  const paths = [...files.flatMap(file => [file.hostPath, file.containerPath]), spec.workingDir ?? '/'];
  if (!paths.every(one => one.startsWith('/'))) return 'paths of mounts and the working directory must be absolute';
  if (spec.mounts.some(mount => mount.propagation === 'bidirectional')) {
    return 'mountPropagation Bidirectional is not supported by the native runtime: use Docker';
  }
  if (spec.security.appArmor !== undefined && spec.security.appArmor !== 'unconfined') {
    return 'an AppArmor profile of the node is not supported by the native runtime: use Docker';
  }
  const unknown = unknownCapabilities(spec.security);
  if (unknown.length > 0) return `unknown capability: ${unknown.join(', ')}`;
  const { seccompProfile } = spec.security;
  if (seccompProfile !== undefined) {
    const trouble = troubleOfProfile(seccompProfile, architecture);
    if (trouble !== undefined) return `the seccomp profile cannot be used: ${trouble}`;
  }
  if (spec.env.some(({ name }) => name === '' || name.includes('=')))
    return 'an environment variable has no proper name';
  return undefined;
}

/** What is wrong with a profile, whatever the container may. */
function troubleOfProfile(profile: string, architecture: Architecture): string | undefined {
  try {
    profileFilter(profile, { architecture, kept: new Set() });
    return undefined;
  } catch (error) {
    if (error instanceof SeccompProfileError) return error.message;
    throw error;
  }
}
