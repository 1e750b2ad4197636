/** IPv4 addresses and ranges as numbers. Pure. */

export interface Cidr {
  /** First address, as an unsigned 32-bit number. */
  readonly base: number;
  readonly prefixLength: number;
}

export class CidrError extends Error {
  override readonly name = 'CidrError';
  readonly code = 'NETWORK_CIDR';
}

const addressBits = 32;

/** Throws {@link CidrError}. */
export function parseAddress(text: string): number {
  const parts = text.split('.');
  const bytes = parts.map(part => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : Number.NaN));
  if (bytes.length !== 4 || !bytes.every(byte => byte <= 255)) {
    throw new CidrError(`${JSON.stringify(text)} is no IPv4 address`);
  }
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map(shift => (value >>> shift) & 0xff).join('.');
}

/** Throws {@link CidrError}, also if bits of the host part are set. */
export function parseCidr(text: string): Cidr {
  const [address, length, ...extra] = text.split('/');
  const prefixLength = length !== undefined && /^\d{1,2}$/.test(length) ? Number(length) : Number.NaN;
  if (address === undefined || extra.length > 0 || !(prefixLength <= addressBits)) {
    throw new CidrError(`${JSON.stringify(text)} is no IPv4 range (want 10.42.0.0/24)`);
  }
  const base = parseAddress(address);
  if (base % 2 ** (addressBits - prefixLength) !== 0) {
    throw new CidrError(`${JSON.stringify(text)} is no IPv4 range: bits of the host part are set`);
  }
  return { base, prefixLength };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.base)}/${cidr.prefixLength}`;
}

export function sizeOf(cidr: Cidr): number {
  return 2 ** (addressBits - cidr.prefixLength);
}

export function contains(cidr: Cidr, address: number): boolean {
  return address >= cidr.base && address < cidr.base + sizeOf(cidr);
}
