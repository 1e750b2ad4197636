/** Priority and fairness as a filter: how wide a request is, when it gives its seats back, and who is not asked at all. */
import type { WatchCache } from '../cache/watch-cache.ts';
import type { Filter } from '../chain.ts';
import { identityOf } from '../exchange.ts';
import type { Exchange } from '../types.ts';
import type { Fairness } from './fairness.ts';
import { OBJECTS_PER_SEAT, SEATS_PER_REQUEST_MAX } from './limits.ts';

/**
 * `isExempt` tells streams that have limits of their own. Watches count while they begin. The product's own controllers, in
 * process, are never turned away: they are few, and what they do frees others.
 */
export function fairnessFilter(
  fairness: Fairness,
  { cache, isExempt }: { readonly cache: WatchCache; readonly isExempt: (exchange: Exchange) => boolean },
): Filter {
  const inTurn: Filter = async (exchange, next) => {
    exchange.answerHeaders ??= {};
    const release = await fairness.admit(
      { identity: identityOf(exchange), info: exchange.info },
      { seats: seatsOf(exchange, cache), exchange, headers: exchange.answerHeaders },
    );
    try {
      return await next(exchange);
    } finally {
      release();
    }
  };
  return (exchange, next) => (exchange.isInProcess || isExempt(exchange) ? next(exchange) : inTurn(exchange, next));
}

/** One seat, and more for a list or a watch that begins with all that is there. */
function seatsOf({ info, query }: Exchange, cache: WatchCache): number {
  if (!info.isResource || info.name !== '' || (info.verb !== 'list' && info.verb !== 'watch')) return 1;
  const version = query.get('resourceVersion') ?? '';
  if (info.verb === 'watch' && version !== '' && version !== '0') return 1;
  const limit = Number(query.get('limit') ?? 0);
  const objects = cache.sizeOf(`/registry/${info.group || 'core'}/${info.resource}/`);
  const count = limit > 0 ? Math.min(limit, objects) : objects;
  return Math.min(SEATS_PER_REQUEST_MAX, Math.max(1, Math.ceil(count / OBJECTS_PER_SEAT)));
}
