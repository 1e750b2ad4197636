/** Pods: their STATUS and RESTARTS tell what holds a pod up, so they look at every container. */
import type { ContainerState, ContainerStatus, Pod, PodTemplate } from '../generated/types.ts';
import { ageOf } from './human-duration.ts';
import { age, columns, containersAndImages, labelsText, NAME, nameOf, type Printer, printer, wide } from './printer.ts';

interface Progress {
  reason: string;
  readyCount: number;
  restartCount: number;
  /** RFC 3339; '' if no container ended before. */
  lastRestart: string;
}

export const pod: Printer = printer<Pod>(
  columns(
    NAME,
    'Ready',
    'Status',
    'Restarts',
    'Age',
    wide('IP'),
    wide('Node'),
    wide('Nominated Node'),
    wide('Readiness Gates'),
  ),
  (object, now) => {
    const { spec, status } = object;
    const sidecarCount = (spec?.initContainers ?? []).filter(container => container.restartPolicy === 'Always').length;
    const progress = progressOf(object);
    const restarts =
      progress.restartCount > 0 && progress.lastRestart
        ? `${progress.restartCount} (${ageOf(progress.lastRestart, now)} ago)`
        : `${progress.restartCount}`;
    const conditions = finishedConditions(status?.phase);
    return {
      cells: [
        nameOf(object),
        `${progress.readyCount}/${(spec?.containers ?? []).length + sidecarCount}`,
        progress.reason,
        restarts,
        age(object, now),
        status?.podIPs?.[0]?.ip || status?.podIP || '<none>',
        spec?.nodeName || '<none>',
        status?.nominatedNodeName || '<none>',
        readinessGates(object),
      ],
      ...(conditions && { conditions }),
    };
  },
);

function progressOf(pod: Pod): Progress {
  const { status } = pod;
  const isGated = (status?.conditions ?? []).some(
    condition => condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated',
  );
  const phase = isGated ? 'SchedulingGated' : status?.reason || status?.phase || '';
  const init = initProgress(pod, phase);
  const progress = init.isInitializing && !hasCondition(pod, 'Initialized') ? init : containersProgress(pod, init);
  if (pod.metadata?.deletionTimestamp) {
    if (status?.reason === 'NodeLost') progress.reason = 'Unknown';
    else if (status?.phase !== 'Succeeded' && status?.phase !== 'Failed') progress.reason = 'Terminating';
  }
  return progress;
}

interface InitProgress extends Progress {
  isInitializing: boolean;
  /** Restarts of the init containers that run on beside the others. */
  readonly sidecars: { restartCount: number; lastRestart: string };
}

/** Goes through the init containers up to the first that is not done. */
function initProgress(pod: Pod, reason: string): InitProgress {
  const specs = pod.spec?.initContainers ?? [];
  const sidecars = { restartCount: 0, lastRestart: '' };
  const progress: InitProgress = {
    reason,
    readyCount: 0,
    restartCount: 0,
    lastRestart: '',
    isInitializing: false,
    sidecars,
  };
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const isSidecar = specs.some(spec => spec.name === status.name && spec.restartPolicy === 'Always');
    countRestarts(progress, status);
    if (isSidecar) countRestarts(sidecars, status);
    if (status.state?.terminated?.exitCode === 0) continue;
    if (isSidecar && status.started) {
      if (status.ready) progress.readyCount++;
      continue;
    }
    const why = initReason(status.state);
    progress.reason = `Init:${why ?? `${index}/${specs.length}`}`;
    progress.isInitializing = true;
    break;
  }
  return progress;
}

function initReason(state: ContainerState | undefined): string | undefined {
  if (state?.terminated) return terminatedReason(state);
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== 'PodInitializing' ? waiting : undefined;
}

/** `Completed`, `Signal:9` or `ExitCode:3`. */
function terminatedReason(state: ContainerState): string | undefined {
  const { terminated } = state;
  if (!terminated) return undefined;
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

/** The first container's trouble wins, hence from the last to the first. */
function containersProgress(pod: Pod, init: InitProgress): Progress {
  const progress: Progress = { reason: init.reason, readyCount: init.readyCount, ...init.sidecars };
  let hasRunning = false;
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    countRestarts(progress, status);
    const why = status.state?.waiting?.reason || (status.state && terminatedReason(status.state));
    if (why) progress.reason = why;
    else if (status.ready && status.state?.running) {
      hasRunning = true;
      progress.readyCount++;
    }
  }
  if (progress.reason === 'Completed' && hasRunning) {
    progress.reason = hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
  }
  return progress;
}

function countRestarts(sum: { restartCount: number; lastRestart: string }, status: ContainerStatus): void {
  sum.restartCount += status.restartCount ?? 0;
  const ended = status.lastState?.terminated?.finishedAt ?? '';
  if (ended > sum.lastRestart) sum.lastRestart = ended;
}

function hasCondition(pod: Pod, type: string): boolean {
  return (pod.status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True');
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  return `${gates.filter(gate => hasCondition(pod, gate.conditionType)).length}/${gates.length}`;
}

function finishedConditions(phase: string | undefined): readonly unknown[] | undefined {
  if (phase === 'Succeeded') {
    return [{ type: 'Completed', status: 'True', reason: phase, message: 'The pod has completed successfully.' }];
  }
  if (phase === 'Failed') return [{ type: 'Completed', status: 'True', reason: phase, message: 'The pod failed.' }];
  return undefined;
}

export const podTemplate: Printer = printer<PodTemplate>(
  columns(NAME, 'Containers', 'Images', 'Pod Labels'),
  object => [
    nameOf(object),
    ...containersAndImages(object.template?.spec),
    labelsText(object.template?.metadata?.labels),
  ],
);
