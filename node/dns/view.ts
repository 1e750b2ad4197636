/**
 * What the records are made from: the Services and EndpointSlices of the cluster, found by what a name or an address says.
 * Nothing is copied: the answer is made from what the informers hold at that moment.
 */
import type { EndpointSlice, Service } from '../api.ts';
import { canonicalAddress } from './names.ts';

export interface ServiceView {
  /** False until all is known: then nothing can be said not to be there. */
  readonly ready: boolean;
  service(namespace: string, name: string): Service | undefined;
  /** Whether a namespace has any service. */
  hasServices(namespace: string): boolean;
  slicesOf(namespace: string, name: string): readonly EndpointSlice[];
  /** Addresses as `canonicalAddress` spells them. */
  servicesAt(address: string): readonly Service[];
  slicesAt(address: string): readonly EndpointSlice[];
}

/** The part of an informer that is read. */
export interface Indexed<T> {
  readonly hasSynced: boolean;
  get(key: string): T | undefined;
  byIndex(index: string, value: string): readonly T[];
  addIndex(index: string, indexer: (object: T) => readonly string[]): void;
}

const SERVICE_NAME = 'kubernetes.io/service-name';
const BY_NAMESPACE = 'dns-namespace';
const BY_ADDRESS = 'dns-address';
const BY_SERVICE = 'dns-service';

export function viewOf(services: Indexed<Service>, slices: Indexed<EndpointSlice>): ServiceView {
  services.addIndex(BY_NAMESPACE, ({ metadata }) => [metadata?.namespace ?? '']);
  services.addIndex(BY_ADDRESS, service => unique(clusterIPsOf(service)));
  slices.addIndex(BY_SERVICE, slice => [serviceKeyOf(slice)]);
  slices.addIndex(BY_ADDRESS, ({ endpoints }) => unique((endpoints ?? []).flatMap(({ addresses }) => addresses)));
  return {
    get ready() {
      return services.hasSynced && slices.hasSynced;
    },
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    hasServices: namespace => services.byIndex(BY_NAMESPACE, namespace).length > 0,
    slicesOf: (namespace, name) => slices.byIndex(BY_SERVICE, `${namespace}/${name}`),
    servicesAt: address => services.byIndex(BY_ADDRESS, address),
    slicesAt: address => slices.byIndex(BY_ADDRESS, address),
  };
}

/** Without `None`, which stands for a headless service. */
export function clusterIPsOf({ spec }: Service): readonly string[] {
  if (spec?.type === 'ExternalName') return [];
  const listed = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? ''];
  return listed.filter(address => address !== '' && address !== 'None');
}

export function serviceNameOf({ metadata }: EndpointSlice): string {
  return metadata?.labels?.[SERVICE_NAME] ?? '';
}

const serviceKeyOf = (slice: EndpointSlice) => `${slice.metadata?.namespace ?? ''}/${serviceNameOf(slice)}`;

const unique = (addresses: readonly string[]) => [
  ...new Set(addresses.map(canonicalAddress).filter(address => address !== undefined)),
];
