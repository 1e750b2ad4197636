/** A pod's conditions, as a kubelet sets them: type, status, reason, message and when the status last changed. Pure. */
import type { ContainerStatus, PodCondition } from '../api.ts';
import { timeText } from '../clock.ts';
import { isSidecar, type PodInput } from './record.ts';
import { sameResources } from './resize.ts';

interface Parts {
  readonly phase: string;
  readonly initContainerStatuses: readonly ContainerStatus[];
  readonly containerStatuses: readonly ContainerStatus[];
}
type Judged = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

/** Those that the node sets and takes back: they are there only while they hold. */
export const PASSING_CONDITIONS = ['PodResizePending', 'PodResizeInProgress'] as const;

/** The conditions that the node owns. Times of conditions that did not change are kept from the object. */
export function podConditions(input: PodInput, parts: Parts): PodCondition[] {
  const containersReady = containersReadyCondition(input, parts);
  const wanted: Judged[] = [
    sandboxReady(input),
    initialized(input, parts),
    podReady(input, containersReady),
    containersReady,
    { type: 'PodScheduled', status: 'True' },
    ...disruption(input),
    ...resizeConditions(input),
  ];
  return wanted.map(condition => withTimes(input, condition));
}

function disruption({ record: { verdict } }: PodInput): Judged[] {
  if (!verdict?.disruption) return [];
  const message = verdict.disruptionMessage ?? verdict.message;
  return [{ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message }];
}

function resizeConditions({ record, sandboxes }: PodInput): Judged[] {
  if (record.ended || record.termination) return [];
  const judged: Judged[] = [];
  if (record.resizePending) judged.push({ type: 'PodResizePending', status: 'True', ...record.resizePending });
  const underWay = (sandboxes[0]?.containers ?? []).some(({ id, name, state }) => {
    const given = record.allocation.get(name);
    const present = record.containers.get(id)?.resources;
    return state === 'running' && given && present && !sameResources(given, present);
  });
  if (!underWay) return judged;
  const trouble = record.resizeTrouble && { reason: 'Error', message: record.resizeTrouble.message };
  return [...judged, { type: 'PodResizeInProgress', status: 'True', ...trouble }];
}

function sandboxReady({ record, sandboxes }: PodInput): Judged {
  const ready = sandboxes[0]?.ready === true && record.address !== undefined && !record.detached && !record.ended;
  return { type: 'PodReadyToStartContainers', status: ready ? 'True' : 'False' };
}

function initialized({ pod }: PodInput, { phase, initContainerStatuses, containerStatuses }: Parts): Judged {
  const type = 'Initialized';
  if (phase === 'Succeeded') return { type, status: 'True', reason: 'PodCompleted' };
  const begun = containerStatuses.some(
    ({ state, lastState }) => state?.running || state?.terminated || lastState?.terminated,
  );
  const incomplete = initContainerStatuses.filter(({ name, ready, started }) => {
    const spec = pod.spec?.initContainers?.find(container => container.name === name);
    if (begun) return false;
    return spec && isSidecar(spec) ? !started : !ready;
  });
  if (incomplete.length === 0) return { type, status: 'True' };
  return {
    type,
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: ${names(incomplete)}`,
  };
}

function containersReadyCondition({ pod }: PodInput, parts: Parts): Judged {
  const type = 'ContainersReady';
  const sidecars = new Set((pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const counted = [...parts.initContainerStatuses.filter(({ name }) => sidecars.has(name)), ...parts.containerStatuses];
  if (parts.phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (parts.phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  const unready = counted.filter(({ ready }) => !ready);
  if (unready.length === 0) return { type, status: 'True' };
  return {
    type,
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: ${names(unready)}`,
  };
}

/** Ready: all containers are, and so says every readiness gate. */
function podReady({ pod }: PodInput, containersReady: Judged): Judged {
  if (containersReady.status !== 'True') return { ...containersReady, type: 'Ready' };
  const why: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (!gate) why.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== 'True')
      why.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
  }
  if (why.length === 0) return { type: 'Ready', status: 'True' };
  return { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: why.join(', ') };
}

function withTimes({ pod, now, record }: PodInput, condition: Judged): PodCondition {
  const known = [...record.conditions, ...(pod.status?.conditions ?? [])];
  const before = known.find(({ type }) => type === condition.type);
  const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
  // A null for lastProbeTime is what Kubernetes has; it is left out here, which reads the same.
  return { ...condition, lastTransitionTime: since ?? timeText(now) };
}

function names(statuses: readonly ContainerStatus[]): string {
  return `[${statuses.map(({ name }) => name).join(' ')}]`;
}
