/** The ranges that Services take addresses and ports from. Pure. */
import { formatIpv6, type Ipv6Range, ipv6Contains, parseIpv6, parseIpv6Range, sizeOfIpv6 } from '../../api/families.ts';

/** An IPv4 network. Its first address and its last are not given out. */
export interface AddressRange {
  /** The network's address as a number. */
  readonly base: number;
  /** Indices 1 to size - 1 can be given out; 0 is the network itself. */
  readonly size: number;
}
/** An IPv6 network. Its first address is not given out; there is no broadcast address. */
export interface AddressRange6 {
  readonly network: Ipv6Range;
  /** Indices 1 to size - 1 are given out; what lies behind may be asked for. */
  readonly size: number;
}
export type ServiceRange = AddressRange | AddressRange6;

/** Both ends belong to it. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const CIDR = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/;
/** Larger networks would only make addresses harder to tell apart. */
const PREFIX_BITS_MIN = 8;
const PREFIX_BITS_MAX = 30;

/** Parses `10.96.0.0/12`. Throws RangeError for anything that is no usable IPv4 network. */
export function parseAddressRange(cidr: string): AddressRange {
  const [, address = '', bits = ''] = CIDR.exec(cidr) ?? [];
  const base = parseAddress(address);
  const prefix = Number(bits);
  if (base === undefined || prefix < PREFIX_BITS_MIN || prefix > PREFIX_BITS_MAX) {
    throw new RangeError(`"${cidr}" is no IPv4 network of ${PREFIX_BITS_MIN} to ${PREFIX_BITS_MAX} bits`);
  }
  const whole = 2 ** (32 - prefix);
  return { base: Math.floor(base / whole) * whole, size: whole - 1 };
}

/** Addresses of an IPv6 network among which free ones are looked for. */
const CHOICE_SIZE_MAX = 2 ** 32;
const PREFIX6_BITS_MAX = 126;

/** Parses `fd43::/112`. Throws RangeError for anything that is no usable IPv6 network. */
export function parseAddressRange6(cidr: string): AddressRange6 {
  const network = parseIpv6Range(cidr);
  if (!network || network.prefixLength > PREFIX6_BITS_MAX) {
    throw new RangeError(`"${cidr}" is no IPv6 network of at most ${PREFIX6_BITS_MAX} bits`);
  }
  const whole = sizeOfIpv6(network);
  return { network, size: whole > CHOICE_SIZE_MAX ? CHOICE_SIZE_MAX : Number(whole) };
}

/** True if both are the same network. */
export function isSameRange(a: ServiceRange, b: ServiceRange): boolean {
  if ('network' in a) {
    return 'network' in b && a.network.base === b.network.base && a.network.prefixLength === b.network.prefixLength;
  }
  return !('network' in b) && a.base === b.base && a.size === b.size;
}

/** Parses `30000-32767`. Throws RangeError. */
export function parsePortRange(range: string): PortRange {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range) ?? [];
  const ports = { from: Number(from), to: Number(to) };
  if (!(ports.from > 0 && ports.to >= ports.from && ports.to <= 65_535)) {
    throw new RangeError(`"${range}" is no range of ports`);
  }
  return ports;
}

export function addressAt(range: ServiceRange, index: number): string {
  if ('network' in range) return formatIpv6(range.network.base + BigInt(index));
  const { base } = range;
  const address = base + index;
  return [24, 16, 8, 0].map(shift => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Whether the address may be given out from the range. */
export function isInRange(range: ServiceRange, text: string): boolean {
  if (!('network' in range)) return indexOfAddress(range, text) !== undefined;
  const address = parseIpv6(text);
  return address !== undefined && address !== range.network.base && ipv6Contains(range.network, address);
}

/** Where in the range the address is; undefined if it may not be given out from it. */
function indexOfAddress({ base, size }: AddressRange, text: string): number | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  const index = address - base;
  return index >= 1 && index < size ? index : undefined;
}

function parseAddress(text: string): number | undefined {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some(part => !Number.isInteger(part) || part < 0 || part > 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + part, 0);
}
