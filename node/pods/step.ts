/**
 * A pod's one-step state machine, after SwarmKit's task function: it looks at what is wanted and at what is there, and
 * says the one thing to do next, or nothing and when to look again. Pure: the same input gives the same answer. A worker
 * performs the action and asks again, so that an agent which stops at any point goes on from what it finds.
 *
 * The order of a pod's life: volumes → sandbox → network → init containers one by one (sidecars stay) → containers; then,
 * when it ends, containers → sidecars in reverse → last status → sandbox, network, volumes → the object.
 *
 * What takes long (a pull, a hook, a stop) only begins as an action; that it is under way stands in the record, and
 * the step waits for it without blocking anything else of the pod.
 */
import type { Container, EphemeralContainer, Pod } from '../api.ts';
import {
  CONFIG_RETRY_MS,
  GRACE_SECONDS_DEFAULT,
  IMAGE_CHANGE_DELAY_MS,
  SETUP_BACK_OFF_MS,
  SETUP_BACK_OFF_MS_MAX,
} from '../limits.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.ts';
import { type Failure, restartAt, retryDelayMs } from './back-off.ts';
import { pullPolicyOf, stepFailedImage, stepImageVolumes } from './image-step.ts';
import {
  type ContainerRecord,
  containersNamed,
  isSidecar,
  nextAttempt,
  type PodInput,
  type StopReason,
} from './record.ts';
import { needsRestart, sameResources } from './resize.ts';
import { stepStop } from './stop-order.ts';

export type Action =
  | { readonly type: 'mountVolumes' }
  | { readonly type: 'createSandbox'; readonly attempt: number }
  /** Its containers go too; what they did is kept in the record first. */
  | { readonly type: 'removeSandbox'; readonly id: string; readonly replaced: boolean }
  | { readonly type: 'attachNetwork'; readonly pid: number }
  | { readonly type: 'detachNetwork' }
  | { readonly type: 'ensureImage'; readonly container: string; readonly image: string; readonly policy: PullPolicy }
  | { readonly type: 'backOffImage'; readonly container: string }
  /** The image of a volume, and the volume of it. */
  | { readonly type: 'ensureImageVolume'; readonly volume: string; readonly image: string; readonly policy: PullPolicy }
  | { readonly type: 'backOffImageVolume'; readonly volume: string }
  | { readonly type: 'createContainer'; readonly container: string; readonly attempt: number }
  | { readonly type: 'startContainer'; readonly container: string; readonly id: string }
  | { readonly type: 'runPostStart'; readonly container: string; readonly id: string }
  | {
      readonly type: 'stopContainer';
      readonly container: string;
      readonly id: string;
      readonly graceSeconds: number;
      readonly reason: StopReason;
    }
  /** Of one that is to end, but not yet: others end before it. */
  | { readonly type: 'runPreStop'; readonly container: string; readonly id: string; readonly graceSeconds: number }
  | { readonly type: 'resizeContainer'; readonly container: string; readonly id: string }
  | { readonly type: 'removeContainer'; readonly id: string }
  | { readonly type: 'giveUp'; readonly reason: string; readonly message: string }
  | { readonly type: 'beginTermination'; readonly graceSeconds: number }
  | { readonly type: 'writeFinalStatus' }
  | { readonly type: 'cleanUp' }
  | { readonly type: 'deleteObject' }
  /** Nothing of the pod is left here: the worker ends. */
  | { readonly type: 'forget' };

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export interface Step {
  readonly action?: Action;
  /** When to look again although nothing happened; undefined if only an event can change the answer. */
  readonly wakeAt?: number;
}

type AnyContainer = Container | EphemeralContainer;
type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** What to do next with a pod. */
export function step(input: PodInput): Step {
  const { pod, record, gone } = input;
  if (gone || pod.metadata?.deletionTimestamp) return stepDeleted(input);
  if (record.verdict || record.ended || hasEnded(input)) return stepEnded(input);
  const deadline = activeDeadline(input);
  if (deadline !== undefined && input.now >= deadline)
    return {
      action: {
        type: 'giveUp',
        reason: 'DeadlineExceeded',
        message: 'Pod was active on the node longer than the specified deadline',
      },
    };
  const next = stepLiving(input);
  return next.action || deadline === undefined ? next : { wakeAt: Math.min(deadline, next.wakeAt ?? deadline) };
}

/** True if every container of the pod has ended and none may start again. */
export function hasEnded(input: PodInput): boolean {
  const { pod } = input;
  const sandbox = input.sandboxes[0];
  if (!sandbox) return false;
  const policy = restartPolicyOf(pod);
  if (policy === 'Always') return false;
  if (initFailedForGood(input)) return true;
  return (pod.spec?.containers ?? []).every(({ name }) => {
    const [newest] = containersNamed(sandbox, name);
    return newest !== undefined && endedForGood(input, newest, policy);
  });
}

/** True if an init container failed in a pod that never restarts. */
export function initFailedForGood(input: PodInput): boolean {
  if (restartPolicyOf(input.pod) !== 'Never') return false;
  return (input.pod.spec?.initContainers ?? []).some(container => {
    if (isSidecar(container)) return false;
    const [newest] = containersNamed(input.sandboxes[0], container.name);
    return newest !== undefined && hasFailed(input, newest);
  });
}

export function restartPolicyOf(pod: Pod): RestartPolicy {
  const policy = pod.spec?.restartPolicy;
  return policy === 'OnFailure' || policy === 'Never' ? policy : 'Always';
}

/** True if the agent ended it so that it starts anew, whatever the policy: with another image, or other amounts. */
export function isReplaced({ record }: PodInput, { id }: ContainerStatus): boolean {
  const reason = record.containers.get(id)?.stop?.reason;
  return reason === 'changed' || reason === 'resize';
}

/** When a container ended: by exit, or by a start that failed. */
export function endOf(input: PodInput, status: ContainerStatus): { at: number; exitCode: number } | undefined {
  if (status.state === 'exited') return { at: status.finishedAt, exitCode: status.exitCode };
  const failure = input.record.containers.get(status.id)?.startFailure;
  return failure && status.state === 'created' ? { at: failure.at, exitCode: 128 } : undefined;
}

/** True once the init containers are through: a container of the pod proper exists, or each has done its part. */
export function isInitialized(input: PodInput): boolean {
  const sandbox = input.sandboxes[0];
  const containers = input.pod.spec?.containers ?? [];
  if (containers.some(({ name }) => containersNamed(sandbox, name).length > 0)) return true;
  return (input.pod.spec?.initContainers ?? []).every(container => {
    const [newest] = containersNamed(sandbox, container.name);
    if (!newest) return false;
    return isSidecar(container) ? isStarted(input, newest) : endOf(input, newest)?.exitCode === 0;
  });
}

/** When the pod's wait for a restart of this container is over; undefined if it waits for none. */
export function restartWait(input: PodInput, container: AnyContainer, inInit: boolean): number | undefined {
  const [newest] = containersNamed(input.sandboxes[0], container.name);
  const end = newest && endOf(input, newest);
  if (!end || !mayRestart(input, container, end.exitCode, inInit)) return undefined;
  return restartAt(input.record.backOffs.get(container.name), end.at);
}

function stepLiving(input: PodInput): Step {
  const { record, sandboxes } = input;
  const [sandbox, older] = sandboxes;
  if (record.waitsForRoom) return {};
  if (record.volumes.state !== 'mounted') {
    const wait = record.volumes.state === 'failed' ? waitFor(input, record.volumes.failure) : undefined;
    return wait ?? { action: { type: 'mountVolumes' } };
  }
  if (older) return { action: { type: 'removeSandbox', id: older.id, replaced: true } };
  if (sandbox && !sandbox.ready) {
    // What never restarts cannot be begun again in a new sandbox.
    if (restartPolicyOf(input.pod) === 'Never' && sandbox.containers.length > 0)
      return {
        action: { type: 'giveUp', reason: 'PodSandboxLost', message: 'The pod sandbox ended while the pod ran' },
      };
    return { action: { type: 'removeSandbox', id: sandbox.id, replaced: true } };
  }
  const wait = record.setback && waitFor(input, record.setback);
  if (wait) return wait;
  if (!sandbox) return { action: { type: 'createSandbox', attempt: record.sandboxAttempt } };
  if (!record.attached) return { action: { type: 'attachNetwork', pid: sandbox.pid ?? 0 } };
  return stepContainers(input, sandbox);
}

/** Init containers in order, then all others; the first that needs something gets it. */
function stepContainers(input: PodInput, sandbox: SandboxStatus): Step {
  const spec = input.pod.spec;
  const initialized = isInitialized(input);
  const waits: number[] = [];
  const consider = (container: AnyContainer, inInit: boolean): Action | undefined => {
    const next = stepContainer(input, sandbox, { container, inInit });
    if (next.wakeAt !== undefined) waits.push(next.wakeAt);
    return next.action;
  };
  let isHeldBack = false;
  for (const container of spec?.initContainers ?? []) {
    const sidecar = isSidecar(container);
    const [newest] = containersNamed(sandbox, container.name);
    if (!sidecar && (initialized || (newest && endOf(input, newest)?.exitCode === 0))) continue;
    const action = consider(container, true);
    if (action) return { action };
    isHeldBack = !initialized && !(sidecar && newest && isStarted(input, newest));
    if (isHeldBack) break;
  }
  // Who looks at a pod that does not get through its init containers waits for none of them.
  for (const container of [...(isHeldBack ? [] : (spec?.containers ?? [])), ...(spec?.ephemeralContainers ?? [])]) {
    const action = consider(container, false);
    if (action) return { action };
  }
  return soonest(waits);
}

function stepContainer(
  input: PodInput,
  sandbox: SandboxStatus,
  { container, inInit }: { container: AnyContainer; inInit: boolean },
): Step {
  const [newest, ...dead] = containersNamed(sandbox, container.name);
  // One dead container of each name is kept beside the newest, for `logs --previous`.
  const surplus = dead[1];
  if (surplus) return { action: { type: 'removeContainer', id: surplus.id } };
  if (newest?.state === 'running') return stepRunning(input, container, newest);
  const end = newest && endOf(input, newest);
  if (newest && !end) return { action: { type: 'startContainer', container: container.name, id: newest.id } };
  const isOver = end && !mayRestart(input, container, end.exitCode, inInit);
  if (newest && isOver && !isReplaced(input, newest)) return {};
  // It had succeeded in a sandbox that was lost.
  const before = newest ? undefined : input.record.lastTerminations.get(container.name);
  if (before && !inInit && !mayRestart(input, container, before.exitCode, inInit)) return {};
  if (end) {
    const at = restartAt(input.record.backOffs.get(container.name), end.at);
    if (input.now < at) return { wakeAt: at };
  }
  return stepAbsent(input, container);
}

function stepRunning(input: PodInput, container: AnyContainer, status: ContainerStatus): Step {
  const known = input.record.containers.get(status.id);
  if (!known || known.stop || known.postStart === 'running') return {};
  if (known.postStart === 'pending')
    return { action: { type: 'runPostStart', container: container.name, id: status.id } };
  const reason =
    stopReason(container, status, known) ?? (wantsNewStart(input, container, known) ? 'resize' : undefined);
  if (!reason) return stepResize(input, container, status);
  const { imagesChangedAt } = input.record;
  if (reason === 'changed' && imagesChangedAt !== undefined && input.now < imagesChangedAt + IMAGE_CHANGE_DELAY_MS)
    return { wakeAt: imagesChangedAt + IMAGE_CHANGE_DELAY_MS };
  const probe = reason === 'startup' ? container.startupProbe : container.livenessProbe;
  const own = reason === 'startup' || reason === 'liveness' ? probe?.terminationGracePeriodSeconds : undefined;
  const graceSeconds = own ?? graceOf(input.pod);
  return { action: { type: 'stopContainer', container: container.name, id: status.id, graceSeconds, reason } };
}

/** It was given other amounts than it runs with, and can have them only from its start. */
function wantsNewStart({ record }: PodInput, container: AnyContainer, { resources }: ContainerRecord): boolean {
  const given = record.allocation.get(container.name);
  return given !== undefined && resources !== undefined && needsRestart(container, resources, given);
}

function stepResize(input: PodInput, container: AnyContainer, { id }: ContainerStatus): Step {
  const { record } = input;
  const given = record.allocation.get(container.name);
  const present = record.containers.get(id)?.resources;
  if (!given || !present || sameResources(present, given)) return {};
  const wait = record.resizeTrouble && waitFor(input, record.resizeTrouble);
  return wait ?? { action: { type: 'resizeContainer', container: container.name, id } };
}

function stopReason(
  container: AnyContainer,
  status: ContainerStatus,
  known: { postStart: string; verdicts: { unhealthy: 'liveness' | 'startup' | undefined } },
): StopReason | undefined {
  if (known.postStart === 'failed') return 'postStart';
  if (known.verdicts.unhealthy) return known.verdicts.unhealthy;
  return container.image !== undefined && status.image !== container.image ? 'changed' : undefined;
}

/** A container that has to be made: images that are the pod's volumes first, then its own. */
function stepAbsent(input: PodInput, container: AnyContainer): Step {
  const volumes = stepImageVolumes(input, container);
  if (volumes) return volumes;
  const { record, now } = input;
  const image = container.image ?? '';
  const known = record.images.get(container.name);
  const ensure: Step = {
    action: { type: 'ensureImage', container: container.name, image, policy: pullPolicyOf(container) },
  };
  if (!known || known.image !== image) return ensure;
  if (known.state === 'pulling') return {};
  if (known.state === 'failed')
    return stepFailedImage(known, now, { ensure, backOff: { type: 'backOffImage', container: container.name } });
  const failure = record.creationFailures.get(container.name);
  if (failure && now < failure.at + CONFIG_RETRY_MS) return { wakeAt: failure.at + CONFIG_RETRY_MS };
  return {
    action: { type: 'createContainer', container: container.name, attempt: nextAttempt(input, container.name) },
  };
}

/** The object is being deleted, or gone: stop everything, tell how it ended, leave nothing behind. */
function stepDeleted(input: PodInput): Step {
  const { record, gone, pod } = input;
  const wanted = gone ? 0 : graceOf(pod);
  const given = record.termination;
  // A later delete may only shorten the time.
  if (!given || (!gone && wanted < given.graceSeconds))
    return { action: { type: 'beginTermination', graceSeconds: gone && !given ? graceOf(pod) : wanted } };
  const wait = record.setback && waitFor(input, record.setback);
  if (wait) return wait;
  const stopping = stepStop(input, given.startedAt + given.graceSeconds * 1000);
  if (stopping) return stopping;
  if (!gone && record.finalStatus === 'pending') return { action: { type: 'writeFinalStatus' } };
  if (!gone && record.finalStatus === 'writing') return {};
  const last = input.sandboxes.at(-1);
  if (last) return { action: { type: 'removeSandbox', id: last.id, replaced: false } };
  if (!record.detached) return { action: { type: 'detachNetwork' } };
  if (!record.cleaned) return { action: { type: 'cleanUp' } };
  if (gone) return { action: { type: 'forget' } };
  return record.objectDeletion === 'pending' ? { action: { type: 'deleteObject' } } : {};
}

/** The pod has ended but its object stays: logs stay readable, so the sandbox does too; its address is given back. */
function stepEnded(input: PodInput): Step {
  const { record } = input;
  if (!record.termination)
    return { action: { type: 'beginTermination', graceSeconds: record.verdict?.graceSeconds ?? graceOf(input.pod) } };
  const { startedAt, graceSeconds } = record.termination;
  const wait = record.setback && waitFor(input, record.setback);
  if (wait) return wait;
  const stopping = stepStop(input, startedAt + graceSeconds * 1000);
  if (stopping) return stopping;
  return record.detached ? {} : { action: { type: 'detachNetwork' } };
}

function mayRestart(input: PodInput, container: AnyContainer, exitCode: number, inInit: boolean): boolean {
  if (isEphemeral(input.pod, container)) return false;
  if (inInit && isSidecar(container)) return true;
  const policy = restartPolicyOf(input.pod);
  if (inInit) return exitCode !== 0 && policy !== 'Never';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

function isEphemeral(pod: Pod, container: AnyContainer): boolean {
  return (pod.spec?.ephemeralContainers ?? []).some(({ name }) => name === container.name);
}

function endedForGood(input: PodInput, status: ContainerStatus, policy: RestartPolicy): boolean {
  const end = endOf(input, status);
  return end !== undefined && (policy === 'Never' || end.exitCode === 0) && !isReplaced(input, status);
}

function hasFailed(input: PodInput, status: ContainerStatus): boolean {
  const end = endOf(input, status);
  return end !== undefined && end.exitCode !== 0 && !isReplaced(input, status);
}

function isStarted(input: PodInput, status: ContainerStatus): boolean {
  const known = input.record.containers.get(status.id);
  return status.state === 'running' && known?.postStart === 'done' && known.verdicts.started;
}

function activeDeadline({ pod, record }: PodInput): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds;
  return seconds === undefined ? undefined : record.startedAt + seconds * 1000;
}

function graceOf(pod: Pod): number {
  return pod.metadata?.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT;
}

function waitFor(input: PodInput, failure: Failure): Step | undefined {
  const at = failure.at + retryDelayMs(failure.count, SETUP_BACK_OFF_MS, SETUP_BACK_OFF_MS_MAX);
  return input.now < at ? { wakeAt: at } : undefined;
}

function soonest(waits: readonly number[]): Step {
  return waits.length === 0 ? {} : { wakeAt: Math.min(...waits) };
}
