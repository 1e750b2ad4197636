/**
 * Addresses and ports of Services. Each one given out is a key of its own, written in the same transaction as the Service
 * and only if it is free: two masters can never give out the same one, and one that is not used any more is free in the
 * same moment. The cache only helps to guess well.
 */

import { canonicalIp } from '../../api/families.ts';
import { ipaddresses } from '../../api/generated/kinds.ts';
import type { IPAddress, Service, ServiceSpec } from '../../api/generated/types.ts';
import { type FieldError, invalid } from '../../api/status.ts';
import { goStrings } from '../../api/validation/go-text.ts';
import { encodeStored } from '../cache/encoding.ts';
import { REGISTRY, type WatchCache } from '../cache/watch-cache.ts';
import { timestamp } from '../core.ts';
import { resourcePrefix } from '../keys.ts';
import type { Clock } from '../types.ts';
import type { ExtraConditions } from '../verbs/commit.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from './admission.ts';
import { addressAt, isInRange, type PortRange, type ServiceRange } from './ranges.ts';
import { type OwnRanges, ServiceRanges } from './service-ranges.ts';

export interface AllocationOptions {
  readonly cache: WatchCache;
  /** The ranges that the cluster was made with; ServiceCIDRs add others. */
  readonly addresses: OwnRanges;
  readonly ports: PortRange;
  readonly random: () => number;
  readonly newUid: () => string;
  readonly clock: Clock;
}

/** An address that is given out is an object that everybody can see. */
const ADDRESSES = resourcePrefix(ipaddresses);
const PORTS = `${REGISTRY}allocations/ports/`;
/** Guesses at random before looking one by one. */
const GUESSES = 32;
/**
 * The lower part of the range is left to services that choose their own address, so that the chance of meeting one is
 * small: between 16 and 256 addresses, a sixteenth of the range (Kubernetes' ServiceIPStaticSubrange).
 */
const STATIC_ADDRESSES_MIN = 16;
const STATIC_ADDRESSES_MAX = 256;
/** The same of ports: between 16 and 128, a thirty-second of the range (Kubernetes' ServiceNodePortStaticSubrange). */
const STATIC_PORTS_MIN = 16;
const STATIC_PORTS_MAX = 128;

/** What is given away, and from where. */
interface Allocator extends AllocationOptions {
  readonly ranges: ServiceRanges;
}

export function serviceAllocation(options: AllocationOptions): AdmissionPlugin {
  const allocator = { ...options, ranges: new ServiceRanges(options.cache, options.addresses) };
  return {
    name: 'ServiceAllocation',
    conclude(request, states) {
      if (request.kind.group !== '' || request.kind.plural !== 'services') return {};
      return allocate(allocator, request, states);
    },
  };
}

function allocate(options: Allocator, request: AdmissionRequest, { object, old }: States): ExtraConditions {
  const before = keysOf(old as Service | undefined);
  const service = object as Service | undefined;
  if (service?.spec) {
    const unsupported = familyErrors(options, service.spec);
    if (unsupported.length > 0) throw invalid(request.kind, service.metadata?.name ?? '', unsupported);
    const errors = [
      ...giveAddresses(options, service.spec, before),
      ...givePorts(options, service.spec, { before, isNew: old === undefined }),
    ];
    if (errors.length > 0) throw invalid(request.kind, service.metadata?.name ?? '', errors);
  }
  const after = keysOf(service);
  const owner = { namespace: request.info.namespace, name: (service ?? old)?.metadata?.name ?? '' };
  const taken = [...after].filter(key => !before.has(key));
  const freed = [...before].filter(key => !after.has(key));
  return {
    compare: taken.map(key => ({ key, target: 'createRevision', op: '=', value: 0 }) as const),
    then: [
      ...taken.map(key => ({ type: 'put', key, value: allocationRecord(options, key, owner) }) as const),
      ...freed.map(key => ({ type: 'delete', key }) as const),
    ],
  };
}

interface Owner {
  readonly namespace: string;
  readonly name: string;
}

function allocationRecord(options: AllocationOptions, key: string, owner: Owner): Uint8Array {
  const name = key.slice(key.lastIndexOf('/') + 1);
  if (key.startsWith(ADDRESSES)) return encodeStored(addressObject(options, name, owner));
  const metadata = { name, annotations: { owner: `${owner.namespace}/${owner.name}` } };
  return encodeStored({ kind: 'Allocation', apiVersion: 'raftsman/v1', metadata });
}

function addressObject({ newUid, clock }: AllocationOptions, name: string, owner: Owner): IPAddress {
  return {
    kind: 'IPAddress',
    apiVersion: 'networking.k8s.io/v1',
    metadata: {
      name,
      uid: newUid(),
      creationTimestamp: timestamp(clock),
      labels: {
        'ipaddress.kubernetes.io/ip-family': name.includes(':') ? 'IPv6' : 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { resource: 'services', ...owner } },
  };
}

const isHeadless = (spec: ServiceSpec) => spec.clusterIP === 'None';
const hasNodePorts = ({ type, allocateLoadBalancerNodePorts }: ServiceSpec) =>
  type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);
const needsHealthPort = ({ type, externalTrafficPolicy }: ServiceSpec) =>
  type === 'LoadBalancer' && externalTrafficPolicy === 'Local';

/** A Service has the cluster's families. A headless one without selector describes what is elsewhere: it may say more. */
function familyErrors({ addresses: own }: Allocator, spec: ServiceSpec): FieldError[] {
  if (spec.type === 'ExternalName' || (isHeadless(spec) && !spec.selector)) return [];
  if (spec.ipFamilyPolicy === 'RequireDualStack' && !own.ipv6) {
    const message = 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services';
    return [{ type: 'FieldValueInvalid', field: 'spec.ipFamilyPolicy', message }];
  }
  return (spec.ipFamilies ?? []).flatMap((family, index): FieldError[] => {
    if (family === 'IPv4' || own.ipv6) return [];
    const message = `Invalid value: ${JSON.stringify(family)}: not configured on this cluster`;
    return [{ type: 'FieldValueInvalid', field: `spec.ipFamilies[${index}]`, message }];
  });
}

/** The keys of everything that a Service holds. */
function keysOf(service: Service | undefined): Set<string> {
  const spec = service?.spec;
  if (!spec || spec.type === 'ExternalName') return new Set();
  const addresses = isHeadless(spec) ? [] : (spec.clusterIPs ?? []);
  const ports = [...(spec.ports ?? []).map(port => port.nodePort), spec.healthCheckNodePort];
  return new Set([...addresses.filter(Boolean).map(keyOfAddress), ...ports.filter(Boolean).map(port => PORTS + port)]);
}

/** One address has one key, however it is spelt. */
const keyOfAddress = (address: string) => ADDRESSES + canonicalIp(address);

/** One address of each of the Service's families, in their order. */
function giveAddresses(options: Allocator, spec: ServiceSpec, before: ReadonlySet<string>): FieldError[] {
  if (spec.type === 'ExternalName' || isHeadless(spec)) return [];
  const families = spec.ipFamilies?.length ? spec.ipFamilies : ['IPv4'];
  const given = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : undefined);
  const addresses: string[] = [];
  for (const [index, family] of families.entries()) {
    const wanted = given?.[index] ?? '';
    const ranges = options.ranges.ofFamily(family);
    const result = wanted === '' ? pickAddress(options, ranges) : claimAddress(options, ranges, { wanted, before });
    if ('trouble' in result) {
      const shown = wanted === '' ? given : families.map((_, place) => given?.[place] ?? '');
      const message = `Invalid value: ${goStrings(shown)}: ${result.trouble}`;
      return [{ type: 'FieldValueInvalid', field: 'spec.clusterIPs', message }];
    }
    addresses.push(result.address);
  }
  spec.clusterIP = addresses[0] ?? '';
  spec.clusterIPs = addresses;
  return [];
}

type Allocated = { readonly address: string } | { readonly trouble: string };

function claimAddress(
  { cache }: Allocator,
  ranges: readonly ServiceRange[],
  { wanted, before }: { readonly wanted: string; readonly before: ReadonlySet<string> },
): Allocated {
  const key = keyOfAddress(wanted);
  if (before.has(key)) return { address: wanted };
  const why = !ranges.some(range => isInRange(range, wanted))
    ? 'the provided network does not match the current range'
    : cache.resource(ADDRESSES).get(key)
      ? 'provided IP is already allocated'
      : undefined;
  return why === undefined ? { address: wanted } : { trouble: `failed to allocate IP ${wanted}: ${why}` };
}

function pickAddress({ cache, random }: Allocator, ranges: readonly ServiceRange[]): Allocated {
  const taken = cache.resource(ADDRESSES);
  for (const range of ranges) {
    const free = findAddress(range, address => !taken.get(ADDRESSES + address), random);
    if (free !== undefined) return { address: free };
  }
  return { trouble: 'failed to allocate a serviceIP: range is full' };
}

/** A free address of the range, from its upper part if there is one left; undefined if it is full. */
function findAddress(
  range: ServiceRange,
  isFreeAddress: (address: string) => boolean,
  random: () => number,
): string | undefined {
  const fixed = Math.min(Math.max(STATIC_ADDRESSES_MIN, range.size >> 4), STATIC_ADDRESSES_MAX);
  const reserved = Math.min(fixed, range.size);
  const isFree = (index: number) => isFreeAddress(addressAt(range, index));
  const upper = { from: reserved, to: range.size };
  const index = findFree(upper, { isFree, random }) ?? findFree({ from: 1, to: reserved }, { isFree, random });
  return index === undefined ? undefined : addressAt(range, index);
}

function givePorts(
  options: AllocationOptions,
  spec: ServiceSpec,
  { before, isNew }: { readonly before: ReadonlySet<string>; readonly isNew: boolean },
): FieldError[] {
  const errors: FieldError[] = [];
  const own = new Map<number, string>();
  const state: PortState = { options, before, own, errors };
  const ports = spec.ports ?? [];
  // What was asked for comes first, so that what is free is not given away before.
  for (const [index, port] of ports.entries()) {
    if (port.nodePort)
      claimPort(state, port.nodePort, { field: `spec.ports[${index}].nodePort`, protocol: port.protocol });
  }
  if (spec.healthCheckNodePort) claimPort(state, spec.healthCheckNodePort, { field: 'spec.healthCheckNodePort' });
  if (hasNodePorts(spec)) {
    // A new Service has one number of the nodes for one of its own, whatever the protocols: DNS is reached at one port.
    const shared = new Map(isNew ? ports.flatMap(({ port, nodePort }) => (nodePort ? [[port, nodePort]] : [])) : []);
    for (const [index, port] of ports.entries()) {
      port.nodePort ||=
        shared.get(port.port) ?? pickPort(state, `spec.ports[${index}].nodePort`, port.protocol ?? 'TCP');
      if (isNew) shared.set(port.port, port.nodePort);
    }
  }
  if (needsHealthPort(spec)) spec.healthCheckNodePort ||= pickPort(state, 'spec.healthCheckNodePort', 'TCP');
  return errors;
}

interface PortState {
  readonly options: AllocationOptions;
  readonly before: ReadonlySet<string>;
  /** Ports of this very service, with the protocols that use them. */
  readonly own: Map<number, string>;
  readonly errors: FieldError[];
}

function claimPort(
  { options, before, own, errors }: PortState,
  port: number,
  { field, protocol = 'TCP' }: { readonly field: string; readonly protocol?: string | undefined },
): void {
  const { from, to } = options.ports;
  const refuse = (why: string) =>
    errors.push({ type: 'FieldValueInvalid', field, message: `Invalid value: ${port}: ${why}` });
  const usedBy = own.get(port) ?? '';
  own.set(port, `${usedBy} ${protocol}`);
  // One service may use a number once for each protocol.
  if (usedBy !== '') {
    if (usedBy.split(' ').includes(protocol)) refuse('provided port is already allocated');
    return;
  }
  if (before.has(PORTS + port)) return;
  if (port < from || port > to) {
    refuse(`provided port is not in the valid range. The range of valid ports is ${from}-${to}`);
  } else if (options.cache.resource(PORTS).get(PORTS + port)) refuse('provided port is already allocated');
}

function pickPort({ options, own, errors }: PortState, field: string, protocol: string): number {
  const { cache, ports, random } = options;
  const isFree = (port: number) => !own.has(port) && !cache.resource(PORTS).get(PORTS + port);
  const size = ports.to + 1 - ports.from;
  const fixed = Math.min(Math.max(STATIC_PORTS_MIN, Math.floor(size / 32)), STATIC_PORTS_MAX);
  // A range that is hardly larger than the part is not divided.
  const middle = ports.from + (size <= STATIC_PORTS_MIN ? 0 : fixed);
  const port =
    findFree({ from: middle, to: ports.to + 1 }, { isFree, random }) ??
    findFree({ from: ports.from, to: middle }, { isFree, random });
  if (port === undefined) {
    errors.push({
      type: 'FieldValueInvalid',
      field,
      message: 'Invalid value: 0: failed to allocate a nodePort: range is full',
    });
    return 0;
  }
  own.set(port, protocol);
  return port;
}

/** A free number in [from, to): guessed first, then looked for from a random start. */
function findFree(
  { from, to }: { readonly from: number; readonly to: number },
  { isFree, random }: { readonly isFree: (index: number) => boolean; readonly random: () => number },
): number | undefined {
  const size = to - from;
  if (size <= 0) return undefined;
  for (let guess = 0; guess < GUESSES; guess++) {
    const index = from + Math.floor(random() * size);
    if (isFree(index)) return index;
  }
  const start = Math.floor(random() * size);
  for (let step = 0; step < size; step++) {
    const index = from + ((start + step) % size);
    if (isFree(index)) return index;
  }
  return undefined;
}
