/**
 * Names that are not the cluster's: asked of the node's own resolvers, or of those of a stub zone, and remembered. The
 * same question is asked once at a time, and there is a bound on questions under way.
 */
import type { Clock } from '../clock.ts';
import { AnswerCache } from './cache.ts';
import { type Exchange, ExchangeError, exchange, type Resolver } from './exchange.ts';
import { UPSTREAM_REQUESTS_MAX, UPSTREAM_REST_MS, UPSTREAM_TRIES_MAX, UPSTREAM_TRY_MS } from './limits.ts';
import type { Measures } from './measures.ts';
import { encodeForward, encodeResponse, type Query, RCODE, rcodeOf, withoutEdns } from './message.ts';
import { labelsBelow } from './names.ts';

export interface ForwarderOptions {
  /** Asked in this order. */
  readonly resolvers: readonly Resolver[];
  /** Resolvers of single zones; of two that fit the longer name wins. */
  readonly stubZones?: Readonly<Record<string, readonly Resolver[]>>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly measures: Measures;
  /** For tests. */
  readonly exchange?: Exchange;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #cache: AnswerCache;
  readonly #underWay = new Map<string, Promise<Buffer>>();
  /** When a resolver last failed to answer. */
  readonly #failedAt = new Map<string, number>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#cache = new AnswerCache(() => options.clock.now());
  }

  /** The response of those who know, without EDNS and under any id; SERVFAIL if none of them answers. Never rejects. */
  async resolve(query: Query): Promise<Buffer> {
    const { type, checkingDisabled, edns } = query;
    const name = query.asked.toLowerCase();
    const key = `${name} ${type} ${edns?.dnssecOk ? 'do' : ''} ${checkingDisabled ? 'cd' : ''}`;
    const cached = this.#cache.get(key);
    this.#options.measures.cached(cached !== undefined);
    if (cached) return cached;
    const running = this.#underWay.get(key);
    if (running) return running;
    if (this.#underWay.size >= UPSTREAM_REQUESTS_MAX) return failure(query);
    const asking = this.#ask(query, this.#resolversOf(name)).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    const answer = await asking;
    this.#cache.put(key, answer);
    return answer;
  }

  async #ask(query: Query, resolvers: readonly Resolver[]): Promise<Buffer> {
    const { clock, random } = this.#options;
    const ask = this.#options.exchange ?? exchange;
    let refusal: Buffer | undefined;
    for (const resolver of this.#inOrder(resolvers)) {
      const message = encodeForward(query, Math.floor(random() * 65_536));
      try {
        const answer = withoutEdns(await ask(resolver, message, { clock, timeoutMs: UPSTREAM_TRY_MS }));
        this.#failedAt.delete(keyOf(resolver));
        const rcode = rcodeOf(answer);
        if (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN) return answer;
        refusal ??= answer;
      } catch (error) {
        // A RangeError comes from an answer that is broken.
        if (!(error instanceof ExchangeError) && !(error instanceof RangeError)) throw error;
        this.#options.measures.resolverFailed();
        this.#failedAt.set(keyOf(resolver), clock.now());
      }
    }
    return refusal ?? failure(query);
  }

  #resolversOf(name: string): readonly Resolver[] {
    const { stubZones = {}, resolvers } = this.#options;
    const fitting = Object.keys(stubZones).filter(zone => labelsBelow(name, zone) !== undefined);
    const zone = fitting.sort((a, b) => b.length - a.length)[0];
    return (zone === undefined ? undefined : stubZones[zone]) ?? resolvers;
  }

  /** Who answered of late is asked again, for a datagram may get lost; who did not is asked once, and last. */
  #inOrder(resolvers: readonly Resolver[]): Resolver[] {
    const restedAt = this.#options.clock.now() - UPSTREAM_REST_MS;
    const isWeak = (resolver: Resolver) => (this.#failedAt.get(keyOf(resolver)) ?? 0) > restedAt;
    const strong = resolvers.filter(one => !isWeak(one));
    return [...strong, ...resolvers.filter(isWeak), ...strong].slice(0, UPSTREAM_TRIES_MAX);
  }
}

const keyOf = ({ address, port }: Resolver) => `${address} ${port}`;

function failure(query: Query): Buffer {
  return encodeResponse(query, { rcode: RCODE.SERVFAIL });
}
