/**
 * The IPv6 side of a node's pod network on a dual-stack cluster. A pod's IPv6 address has the place in its range that its IPv4
 * address has in the other, so there is one book of addresses, and what it remembers is enough for both. Pure.
 */
import {
  canonicalIp,
  formatIpv6,
  formatIpv6Range,
  type Ipv6Range,
  parseIpv6,
  parseIpv6Range,
  sizeOfIpv6,
} from '../api.ts';
import { type Cidr, CidrError, parseAddress, sizeOf } from './cidr.ts';

/** What the agent says of it. */
export interface SecondFamily {
  readonly podCIDR: string;
  readonly clusterCIDR: string;
  /** The node's own IPv6 address; without it other nodes' pods are reached through links only. */
  readonly nodeAddress?: string;
}

/** The same, understood. */
export interface Ipv6Side {
  readonly podCIDR: string;
  readonly prefixLength: number;
  readonly clusterCIDR: string;
  /** The bridge's address: the first after the network's. */
  readonly gateway: string;
  /** '' where it is not known. */
  readonly nodeAddress: string;
  /** The address of the pod that has this IPv4 address. */
  addressFor(ipv4: string): string;
}

/**
 * The link-local address of every node's bridge: what the kernel asks for pods' hardware addresses from, and what tells it to
 * ask at all. Bridges are links of their own, so all may have the same.
 */
export const bridgeLinkLocal = 'fe80::1/64';

/** Throws {@link CidrError}. */
export function readSecondFamily(family: SecondFamily, ipv4: Cidr): Ipv6Side {
  const range = ipv6RangeOf(family.podCIDR);
  if (sizeOfIpv6(range) < BigInt(sizeOf(ipv4))) {
    throw new CidrError(`podCIDR ${family.podCIDR} has fewer addresses than the node's IPv4 range`);
  }
  const at = (index: number) => formatIpv6(range.base + BigInt(index));
  return {
    podCIDR: formatIpv6Range(range),
    prefixLength: range.prefixLength,
    clusterCIDR: formatIpv6Range(ipv6RangeOf(family.clusterCIDR)),
    gateway: at(1),
    nodeAddress: family.nodeAddress === undefined ? '' : ipv6AddressOf(family.nodeAddress),
    addressFor: address => at(parseAddress(address) - ipv4.base),
  };
}

/** In canonical spelling. Throws {@link CidrError}. */
export function ipv6RangeText(text: string): string {
  return formatIpv6Range(ipv6RangeOf(text));
}

/** In canonical spelling. Throws {@link CidrError}: it goes into commands. */
export function ipv6AddressOf(text: string): string {
  if (parseIpv6(text) === undefined) throw new CidrError(`${JSON.stringify(text)} is no IPv6 address`);
  return canonicalIp(text);
}

/** The link-local address that belongs to a hardware address (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [first = 0, ...rest] = mac.split(':').map(byte => Number.parseInt(byte, 16));
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  return formatIpv6(bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0xfe80n << 48n));
}

function ipv6RangeOf(text: string): Ipv6Range {
  const range = parseIpv6Range(text);
  if (!range) throw new CidrError(`${JSON.stringify(text)} is no IPv6 range (want fd42::/64)`);
  return range;
}
