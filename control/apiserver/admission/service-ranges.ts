/**
 * The ranges that Services may take addresses from now: the one that the cluster was made with, and each ServiceCIDR that its
 * controller calls ready (KEP-1880). One that is being deleted gives nothing away any more; what it gave away stays.
 */
import { servicecidrs } from '../../api/generated/kinds.ts';
import type { ServiceCIDR } from '../../api/generated/types.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourcePrefix } from '../keys.ts';
import { type AddressRange, parseAddressRange } from './ranges.ts';

const RANGES = resourcePrefix(servicecidrs);
/** The ServiceCIDR that stands for the cluster's own range. */
const OWN_RANGE = 'kubernetes';

export class ServiceRanges {
  readonly #cache: WatchCache;
  readonly #own: AddressRange;
  #known: { readonly lastChange: number; readonly ranges: readonly AddressRange[] } | undefined;

  constructor(cache: WatchCache, own: AddressRange) {
    this.#cache = cache;
    this.#own = own;
  }

  /** The cluster's own first, then the others by name. */
  usable(): readonly AddressRange[] {
    const objects = this.#cache.resource(RANGES);
    if (this.#known?.lastChange === objects.lastChange) return this.#known.ranges;
    const all = objects.list(RANGES).map(object => object.parse<ServiceCIDR>());
    const ranges = usableRanges(all, this.#own);
    this.#known = { lastChange: objects.lastChange, ranges };
    return ranges;
  }
}

/** Pure. */
export function usableRanges(objects: readonly ServiceCIDR[], own: AddressRange): readonly AddressRange[] {
  const isLeaving = ({ metadata }: ServiceCIDR) => metadata?.deletionTimestamp !== undefined;
  const isReady = ({ status }: ServiceCIDR) =>
    (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');
  const isOwn = ({ metadata }: ServiceCIDR) => metadata?.name === OWN_RANGE;
  // Before the cluster's own object is there, and whatever its status says, the first Services need addresses.
  const kept = objects.some(object => isOwn(object) && isLeaving(object)) ? [] : [own];
  const others = objects
    .filter(object => isReady(object) && !isLeaving(object))
    .flatMap(({ spec }) => spec?.cidrs ?? [])
    .flatMap(cidr => {
      const range = readRange(cidr);
      return range && !(range.base === own.base && range.size === own.size) ? [range] : [];
    });
  return [...kept, ...others];
}

/** Undefined for ranges that nothing can be given away from here: of IPv6, or of one or two addresses. */
function readRange(cidr: string): AddressRange | undefined {
  try {
    return parseAddressRange(cidr);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
