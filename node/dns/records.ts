/**
 * From Services and EndpointSlices to DNS records, as the specification "Kubernetes DNS-Based Service Discovery" 1.1.0
 * has them. Where it is silent: what CoreDNS answers. Pure.
 */
import type { Answer, SrvAnswer } from 'dns-packet';
import { type EndpointSlice, type Ipv6Range, ipv6Contains, type Service } from '../api.ts';
import { type Cidr, contains, parseAddress } from '../network/cidr.ts';
import { CLUSTER_TTL_SECONDS } from './limits.ts';
import { addressOfReverse, canonicalAddress, dashed, labelsBelow, reverseZoneOf, undashed } from './names.ts';
import { clusterIPsOf, type ServiceView, serviceNameOf } from './view.ts';

export interface ZoneConfig {
  /** The cluster's domain, in small letters, without a dot at its end. */
  readonly domain: string;
  /** Where pods find this server. */
  readonly address: string;
  /** Of pods and of services: who has an address in there is known here or nowhere. */
  readonly ranges: readonly Cidr[];
  /** The same of IPv6, on a dual-stack cluster. */
  readonly ranges6?: readonly Ipv6Range[];
}
export interface Question {
  /** In small letters. */
  readonly name: string;
  /** As asked; owners of answers carry it. */
  readonly asked: string;
  readonly type: string;
}

export type Finding =
  /** There are records of the type; none means that the name has others (or names below it). */
  | { readonly found: 'records'; readonly answers: readonly Answer[]; readonly additionals: readonly Answer[] }
  /** The name is another's. */
  | { readonly found: 'alias'; readonly record: Answer; readonly target: string }
  | { readonly found: 'nothing'; readonly zone: string }
  /** Not the cluster's to say. */
  | { readonly found: 'elsewhere' };

/** The version of the specification. */
const SCHEMA_VERSION = '1.1.0';

const NO_RECORDS: Finding = { found: 'records', answers: [], additionals: [] };
const ttl = CLUSTER_TTL_SECONDS;

interface Endpoint {
  /** Its label below the service's name. */
  readonly label: string;
  readonly address: string;
  readonly slice: EndpointSlice;
}
interface Context {
  readonly question: Question;
  readonly view: ServiceView;
  readonly zone: ZoneConfig;
}

export function lookUp(question: Question, view: ServiceView, zone: ZoneConfig): Finding {
  const context = { question, view, zone };
  const address = addressOfReverse(question.name);
  if (address !== undefined) return reverse(context, address);
  const labels = labelsBelow(question.name, zone.domain);
  if (labels === undefined) return { found: 'elsewhere' };
  const [first, ...rest] = labels;
  if (first === undefined) return apex(context);
  if (first === 'svc') return belowServices(context, rest);
  if (first === 'pod') return belowPods(context, rest);
  if (first === 'dns-version' && rest.length === 0)
    return records(context, 'TXT', [{ type: 'TXT', name: question.asked, ttl, data: [SCHEMA_VERSION] }]);
  if (first === 'dns' && rest.length === 0) return NO_RECORDS;
  if (first === 'dns' && rest.length === 1 && rest[0] === 'ns') return addressRecords(context, [zone.address]);
  return nothing(context);
}

/** What says that something is not there, and for how long that holds (RFC 2308). */
export function soaOf(owner: string, { domain }: ZoneConfig): Answer {
  return {
    type: 'SOA',
    name: owner,
    ttl,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7_200,
      retry: 1_800,
      expire: 86_400,
      minimum: ttl,
    },
  };
}

function apex(context: Context): Finding {
  const { question, zone } = context;
  if (question.type === 'SOA') return records(context, 'SOA', [soaOf(question.asked, zone)]);
  const server = `ns.dns.${zone.domain}`;
  return records(
    context,
    'NS',
    [{ type: 'NS', name: question.asked, ttl, data: server }],
    [addressRecord(server, zone.address)],
  );
}

function belowServices(context: Context, [namespace, name, ...rest]: readonly string[]): Finding {
  const { view } = context;
  if (namespace === undefined) return NO_RECORDS;
  if (name === undefined) return view.hasServices(namespace) ? NO_RECORDS : nothing(context);
  const service = view.service(namespace, name);
  if (!service) return nothing(context);
  if (service.spec?.type === 'ExternalName') return rest.length === 0 ? alias(context, service) : nothing(context);
  const [first, second, ...more] = rest;
  if (more.length > 0) return nothing(context);
  if (first === undefined) return serviceRecords(context, service);
  if (!first.startsWith('_')) return second === undefined ? endpointRecords(context, service, first) : nothing(context);
  return portRecords(context, service, { protocol: first.slice(1), port: second });
}

function alias({ question }: Context, { spec }: Service): Finding {
  const target = (spec?.externalName ?? '').replace(/\.$/, '').toLowerCase();
  return {
    found: 'alias',
    target,
    record: { type: 'CNAME', name: question.asked, ttl, data: target },
  };
}

function serviceRecords(context: Context, service: Service): Finding {
  const { type } = context.question;
  const addresses = clusterIPsOf(service);
  const endpoints = addresses.length > 0 ? [] : endpointsOf(context.view, service);
  // The specification: without a ready endpoint a headless service has no name.
  if (addresses.length === 0 && endpoints.length === 0) return nothing(context);
  if (type === 'SRV') {
    const locations = serviceLocations(context, service, () => true);
    // The name is there, whether or not it has ports.
    return locations.found === 'nothing' ? NO_RECORDS : locations;
  }
  return addressRecords(context, addresses.length > 0 ? addresses : endpoints.map(({ address }) => address));
}

/** `web-0.nginx.default.svc…`: an endpoint by its host name or its address. */
function endpointRecords(context: Context, service: Service, label: string): Finding {
  const named = endpointsOf(context.view, service).filter(endpoint => endpoint.label === label);
  if (named.length === 0) return nothing(context);
  const addresses = named.map(({ address }) => address);
  return addressRecords(context, addresses);
}

interface PortName {
  readonly protocol: string;
  /** With its underscore; undefined for the name above, which has no records. */
  readonly port: string | undefined;
}

function portRecords(context: Context, service: Service, { protocol, port }: PortName): Finding {
  const matches = (portName: string | undefined, portProtocol = 'TCP') =>
    portProtocol.toLowerCase() === protocol && (port === undefined || (portName && `_${portName}` === port));
  const finding = serviceLocations(context, service, ({ name, protocol: own }) => matches(name, own) === true);
  if (port !== undefined) return finding;
  const exists = (service.spec?.ports ?? []).some(({ protocol: own }) => matches(undefined, own));
  return exists ? NO_RECORDS : nothing(context);
}

interface Port {
  readonly name?: string | undefined;
  readonly protocol?: string | undefined;
  readonly port?: number | undefined;
}

/** Where the ports that `isAsked` takes are served: at the service's address, or at each endpoint of a headless one. */
function serviceLocations(context: Context, service: Service, isAsked: (port: Port) => boolean): Finding {
  const { question, view } = context;
  const addresses = clusterIPsOf(service);
  const own = nameOf(context, service);
  const locations: { target: string; port: number; address: string }[] = [];
  if (addresses.length > 0) {
    for (const { port } of (service.spec?.ports ?? []).filter(isAsked))
      for (const address of addresses) locations.push({ target: own, port, address });
  } else {
    for (const { label, address, slice } of endpointsOf(view, service))
      for (const { port } of (slice.ports ?? []).filter(isAsked))
        if (port !== undefined) locations.push({ target: `${label}.${own}`, port, address });
  }
  if (locations.length === 0) return nothing(context);
  const targets = new Map(locations.map(({ target, port }) => [`${target} ${port}`, { target, port }]));
  const weight = Math.max(1, Math.floor(100 / targets.size));
  const answers: SrvAnswer[] = [...targets.values()].map(({ target, port }) => ({
    type: 'SRV',
    name: question.asked,
    ttl,
    data: { priority: 0, weight, port, target },
  }));
  const additionals = new Map(locations.map(one => [`${one.target} ${one.address}`, one]));
  return records(
    context,
    'SRV',
    answers,
    [...additionals.values()].map(({ target, address }) => addressRecord(target, address)),
  );
}

/** `10-1-2-3.default.pod…`: says what its name says (CoreDNS' `pods insecure`). */
function belowPods(context: Context, [namespace, label, ...rest]: readonly string[]): Finding {
  if (namespace === undefined || (label === undefined && context.view.hasServices(namespace))) return NO_RECORDS;
  const isName = label !== undefined && rest.length === 0 && /^[a-z0-9-]+$/.test(namespace);
  const address = isName ? undashed(label) : undefined;
  return address === undefined ? nothing(context) : addressRecords(context, [address]);
}

/** A service's name for its address, else those of the endpoints that have it. */
function reverse(context: Context, address: string): Finding {
  const { question, view, zone } = context;
  const names = view.servicesAt(address).map(service => nameOf(context, service));
  if (names.length === 0) names.push(...endpointNamesAt(context, address));
  if (names.length > 0) {
    const answers: Answer[] = [...new Set(names)].map(data => ({ type: 'PTR', name: question.asked, ttl, data }));
    return records(context, 'PTR', answers);
  }
  // An IPv6 address is spelt as its 32 digits here.
  const isOurs = question.name.endsWith('.ip6.arpa')
    ? zone.ranges6?.some(range => ipv6Contains(range, BigInt(`0x${address}`)))
    : zone.ranges.some(range => contains(range, parseAddress(address)));
  return isOurs ? { found: 'nothing', zone: reverseZoneOf(question.name) } : { found: 'elsewhere' };
}

/**
 * One of each service that the endpoint belongs to. Names that pods have of their own come first: a program that asks who it
 * speaks to takes the first, and a member of a StatefulSet is to be known as that.
 */
function endpointNamesAt({ view, zone }: Context, address: string): string[] {
  const found = view.slicesAt(address).flatMap(slice => {
    const namespace = slice.metadata?.namespace ?? '';
    const service = view.service(namespace, serviceNameOf(slice));
    if (!service) return [];
    return (slice.endpoints ?? [])
      .filter(({ conditions }) => isServed(service, conditions?.ready))
      .flatMap(({ hostname, addresses }) =>
        addresses
          .filter(one => canonicalAddress(one) === address)
          .map(one => ({ label: hostname || dashed(one), isOwn: Boolean(hostname) })),
      )
      .map(({ label, isOwn }) => ({
        name: `${label}.${service.metadata?.name}.${namespace}.svc.${zone.domain}`,
        isOwn,
      }));
  });
  return found.toSorted((a, b) => Number(b.isOwn) - Number(a.isOwn)).map(({ name }) => name);
}

function endpointsOf(view: ServiceView, service: Service): Endpoint[] {
  const { namespace = '', name = '' } = service.metadata ?? {};
  const found = new Map<string, Endpoint>();
  for (const slice of view.slicesOf(namespace, name)) {
    if (slice.addressType === 'FQDN') continue;
    for (const { addresses, conditions, hostname } of slice.endpoints ?? []) {
      if (!isServed(service, conditions?.ready)) continue;
      for (const address of addresses) {
        const key = `${address} ${(slice.ports ?? []).map(({ port }) => port).join()}`;
        found.set(key, { label: hostname || dashed(address), address, slice });
      }
    }
  }
  return [...found.values()];
}

/** Absent means ready (EndpointSlice's own rule). */
function isServed({ spec }: Service, ready: boolean | undefined): boolean {
  return ready !== false || spec?.publishNotReadyAddresses === true;
}

function nameOf({ zone }: Context, { metadata }: Service): string {
  return `${metadata?.name}.${metadata?.namespace}.svc.${zone.domain}`;
}

function addressRecords(context: Context, addresses: readonly string[]): Finding {
  const { asked, type } = context.question;
  const answers = [...new Set(addresses)]
    .map(address => addressRecord(asked, address))
    .filter(record => type === 'ANY' || record.type === type);
  return { found: 'records', answers, additionals: [] };
}

function addressRecord(name: string, address: string): Answer {
  return { type: address.includes(':') ? 'AAAA' : 'A', name, ttl, data: address };
}

/** The records if their type was asked for; otherwise none, of a name that exists. */
function records(
  { question }: Context,
  type: string,
  answers: readonly Answer[],
  additionals: readonly Answer[] = [],
): Finding {
  return question.type === type || question.type === 'ANY' ? { found: 'records', answers, additionals } : NO_RECORDS;
}

function nothing({ zone }: Context): Finding {
  return { found: 'nothing', zone: zone.domain };
}
