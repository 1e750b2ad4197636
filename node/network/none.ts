/**
 * The network of the fake runtime: addresses of the node's range and nothing behind them. It makes no link, rule or
 * route, so it works anywhere; nothing can be reached at its addresses.
 */
import type { PodIdentity } from '../runtime/runtime.ts';
import { AddressBook } from './addresses.ts';
import { parseCidr } from './cidr.ts';
import { NetworkUnavailableError, type PodNetwork } from './network.ts';

export function createNoNetwork(): PodNetwork {
  let book: AddressBook | undefined;
  const started = () => {
    if (book === undefined) throw new NetworkUnavailableError('the pod network was not started');
    return book;
  };
  return {
    async start({ podCIDR }) {
      book ??= new AddressBook(parseCidr(podCIDR));
    },
    async attach(pod: PodIdentity) {
      return { address: started().assign(pod.uid).address };
    },
    announcement: () => undefined,
    addressOf: podUid => book?.addressOf(podUid),
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
