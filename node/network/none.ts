/**
 * The network of the fake runtime: addresses of the node's range and nothing behind them. It makes no link, rule or
 * route, so it works anywhere; nothing can be reached at its addresses.
 */
import type { PodIdentity } from '../runtime/runtime.ts';
import { AddressBook } from './addresses.ts';
import { parseCidr } from './cidr.ts';
import { NetworkUnavailableError, type PodNetwork } from './network.ts';
import { type Ipv6Side, readSecondFamily } from './second-family.ts';

export function createNoNetwork(): PodNetwork {
  let book: AddressBook | undefined;
  let second: Ipv6Side | undefined;
  const started = () => {
    if (book === undefined) throw new NetworkUnavailableError('the pod network was not started');
    return book;
  };
  return {
    async start({ podCIDR, ipv6 }) {
      const range = parseCidr(podCIDR);
      second = ipv6 && readSecondFamily(ipv6, range);
      book ??= new AddressBook(range);
    },
    async attach(pod: PodIdentity) {
      const { address } = started().assign(pod.uid);
      return { address, ...(second && { ipv6: second.addressFor(address) }) };
    },
    announcement: () => undefined,
    addressOf: podUid => book?.addressOf(podUid),
    ipv6Of: podUid => {
      const address = book?.addressOf(podUid);
      return address === undefined ? undefined : second?.addressFor(address);
    },
    async detach(podUid) {
      started().release(podUid);
    },
    async collectGarbage(livingPodUids) {
      for (const podUid of started().pods()) if (!livingPodUids.has(podUid)) started().release(podUid);
    },
    async setRoutes() {},
    async close({ remove }) {
      if (remove) book = undefined;
    },
  };
}
