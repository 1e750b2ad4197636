/** From what the engine tells to what the agent reads. Pure. */
import type { ContainerInspectInfo } from 'dockerode';
import type { ContainerStatus, SandboxStatus } from '../runtime.ts';
import type { ContainerMark, Mark, SandboxMark } from './labels.ts';

/** The facts of one inspection that are kept. */
export interface Inspected {
  readonly id: string;
  readonly imageId: string;
  readonly createdAt: number;
  readonly status: string;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  readonly startedAt: number;
  readonly finishedAt: number;
}

export function inspectedOf(info: ContainerInspectInfo): Inspected {
  return {
    id: info.Id,
    imageId: info.Image,
    createdAt: timeOf(info.Created),
    status: info.State.Status,
    pid: info.State.Pid,
    exitCode: info.State.ExitCode,
    error: info.State.Error,
    oomKilled: info.State.OOMKilled,
    startedAt: timeOf(info.State.StartedAt),
    finishedAt: timeOf(info.State.FinishedAt),
  };
}

export function containerStatusOf(mark: ContainerMark, inspected: Inspected): ContainerStatus {
  const common = {
    id: inspected.id,
    name: mark.name,
    attempt: mark.attempt,
    image: mark.image,
    imageId: inspected.imageId,
    createdAt: inspected.createdAt,
  };
  if (isAlive(inspected)) {
    return { ...common, state: 'running', startedAt: inspected.startedAt, pid: inspected.pid };
  }
  // A container whose start failed stays "created" in the engine, with the reason and an exit code.
  if (inspected.status === 'created' && inspected.error === '') return { ...common, state: 'created' };
  const signal = signalOf(inspected.exitCode);
  const startedAt = inspected.startedAt || inspected.createdAt;
  const finishedAt = inspected.finishedAt || startedAt;
  return {
    ...common,
    state: 'exited',
    // The engine notes a start when it has returned, which may be after a short-lived process has ended.
    startedAt: Math.min(startedAt, finishedAt),
    finishedAt,
    exitCode: inspected.exitCode,
    oomKilled: inspected.oomKilled,
    ...(signal !== undefined && { signal }),
    ...(inspected.error !== '' && { message: inspected.error }),
  };
}

export function sandboxStatusOf(
  mark: SandboxMark,
  inspected: Inspected,
  containers: readonly ContainerStatus[],
): SandboxStatus {
  const ready = isAlive(inspected);
  return {
    id: inspected.id,
    pod: mark.pod,
    attempt: mark.attempt,
    createdAt: inspected.createdAt,
    ready,
    pid: ready ? inspected.pid : undefined,
    containers,
  };
}

/** Puts containers to their sandboxes; all in the order that they are given. */
export function sandboxesOf(found: readonly { readonly mark: Mark; readonly inspected: Inspected }[]): SandboxStatus[] {
  const sandboxes: { mark: SandboxMark; inspected: Inspected }[] = [];
  const containers = new Map<string, { mark: ContainerMark; status: ContainerStatus }[]>();
  for (const { mark, inspected } of found) {
    if (mark.kind === 'sandbox') {
      sandboxes.push({ mark, inspected });
      continue;
    }
    const siblings = containers.get(mark.sandboxId) ?? [];
    containers.set(mark.sandboxId, [...siblings, { mark, status: containerStatusOf(mark, inspected) }]);
  }
  const whole = sandboxes.map(({ mark, inspected }) => {
    const own = containers.get(inspected.id) ?? [];
    containers.delete(inspected.id);
    return sandboxStatusOf(
      mark,
      inspected,
      own.map(({ status }) => status),
    );
  });
  return [...whole, ...orphans(containers)];
}

/** Containers whose sandbox somebody removed: told as dead sandboxes, so that the agent clears them away. */
function orphans(
  containers: ReadonlyMap<string, readonly { mark: ContainerMark; status: ContainerStatus }[]>,
): SandboxStatus[] {
  return [...containers].flatMap(([id, own]) => {
    const pod = own[0]?.mark.pod;
    const createdAt = Math.min(...own.map(one => one.status.createdAt));
    const statuses = own.map(one => one.status);
    return pod === undefined
      ? []
      : [{ id, pod, attempt: 0, createdAt, ready: false, pid: undefined, containers: statuses }];
  });
}

/** "restarting" cannot be: no restart policy is set. */
function isAlive(inspected: Inspected): boolean {
  return (inspected.status === 'running' || inspected.status === 'paused') && inspected.pid > 0;
}

const signalExitBase = 128;
const signalMax = 64;

/** The engine reports a death by signal as 128 + number; nothing else tells them apart. */
function signalOf(exitCode: number): number | undefined {
  const signal = exitCode - signalExitBase;
  return signal > 0 && signal <= signalMax ? signal : undefined;
}

/** 0 for the engine's "never", year 1. */
function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) || time < 0 ? 0 : time;
}
