/**
 * What the API is told of a pod, computed from the same input as the step. Pure; field by field what a kubelet of 1.33
 * reports, so that kubectl's columns (`Init:0/1`, `CrashLoopBackOff`, `Completed`, `1/2`) come out right.
 */
import type {
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStateWaiting,
  EphemeralContainer,
  Pod,
  ContainerStatus as PodContainerStatus,
  PodStatus,
  VolumeMount,
} from '../api.ts';
import { timeText } from '../clock.ts';
import { TERMINATION_MESSAGES_BYTES_MAX } from '../limits.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import { goDuration } from './back-off.ts';
import { podConditions } from './conditions.ts';
import { qosClassOf } from './quantity.ts';
import {
  addressesOf,
  type ContainerRecord,
  containersNamed,
  isSidecar,
  type PodInput,
  type Verdict,
} from './record.ts';
import { endOf, initFailedForGood, isInitialized, isReplaced, restartPolicyOf, restartWait } from './step.ts';

export interface StatusContext {
  /** The node's addresses, the primary one first. */
  readonly hostIPs: readonly string[];
  /** `docker`, `native` or `fake`: the scheme of container ids. */
  readonly runtimeName: string;
}

type AnyContainer = Container | EphemeralContainer;
type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** The status to report. Conditions that others set (readiness gates, scheduler) are left to them, save PodScheduled. */
export function computeStatus(input: PodInput, context: StatusContext): PodStatus {
  const { pod, record } = input;
  if (record.rejected) return rejectedStatus(input);
  const spec = pod.spec;
  const statusOf = (inInit: boolean) => (container: AnyContainer) => containerStatus(input, container, inInit, context);
  const { initContainerStatuses, containerStatuses } = withEnds(input, {
    initContainerStatuses: (spec?.initContainers ?? []).map(statusOf(true)),
    containerStatuses: (spec?.containers ?? []).map(statusOf(false)),
  });
  const ephemeral = (spec?.ephemeralContainers ?? []).map(container => ({
    // Nobody waits for one: it is neither started nor ready (k/k: prober_manager.go leaves them out).
    ...withoutStarted(statusOf(false)(container)),
    ready: false,
  }));
  const phase = phaseOf(input, containerStatuses);
  const address = record.address;
  const [hostIP] = context.hostIPs;
  return {
    phase,
    ...(record.verdict && phase === 'Failed' && explained(record.verdict)),
    conditions: podConditions(input, { phase, initContainerStatuses, containerStatuses }),
    ...(hostIP !== undefined && { hostIP, hostIPs: context.hostIPs.map(ip => ({ ip })) }),
    ...(address !== undefined && address !== '' && { podIP: address, podIPs: addressesOf(record).map(ip => ({ ip })) }),
    startTime: timeText(record.startedAt),
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    containerStatuses,
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral }),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
  };
}

/** Of a pod that the node never took: nothing of it was made, so nothing is told but why. */
function rejectedStatus({ pod, record }: PodInput): PodStatus {
  const qosClass = pod.status?.qosClass ?? qosClassOf(pod);
  const startTime = timeText(record.startedAt);
  return { phase: 'Failed', qosClass, startTime, ...(record.verdict && explained(record.verdict)) };
}

const explained = ({ reason, message }: Verdict) => ({
  ...(reason !== '' && { reason }),
  ...(message !== '' && { message }),
});

function withoutStarted({ started: _, ...status }: PodContainerStatus): PodContainerStatus {
  return status;
}

/**
 * As the containers have it, but for the end: a pod is over only once nothing of it runs any more, so that nobody puts
 * another in its place before; and then it is, even if it never began (k/k: status_manager.go, mergePodStatus and TerminatePod).
 */
function phaseOf(input: PodInput, containers: readonly PodContainerStatus[]): Phase {
  const { record, pod } = input;
  if (record.ended) return record.ended;
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return pod.status.phase;
  const phase = record.verdict || initFailedForGood(input) ? 'Failed' : livePhase(input, containers);
  if (isFinished(input)) return phase === 'Succeeded' ? phase : 'Failed';
  if (phase === 'Pending' || !isRunning(input)) return phase;
  return !isInitialized(input) || containers.map(lifeOf).includes('unborn') ? 'Pending' : 'Running';
}

/** Pending until every container has come up once; then what the containers say, with the restart policy in mind. */
function livePhase(input: PodInput, containers: readonly PodContainerStatus[]): Phase {
  if (!isInitialized(input)) return 'Pending';
  const states = containers.map(lifeOf);
  if (states.includes('unborn')) return 'Pending';
  if (states.includes('running') || sidecarRuns(input)) return 'Running';
  const succeeded = states.every(state => state === 'succeeded');
  if (stopsForGood(input)) return succeeded ? 'Succeeded' : 'Failed';
  const policy = restartPolicyOf(input.pod);
  const newest = (input.pod.spec?.containers ?? []).map(({ name }) => containersNamed(input.sandboxes[0], name)[0]);
  const returns = newest.some(container => container !== undefined && isReplaced(input, container));
  if (policy === 'Always' || returns) return 'Running';
  if (succeeded) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

/** A container that waits for its restart counts by how it last ended. */
function lifeOf({ state, lastState }: PodContainerStatus): 'unborn' | 'running' | 'succeeded' | 'failed' {
  if (state?.running) return 'running';
  const end = state?.terminated ?? lastState?.terminated;
  if (!end) return 'unborn';
  return end.exitCode === 0 ? 'succeeded' : 'failed';
}

/** The pod is not over while a sidecar still ends. */
function sidecarRuns({ pod, sandboxes }: PodInput): boolean {
  return (pod.spec?.initContainers ?? [])
    .filter(isSidecar)
    .some(({ name }) => containersNamed(sandboxes[0], name)[0]?.state === 'running');
}

/** True while any container of the pod runs, of whichever sort. */
export function isRunning({ sandboxes }: PodInput): boolean {
  return sandboxes.some(({ containers }) => containers.some(({ state }) => state === 'running'));
}

/** The pod ends, and nothing of it runs any more. */
const isFinished = (input: PodInput): boolean => input.record.termination !== undefined && !isRunning(input);

type Statuses = Required<Pick<PodStatus, 'initContainerStatuses' | 'containerStatuses'>>;

/**
 * At a pod's end no container waits any more: of one that nothing is known of it is told that it failed. Containers that
 * init containers kept from beginning are left as they are (k/k: status_manager.go, TerminatePod).
 */
function withEnds(input: PodInput, { initContainerStatuses, containerStatuses }: Statuses): Statuses {
  if (!isFinished(input)) return { initContainerStatuses, containerStatuses };
  const ended = (status: PodContainerStatus) =>
    status.state?.terminated ? status : { ...status, state: { terminated: UNKNOWN_END } };
  const begun = Math.max(1, initContainerStatuses.findLastIndex(hasBegun) + 1);
  const hasInitialized = initContainerStatuses.length === 0 || containerStatuses.some(hasBegun) || isInitialized(input);
  return {
    initContainerStatuses: initContainerStatuses.map((status, index) => (index < begun ? ended(status) : status)),
    containerStatuses: hasInitialized ? containerStatuses.map(ended) : containerStatuses,
  };
}

const hasBegun = ({ state, lastState }: PodContainerStatus): boolean =>
  !state?.waiting || lastState?.terminated !== undefined;

const UNKNOWN_END: ContainerStateTerminated = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
};

/** Being deleted: containers that ended will not come back, whatever the policy. */
function stopsForGood({ pod, record }: PodInput): boolean {
  return record.termination !== undefined && pod.metadata?.deletionTimestamp !== undefined;
}

function containerStatus(
  input: PodInput,
  container: AnyContainer,
  inInit: boolean,
  context: StatusContext,
): PodContainerStatus {
  const { record, sandboxes } = input;
  const [newest, previous] = containersNamed(sandboxes[0], container.name);
  const known = newest && record.containers.get(newest.id);
  const base = {
    name: container.name,
    image: newest?.image ?? container.image ?? '',
    imageID: newest?.imageId ?? '',
    restartCount: newest?.attempt ?? Math.max(0, (record.restartFloor.get(container.name) ?? 0) - 1),
    ...(newest && { containerID: `${context.runtimeName}://${newest.id}` }),
  };
  const last = record.lastTerminations.get(container.name);
  const before = previous && terminated(input, previous, context);
  const state = stateOf(input, container, { newest, inInit, context });
  const lastState = lastStateOf(state, { now: newest && terminated(input, newest, context), before: before ?? last });
  const isRunning = state.running !== undefined;
  return {
    ...base,
    state,
    lastState,
    ready: isReady(container, { state, known, inInit }),
    started:
      inInit && !isSidecar(container) ? isRunning : isRunning && known?.postStart === 'done' && known.verdicts.started,
    ...amountsOf(input, container, known),
    ...(container.volumeMounts?.length && { volumeMounts: container.volumeMounts.map(mountStatus) }),
  };
}

/** What the container was given, and what it runs with. */
function amountsOf({ record }: PodInput, container: AnyContainer, known: ContainerRecord | undefined) {
  const given = record.allocation.get(container.name) ?? container.resources ?? {};
  const { requests, limits } = known?.resources ?? given;
  return {
    ...(given.requests && { allocatedResources: given.requests }),
    resources: { ...(limits && { limits }), ...(requests && { requests }) },
  };
}

function mountStatus({ name, mountPath, readOnly }: VolumeMount) {
  return { name, mountPath, ...(readOnly && { readOnly, recursiveReadOnly: 'Disabled' }) };
}

function isReady(
  container: AnyContainer,
  { state, known, inInit }: { state: ContainerState; known: ContainerRecord | undefined; inInit: boolean },
): boolean {
  if (inInit && !isSidecar(container)) return state.terminated?.exitCode === 0;
  if (!state.running || !known || known.postStart !== 'done' || !known.verdicts.started) return false;
  return container.readinessProbe ? known.verdicts.ready : true;
}

function lastStateOf(
  state: ContainerState,
  ends: { now: ContainerStateTerminated | undefined; before: ContainerStateTerminated | undefined },
): ContainerState {
  // While it waits for its restart, its last end is the newest container's own.
  const end = state.waiting ? (ends.now ?? ends.before) : ends.before;
  return end && (state.waiting || end.containerID !== state.terminated?.containerID) ? { terminated: end } : {};
}

function stateOf(
  input: PodInput,
  container: AnyContainer,
  at: { newest: ContainerStatus | undefined; inInit: boolean; context: StatusContext },
): ContainerState {
  const { newest, inInit, context } = at;
  const trouble = troubleOf(input, container, inInit);
  if (newest?.state === 'running') return { running: { startedAt: timeText(newest.startedAt) } };
  const end = newest && terminated(input, newest, context);
  if (end) {
    const ending = input.pod.metadata?.deletionTimestamp !== undefined || input.record.termination !== undefined;
    return trouble && !ending ? { waiting: trouble } : { terminated: end };
  }
  // What was lost with its sandbox stays told of until the next one starts.
  const lost = input.record.ended && input.record.lastTerminations.get(container.name);
  if (lost) return { terminated: lost };
  return { waiting: trouble ?? { reason: defaultWaiting(input) } };
}

/** Why a container that should run does not, beyond being on its way. */
function troubleOf(input: PodInput, container: AnyContainer, inInit: boolean): ContainerStateWaiting | undefined {
  const { pod, record, now } = input;
  const creation = record.creationFailures.get(container.name);
  if (creation) return { reason: creation.reason, message: creation.message };
  const image = record.images.get(container.name);
  if (image?.state === 'failed') {
    if (!image.backingOff) return { reason: image.reason, message: image.failure.message };
    const why = `${image.reason}: ${image.failure.message}`;
    return { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image.image}": ${why}` };
  }
  const at = restartWait(input, container, inInit);
  const backOff = record.backOffs.get(container.name);
  if (at === undefined || at <= now || !backOff) return undefined;
  const { uid, name, namespace } = pod.metadata ?? {};
  const message = `back-off ${goDuration(backOff.delayMs)} restarting failed container=${container.name} pod=${name}_${namespace}(${uid})`;
  return { reason: 'CrashLoopBackOff', message };
}

function defaultWaiting({ pod }: PodInput): string {
  return (pod.spec?.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating';
}

/** How a container ended; undefined if it has not. */
function terminated(
  input: PodInput,
  status: ContainerStatus,
  context: StatusContext,
): ContainerStateTerminated | undefined {
  const end = endOf(input, status);
  if (!end) return undefined;
  const known = input.record.containers.get(status.id);
  const containerID = `${context.runtimeName}://${status.id}`;
  if (status.state !== 'exited') {
    const at = timeText(end.at);
    const message = known?.startFailure?.message ?? '';
    return {
      containerID,
      exitCode: START_FAILED_EXIT_CODE,
      reason: 'StartError',
      message,
      startedAt: timeText(0),
      finishedAt: at,
    };
  }
  const said = known?.startFailure?.message || known?.terminationMessage || status.message;
  const message = said && shortened(said, input.pod);
  return {
    containerID,
    exitCode: known?.startFailure ? START_FAILED_EXIT_CODE : status.exitCode,
    reason: endReason(status, known),
    ...(message && { message }),
    ...(status.signal !== undefined && { signal: status.signal }),
    startedAt: timeText(known?.startFailure ? 0 : status.startedAt),
    finishedAt: timeText(status.finishedAt),
  };
}

/** The containers of a pod share what may be told of their ends (k/k: status_manager.go, normalizeStatus). */
function shortened(message: string, { spec }: Pod): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec ?? {};
  const count = Math.max(1, containers.length + initContainers.length + ephemeralContainers.length);
  const most = Math.floor(TERMINATION_MESSAGES_BYTES_MAX / count);
  const bytes = Buffer.from(message);
  // A character that is cut in two is left out.
  return bytes.length <= most
    ? message
    : bytes
        .subarray(0, most)
        .toString('utf8')
        .replace(/\uFFFD+$/, '');
}

/** What a start that failed counts as, whatever the runtime made of it. */
const START_FAILED_EXIT_CODE = 128;

function endReason(
  status: ContainerStatus & { state: 'exited' },
  known: ContainerRecord | undefined,
): 'OOMKilled' | 'StartError' | 'Completed' | 'Error' {
  if (status.oomKilled) return 'OOMKilled';
  if (known?.startFailure) return 'StartError';
  return status.exitCode === 0 ? 'Completed' : 'Error';
}

/** True if two statuses say the same, so that nothing need be written. */
export function sameStatus(a: PodStatus | undefined, b: PodStatus): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

/** True if the pod will never run again on this node. */
export function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}
