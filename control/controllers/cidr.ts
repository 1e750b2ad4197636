/** Which ranges of addresses hold which addresses and other ranges. Pure. */
import { type IpAddress, parseCidr, parseIp } from '../api/validation/addresses.ts';

/** True if the address lies in the range; false too if one of them cannot be read. */
export function rangeHolds(cidr: string, address: string): boolean {
  const range = parseCidr(cidr);
  const ip = parseIp(address);
  return range !== undefined && ip !== undefined && sharesPrefix(range.ip, ip, range.prefix);
}

/** True if Services may have the address out of the range: not that of the network itself, nor IPv4's broadcast address. */
export function rangeGives(cidr: string, address: string): boolean {
  const range = parseCidr(cidr);
  const ip = parseIp(address);
  if (!range || !ip || !sharesPrefix(range.ip, ip, range.prefix)) return false;
  const hostBits = ip.bytes.length * 8 - range.prefix;
  if (isHostPart(ip, hostBits, 0)) return false;
  return ip.family !== 'IPv4' || !isHostPart(ip, hostBits, 1);
}

/** True if the last bits of the address are all the same. */
function isHostPart({ bytes }: IpAddress, bits: number, value: 0 | 1): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const byte = bytes[bytes.length - 1 - Math.floor(bit / 8)] ?? 0;
    if (((byte >> (bit % 8)) & 1) !== value) return false;
  }
  return true;
}

/** True if the inner range lies wholly in the outer one, or is the same. */
export function rangeCovers(outer: string, inner: string): boolean {
  const [large, small] = [parseCidr(outer), parseCidr(inner)];
  return (
    large !== undefined &&
    small !== undefined &&
    large.prefix <= small.prefix &&
    sharesPrefix(large.ip, small.ip, large.prefix)
  );
}

function sharesPrefix(a: IpAddress, b: IpAddress, prefix: number): boolean {
  if (a.family !== b.family) return false;
  for (let bit = 0; bit < prefix; bit += 8) {
    const mask = prefix - bit >= 8 ? 0xff : (0xff << (8 - (prefix - bit))) & 0xff;
    if ((((a.bytes[bit / 8] ?? 0) ^ (b.bytes[bit / 8] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}
