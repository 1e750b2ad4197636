/** The ranges that Services take addresses and ports from. Pure. */

/** An IPv4 network. Its first address and its last are not given out. */
export interface AddressRange {
  /** The network's address as a number. */
  readonly base: number;
  /** Indices 1 to size - 1 can be given out; 0 is the network itself. */
  readonly size: number;
}
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

/** Parses `30000-32767`. Throws RangeError. */
export function parsePortRange(range: string): PortRange {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(range) ?? [];
  const ports = { from: Number(from), to: Number(to) };
  if (!(ports.from > 0 && ports.to >= ports.from && ports.to <= 65_535)) {
    throw new RangeError(`"${range}" is no range of ports`);
  }
  return ports;
}

export function addressAt({ base }: AddressRange, index: number): string {
  const address = base + index;
  return [24, 16, 8, 0].map(shift => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Where in the range the address is; undefined if it may not be given out from it. */
export function indexOfAddress({ base, size }: AddressRange, text: string): number | undefined {
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
