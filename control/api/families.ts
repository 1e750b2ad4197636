/**
 * Ranges of a cluster as its settings and flags hold them: one of IPv4, and on a dual-stack cluster one of IPv6 behind a comma
 * (`10.42.0.0/16,fd42::/56`); and IPv6 addresses as numbers, to count in them. Pure.
 */
import { formatIp, isNetworkAddress, parseCidr, parseIp } from './validation/addresses.ts';

export type IpFamily = 'IPv4' | 'IPv6';

export interface FamilyRanges {
  readonly ipv4: string;
  /** Undefined on a cluster with one family. */
  readonly ipv6: string | undefined;
}

/** An IPv6 range as numbers. */
export interface Ipv6Range {
  /** The first address. */
  readonly base: bigint;
  readonly prefixLength: number;
}

const BITS = 128;

/** The ranges of each family. Says nothing of whether they can be used: {@link rangeTrouble} does. */
export function splitRanges(text: string): FamilyRanges {
  const parts = text.split(',').map(part => part.trim());
  return {
    ipv4: parts.find(part => !part.includes(':')) ?? '',
    ipv6: parts.find(part => part.includes(':')),
  };
}

/** The families of addresses that a range or two have, the first the primary one. */
export function familiesOf(text: string): readonly IpFamily[] {
  return text.split(',').map(part => (part.includes(':') ? 'IPv6' : 'IPv4'));
}

/** What is wrong with the form of ranges from a flag; undefined if nothing is. IPv4's own limits are judged elsewhere. */
export function rangeTrouble(text: string): string | undefined {
  const parts = text.split(',').map(part => part.trim());
  const families = familiesOf(text);
  if (parts.length > 2) return `${JSON.stringify(text)}: one range, or one of IPv4 and one of IPv6, and no more`;
  if (!families.includes('IPv4')) return `${JSON.stringify(text)}: there has to be a range of IPv4`;
  if (parts.length === 2 && !families.includes('IPv6')) {
    return `${JSON.stringify(text)}: of two ranges one has to be of IPv6, such as 10.42.0.0/16,fd42::/56`;
  }
  if (families[0] === 'IPv6') {
    return `${JSON.stringify(text)}: the IPv4 range has to come first (IPv6 as the primary family is not supported)`;
  }
  const { ipv6 } = splitRanges(text);
  if (ipv6 === undefined) return undefined;
  const range = parseCidr(ipv6);
  if (!range) return `${JSON.stringify(ipv6)} is no IPv6 range such as fd42::/56`;
  return isNetworkAddress(range) ? undefined : `${JSON.stringify(ipv6)}: bits of the host part are set`;
}

/** Undefined for what is no IPv6 range. Bits of the host part do not matter. */
export function parseIpv6Range(text: string): Ipv6Range | undefined {
  const range = parseCidr(text);
  if (range?.ip.family !== 'IPv6') return undefined;
  const hostBits = BigInt(BITS - range.prefix);
  return { base: (numberOf(range.ip.bytes) >> hostBits) << hostBits, prefixLength: range.prefix };
}

/** Undefined for what is no IPv6 address. */
export function parseIpv6(text: string): bigint | undefined {
  const ip = parseIp(text);
  return ip?.family === 'IPv6' ? numberOf(ip.bytes) : undefined;
}

/** As RFC 5952 spells it. */
export function formatIpv6(value: bigint): string {
  const bytes = Array.from({ length: 16 }, (_, index) => Number((value >> BigInt(8 * (15 - index))) & 0xffn));
  return formatIp({ family: 'IPv6', bytes });
}

export const formatIpv6Range = ({ base, prefixLength }: Ipv6Range): string => `${formatIpv6(base)}/${prefixLength}`;

/** How many addresses the range has. */
export const sizeOfIpv6 = ({ prefixLength }: Ipv6Range): bigint => 1n << BigInt(BITS - prefixLength);

export function ipv6Contains(range: Ipv6Range, address: bigint): boolean {
  return address >= range.base && address < range.base + sizeOfIpv6(range);
}

/** One spelling for each address; what is no address stays as it is. */
export function canonicalIp(text: string): string {
  const ip = parseIp(text);
  return ip ? formatIp(ip) : text;
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
