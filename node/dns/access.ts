/** Who may ask: pods and the machine itself. A resolver that answers everybody is a weapon against third parties. */
import { networkInterfaces } from 'node:os';
import { type Cidr, contains, parseAddress } from '../network/cidr.ts';
import { LOCAL_ADDRESSES_MS } from './limits.ts';

export interface AccessOptions {
  /** Of all pods. */
  readonly clusterRange: Cidr;
  /**
   * The server's own addresses: the machine's processes come from there where the kernel makes a whole range local
   * (the userspace proxy), of which no interface tells.
   */
  readonly own: readonly string[];
  readonly now: () => number;
  /** For tests. */
  readonly localAddresses?: () => ReadonlySet<string>;
}

/** Gives the test that an asker's address has to pass. */
export function createAccess(options: AccessOptions): (address: string) => boolean {
  const { clusterRange, own, now, localAddresses = machineAddresses } = options;
  let known: { readonly at: number; readonly addresses: ReadonlySet<string> } | undefined;
  return text => {
    const address = text.replace(/^::ffff:/, '');
    if (address.startsWith('127.') || own.includes(address)) return true;
    if (!address.includes(':') && contains(clusterRange, parseAddress(address))) return true;
    if (!known || now() - known.at >= LOCAL_ADDRESSES_MS) known = { at: now(), addresses: localAddresses() };
    return known.addresses.has(address);
  };
}

function machineAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address)));
}
