/** Names of addresses, forwards and backwards (RFC 1035 3.5, RFC 3596 2.5). Pure. */
import { isIPv4, isIPv6 } from 'node:net';

const REVERSE_4 = '.in-addr.arpa';
const REVERSE_6 = '.ip6.arpa';

/** One spelling for each address: IPv4 as it stands, IPv6 as 32 digits. Undefined for what is no address. */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [before = '', after] = withoutDots(text).split('::');
  const front = before === '' ? [] : before.split(':');
  const back = after === undefined || after === '' ? [] : after.split(':');
  const gap = after === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array<string>(gap).fill('0'), ...back].map(part => part.toLowerCase().padStart(4, '0')).join('');
}

/** The address that a reverse name stands for, in its canonical spelling; undefined for any other name. */
export function addressOfReverse(name: string): string | undefined {
  if (name.endsWith(REVERSE_4)) {
    const address = name.slice(0, -REVERSE_4.length).split('.').reverse().join('.');
    return isIPv4(address) ? address : undefined;
  }
  if (!name.endsWith(REVERSE_6)) return undefined;
  const digits = name.slice(0, -REVERSE_6.length).split('.').reverse();
  return digits.length === 32 && digits.every(digit => /^[0-9a-f]$/.test(digit)) ? digits.join('') : undefined;
}

/** The zone of reverse names to which one belongs. */
export function reverseZoneOf(name: string): string {
  return name.endsWith(REVERSE_6) ? REVERSE_6.slice(1) : REVERSE_4.slice(1);
}

/** `10-1-2-3`: how an endpoint without a host name is called, and a pod. */
export function dashed(address: string): string {
  // A label does not end in a dash (RFC 1035 2.3.1), as that of `fd00::` would.
  return address.replaceAll(/[.:]/g, '-').replace(/-$/, '-0');
}

/** The address that a dashed name stands for. */
export function undashed(label: string): string | undefined {
  const four = label.replaceAll('-', '.');
  if (isIPv4(four)) return four;
  const six = label.replaceAll('-', ':');
  return isIPv6(six) ? six : undefined;
}

/** The name below `zone`, its labels from the right: `a.b.svc` → svc, b, a. Undefined if it is not in the zone. */
export function labelsBelow(name: string, zone: string): string[] | undefined {
  if (name === zone) return [];
  if (!name.endsWith(`.${zone}`)) return undefined;
  return name
    .slice(0, -zone.length - 1)
    .split('.')
    .reverse();
}

/** The last four bytes of `::ffff:10.0.0.1` as two groups. */
function withoutDots(text: string): string {
  const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (!match) return text;
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(2).map(Number);
  return `${match[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
