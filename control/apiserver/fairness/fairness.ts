/**
 * Priority and fairness: the API's flow schemas and priority levels, followed through the watch cache, decide who is served at
 * once, who waits, and who is turned away. A request pays for a walk through the schemas and, at most, for one place in a queue.
 */
import { flowschemas, prioritylevelconfigurations } from '../../api/generated/kinds.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import { ApiError } from '../../api/status.ts';
import type { CacheWatcher } from '../cache/resource-cache.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourcePrefix } from '../keys.ts';
import type { Clock, Exchange } from '../types.ts';
import type { LevelSettings } from './level.ts';
import { RETRY_AFTER_SECONDS, WAIT_SHARE } from './limits.ts';
import { MANDATORY_LEVELS, MANDATORY_SCHEMAS, withMandatory } from './mandatory.ts';
import { type Asked, compileSchemas, type Matcher } from './match.ts';
import { FlowMetrics } from './metrics.ts';
import { type Seat, SeatScheduler } from './scheduler.ts';

export interface FairnessOptions {
  readonly cache: WatchCache;
  readonly clock: Clock;
  /** Seats of all levels together. */
  readonly seats: number;
  /** How long a request may take at all. */
  readonly requestMsMax: number;
  readonly registry: ConstructorParameters<typeof FlowMetrics>[0];
}

export class Fairness {
  readonly scheduler: SeatScheduler;
  readonly #cache: WatchCache;
  readonly #waitMsMax: number;
  readonly #metrics: FlowMetrics;
  #matchers: readonly Matcher[] = [];
  #levelUids = new Map<string, string>();
  #isStale = true;

  constructor({ cache, clock, seats, requestMsMax, registry }: FairnessOptions) {
    this.#cache = cache;
    this.#waitMsMax = requestMsMax * WAIT_SHARE;
    this.scheduler = new SeatScheduler({
      clock,
      seats,
      onWaited: (wish, waitedMs) => this.#metrics.waited(wish.level, wish.schema, waitedMs),
    });
    this.#metrics = new FlowMetrics(registry, this.scheduler);
    for (const kind of [flowschemas, prioritylevelconfigurations]) this.#follow(kind);
  }

  /**
   * Waits until the request may go on.
   * @throws {ApiError} 429 when it may not; `headers` tells by which rules, in both cases
   */
  async admit(
    asked: Asked,
    {
      seats,
      exchange,
      headers,
    }: {
      readonly seats: number;
      readonly exchange: Pick<Exchange, 'signal'>;
      readonly headers: Record<string, string>;
    },
  ): Promise<() => void> {
    const matcher = this.classify(asked);
    headers['x-kubernetes-pf-flowschema-uid'] = matcher.uid;
    headers['x-kubernetes-pf-prioritylevel-uid'] = this.#levelUids.get(matcher.level) ?? '';
    const taken = this.scheduler.take({
      level: matcher.level,
      schema: matcher.name,
      distinguisher: matcher.distinguish(asked),
      seats,
      waitMsMax: this.#waitMsMax,
      request: exchange,
    });
    const seat: Seat = taken instanceof Promise ? await taken : taken;
    if ('release' in seat) {
      this.#metrics.dispatched(matcher.level, matcher.name);
      return seat.release;
    }
    this.#metrics.rejected(matcher.level, matcher.name, seat.refusal);
    throw new ApiError('TooManyRequests', 'too many requests, please try again later', {
      code: 429,
      details: { retryAfterSeconds: RETRY_AFTER_SECONDS },
    });
  }

  /** The schema that a request falls under. There is one for everybody. */
  classify(asked: Asked): Matcher {
    this.#refresh();
    const found = this.#matchers.find(({ matches }) => matches(asked)) ?? this.#matchers.at(-1);
    if (!found) throw new Error('there are no flow schemas, not even the mandatory ones');
    return found;
  }

  #follow(kind: Kind): void {
    const note = () => {
      this.#isStale = true;
    };
    const watcher: CacheWatcher = { offer: note, lost: note };
    this.#cache.resource(resourcePrefix(kind)).watchers.add(watcher);
  }

  #refresh(): void {
    if (!this.#isStale) return;
    // An empty cache is not a cluster without schemas; but the mandatory ones hold from the first moment.
    if (this.#cache.isFilled) this.#isStale = false;
    else if (this.#matchers.length > 0) return;
    const levels = withMandatory(this.#all<PriorityLevelConfiguration>(prioritylevelconfigurations), MANDATORY_LEVELS);
    const names = new Set(levels.map(({ metadata }) => metadata?.name));
    const schemas = withMandatory(this.#all<FlowSchema>(flowschemas), MANDATORY_SCHEMAS);
    // One that leads nowhere holds for nobody.
    this.#matchers = compileSchemas(schemas).filter(({ level }) => names.has(level));
    this.#levelUids = new Map(levels.map(({ metadata }) => [metadata?.name ?? '', metadata?.uid ?? '']));
    this.scheduler.configure(levels.map(settingsOf));
  }

  #all<T extends KubernetesObject>(kind: Kind): T[] {
    const resource = this.#cache.resource(resourcePrefix(kind));
    return resource.list(resource.prefix).map(object => object.parse<T>());
  }
}

function settingsOf({ metadata, spec }: PriorityLevelConfiguration): LevelSettings {
  const { limited, exempt } = spec ?? {};
  const isExempt = spec?.type === 'Exempt';
  const { queuing, type } = limited?.limitResponse ?? {};
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    isExempt,
    queuing:
      type === 'Queue' && queuing
        ? {
            queues: queuing.queues ?? 1,
            handSize: queuing.handSize ?? 1,
            queueLengthLimit: queuing.queueLengthLimit ?? 0,
          }
        : undefined,
    shares: (isExempt ? exempt?.nominalConcurrencyShares : limited?.nominalConcurrencyShares) ?? 0,
    lendablePercent: (isExempt ? exempt?.lendablePercent : limited?.lendablePercent) ?? 0,
    borrowingLimitPercent: limited?.borrowingLimitPercent ?? undefined,
  };
}
