/** From what the runtime tells to what the agent reads. Pure. */

import type { Read } from '../../grpc/proto.ts';
import type { ContainerMark, SandboxMark } from '../docker/labels.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime.ts';
import { containerState, type containerStatus, type sandboxItem, sandboxState } from './messages.ts';

/** What a runtime calls a container that the kernel ended for its memory (api.proto, ContainerStatus.reason). */
const oomReason = 'OOMKilled';
/** For a container of which the runtime lost track. */
const lostExitCode = 137;
const signalExitBase = 128;
const signalMax = 64;

export function containerStatusOf(
  mark: ContainerMark,
  status: Read<typeof containerStatus>,
  pid: number,
): ContainerStatus {
  const common = {
    id: status.id,
    name: mark.name,
    attempt: mark.attempt,
    image: mark.image,
    imageId: status.imageRef,
    createdAt: milliseconds(status.createdAt),
  };
  if (status.state === containerState.created) return { ...common, state: 'created' };
  const startedAt = milliseconds(status.startedAt) || common.createdAt;
  if (status.state === containerState.running) return { ...common, state: 'running', startedAt, pid };
  const isLost = status.state === containerState.unknown;
  const finishedAt = milliseconds(status.finishedAt) || startedAt;
  const exitCode = isLost ? lostExitCode : status.exitCode;
  const signal = signalOf(exitCode);
  const message = isLost ? 'the runtime lost track of the container' : status.message;
  return {
    ...common,
    state: 'exited',
    startedAt: Math.min(startedAt, finishedAt),
    finishedAt,
    exitCode,
    oomKilled: status.reason === oomReason,
    ...(signal !== undefined && { signal }),
    ...(message !== '' && { message }),
  };
}

export function sandboxStatusOf(
  mark: SandboxMark,
  item: Pick<Read<typeof sandboxItem>, 'id' | 'state' | 'createdAt'>,
  parts: { readonly pid: number | undefined; readonly containers: readonly ContainerStatus[] },
): SandboxStatus {
  const pid = item.state === sandboxState.ready && (parts.pid ?? 0) > 0 ? parts.pid : undefined;
  return {
    id: item.id,
    pod: mark.pod,
    attempt: mark.attempt,
    createdAt: milliseconds(item.createdAt),
    ready: pid !== undefined,
    pid,
    containers: parts.containers,
  };
}

/**
 * The process in a verbose status: containerd and CRI-O both put JSON with a `pid` under the key `info`. 0 if there is
 * none.
 */
export function pidIn(info: Readonly<Record<string, string>>): number {
  const text = info.info;
  if (text === undefined) return 0;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed)) return 0;
    return typeof parsed.pid === 'number' && Number.isSafeInteger(parsed.pid) ? parsed.pid : 0;
  } catch {
    return 0;
  }
}

/** A death by signal is reported as 128 + number; nothing else tells them apart. */
function signalOf(exitCode: number): number | undefined {
  const signal = exitCode - signalExitBase;
  return signal > 0 && signal <= signalMax ? signal : undefined;
}

function milliseconds(nanoseconds: number): number {
  return Math.max(0, Math.floor(nanoseconds / 1_000_000));
}
