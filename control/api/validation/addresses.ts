/** IP addresses and CIDR ranges, as far as validation looks into them. */
import type { FieldError } from '../status.ts';
import { invalidValue } from './errors.ts';

/** An address as bytes: four or sixteen. */
export interface IpAddress {
  readonly family: 'IPv4' | 'IPv6';
  readonly bytes: readonly number[];
}

export const IP_MESSAGE = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
export const CIDR_MESSAGE = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

function parseIPv4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.map(Number);
}

function parseIPv6(text: string): number[] | undefined {
  const [head = '', tail, ...rest] = text.split('::');
  if (rest.length > 0) return undefined;
  const groups = (part: string): number[] | undefined => {
    if (part === '') return [];
    const bytes: number[] = [];
    for (const [index, group] of part.split(':').entries()) {
      if (group.includes('.') && index === part.split(':').length - 1) {
        const embedded = parseIPv4(group);
        if (!embedded) return undefined;
        bytes.push(...embedded);
      } else if (/^[\da-fA-F]{1,4}$/.test(group)) {
        const value = Number.parseInt(group, 16);
        bytes.push(value >> 8, value & 0xff);
      } else return undefined;
    }
    return bytes;
  };
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  if (!left || !right) return undefined;
  const missing = 16 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return [...left, ...new Array<number>(missing).fill(0), ...right];
}

/** Reads an address; undefined if the text is none. */
export function parseIp(text: string): IpAddress | undefined {
  if (text.includes(':')) {
    const bytes = parseIPv6(text);
    return bytes && { family: 'IPv6', bytes };
  }
  const bytes = parseIPv4(text);
  return bytes && { family: 'IPv4', bytes };
}

/** Reads a range such as `10.0.0.0/8`; undefined if the text is none. */
export function parseCidr(text: string): { readonly ip: IpAddress; readonly prefix: number } | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const ip = match?.[1] === undefined ? undefined : parseIp(match[1]);
  const prefix = Number(match?.[2]);
  if (!ip || prefix > ip.bytes.length * 8) return undefined;
  return { ip, prefix };
}

/** An error if the text is no address. */
export const validateIp = (field: string, text: string): FieldError[] =>
  parseIp(text) ? [] : [invalidValue(field, text, IP_MESSAGE)];

/** An error if the text is no range. */
export const validateCidr = (field: string, text: string): FieldError[] =>
  parseCidr(text) ? [] : [invalidValue(field, text, CIDR_MESSAGE)];

/** Errors if the address has a meaning of its own, so that it cannot be an endpoint. */
export function validateOrdinaryIp(field: string, text: string): FieldError[] {
  const ip = parseIp(text);
  if (!ip) return [invalidValue(field, text, 'must be a valid IP address')];
  const refuse = (detail: string) => invalidValue(field, text, detail);
  const { bytes, family } = ip;
  const [first = 0, second = 0, third = 0] = bytes;
  const errors: FieldError[] = [];
  if (bytes.every(byte => byte === 0)) errors.push(refuse('may not be unspecified (0.0.0.0 or ::)'));
  const isIPv6Loopback = family === 'IPv6' && bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
  if ((family === 'IPv4' && first === 127) || isIPv6Loopback) {
    errors.push(refuse('may not be in the loopback range (127.0.0.0/8, ::1/128)'));
  }
  const isLinkLocal = family === 'IPv4' ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80;
  if (isLinkLocal) errors.push(refuse('may not be in the link-local range (169.254.0.0/16, fe80::/10)'));
  const isLinkLocalMulticast =
    family === 'IPv4' ? first === 224 && second === 0 && third === 0 : first === 0xff && (second & 0x0f) === 0x02;
  if (isLinkLocalMulticast) {
    errors.push(refuse('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'));
  }
  return errors;
}

/** True if the address is of the range. */
export function isInside(ip: IpAddress, range: { readonly ip: IpAddress; readonly prefix: number }): boolean {
  return ip.family === range.ip.family && bitsAfter(ip, 0, range.prefix) === bitsAfter(range.ip, 0, range.prefix);
}

/** The bits of an address from `start` to before `end`, as text. */
function bitsAfter({ bytes }: IpAddress, start: number, end = bytes.length * 8): string {
  return bytes
    .map(byte => byte.toString(2).padStart(8, '0'))
    .join('')
    .slice(start, end);
}

/** True if a range says no more of an address than its prefix. */
export const isNetworkAddress = ({ ip, prefix }: { readonly ip: IpAddress; readonly prefix: number }): boolean =>
  !bitsAfter(ip, prefix).includes('1');

/** The one text by which an address is known (RFC 5952). */
export function formatIp({ family, bytes }: IpAddress): string {
  if (family === 'IPv4') return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  const text = groups.join(':');
  // The longest run of zeros, the first of equals; a single zero stays.
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (!longest) return text;
  const left = text.slice(0, longest.index);
  const right = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${left}::${right}`;
}
