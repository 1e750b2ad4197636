/** The plainest sandbox and container: tests change what they are about. */
import type { ContainerSpec, SandboxSpec } from '../runtime.ts';

/** A sandbox of a pod with this UID and a network of its own. */
export function plainSandbox(uid: string): SandboxSpec {
  return {
    pod: { uid, namespace: 'default', name: 'pod' },
    hostname: 'pod',
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    sysctls: {},
    labels: {},
    attempt: 0,
  };
}

/** A container without limits, mounts or input. Which image it runs, and what in it, is for the test to say. */
export function plainContainer(): Omit<ContainerSpec, 'image' | 'command' | 'args'> {
  return {
    name: 'main',
    attempt: 0,
    workingDir: undefined,
    env: [],
    mounts: [],
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: {},
    security: {},
    terminationMessage: undefined,
  };
}
