/** IP addresses and networks (Kubernetes' ip and cidr libraries), read as Go's netip does. */
import { Opaque } from '../opaque.ts';
import { EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

/** An address as a number. */
interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}
interface Network {
  readonly address: Address;
  readonly length: number;
}
const IP = 'net.IP';
const CIDR = 'net.CIDR';
type Ip = Opaque<Address>;
type Cidr = Opaque<Network>;

const sameAddress = (a: Address, b: Address): boolean => a.bits === b.bits && a.value === b.value;
const wrapIp = (address: Address): Ip => new Opaque(IP, address, sameAddress);
const wrapCidr = (network: Network): Cidr =>
  new Opaque(CIDR, network, (a, b) => a.length === b.length && sameAddress(a.address, b.address));

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseV6(text: string): bigint | undefined {
  if (text.length > 45) return undefined;
  let rest = text;
  const last = rest.slice(rest.lastIndexOf(':') + 1);
  if (last.includes('.')) {
    const embedded = parseV4(last);
    if (embedded === undefined) return undefined;
    rest = `${rest.slice(0, -last.length)}${(embedded >> 16n).toString(16)}:${(embedded & 0xffffn).toString(16)}`;
  }
  const halves = rest.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map(half => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!groups.every(group => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

const isMapped = (value: bigint): boolean => value >> 32n === 0xffffn;

/** An address, or why it is none. Zones and IPv4 in IPv6 are refused, as Kubernetes does. */
function parseAddress(text: string): Address | string {
  if (text.includes(':')) {
    if (text.includes('%')) return `IP address "${text}" with zone value is not allowed`;
    const value = parseV6(text);
    if (value === undefined)
      return `IP Address "${text}" parse error during conversion from string: ParseAddr("${text}"): unable to parse IP`;
    return isMapped(value) ? `IPv4-mapped IPv6 address "${text}" is not allowed` : { bits: 128, value };
  }
  const value = parseV4(text);
  if (value !== undefined) return { bits: 32, value };
  return `IP Address "${text}" parse error during conversion from string: ParseAddr("${text}"): unable to parse IP`;
}

function parseNetwork(text: string): Network | string {
  const slash = text.lastIndexOf('/');
  const length = text.slice(slash + 1);
  const refused = `network address parse error during conversion from string: netip.ParsePrefix("${text}")`;
  if (slash < 0) return `${refused}: no '/'`;
  const address = parseAddress(text.slice(0, slash));
  if (typeof address === 'string') return address.includes('not allowed') ? address : `${refused}: ${address}`;
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return `${refused}: bad bits after slash: "${length}"`;
  if (Number(length) > address.bits) return `${refused}: prefix length out of range`;
  return { address, length: Number(length) };
}

function required<T extends object>(parsed: T | string): T {
  if (typeof parsed === 'string') throw new EvaluationError(parsed);
  return parsed;
}

/** As it is written by RFC 5952. */
function formatAddress({ bits, value }: Address): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16));
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?<![0-9a-f])0(?::0(?![0-9a-f]))+/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best && best[0].length >= run[0].length ? best : run),
    undefined,
  );
  if (!longest) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

const masked = ({ address: { bits, value }, length }: Network): Network => {
  const host = BigInt(bits - length);
  return { address: { bits, value: (value >> host) << host }, length };
};

function contains({ address, length }: Network, other: Address): boolean {
  const host = BigInt(address.bits - length);
  return address.bits === other.bits && address.value >> host === other.value >> host;
}
const containsNetwork = (a: Network, b: Network): boolean => a.length <= b.length && contains(a, b.address);

const top = (address: Address, bits: number): bigint => address.value >> BigInt(address.bits - bits);
/** 169.254.0.0/16 and fe80::/10. */
const isLinkLocal = (address: Address): boolean =>
  address.bits === 32 ? top(address, 16) === 0xa9fen : top(address, 10) === 0x3fan;
/** 224.0.0.0/24 and ff02::/16. */
const isLinkLocalMulticast = (address: Address): boolean =>
  address.bits === 32 ? top(address, 24) === 0xe00000n : (top(address, 16) & 0xff0fn) === 0xff02n;
const isMulticast = (address: Address): boolean =>
  address.bits === 32 ? top(address, 4) === 0xen : top(address, 8) === 0xffn;
const isLoopback = (address: Address): boolean =>
  address.bits === 32 ? top(address, 8) === 127n : address.value === 1n;
/** Unicast, and neither unspecified, loopback, link-local nor the broadcast address. */
const isGlobalUnicast = (address: Address): boolean =>
  address.value !== 0n &&
  !(address.bits === 32 && address.value === 0xffffffffn) &&
  !isLoopback(address) &&
  !isMulticast(address) &&
  !isLinkLocal(address);

const addressTests: Readonly<Record<string, (address: Address) => boolean>> = {
  isUnspecified: ({ value }) => value === 0n,
  isLoopback,
  isLinkLocalMulticast,
  isLinkLocalUnicast: isLinkLocal,
  isGlobalUnicast,
};

const addressFamily = ({ bits }: Address): Value => (bits === 32 ? 4n : 6n);

export const ADDRESSES: readonly Overload[] = [
  define<[string]>(`ip(string): ${IP}`, text => wrapIp(required(parseAddress(text))), 'scan'),
  define<[string]>('isIP(string): bool', text => typeof parseAddress(text) !== 'string', 'scan'),
  define<[string]>(
    'ip.isCanonical(string): bool',
    text => formatAddress(required(parseAddress(text))) === text,
    'scanTwice',
  ),
  define<[Ip]>(`string(${IP}): string`, ({ content }) => formatAddress(content)),
  define<[Ip]>(`${IP}->family(): int`, ({ content }) => addressFamily(content)),
  ...Object.entries(addressTests).map(([name, test]) =>
    define<[Ip]>(`${IP}->${name}(): bool`, ({ content }) => test(content)),
  ),
  define<[string]>(`cidr(string): ${CIDR}`, text => wrapCidr(required(parseNetwork(text))), 'scan'),
  define<[string]>('isCIDR(string): bool', text => typeof parseNetwork(text) !== 'string', 'scan'),
  define<[Cidr]>(`string(${CIDR}): string`, ({ content }) => `${formatAddress(content.address)}/${content.length}`),
  define<[Cidr]>(`${CIDR}->ip(): ${IP}`, ({ content }) => wrapIp(content.address)),
  define<[Cidr]>(`${CIDR}->masked(): ${CIDR}`, ({ content }) => wrapCidr(masked(content))),
  define<[Cidr]>(`${CIDR}->prefixLength(): int`, ({ content }) => BigInt(content.length)),
  define<[Cidr, Ip]>(`${CIDR}->containsIP(${IP}): bool`, (a, b) => contains(a.content, b.content), 'cidrIP'),
  define<[Cidr, string]>(
    `${CIDR}->containsIP(string): bool`,
    (a, text) => contains(a.content, required(parseAddress(text))),
    'cidrIPText',
  ),
  define<[Cidr, Cidr]>(
    `${CIDR}->containsCIDR(${CIDR}): bool`,
    (a, b) => containsNetwork(a.content, b.content),
    'cidrCIDR',
  ),
  define<[Cidr, string]>(
    `${CIDR}->containsCIDR(string): bool`,
    (a, text) => containsNetwork(a.content, required(parseNetwork(text))),
    'cidrCIDRText',
  ),
];
