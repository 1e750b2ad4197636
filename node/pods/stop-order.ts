/**
 * In which order the containers of a pod that ends are stopped: those proper at once, then sidecars from the last to the first,
 * each only when those after it have ended. preStop hooks of all begin at once, and each takes of its container's own time
 * (k/k: kuberuntime_container.go, killContainer). Pure.
 */
import { findContainer, type PodInput } from './record.ts';
import type { Step } from './step.ts';

/** The next to stop; undefined when nothing runs any more. */
export function stepStop(input: PodInput, deadline: number): Step | undefined {
  const { pod, record, now } = input;
  const running = input.sandboxes
    .flatMap(sandbox => sandbox.containers)
    .filter(container => container.state === 'running');
  if (running.length === 0) return undefined;
  const initNames = (pod.spec?.initContainers ?? []).map(({ name }) => name);
  const stage = (name: string) => initNames.indexOf(name);
  // Containers proper have no place among the init containers: -1; they go first.
  const proper = running.filter(({ name }) => stage(name) === -1);
  const last = Math.max(...running.map(({ name }) => stage(name)));
  const due = proper.length > 0 ? proper : running.filter(({ name }) => stage(name) === last);
  // Grace periods are whole seconds, rounded up: a stop for this deadline may end up to one later.
  const graceSeconds = Math.max(0, Math.ceil((deadline - now) / 1000));
  let isHooked = false;
  for (const { id, name: container } of due) {
    const known = record.containers.get(id);
    if (known?.stop && known.stop.deadline < Math.max(deadline, now) + 1000) continue;
    const isBusy = known?.preStop === 'running' && !known.stop && now < deadline;
    isHooked ||= isBusy;
    if (!isBusy) return { action: { type: 'stopContainer', container, id, graceSeconds, reason: 'pod' } };
  }
  for (const { id, name: container } of running) {
    const isBegun = record.containers.get(id)?.preStop !== undefined || due.some(one => one.id === id);
    if (isBegun || graceSeconds === 0 || !findContainer(pod, container)?.lifecycle?.preStop) continue;
    return { action: { type: 'runPreStop', container, id, graceSeconds } };
  }
  return isHooked ? { wakeAt: deadline } : {};
}
