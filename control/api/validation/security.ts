/** Security contexts of pods and containers. */
import type { PodSecurityContext, PodSpec, SeccompProfile, SecurityContext } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, invalidValue, oneOf, required } from './errors.ts';

const ID_MAX = 2_147_483_647;
const ID_MESSAGE = `must be between 0 and ${ID_MAX}, inclusive`;
const SYSCTL_LENGTH_MAX = 253;
const SYSCTL = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';

const validateId = (id: number | undefined, field: string): FieldError[] =>
  id !== undefined && (id < 0 || id > ID_MAX) ? [invalidValue(field, id, ID_MESSAGE)] : [];

function validateSeccomp(profile: SeccompProfile | undefined, path: string): FieldError[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  if (type === '') return [required(`${path}.type`, 'type is required when seccompProfile is set')];
  if (type === 'Localhost') {
    if (localhostProfile === undefined) {
      return [required(`${path}.localhostProfile`, 'must be set when seccomp type is Localhost')];
    }
    if (localhostProfile.startsWith('/')) {
      return [invalidValue(`${path}.localhostProfile`, localhostProfile, 'must be a relative path')];
    }
    return [];
  }
  const errors = oneOf(`${path}.type`, type, ['Localhost', 'RuntimeDefault', 'Unconfined']);
  if (localhostProfile !== undefined) {
    errors.push(
      invalidValue(`${path}.localhostProfile`, localhostProfile, 'can only be set when seccomp type is Localhost'),
    );
  }
  return errors;
}

/** The context of one container. `hostUsers` is the pod's. */
export function validateSecurityContext(
  context: SecurityContext | undefined,
  path: string,
  hostUsers: boolean | undefined,
): FieldError[] {
  if (!context) return [];
  const errors = [
    ...validateId(context.runAsUser, `${path}.runAsUser`),
    ...validateId(context.runAsGroup, `${path}.runAsGroup`),
  ];
  if (context.procMount !== undefined) {
    errors.push(...oneOf(`${path}.procMount`, context.procMount, ['Default', 'Unmasked']));
    if (hostUsers !== false && context.procMount === 'Unmasked') {
      errors.push(invalidValue(`${path}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`'));
    }
  }
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged) {
      errors.push(
        invalidValue(path, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'),
      );
    }
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      errors.push(
        invalidValue(
          path,
          context,
          'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
        ),
      );
    }
  }
  return errors;
}

/** The context of a pod, and what its use of the host's namespaces demands. */
export function validatePodSecurity(spec: PodSpec, path: string): FieldError[] {
  const field = `${path}.securityContext`;
  const context: PodSecurityContext = spec.securityContext ?? {};
  const errors: FieldError[] = [];
  if (spec.hostNetwork) errors.push(...validateHostNetworkPorts(spec, path));
  errors.push(
    ...validateId(context.fsGroup, `${field}.fsGroup`),
    ...validateId(context.runAsUser, `${field}.runAsUser`),
  );
  errors.push(...validateId(context.runAsGroup, `${field}.runAsGroup`));
  for (const [index, id] of (context.supplementalGroups ?? []).entries()) {
    errors.push(...validateId(id, `${field}.supplementalGroups[${index}]`));
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    errors.push(
      invalidValue(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  }
  errors.push(...validateSysctls(context, field), ...validateHostUsers(spec, path));
  if (context.fsGroupChangePolicy !== undefined) {
    errors.push(...oneOf(`${field}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']));
  }
  errors.push(...validateSeccomp(context.seccompProfile, `${field}.seccompProfile`));
  return errors;
}

function validateHostNetworkPorts(spec: PodSpec, path: string): FieldError[] {
  return (spec.containers ?? []).flatMap((container, at) =>
    (container.ports ?? []).flatMap((port, index) =>
      // Pods have it by default; a template may leave it to its pods.
      port.hostPort && port.hostPort !== port.containerPort
        ? [
            invalidValue(
              `${path}.containers[${at}].ports[${index}].hostPort`,
              port.hostPort,
              'must match `containerPort` when `hostNetwork` is true',
            ),
          ]
        : [],
    ),
  );
}

function validateSysctls({ sysctls }: PodSecurityContext, path: string): FieldError[] {
  const seen = new Set<string>();
  return (sysctls ?? []).flatMap(({ name }, index) => {
    const field = `${path}.sysctls[${index}].name`;
    if (name === '') return [required(field)];
    const errors: FieldError[] = [];
    if (name.length > SYSCTL_LENGTH_MAX || !new RegExp(SYSCTL).test(name)) {
      errors.push(
        invalidValue(field, name, `must have at most ${SYSCTL_LENGTH_MAX} characters and match regex ${SYSCTL}`),
      );
    } else if (seen.has(name)) {
      errors.push({ type: 'FieldValueDuplicate', field, message: `Duplicate value: ${JSON.stringify(name)}` });
    }
    seen.add(name);
    return errors;
  });
}

/** A user namespace of its own does not go with the host's namespaces. */
function validateHostUsers(spec: PodSpec, path: string): FieldError[] {
  if (spec.hostUsers !== false) return [];
  return (['hostNetwork', 'hostPID', 'hostIPC'] as const)
    .filter(name => spec[name])
    .map(name => forbiddenField(`${path}.${name}`, 'when `pod.Spec.HostUsers` is false'));
}

/** What a pod for Windows may not set. */
export function validateWindows(spec: PodSpec, path: string): FieldError[] {
  const context: Record<string, unknown> = { ...spec.securityContext };
  const ofPod = [
    'seLinuxOptions',
    'seccompProfile',
    'fsGroup',
    'fsGroupChangePolicy',
    'sysctls',
    'runAsUser',
    'runAsGroup',
    'supplementalGroups',
  ];
  const errors = (['hostPID', 'hostIPC', 'hostUsers', 'shareProcessNamespace'] as const)
    .filter(name => spec[name] !== undefined)
    .map(name => forbiddenField(`${path}.${name}`, 'cannot be set for a windows pod'));
  for (const name of ofPod) {
    if (context[name] !== undefined) {
      errors.push(forbiddenField(`${path}.securityContext.${name}`, 'cannot be set for a windows pod'));
    }
  }
  return errors;
}
