/** What every verb works with: the store behind its cache, the declared kinds, and the world as it was handed in. */

import type { StoreClient } from '../../store/index.ts';
import type { IpFamily } from '../api/families.ts';
import type { FeatureGates } from '../api/features.ts';
import type { KindDeclaration, StrategyContext } from '../api/kind.ts';
import { formatTime } from '../api/schema/time.ts';
import type { Admission } from './admission/admission.ts';
import type { WatchCache } from './cache/watch-cache.ts';
import type { Callout } from './callout/client.ts';
import type { Catalogue } from './custom/catalogue.ts';
import type { Conversions } from './custom/conversions.ts';
import type { EventLeases } from './event-leases.ts';
import type { Limits } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Clock, Exchange, Identity, Logger, RequestInfo } from './types.ts';

export interface Core {
  readonly store: StoreClient;
  readonly cache: WatchCache;
  /** Which kinds there are at the moment. */
  readonly kinds: Catalogue;
  readonly conversions: Conversions;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly newUid: () => string;
  /** Families of addresses that Services can have, the primary one first; IPv4 if it is not said. */
  readonly serviceFamilies?: readonly IpFamily[];
  /** Features that may be on; as by default if it is not said. */
  readonly features?: FeatureGates;
  /** In [0, 1). */
  readonly random: () => number;
  readonly admission: Admission;
  readonly eventLeases: EventLeases;
  /** Calls to webhooks and to API servers behind this one. */
  readonly callout: Callout;
}

/** A request for objects of a declared kind. */
export interface ResourceRequest {
  readonly exchange: Exchange;
  readonly info: RequestInfo;
  readonly identity: Identity;
  readonly kind: KindDeclaration;
}

/** The present in the form of metav1.Time. */
export function timestamp(clock: Clock): string {
  return formatTime(clock.now());
}

/** What a strategy may know of the request. */
export function strategyContext(
  core: Core,
  { identity, info }: Pick<ResourceRequest, 'identity' | 'info'>,
): StrategyContext {
  return {
    now: timestamp(core.clock),
    newUid: core.newUid,
    user: {
      name: identity.user,
      groups: identity.groups,
      ...(identity.uid !== undefined && { uid: identity.uid }),
      ...(identity.extra && { extra: identity.extra }),
    },
    ...(core.serviceFamilies && { serviceFamilies: core.serviceFamilies }),
    ...(core.features && { features: core.features }),
    subresource: info.subresource,
  };
}
