/**
 * The ranges that Services may take addresses from now: the one that the cluster was made with, and each ServiceCIDR that its
 * controller calls ready (KEP-1880). One that is being deleted gives nothing away any more; what it gave away stays.
 */
import { splitRanges } from '../../api/families.ts';
import { servicecidrs } from '../../api/generated/kinds.ts';
import type { ServiceCIDR } from '../../api/generated/types.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourcePrefix } from '../keys.ts';
import {
  type AddressRange,
  type AddressRange6,
  isSameRange,
  parseAddressRange,
  parseAddressRange6,
  type ServiceRange,
} from './ranges.ts';

const RANGES = resourcePrefix(servicecidrs);
/** The ServiceCIDR that stands for the cluster's own range. */
const OWN_RANGE = 'kubernetes';

/** What the cluster was made with. */
export interface OwnRanges {
  readonly ipv4: AddressRange;
  /** Undefined on a cluster with one family. */
  readonly ipv6: AddressRange6 | undefined;
}

/** From the cluster's setting. Throws RangeError. */
export function ownServiceRanges(serviceCIDR: string): OwnRanges {
  const { ipv4, ipv6 } = splitRanges(serviceCIDR);
  return { ipv4: parseAddressRange(ipv4), ipv6: ipv6 === undefined ? undefined : parseAddressRange6(ipv6) };
}

export class ServiceRanges {
  readonly #cache: WatchCache;
  readonly #own: OwnRanges;
  #known: { readonly lastChange: number; readonly ranges: readonly ServiceRange[] } | undefined;

  constructor(cache: WatchCache, own: OwnRanges) {
    this.#cache = cache;
    this.#own = own;
  }

  /** The ranges of one family; none of a family that the cluster was not made with. */
  ofFamily(family: string): readonly ServiceRange[] {
    return this.#usable().filter(range => (family === 'IPv6') === 'network' in range);
  }

  /** The cluster's own first, then the others by name. */
  #usable(): readonly ServiceRange[] {
    const objects = this.#cache.resource(RANGES);
    if (this.#known?.lastChange === objects.lastChange) return this.#known.ranges;
    const all = objects.list(RANGES).map(object => object.parse<ServiceCIDR>());
    const { ipv4, ipv6 } = this.#own;
    const ranges = [...usableRanges(all, ipv4), ...(ipv6 ? usableRanges(all, ipv6) : [])];
    this.#known = { lastChange: objects.lastChange, ranges };
    return ranges;
  }
}

/** Those of the own range's family. Pure. */
export function usableRanges<Range extends ServiceRange>(
  objects: readonly ServiceCIDR[],
  own: Range,
): readonly Range[] {
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
      const range = readRange(cidr, own);
      return range && !isSameRange(range, own) ? [range] : [];
    });
  return [...kept, ...others];
}

/** Undefined for ranges that nothing can be given away from here: of the other family, or of one or two addresses. */
function readRange<Range extends ServiceRange>(cidr: string, own: Range): Range | undefined {
  try {
    // The parser is chosen by the family, which makes the types equal.
    return ('network' in own ? parseAddressRange6(cidr) : parseAddressRange(cidr)) as Range;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
