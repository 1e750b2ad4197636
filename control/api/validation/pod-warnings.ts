/** Warnings about pods and templates (Kubernetes' pkg/api/pod/warnings.go, as far as recorded answers show it). */
import type { Container, PodSpec, Volume } from '../generated/types.ts';
import { isWhole, parseQuantity } from '../schema/quantity.ts';

const DEPRECATED_NODE_LABELS: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const DEPRECATED_VOLUMES: readonly (readonly [keyof Volume, string])[] = [
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
];

/** Warnings of a spec at `path`. */
export function podSpecWarnings(spec: PodSpec, path: string): string[] {
  const found: string[] = [];
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    const why = DEPRECATED_NODE_LABELS[key];
    if (why) found.push(`${path}.nodeSelector[${key}]: ${why}`);
  }
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    for (const [source, why] of DEPRECATED_VOLUMES) {
      if (volume[source] !== undefined) found.push(`${path}.volumes[${index}].${source}: ${why}`);
    }
  }
  for (const [index, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) found.push(`${path}.imagePullSecrets[${index}].name: invalid empty name ""`);
  }
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      found.push(...containerWarnings(container, `${path}.${list}[${index}]`));
    }
  }
  return found;
}

function containerWarnings(container: Container, path: string): string[] {
  return [
    ...fractionWarnings(container.resources?.limits, `${path}.resources.limits`),
    ...fractionWarnings(container.resources?.requests, `${path}.resources.requests`),
    ...envWarnings(container, path),
    ...portWarnings(container, path),
  ];
}

/** Bytes have no fractions. */
function fractionWarnings(list: Readonly<Record<string, string | number>> | undefined, path: string): string[] {
  return ['memory', 'ephemeral-storage'].flatMap(name => {
    const text = list?.[name];
    if (text === undefined || isWhole(parseQuantity(String(text)))) return [];
    return [`${path}[${name}]: fractional byte value ${JSON.stringify(String(text))} is invalid, must be an integer`];
  });
}

function envWarnings({ env = [] }: Container, path: string): string[] {
  const seen = new Map<string, string>();
  return env.flatMap(({ name, value = '' }, index) => {
    const isHiding = seen.has(name);
    // Building on the earlier value is no mistake.
    const isUsing = value.includes(`$(${name})`);
    seen.set(name, value);
    return isHiding && !isUsing
      ? [
          `${path}.env[${index}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
        ]
      : [];
  });
}

function portWarnings({ ports = [] }: Container, path: string): string[] {
  return ports.flatMap((port, index) => {
    const found: string[] = [];
    const field = `${path}.ports[${index}]`;
    const { name = '', hostPort = 0, containerPort, protocol = '', hostIP = '' } = port;
    if (hostIP !== '' && hostPort === 0) {
      found.push(
        `${field}: hostIP set without hostPort: {Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`,
      );
    }
    const before = ports.findIndex(
      other =>
        other.containerPort === containerPort &&
        (other.protocol ?? '') === protocol &&
        (other.hostPort ?? 0) === hostPort &&
        (other.hostIP ?? '') === hostIP,
    );
    if (before !== -1 && before < index) {
      found.push(`${field}: duplicate port definition with ${path}.ports[${before}]`);
    }
    return found;
  });
}
