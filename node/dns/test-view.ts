/** For tests: a view of Services and EndpointSlices that are given as a list, through the informers' own indexing. */
import type { EndpointSlice, KubernetesObject, Service } from '../api.ts';
import { parseCidr } from '../network/cidr.ts';
import type { ZoneConfig } from './records.ts';
import { type Indexed, type ServiceView, viewOf } from './view.ts';

class TestIndex<T extends KubernetesObject> implements Indexed<T> {
  hasSynced = true;
  readonly objects: T[];
  readonly #indexers = new Map<string, (object: T) => readonly string[]>();

  constructor(objects: readonly T[]) {
    this.objects = [...objects];
  }
  get(key: string): T | undefined {
    return this.objects.find(({ metadata }) => `${metadata?.namespace}/${metadata?.name}` === key);
  }
  byIndex(index: string, value: string): readonly T[] {
    return this.objects.filter(object => this.#indexers.get(index)?.(object).includes(value));
  }
  addIndex(index: string, indexer: (object: T) => readonly string[]): void {
    this.#indexers.set(index, indexer);
  }
}

export const testZone: ZoneConfig = {
  domain: 'cluster.local',
  address: '10.43.0.10',
  ranges: [parseCidr('10.42.0.0/16'), parseCidr('10.43.0.0/16')],
};

export function testView(services: readonly Service[], slices: readonly EndpointSlice[] = []): ServiceView {
  return viewOf(new TestIndex(services), new TestIndex(slices));
}

export function service(name: string, spec: Partial<NonNullable<Service['spec']>>): Service {
  return { metadata: { name, namespace: 'default' }, spec };
}

interface SliceFacts {
  readonly service: string;
  readonly endpoints: EndpointSlice['endpoints'];
  readonly ports?: EndpointSlice['ports'];
  readonly addressType?: string;
}

export function slice({ service: name, endpoints, ports = [], addressType = 'IPv4' }: SliceFacts): EndpointSlice {
  return {
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType,
    endpoints,
    ports,
  };
}

const web = { name: 'http', port: 80, protocol: 'TCP' };

/** One of each kind that names are made of. */
export const sampleServices: readonly Service[] = [
  service('kubernetes', { clusterIP: '10.43.0.1', clusterIPs: ['10.43.0.1'], ports: [{ name: 'https', port: 443 }] }),
  service('dual', { clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.7', 'fd00::7'], ports: [web] }),
  service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [web] }),
  service('early', { clusterIP: 'None', publishNotReadyAddresses: true, ports: [web] }),
  service('empty', { clusterIP: 'None', ports: [web] }),
  service('bare', { clusterIP: 'None' }),
  service('outside', { type: 'ExternalName', externalName: 'Foo.Example.com.' }),
  service('inside', { type: 'ExternalName', externalName: 'db.default.svc.cluster.local' }),
  service('loop', { type: 'ExternalName', externalName: 'loop.default.svc.cluster.local' }),
];
export const sampleSlices: readonly EndpointSlice[] = [
  slice({
    service: 'db',
    ports: [web],
    endpoints: [
      { addresses: ['10.42.0.5'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.42.1.6'], hostname: 'db-1', conditions: {} },
      { addresses: ['10.42.1.7'], conditions: { ready: true } },
      { addresses: ['10.42.1.8'], hostname: 'db-3', conditions: { ready: false } },
    ],
  }),
  slice({
    service: 'early',
    ports: [web],
    endpoints: [{ addresses: ['10.42.0.9'], hostname: 'early-0', conditions: { ready: false } }],
  }),
  slice({ service: 'empty', ports: [web], endpoints: [{ addresses: ['10.42.0.3'], conditions: { ready: false } }] }),
  slice({ service: 'bare', endpoints: [{ addresses: ['fd00::42'], hostname: 'six' }], addressType: 'IPv6' }),
  slice({ service: 'kubernetes', endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }] }),
];
