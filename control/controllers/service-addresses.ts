/**
 * Repairs what somebody did to the records of service addresses. The API server writes a Service and the IPAddresses that it
 * holds in one transaction, so they differ only where an IPAddress was deleted or made by hand. An address that a Service
 * lists and that nobody holds is recorded again; a record whose Service does not list it goes (k/k ipallocator/controller:
 * RepairIPAddress). Caches of two kinds are never of one moment, so before anything is done both objects are read.
 */
import { canonicalIp } from '../api/families.ts';
import {
  ipaddresses as addressesKind,
  servicecidrs as rangesKind,
  services as servicesKind,
} from '../api/generated/kinds.ts';
import type { IPAddress, Service, ServiceCIDR } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { parseTime } from '../client/clock.ts';
import { formatKey, keyOf, parseKey } from '../client/keys.ts';
import { rangeGives } from './cidr.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { ADDRESS_GRACE_MS } from './limits.ts';

const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by';
const FAMILY = 'ipaddress.kubernetes.io/ip-family';
const ALLOCATOR = 'ipallocator.k8s.io';

/** The addresses that a Service holds. Pure. */
export function addressesOf({ spec }: Service): readonly string[] {
  if (!spec || spec.type === 'ExternalName') return [];
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []))
    .filter(ip => ip !== '' && ip !== 'None')
    .map(canonicalIp);
}

/** True if the record is one of the allocator's, and names this Service. Pure. */
export function isRecordOf(record: IPAddress, service: Service | undefined): boolean {
  const { parentRef } = record.spec ?? {};
  return (
    service !== undefined &&
    parentRef?.group === undefined &&
    parentRef?.resource === 'services' &&
    parentRef.namespace === service.metadata?.namespace &&
    parentRef.name === service.metadata?.name &&
    addressesOf(service).includes(record.metadata?.name ?? '')
  );
}

/** The record that a Service's address should have. Pure. */
export function recordOf(address: string, { metadata }: Service): IPAddress {
  return {
    metadata: {
      name: address,
      labels: { [FAMILY]: address.includes(':') ? 'IPv6' : 'IPv4', [MANAGED_BY]: ALLOCATOR },
    },
    spec: {
      parentRef: { resource: 'services', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' },
    },
  };
}

/** True for what the allocator of the API servers recorded. */
export const isOurRecord = ({ metadata }: IPAddress): boolean => metadata?.labels?.[MANAGED_BY] === ALLOCATOR;

const ownerOf = ({ spec }: IPAddress) => ({
  namespace: spec?.parentRef?.namespace ?? '',
  name: spec?.parentRef?.name ?? '',
});

export function serviceAddressController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const recorder = context.recorder('ipallocator-repair-controller');
  const queue = newQueue(context);
  const services = informers.for<Service>(servicesKind);
  const records = informers.for<IPAddress>(addressesKind);
  const ranges = informers.for<ServiceCIDR>(rangesKind);
  // A key with a slash is a Service, one without is an address: neither name may hold one.
  const enqueueService = (service: Service) => queue.add(keyOf(service));
  const enqueueRecord = ({ metadata }: IPAddress) => queue.add(metadata?.name ?? '');
  services.addHandler({ added: enqueueService, updated: enqueueService });
  records.addHandler({
    added: enqueueRecord,
    deleted: record => {
      const { namespace, name } = record.spec?.parentRef ?? {};
      if (namespace && name) queue.add(`${namespace}/${name}`);
    },
  });
  const read = async <T>(reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const warn = (about: Service | IPAddress, reason: string, message: string) =>
    recorder.record(about, { type: 'Warning', reason, message });
  const isOutOfRange = (address: string) => {
    const cidrs = ranges.list().flatMap(({ spec }) => spec?.cidrs ?? []);
    return cidrs.length > 0 && !cidrs.some(cidr => rangeGives(cidr, address));
  };

  const repairService = async (key: string) => {
    const cached = services.get(key);
    const isRight = (address: string) => {
      const record = records.get(address);
      return record !== undefined && (isRecordOf(record, cached) || !isOurRecord(record)) && !isOutOfRange(address);
    };
    if (!cached || addressesOf(cached).every(isRight)) return undefined;
    const service = await read(client.get(servicesKind, parseKey(key)));
    for (const address of service ? addressesOf(service) : []) if (service) await repairAddress(service, address);
    return undefined;
  };
  const repairAddress = async (service: Service, address: string) => {
    const shown = `[${address.includes(':') ? 'IPv6' : 'IPv4'}]`;
    if (isOutOfRange(address)) {
      const why = 'is not within any configured Service CIDR; please recreate service';
      return warn(service, 'ClusterIPOutOfRange', `Cluster IP ${shown}: ${address} ${why}`);
    }
    const record = await read(client.get(addressesKind, { name: address }));
    if (record) {
      if (isRecordOf(record, service) || !isOurRecord(record)) return;
      if (isRecordOf(record, await read(client.get(servicesKind, ownerOf(record))))) {
        const why = 'was assigned to multiple services; please recreate service';
        return warn(service, 'ClusterIPAlreadyAllocated', `Cluster IP ${shown}:${address} ${why}`);
      }
      const whose = `${service.metadata?.namespace}/${service.metadata?.name}`;
      const message = `the ClusterIP ${shown}: ${address} for Service ${whose} has a wrong reference; repairing`;
      warn(service, 'ClusterIPNotAllocated', message);
      await remove(record);
    } else {
      warn(service, 'ClusterIPNotAllocated', `Cluster IP ${shown}: ${address} is not allocated; repairing`);
    }
    await client.create(addressesKind, recordOf(address, service));
  };

  const repairRecord = async (address: string) => {
    const record = records.get(address);
    if (!record || !isOurRecord(record)) return undefined;
    const key = ownerOf(record);
    if (isRecordOf(record, services.get(formatKey(key)))) return undefined;
    // Made a moment ago: its Service may be on its way.
    const leftMs = (parseTime(record.metadata?.creationTimestamp) ?? 0) + ADDRESS_GRACE_MS - clock.now();
    if (leftMs > 0) return { afterMs: leftMs };
    const service = await read(client.get(servicesKind, key));
    if (isRecordOf(record, service)) return undefined;
    const which = `IPAddress: ${address} for Service ${formatKey(key)}`;
    if (service) warn(record, 'IPAddressWrongReference', `${which} has a wrong reference; cleaning up`);
    else warn(record, 'IPAddressNotAllocated', `${which} appears to have leaked: cleaning up`);
    await remove(record);
    return undefined;
  };
  const remove = async (record: IPAddress) => {
    const { name = '', uid = '' } = record.metadata ?? {};
    await read(client.delete(addressesKind, { name }, { uid }));
  };

  return queueController(context, {
    name: 'service-address-repair-controller',
    queue,
    workers: 1,
    reconcile: key => (key.includes('/') ? repairService(key) : repairRecord(key)),
  });
}
