/**
 * What a pod's worker remembers beside what the runtime can be asked: plain data that `step.ts` and `status.ts` read.
 * Nothing here must survive the agent. After a restart the record is rebuilt from the runtime and from the pod object's
 * status, and a container that runs is taken as it is.
 */
import type {
  ContainerStatus as ApiContainerStatus,
  Container,
  ContainerStateTerminated,
  EphemeralContainer,
  Pod,
  PodCondition,
  ResourceRequirements,
} from '../api.ts';
import { RESTART_BACK_OFF_MS, RESTART_BACK_OFF_MS_MAX } from '../limits.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.ts';
import { type BackOff, type Failure, retryDelayMs } from './back-off.ts';
import { isSidecar } from './requests.ts';
import { adoptedAllocation, allocationOf } from './resize.ts';

/** What the probes say of a running container. */
export interface Verdicts {
  /** The startup probe has passed, or there is none. */
  started: boolean;
  ready: boolean;
  /** Set when a liveness or startup probe has given up: the container has to be restarted. */
  unhealthy: 'liveness' | 'startup' | undefined;
}

export type StopReason = 'pod' | 'liveness' | 'startup' | 'postStart' | 'changed' | 'resize';

/** Of one container as the runtime knows it, by its id. */
export interface ContainerRecord {
  postStart: 'pending' | 'running' | 'done' | 'failed';
  verdicts: Verdicts;
  /** Set once the container is being stopped; `deadline` is when it will be killed. */
  stop: { readonly reason: StopReason; readonly deadline: number } | undefined;
  /** Undefined until its preStop hook has begun. */
  preStop: 'running' | 'done' | undefined;
  /** The runtime could not start it. */
  startFailure: { readonly at: number; readonly message: string } | undefined;
  /** What it left in its termination message file; undefined until it was read. */
  terminationMessage: string | undefined;
  /** The amounts that it runs with; undefined where nobody knows any more. */
  resources: ResourceRequirements | undefined;
}

export type ImageReason = 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError';

/** Of the image that one container needs next. */
export type ImageRecord =
  | { readonly state: 'present'; readonly image: string }
  | { readonly state: 'pulling'; readonly image: string; readonly failures: number }
  | {
      readonly state: 'failed';
      readonly image: string;
      readonly reason: ImageReason;
      readonly failure: Failure;
      /** The back-off has been told of (event, `ImagePullBackOff`). */
      readonly backingOff: boolean;
    };

export type CreationReason = 'CreateContainerConfigError' | 'CreateContainerError';

/** Why the agent ended a pod. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** Less time than the pod's own grace period. */
  readonly graceSeconds?: number;
  /** The pod did nothing wrong: it is told of as a disruption. */
  readonly disruption?: boolean;
  /** What the condition says of that; the message itself otherwise. */
  readonly disruptionMessage?: string;
}

export interface PodRecord {
  /** When the agent took the pod on. */
  startedAt: number;
  /** Others are ending so that it finds room: nothing of it is made before. */
  waitsForRoom: boolean;
  volumes: { state: 'pending' } | { state: 'mounted' } | { state: 'failed'; failure: Failure };
  /** What last went wrong with sandbox, network, stopping or cleaning up; cleared when such a step succeeds. */
  setback: Failure | undefined;
  /** How many sandboxes there were before. */
  sandboxAttempt: number;
  /** The pod's own address; the node's for a pod of the host's network. */
  address: string | undefined;
  /** The same of IPv6, where the cluster has both families. */
  ipv6: string | undefined;
  /** The network has wired the present sandbox, as far as this agent has seen to it. */
  attached: boolean;
  /** By container name. */
  readonly images: Map<string, ImageRecord>;
  /** When containers of the object were last given other images; undefined if that was never seen. */
  imagesChangedAt: number | undefined;
  /** By container id. */
  readonly containers: Map<string, ContainerRecord>;
  /** By container name: it could not be made. */
  readonly creationFailures: Map<string, Failure & { readonly reason: CreationReason }>;
  readonly backOffs: Map<string, BackOff>;
  /** By container name: restarts that the runtime can no longer tell, because sandbox or containers were removed. */
  readonly restartFloor: Map<string, number>;
  /** By container name: how the container before the present one ended, where the runtime can no longer tell. */
  readonly lastTerminations: Map<string, ContainerStateTerminated>;
  /** The agent gave the pod up: it ends as Failed. */
  verdict: Verdict | undefined;
  /** The node never took it: nothing of it was ever made. */
  rejected: boolean;
  /** What its containers were given; see `resize.ts`. */
  allocation: Map<string, ResourceRequirements>;
  /** Why the spec's present amounts are not given. */
  resizePending: { readonly reason: string; readonly message: string } | undefined;
  /** Why amounts that were given could not be put to work. */
  resizeTrouble: Failure | undefined;
  /** It has ended in an earlier life of the agent; nothing of it may start again. */
  ended: 'Succeeded' | 'Failed' | undefined;
  /** Since when, and with which grace, all of the pod is being stopped. */
  termination: { readonly startedAt: number; readonly graceSeconds: number } | undefined;
  /** The API server has the last status of a pod that is being deleted. */
  finalStatus: 'pending' | 'writing' | 'written';
  /** The API server was told to remove the object; it may wait for finalizers. */
  objectDeletion: 'pending' | 'running' | 'done';
  /** Conditions as last computed: their times hold until the object comes back with them. */
  conditions: readonly PodCondition[];
  /** The pod's volumes and files are gone from this node. */
  cleaned: boolean;
  /** The network has let go of the pod. */
  detached: boolean;
}

/** Everything that a decision about a pod is made from. */
export interface PodInput {
  readonly pod: Pod;
  /** The API no longer has the object. */
  readonly gone: boolean;
  /** What the runtime has of this pod, newest first. */
  readonly sandboxes: readonly SandboxStatus[];
  readonly record: PodRecord;
  readonly now: number;
}

export function newRecord(now: number, pod: Pod = {}): PodRecord {
  return {
    startedAt: now,
    waitsForRoom: false,
    volumes: { state: 'pending' },
    setback: undefined,
    sandboxAttempt: 0,
    address: undefined,
    ipv6: undefined,
    attached: false,
    images: new Map(),
    imagesChangedAt: undefined,
    containers: new Map(),
    creationFailures: new Map(),
    backOffs: new Map(),
    restartFloor: new Map(),
    lastTerminations: new Map(),
    verdict: undefined,
    rejected: false,
    allocation: allocationOf(pod),
    resizePending: undefined,
    resizeTrouble: undefined,
    ended: undefined,
    termination: undefined,
    finalStatus: 'pending',
    objectDeletion: 'pending',
    conditions: [],
    cleaned: false,
    detached: false,
  };
}

/** Names of the containers that have another image than before. */
export function otherImages(before: Pod, after: Pod): string[] {
  const containersOf = ({ spec }: Pod) => [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const images = new Map(containersOf(before).map(({ name, image }) => [name, image]));
  return containersOf(after).flatMap(({ name, image }) => (images.get(name) === image ? [] : [name]));
}

/** Of a container that the agent is about to start. */
export function newContainerRecord(options: {
  hasPostStart: boolean;
  hasStartupProbe: boolean;
  resources?: ResourceRequirements | undefined;
}): ContainerRecord {
  return {
    postStart: options.hasPostStart ? 'pending' : 'done',
    verdicts: { started: !options.hasStartupProbe, ready: false, unhealthy: undefined },
    stop: undefined,
    preStop: undefined,
    startFailure: undefined,
    terminationMessage: undefined,
    resources: options.resources,
  };
}

/** The pod's addresses, the primary one first. */
export function addressesOf({ address, ipv6 }: Pick<PodRecord, 'address' | 'ipv6'>): readonly string[] {
  return [address, ipv6].flatMap(one => (one ? [one] : []));
}

/** Takes over a pod that an earlier agent ran: counts, readiness and the last ends come from the object's status. */
export function adoptRecord(pod: Pod, sandboxes: readonly SandboxStatus[], now: number): PodRecord {
  const record = newRecord(now, pod);
  const status = pod.status;
  if (sandboxes.length > 0) record.allocation = adoptedAllocation(pod);
  if (status?.startTime) record.startedAt = Date.parse(status.startTime);
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') {
    record.ended = status.phase;
    if (status.reason) record.verdict = { reason: status.reason, message: status.message ?? '' };
    record.rejected = sandboxes.length === 0 && status.reason !== undefined && status.containerStatuses === undefined;
  }
  if (sandboxes[0]?.ready && status?.podIP) {
    record.address = status.podIP;
    record.ipv6 = status.podIPs?.find(({ ip }) => ip.includes(':') && ip !== status.podIP)?.ip;
  }
  const before = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const present = new Set(sandboxes.flatMap(({ containers }) => containers.map(({ id }) => id)));
  for (const container of before) adoptContainer(record, container, { pod, present });
  const specs = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  for (const container of sandboxes.flatMap(sandbox => sandbox.containers)) {
    const known = before.find(({ containerID }) => containerID?.endsWith(`/${container.id}`));
    const spec = specs.find(({ name }) => name === container.name);
    const fresh = newContainerRecord({
      hasPostStart: spec?.lifecycle?.postStart !== undefined,
      hasStartupProbe: spec?.startupProbe !== undefined,
      resources: known?.resources ?? record.allocation.get(container.name),
    });
    const { started } = fresh.verdicts;
    // What runs has had its postStart hook, as far as anybody can know now.
    const hasBegun = container.state !== 'created';
    record.containers.set(container.id, {
      ...fresh,
      ...(hasBegun && { postStart: 'done' as const }),
      verdicts: { started: known?.started || started, ready: known?.ready ?? false, unhealthy: undefined },
    });
    adoptBackOff(record, container);
  }
  return record;
}

function adoptContainer(
  record: PodRecord,
  container: ApiContainerStatus,
  { pod, present }: { pod: Pod; present: ReadonlySet<string> },
) {
  const id = container.containerID?.split('://')[1] ?? '';
  // What never restarts is begun as if it never had been: nothing else can be done with it.
  const isLost = container.state?.running && !present.has(id) && pod.spec?.restartPolicy !== 'Never';
  const ended = isLost ? LOST : (container.state?.terminated ?? container.lastState?.terminated);
  // A container that the runtime lost counts as restarted once more.
  if (container.containerID) record.restartFloor.set(container.name, container.restartCount + 1);
  if (ended) record.lastTerminations.set(container.name, ended);
}

/** Of a container that ran and that the runtime knows nothing of any more (k/k: convertToAPIContainerStatuses). */
const LOST: ContainerStateTerminated = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was deleted.  The container used to be Running',
};

/** How often a container was restarted tells how long the next wait is, so that a new agent does not begin at once. */
function adoptBackOff(record: PodRecord, { name, attempt, createdAt }: ContainerStatus) {
  if (attempt === 0 || (record.backOffs.get(name)?.updatedAt ?? 0) > createdAt) return;
  const delayMs = retryDelayMs(attempt, RESTART_BACK_OFF_MS, RESTART_BACK_OFF_MS_MAX);
  record.backOffs.set(name, { delayMs, updatedAt: createdAt });
}

export { isSidecar };

/** A pod's containers of this name in its newest sandbox, newest first. */
export function containersNamed(sandbox: SandboxStatus | undefined, name: string): readonly ContainerStatus[] {
  return (sandbox?.containers ?? []).filter(container => container.name === name).sort((a, b) => b.attempt - a.attempt);
}

/** The attempt that the next container of this name gets; its restart count. */
export function nextAttempt(input: PodInput, name: string): number {
  const attempts = input.sandboxes.flatMap(sandbox => containersNamed(sandbox, name)).map(({ attempt }) => attempt + 1);
  return Math.max(0, input.record.restartFloor.get(name) ?? 0, ...attempts);
}

/** A container of the pod by name, of whichever sort. */
export function findContainer(pod: Pod, name: string): Container | EphemeralContainer | undefined {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const all: (Container | EphemeralContainer)[] = [...containers, ...initContainers, ...ephemeralContainers];
  return all.find(container => container.name === name);
}
