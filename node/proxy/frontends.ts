/**
 * Service ports made ready for a mechanism: only one family, only well-formed, nothing twice. Of two that claim one address
 * and port the first by name wins, on every node alike. Pure.
 */
import { canonicalIp, parseIpv6 } from '../api.ts';
import { parseAddress } from '../network/cidr.ts';
import type { ServiceEndpoint, ServicePort, SourceLimit } from './proxy.ts';
import { rangesOfFamily } from './source-ranges.ts';

export type Endpoint = ServiceEndpoint;
/** A service port whose frontends belong to it alone. */
export interface Frontend {
  readonly id: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly clusterIPs: readonly string[];
  readonly externalIPs: readonly string[];
  /** Of external addresses; with ranges of the family, none within another. */
  readonly limit?: SourceLimit;
  readonly port: number;
  /** 0 for none. */
  readonly nodePort: number;
  /** The node port is one of all the machine's addresses. */
  readonly everyAddress?: boolean;
  readonly affinitySeconds: number;
  readonly localOnly: boolean;
  readonly internalLocalOnly: boolean;
  readonly endpoints: readonly Endpoint[];
  /** Of UDP: addresses that keep their clients and get no others. */
  readonly draining?: readonly string[];
}

/** To whom a frontend's traffic may go, by where it is from and what it is sent to. */
export interface Ways {
  /** To its cluster addresses, from anywhere. */
  readonly internal: readonly Endpoint[];
  /** To its node port and external addresses, from outside the cluster. */
  readonly external: readonly Endpoint[];
  /** To those from pods and from the node itself. */
  readonly shortCut: readonly Endpoint[];
}

/** Traffic policies as kube-proxy has them (v1.33, `pkg/proxy/topology.go`, `pkg/proxy/nftables/proxier.go`). Pure. */
export function waysOf({ endpoints, localOnly, internalLocalOnly }: Frontend): Ways {
  const everywhere = endpoints.filter(({ cluster }) => cluster);
  const here = endpoints.filter(({ local }) => local);
  return {
    internal: internalLocalOnly ? here : everywhere,
    external: localOnly ? here : everywhere,
    shortCut: everywhere,
  };
}

/** Whether it is reached by more than its cluster addresses. */
export function isExternal({ nodePort, externalIPs }: Frontend): boolean {
  return nodePort > 0 || externalIPs.length > 0;
}

const portMax = 65_535;
const protocols = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;

export function planFrontends(ports: readonly ServicePort[], family: 4 | 6 = 4): Frontend[] {
  const isOfFamily = family === 4 ? isIPv4 : isIPv6;
  const claimed = new Set<string>();
  const claim = (key: string): boolean => {
    if (claimed.has(key)) return false;
    claimed.add(key);
    return true;
  };
  return [...ports].sort(byId).flatMap(port => {
    if (!isPort(port.port)) return [];
    const protocol = protocols[port.protocol];
    const ofFamily = (addresses: readonly string[]) => addresses.map(canonicalIp).filter(isOfFamily);
    const own = (addresses: readonly string[]) =>
      ofFamily(addresses).filter(address => claim(`${protocol} ${address} ${port.port}`));
    const [clusterIPs, externalIPs] = [own(port.clusterIPs), own(port.externalIPs)];
    const nodePort = isPort(port.nodePort) && claim(`${protocol} node ${port.nodePort}`) ? port.nodePort : 0;
    return [
      {
        id: port.id,
        protocol,
        clusterIPs,
        externalIPs,
        ...limitOf(port, externalIPs, family),
        port: port.port,
        nodePort,
        ...(port.everyAddress && nodePort > 0 && { everyAddress: true }),
        affinitySeconds: Math.max(0, Math.floor(port.affinitySeconds)),
        localOnly: port.localOnly,
        internalLocalOnly: port.internalLocalOnly,
        endpoints: uniqueEndpoints(port.endpoints.filter(({ address }) => isOfFamily(address))),
        ...drainingOf(port, ofFamily),
      },
    ];
  });
}

/** What is limited is what belongs to the port: another's addresses are that one's to limit. */
function limitOf({ limit }: ServicePort, externalIPs: readonly string[], family: 4 | 6): Pick<Frontend, 'limit'> {
  const limited = new Set(limit?.addresses.map(canonicalIp));
  const addresses = externalIPs.filter(address => limited.has(address));
  const sources = limit && rangesOfFamily(limit.sources, family);
  return sources && addresses.length > 0 ? { limit: { addresses, sources } } : {};
}

function drainingOf(
  { draining = [] }: ServicePort,
  ofFamily: (addresses: readonly string[]) => string[],
): Pick<Frontend, 'draining'> {
  const own = ofFamily(draining).sort();
  return own.length > 0 ? { draining: own } : {};
}

function uniqueEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  const unique = new Map<string, Endpoint>();
  for (const { address, port, local, cluster } of endpoints) {
    if (isPort(port)) unique.set(`${address}:${port}`, { address, port, local, cluster });
  }
  return [...unique].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, endpoint]) => endpoint);
}

function byId(left: ServicePort, right: ServicePort): number {
  return left.id < right.id ? -1 : Number(left.id > right.id);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= portMax;
}

function isIPv6(address: string): boolean {
  return parseIpv6(address) !== undefined;
}

function isIPv4(address: string): boolean {
  try {
    parseAddress(address);
    return true;
  } catch {
    return false;
  }
}
