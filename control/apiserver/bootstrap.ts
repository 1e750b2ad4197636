/**
 * What a cluster has from its first moment: the namespaces, the Service `kubernetes`, the default roles, and the endpoints
 * of that Service, which list the masters that live. Every step may be repeated: it looks before it writes, and meets
 * others doing the same.
 */
import { X509Certificate } from 'node:crypto';
import {
  configmaps as configMapKind,
  endpointslices as endpointSliceKind,
  endpoints as endpointsKind,
  namespaces as namespaceKind,
  services as serviceKind,
} from '../api/generated/kinds.ts';
import type {
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Namespace,
  Service,
  ServicePort,
  ServiceSpec,
} from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { isEqual } from '../api/schema/equal.ts';
import { hasReason } from '../api/status.ts';
import { addressAt, parseAddressRange } from './admission/ranges.ts';
import { type BootstrapCaller, call, ensure, pathOf, read } from './bootstrap-call.ts';
import { keepMandatoryLevels, keepServiceRange, makeFirstObjects } from './bootstrap-objects.ts';
import { reconcileRoles } from './bootstrap-roles.ts';
import { keepTokenTracking } from './legacy-token-tracking.ts';
import type { Clock, Logger } from './types.ts';

export interface BootstrapOptions extends BootstrapCaller {
  readonly serviceCIDR: string;
  /** Whether the nodes serve DNS at the tenth service address: then the Service `kube-dns` has it. */
  readonly servesDns?: boolean;
  /** Signs clients' certificates, PEM: told to servers behind this one, which have to know whom to believe. */
  readonly clientCa?: string;
  /** Signs the certificates with which masters tell such servers who asks, PEM. */
  readonly frontProxyCa?: string;
  /** The port behind the Service, on every master. */
  readonly securePort: number;
}

export interface KeepOptions extends BootstrapOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the keeping: this master leads no more. */
  readonly signal: AbortSignal;
  /** The addresses of the masters that live now. */
  livingMasters(): Promise<readonly string[]>;
  /** Hears when the first objects and the roles are there. */
  onMade?(): void;
}

/** Between two looks at who lives. */
const KEEP_MS = 2_000;
const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const NAME = 'kubernetes';
const SERVICE_PORT = 443;
const DNS_NAME = 'kube-dns';
/** Of the service range: where pods are told to look for DNS. */
const DNS_ADDRESS_INDEX = 10;

/** Makes what is missing. Throws ApiError; the caller tries again. */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  for (const name of NAMESPACES) {
    const namespace: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await ensure(options, namespaceKind, namespace);
  }
  await ensure(options, serviceKind, kubernetesService(options));
  await makeFirstObjects(options, options.serviceCIDR);
  await tellAuthentication(options);
}

/** How servers behind the masters find out who asks: by whose certificates, and by which headers. */
async function tellAuthentication(options: BootstrapOptions): Promise<void> {
  const { clientCa, frontProxyCa } = options;
  if (clientCa === undefined) return;
  const metadata = { name: 'extension-apiserver-authentication', namespace: 'kube-system' };
  const told: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'client-ca-file': clientCa } };
  const present = await read(options, configMapKind, told);
  if (frontProxyCa !== undefined) {
    const known = (present as ConfigMap | undefined)?.data?.[FRONT_PROXY_CA];
    told.data = {
      ...told.data,
      'requestheader-allowed-names': JSON.stringify([FRONT_PROXY_NAME]),
      // Each master makes the certificate anew, but the key is one: what is known stays good.
      [FRONT_PROXY_CA]: known !== undefined && hasSameKey(known, frontProxyCa) ? known : frontProxyCa,
      'requestheader-extra-headers-prefix': JSON.stringify(['X-Remote-Extra-']),
      'requestheader-group-headers': JSON.stringify(['X-Remote-Group']),
      'requestheader-username-headers': JSON.stringify(['X-Remote-User']),
    };
  }
  await put(options, configMapKind, told);
}

const FRONT_PROXY_CA = 'requestheader-client-ca-file';
/** The only name that a front proxy may have. */
const FRONT_PROXY_NAME = 'front-proxy-client';

function hasSameKey(a: string, b: string): boolean {
  try {
    return new X509Certificate(a).publicKey.equals(new X509Certificate(b).publicKey);
  } catch {
    return false;
  }
}

/** Makes the endpoints of the Service `kubernetes` list exactly `addresses`. Throws ApiError. */
export async function publishMasters(options: BootstrapOptions, addresses: readonly string[]): Promise<void> {
  const sorted = [...new Set(addresses)].sort();
  await put(options, endpointSliceKind, masterSlice(sorted, options.securePort));
  await put(options, endpointsKind, masterEndpoints(sorted, options.securePort));
}

/** Makes what is missing and keeps the endpoints true, until the signal aborts. Never rejects. */
export async function keepBootstrapObjects(options: KeepOptions): Promise<void> {
  const { signal, logger } = options;
  let isMade = false;
  while (!signal.aborted) {
    try {
      if (!isMade) {
        await bootstrap(options);
        await reconcileRoles(options);
      }
      if (!isMade) options.onMade?.();
      if (!isMade && options.servesDns) await makeDnsService(options);
      isMade = true;
      await keepMandatoryLevels(options);
      await keepServiceRange(options, options.serviceCIDR);
      await keepTokenTracking(options, options.clock.now());
      await publishMasters(options, await options.livingMasters());
    } catch (error) {
      logger.warn({ error: String(error) }, 'the first objects of the cluster could not be written');
    }
    await pause(options);
  }
}

function pause({ clock, signal }: KeepOptions): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimeout(done, KEEP_MS);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

function kubernetesService({ serviceCIDR, securePort }: BootstrapOptions): Service {
  const clusterIP = addressAt(parseAddressRange(serviceCIDR), 1);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: NAME, namespace: 'default', labels: { component: 'apiserver', provider: NAME } },
    spec: specAt(clusterIP, [{ name: 'https', port: SERVICE_PORT, protocol: 'TCP', targetPort: securePort }]),
  };
}

/** What a Service of the cluster's own is at an address, with the defaults that the API would give it. */
const specAt = (clusterIP: string, ports: readonly ServicePort[]): ServiceSpec => ({
  clusterIP,
  clusterIPs: [clusterIP],
  ipFamilies: ['IPv4'],
  ipFamilyPolicy: 'SingleStack',
  internalTrafficPolicy: 'Cluster',
  ports: [...ports],
  sessionAffinity: 'None',
  type: 'ClusterIP',
});

/**
 * The Service by which tools, and conformance tests, find the cluster's DNS. It has no selector: each node leads its
 * address to its own server. A cluster that has given the address to another goes without.
 */
export async function makeDnsService(options: KeepOptions): Promise<void> {
  const clusterIP = addressAt(parseAddressRange(options.serviceCIDR), DNS_ADDRESS_INDEX);
  const port = (name: string, protocol: string) => ({ name, port: 53, protocol, targetPort: 53 });
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: DNS_NAME,
      namespace: 'kube-system',
      labels: { 'k8s-app': DNS_NAME, 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    },
    spec: specAt(clusterIP, [port('dns', 'UDP'), port('dns-tcp', 'TCP')]),
  };
  try {
    await ensure(options, serviceKind, service);
  } catch (error) {
    if (!hasReason(error, 'Invalid')) throw error;
    options.logger.warn({ error: String(error) }, `the Service ${DNS_NAME} cannot have the address ${clusterIP}`);
  }
}

function masterSlice(addresses: readonly string[], port: number): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: NAME, namespace: 'default', labels: { 'kubernetes.io/service-name': NAME } },
    addressType: 'IPv4',
    endpoints: addresses.map(address => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
}

function masterEndpoints(addresses: readonly string[], port: number): Endpoints {
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    // The slice above is written directly; nobody is to mirror this one.
    metadata: { name: NAME, namespace: 'default', labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    ...(addresses.length > 0 && {
      subsets: [{ addresses: addresses.map(ip => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }],
    }),
  };
}

/** Creates the object, or gives the existing one its labels and body. */
async function put(options: BootstrapOptions, kind: Kind, object: KubernetesObject): Promise<void> {
  const old = await read(options, kind, object);
  if (!old) return ensure(options, kind, object);
  const labels = { ...old.metadata?.labels, ...object.metadata?.labels };
  const next = { ...old, ...object, metadata: { ...old.metadata, labels } };
  if (isEqual(next, old)) return;
  await call(options, { method: 'PUT', path: pathOf(kind, object), body: next });
}
