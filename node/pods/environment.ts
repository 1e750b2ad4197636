/**
 * A container's environment, computed purely from its spec and from the objects it refers to: service variables first,
 * then `envFrom`, then `env`, later ones winning, with `$(NAME)` expanded from what came before.
 */
import type {
  ConfigMap,
  Container,
  EphemeralContainer,
  ObjectFieldSelector,
  Pod,
  ResourceFieldSelector,
  Secret,
  Service,
} from '../api.ts';
import { milliValue, quantityValue } from './quantity.ts';
import type { Amounts } from './requests.ts';

/** What a reference to a ConfigMap or Secret found. */
export interface Lookups {
  /** Undefined if it does not exist. */
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

export interface EnvironmentContext {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly lookups: Lookups;
  readonly podIP: string;
  /** All of them, the primary one first; only that where they are not given. */
  readonly podIPs?: readonly string[];
  readonly hostIP: string;
  readonly hostIPs: readonly string[];
  readonly nodeName: string;
  /** What the node can give: stands in for limits that a container does not have. */
  readonly allocatable: Amounts;
  /** All services that have a cluster address. */
  readonly services: readonly Service[];
}

export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** The container cannot be configured: what it refers to is missing. Its message is shown to users as it is. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'NODE_CONTAINER_CONFIG';
}

/** Names of the ConfigMaps and Secrets that a container's environment needs. */
export function referencesOf(container: Container | EphemeralContainer): {
  readonly configMaps: readonly string[];
  readonly secrets: readonly string[];
} {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name) configMaps.add(configMapRef.name);
    if (secretRef?.name) secrets.add(secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef?.name) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps: [...configMaps], secrets: [...secrets] };
}

/** The variables in order. Throws {@link ConfigError} if something that is not optional is missing. */
export function makeEnvironment(context: EnvironmentContext): Variable[] {
  const { container, pod } = context;
  const result = new Map<string, string>();
  for (const [name, value] of fromSources(context)) result.set(name, value);
  const services = serviceVariables(context.services, pod);
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom
      ? valueFrom(variable.name, context)
      : expand(variable.value ?? '', name => result.get(name) ?? services.get(name));
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of services) if (!result.has(name)) result.set(name, value);
  return [...result].map(([name, value]) => ({ name, value }));
}

function* fromSources({ container, lookups, pod }: EnvironmentContext): Generator<[string, string]> {
  const where = pod.metadata?.namespace ?? '';
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const found = lookups.configMap(configMapRef.name ?? '');
      if (!found && !configMapRef.optional) throw new ConfigError(`configmap "${configMapRef.name}" not found`);
      for (const [key, value] of Object.entries(found?.data ?? {}))
        if (isName(prefix + key)) yield [prefix + key, value];
    }
    if (secretRef) {
      const found = lookups.secret(secretRef.name ?? '');
      if (!found && !secretRef.optional) throw new ConfigError(`secret "${secretRef.name}" not found`);
      for (const [key, value] of Object.entries(found?.data ?? {}))
        if (isName(prefix + key)) yield [prefix + key, decoded(value, `${where}/${secretRef.name}`)];
    }
  }
}

function valueFrom(name: string, context: EnvironmentContext): string | undefined {
  const { pod, container, lookups } = context;
  const source = container.env?.find(variable => variable.name === name)?.valueFrom;
  const where = pod.metadata?.namespace ?? '';
  if (source?.fieldRef) return fieldValue(source.fieldRef, context);
  if (source?.resourceFieldRef) return resourceValue(source.resourceFieldRef, context);
  if (source?.configMapKeyRef) {
    const { name: object = '', key, optional } = source.configMapKeyRef;
    const found = lookups.configMap(object);
    const value = found?.data?.[key];
    if (value !== undefined || optional) return value;
    if (!found) throw new ConfigError(`configmap "${object}" not found`);
    throw new ConfigError(`couldn't find key ${key} in ConfigMap ${where}/${object}`);
  }
  if (source?.secretKeyRef) {
    const { name: object = '', key, optional } = source.secretKeyRef;
    const found = lookups.secret(object);
    const value = found?.data?.[key];
    if (value !== undefined) return decoded(value, `${where}/${object}`);
    if (optional) return undefined;
    if (!found) throw new ConfigError(`secret "${object}" not found`);
    throw new ConfigError(`couldn't find key ${key} in Secret ${where}/${object}`);
  }
  return '';
}

/** A field of the pod as a string: `metadata.labels['app']`, `status.podIP` and so on. Throws {@link ConfigError}. */
export function fieldValue(
  { fieldPath }: ObjectFieldSelector,
  at: Pick<EnvironmentContext, 'pod' | 'podIP' | 'podIPs' | 'hostIP' | 'hostIPs' | 'nodeName'>,
): string {
  const { metadata, spec } = at.pod;
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (keyed) return metadata?.[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata?.name ?? '';
    case 'metadata.namespace':
      return metadata?.namespace ?? '';
    case 'metadata.uid':
      return metadata?.uid ?? '';
    case 'metadata.labels':
      return lines(metadata?.labels);
    case 'metadata.annotations':
      return lines(metadata?.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? at.nodeName;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.podIP':
      return at.podIP;
    case 'status.podIPs':
      return (at.podIPs ?? [at.podIP]).join(',');
    case 'status.hostIP':
      return at.hostIP;
    case 'status.hostIPs':
      return at.hostIPs.join(',');
    default:
      throw new ConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** A container's request or limit, in units of the divisor, rounded up. Throws {@link ConfigError}. */
export function resourceValue(
  { containerName, resource, divisor }: ResourceFieldSelector,
  {
    pod,
    container,
    allocatable,
  }: Pick<EnvironmentContext, 'pod' | 'allocatable'> & { container?: EnvironmentContext['container'] },
): string {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const target = containerName ? all.find(({ name }) => name === containerName) : container;
  if (!target) throw new ConfigError(`container ${containerName ?? ''} not found`);
  const [kind, name] = resource.split(/\.(.*)/s);
  if ((kind !== 'limits' && kind !== 'requests') || !name)
    throw new ConfigError(`unsupported container resource : ${resource}`);
  const given = target.resources?.[kind]?.[name];
  const unit = quantityValue(divisor) || 1;
  // A limit of nothing is none (k/k: api/v1/resource, MergeContainerResourceLimits).
  const ofNode = kind === 'limits' ? wholeNode(name, allocatable) : 0;
  const amount = name === 'cpu' ? (milliValue(given) || ofNode) / 1000 : quantityValue(given) || ofNode;
  return String(Math.ceil(Number((amount / unit).toFixed(6))));
}

/** What a container without a limit may use of the node; thousandths of processors. */
function wholeNode(name: string, { cpuMilli, memoryBytes, storageBytes }: Amounts): number {
  if (name === 'cpu') return cpuMilli;
  if (name === 'memory') return memoryBytes;
  return name === 'ephemeral-storage' ? storageBytes : 0;
}

/**
 * `{SVCNAME}_SERVICE_HOST` and its kin, for the services of the pod's namespace; for the API server's own service always.
 */
export function serviceVariables(services: readonly Service[], pod: Pod): Map<string, string> {
  const variables = new Map<string, string>();
  const own = pod.metadata?.namespace;
  const links = pod.spec?.enableServiceLinks !== false;
  const isMaster = ({ metadata }: Service) => metadata?.namespace === 'default' && metadata.name === 'kubernetes';
  const sorted = services.toSorted((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  for (const service of sorted) {
    const { clusterIP, ports } = service.spec ?? {};
    if (!clusterIP || clusterIP === 'None' || !ports?.length) continue;
    if (!(isMaster(service) || (links && service.metadata?.namespace === own))) continue;
    // The namespace's own `kubernetes` wins over the API server's, as in Kubernetes.
    if (
      isMaster(service) &&
      own !== 'default' &&
      services.some(other => other.metadata?.namespace === own && other.metadata?.name === 'kubernetes' && links)
    )
      continue;
    addServiceVariables(variables, service);
  }
  return variables;
}

function addServiceVariables(variables: Map<string, string>, { metadata, spec }: Service) {
  const prefix = constantCase(metadata?.name ?? '');
  const host = spec?.clusterIP ?? '';
  const address = host.includes(':') ? `[${host}]` : host;
  const ports = spec?.ports ?? [];
  variables.set(`${prefix}_SERVICE_HOST`, host);
  variables.set(`${prefix}_SERVICE_PORT`, String(ports[0]?.port ?? ''));
  for (const { name, port } of ports)
    if (name) variables.set(`${prefix}_SERVICE_PORT_${constantCase(name)}`, String(port));
  ports.forEach(({ port, protocol = 'TCP' }, index) => {
    const scheme = protocol.toLowerCase();
    const url = `${scheme}://${address}:${port}`;
    if (index === 0) variables.set(`${prefix}_PORT`, url);
    const one = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    variables.set(one, url);
    variables.set(`${one}_PROTO`, scheme);
    variables.set(`${one}_PORT`, String(port));
    variables.set(`${one}_ADDR`, host);
  });
}

/** `$(NAME)` replaced by its value; unknown names stay as they stand, and `$$` is a plain dollar. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? whole),
  );
}

const constantCase = (name: string) => name.toUpperCase().replaceAll('-', '_');
/** What may be a variable's name since 1.30: any printable ASCII but `=`. */
const isName = (name: string) => /^[\x20-\x3c\x3e-\x7e]+$/.test(name);

function lines(values: Record<string, string> | undefined): string {
  const sorted = Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join('\n');
}

function decoded(base64: string, where: string): string {
  const bytes = Buffer.from(base64, 'base64');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes))
    throw new ConfigError(`secret ${where} holds bytes that are no UTF-8 text`);
  return text;
}
