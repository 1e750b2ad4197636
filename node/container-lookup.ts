/** From the names in a request's path to a container of the runtime. Pure but for what the directory knows. */
import type { ContainerStatus, Pod, PodStatus } from './api.ts';
import { HttpError } from './http-error.ts';

/** A pod as the server sees it. */
export interface PodHandle {
  readonly uid: string;
  readonly pod: Pod;
  /** As last computed by the agent. */
  readonly status: PodStatus | undefined;
  /** Undefined while it has none. */
  readonly address: string | undefined;
}
export interface PodDirectory {
  find(namespace: string, name: string): PodHandle | undefined;
  list(): readonly PodHandle[];
}

/** Throws {@link HttpError} 404. */
export function findPod(pods: PodDirectory, { namespace, name }: { namespace: string; name: string }): PodHandle {
  const found = pods.find(namespace, name);
  if (!found) throw new HttpError(404, `pod "${name}_${namespace}" not found`);
  return found;
}

/** The runtime's id of a container that runs. Throws {@link HttpError}. */
export function runningContainer(handle: PodHandle, container: string): string {
  const status = statusOf(handle, container);
  const id = status?.state?.running ? idOf(status.containerID) : undefined;
  if (!id) throw new HttpError(404, `container not found ("${container}")`);
  return id;
}

/** The runtime's id of the container whose log is meant, after a kubelet's rules. Throws {@link HttpError}. */
export function loggedContainer(handle: PodHandle, container: string, previous: boolean): string {
  const pod = handle.pod.metadata?.name ?? '';
  const status = statusOf(handle, container);
  if (!status) throw new HttpError(404, `container "${container}" in pod "${pod}" is not available`);
  const { state, lastState, containerID } = status;
  if (previous) {
    const id = idOf(lastState?.terminated?.containerID);
    if (!id) throw new HttpError(400, `previous terminated container "${container}" in pod "${pod}" not found`);
    return id;
  }
  const current = state?.running ? idOf(containerID) : idOf(state?.terminated?.containerID);
  const id = current ?? idOf(lastState?.terminated?.containerID);
  if (id) return id;
  // Nothing is known of it but that its pod is over.
  if (state?.terminated) throw new HttpError(400, `container "${container}" in pod "${pod}" is terminated`);
  throw new HttpError(
    400,
    `container "${container}" in pod "${pod}" is waiting to start: ${waitText(state?.waiting?.reason)}`,
  );
}

function waitText(reason: string | undefined): string {
  if (reason === 'ErrImagePull') return "image can't be pulled";
  if (reason === 'ImagePullBackOff') return 'trying and failing to pull image';
  return reason ?? 'no reason is known';
}

function statusOf({ status }: PodHandle, container: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    ({ name }) => name === container,
  );
}

/** `docker://abc` → `abc`. */
function idOf(containerId: string | undefined): string | undefined {
  return containerId?.split('://')[1] || undefined;
}
