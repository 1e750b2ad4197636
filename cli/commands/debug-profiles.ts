/** The profiles of `debug`: how much the new container may do. (KEP-1441) */
import type { Container, PodSpec } from '../../control/api/generated/types.ts';
import { failure } from '../client/errors.ts';

/** Where the container goes: into a pod that runs, into a copy, onto a node. */
export type Place = 'ephemeral' | 'copy' | 'node';

export interface Profile {
  container(container: Container, place: Place): Container;
  pod(spec: PodSpec, place: Place): PodSpec;
}

type Security = NonNullable<Container['securityContext']>;

const withSecurity = (container: Container, securityContext: Security): Container => ({
  ...container,
  securityContext,
});
const same = (spec: PodSpec): PodSpec => spec;

/** Without the node's own namespaces and files. */
function apart(spec: PodSpec): PodSpec {
  const { hostIPC: _ipc, hostNetwork: _network, hostPID: _pid, ...rest } = spec;
  return {
    ...rest,
    volumes: (rest.volumes ?? []).filter(({ hostPath }) => !hostPath),
    containers: rest.containers.map(({ volumeMounts: _mounts, ...container }) => container),
  };
}

/** In a copy all see each other's processes, unless the pod says otherwise. */
const sharing = (spec: PodSpec): PodSpec => ({ shareProcessNamespace: true, ...spec });

/** The node's own namespaces, but none of its files. */
function withoutFiles(spec: PodSpec): PodSpec {
  const { hostIPC, hostNetwork, hostPID, ...rest } = spec;
  return {
    ...apart(rest),
    ...(hostIPC && { hostIPC }),
    ...(hostNetwork && { hostNetwork }),
    ...(hostPID && { hostPID }),
  };
}

const byPlace =
  (onNode: (spec: PodSpec) => PodSpec) =>
  (spec: PodSpec, place: Place): PodSpec =>
    place === 'node' ? onNode(spec) : place === 'copy' ? sharing(spec) : spec;

const PROFILES: Readonly<Record<string, Profile>> = {
  legacy: { container: container => container, pod: same },
  general: {
    container: (container, place) =>
      place === 'node' ? container : withSecurity(container, { capabilities: { add: ['SYS_PTRACE'] } }),
    pod: byPlace(same),
  },
  baseline: {
    container: ({ securityContext: _any, ...container }) => container,
    pod: byPlace(apart),
  },
  restricted: {
    container: container =>
      withSecurity(container, {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      }),
    pod: byPlace(apart),
  },
  netadmin: {
    container: container => withSecurity(container, { capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } }),
    pod: byPlace(withoutFiles),
  },
  sysadmin: { container: container => withSecurity(container, { privileged: true }), pod: byPlace(same) },
};

/** @throws CommandError if there is no such profile. */
export function profileOf(name: string): Profile {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined;
  if (!profile) {
    throw failure(`unknown profile: ${name}: it must be one of ${Object.keys(PROFILES).join(', ')}`);
  }
  return profile;
}
