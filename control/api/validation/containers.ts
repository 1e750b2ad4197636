/** Containers of pods: ordinary, init and ephemeral. */
import type { Container, ContainerPort, EphemeralContainer, PodSpec, Volume } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { validateEnv, validateEnvFrom } from './env.ts';
import { byRule, duplicateValue, forbiddenField, invalidValue, notSupported, oneOf, required } from './errors.ts';
import { dns1123Label, portName, portNumber } from './names.ts';
import { validateLifecycle, validateProbes } from './probes.ts';
import { validateRequirements } from './resources.ts';
import { validateSecurityContext } from './security.ts';
import { validateVolumeDevices, validateVolumeMounts } from './volumes.ts';

type AnyContainer = Container | EphemeralContainer;

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

function validatePorts(ports: readonly ContainerPort[] | undefined, path: string): FieldError[] {
  const names = new Set<string>();
  return (ports ?? []).flatMap((port, index) => {
    const field = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (port.name) {
      const sentences = portName(port.name);
      errors.push(...byRule(`${field}.name`, port.name, sentences));
      if (sentences.length === 0 && names.has(port.name)) errors.push(duplicateValue(`${field}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) errors.push(required(`${field}.containerPort`));
    else {
      for (const sentence of portNumber(port.containerPort)) {
        errors.push(invalidValue(`${field}.containerPort`, port.containerPort, sentence));
      }
    }
    if (port.hostPort) {
      for (const sentence of portNumber(port.hostPort)) {
        errors.push(invalidValue(`${field}.hostPort`, port.hostPort, sentence));
      }
    }
    if (!port.protocol) errors.push(required(`${field}.protocol`));
    else errors.push(...oneOf(`${field}.protocol`, port.protocol, PROTOCOLS));
    return errors;
  });
}

/** What all containers have in common. */
function validateCommon(
  container: AnyContainer,
  path: string,
  spec: PodSpec,
  volumes: ReadonlyMap<string, Volume>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!container.name) errors.push(required(`${path}.name`));
  else errors.push(...byRule(`${path}.name`, container.name, dns1123Label(container.name)));
  const { image = '' } = container;
  if (image === '') errors.push(required(`${path}.image`));
  else if (image.trim() !== image) {
    errors.push(invalidValue(`${path}.image`, image, 'must not have leading or trailing whitespace'));
  }
  const { terminationMessagePolicy = '' } = container;
  if (terminationMessagePolicy === '') errors.push(required(`${path}.terminationMessagePolicy`));
  else {
    errors.push(
      ...oneOf(`${path}.terminationMessagePolicy`, terminationMessagePolicy, ['File', 'FallbackToLogsOnError']),
    );
  }
  const mounts = { volumes, mounts: container.volumeMounts ?? [], devices: container.volumeDevices ?? [] };
  errors.push(
    ...validatePorts(container.ports, `${path}.ports`),
    ...validateEnv(container.env, `${path}.env`),
    ...validateEnvFrom(container.envFrom, `${path}.envFrom`),
    ...validateVolumeMounts(mounts, `${path}.volumeMounts`),
    ...validateVolumeDevices(mounts, `${path}.volumeDevices`),
    ...oneOf(`${path}.imagePullPolicy`, container.imagePullPolicy ?? '', PULL_POLICIES),
    ...validateRequirements(container.resources, `${path}.resources`),
    ...validateSecurityContext(container.securityContext, `${path}.securityContext`, spec.hostUsers),
  );
  return errors;
}

/** Ports of the host that containers of one list take twice. */
function validateHostPorts(containers: readonly AnyContainer[], path: string): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap((container, at) =>
    (container.ports ?? []).flatMap((port, index) => {
      if (!port.hostPort) return [];
      const key = `${port.protocol ?? ''}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (taken.has(key)) return [duplicateValue(`${path}[${at}].ports[${index}].hostPort`, key)];
      taken.add(key);
      return [];
    }),
  );
}

/** All containers of a pod's spec. */
export function validateContainerLists(spec: PodSpec, path: string): FieldError[] {
  const volumes = new Map((spec.volumes ?? []).map(volume => [volume.name, volume]));
  return [
    ...validateContainers(spec, `${path}.containers`, volumes),
    ...validateInitContainers(spec, `${path}.initContainers`, volumes),
    ...validateEphemeralContainers(spec, `${path}.ephemeralContainers`, volumes),
  ];
}

function validateContainers(spec: PodSpec, path: string, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const containers = spec.containers ?? [];
  if (containers.length === 0) return [required(path)];
  const names = new Set<string>();
  const errors = containers.flatMap((container, index) => {
    const field = `${path}[${index}]`;
    const found = validateCommon(container, field, spec, volumes);
    if (container.name && names.has(container.name)) found.push(duplicateValue(`${field}.name`, container.name));
    names.add(container.name);
    found.push(
      ...validateLifecycle(container.lifecycle, `${field}.lifecycle`, spec.terminationGracePeriodSeconds),
      ...validateProbes(container, field),
    );
    if (container.restartPolicy !== undefined) {
      found.push(forbiddenField(`${field}.restartPolicy`, 'may not be set for non-init containers'));
    }
    return found;
  });
  return [...errors, ...validateHostPorts(containers, path)];
}

const SIDECAR_ONLY = 'may not be set for init containers without restartPolicy=Always';

function validateInitContainers(spec: PodSpec, path: string, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const names = new Set((spec.containers ?? []).map(container => container.name));
  const containers = spec.initContainers ?? [];
  return containers.flatMap((container, index) => {
    const field = `${path}[${index}]`;
    const found = validateCommon(container, field, spec, volumes);
    if (container.name && names.has(container.name)) found.push(duplicateValue(`${field}.name`, container.name));
    names.add(container.name);
    found.push(
      ...validateHostPorts([container], path).map(error => ({
        ...error,
        field: error.field.replace('[0]', `[${index}]`),
      })),
    );
    const { restartPolicy } = container;
    if (restartPolicy !== undefined && restartPolicy !== 'Always') {
      found.push(notSupported(`${field}.restartPolicy`, restartPolicy, ['Always']));
    }
    if (restartPolicy === 'Always') {
      found.push(
        ...validateLifecycle(container.lifecycle, `${field}.lifecycle`, spec.terminationGracePeriodSeconds),
        ...validateProbes(container, field),
      );
    } else {
      for (const part of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
        if (container[part]) found.push(forbiddenField(`${field}.${part}`, SIDECAR_ONLY));
      }
    }
    return found;
  });
}

/** What an ephemeral container may not have. */
const NOT_EPHEMERAL = [
  'ports',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'resizePolicy',
  'restartPolicy',
] as const;

function validateEphemeralContainers(spec: PodSpec, path: string, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name));
  const names = new Set<string>();
  return (spec.ephemeralContainers ?? []).flatMap((container, index) => {
    const field = `${path}[${index}]`;
    const found = validateCommon(container, field, spec, volumes);
    if (container.name && (others.has(container.name) || names.has(container.name))) {
      found.push(duplicateValue(`${field}.name`, container.name));
    }
    names.add(container.name);
    const { targetContainerName } = container;
    if (targetContainerName && !others.has(targetContainerName)) {
      found.push({
        type: 'FieldValueNotFound',
        field: `${field}.targetContainerName`,
        message: `Not found: ${JSON.stringify(targetContainerName)}`,
      });
    }
    for (const part of NOT_EPHEMERAL) {
      if (container[part] !== undefined) {
        found.push(forbiddenField(`${field}.${part}`, 'cannot be set for an Ephemeral Container'));
      }
    }
    if (container.resources && Object.keys(container.resources).length > 0) {
      found.push(forbiddenField(`${field}.resources`, 'cannot be set for an Ephemeral Container'));
    }
    for (const [at, mount] of (container.volumeMounts ?? []).entries()) {
      if (mount.subPath) {
        found.push(forbiddenField(`${field}.volumeMounts[${at}].subPath`, 'cannot be set for an Ephemeral Container'));
      }
      if (mount.subPathExpr) {
        found.push(
          forbiddenField(`${field}.volumeMounts[${at}].subPathExpr`, 'cannot be set for an Ephemeral Container'),
        );
      }
    }
    return found;
  });
}
