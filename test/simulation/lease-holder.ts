/** A client that lives by a lease: it hangs a key on one, renews it in time for a while, and then lets it go. */
import {
  LeaseNotFoundError,
  NoSpaceError,
  QuotaExceededError,
  UnavailableError,
  UnknownOutcomeError,
} from '../../store/index.ts';
import { integerBetween, pick } from './random.ts';
import { SafetyViolation } from './safety-violation.ts';
import { anyLife, outcomeOf, type StorePlace, type StorePlaceContext } from './store-place.ts';
import { pause } from './workload.ts';

const TTL_SECONDS_MAX = 3;
/** Renewals to one lease; in a third of its time each, as etcd's clients do. */
const RENEWALS_MAX = 12;
const RENEWALS_PER_TTL = 3;
const PAUSE_MS_MAX = 2_000;

export class LeaseHolder {
  readonly #context: StorePlaceContext;
  readonly #places: readonly StorePlace[];

  constructor(context: StorePlaceContext, places: readonly StorePlace[]) {
    this.#context = context;
    this.#places = places;
  }

  async run(): Promise<void> {
    const { random, isChaos } = this.#context;
    while (isChaos()) {
      await pause(this.#context, random() * PAUSE_MS_MAX);
      const ttlSeconds = integerBetween(random, 1, TTL_SECONDS_MAX);
      const life = anyLife(this.#places, random);
      if (life === undefined) continue;
      const granted = expected(await outcomeOf(life, life.client.grantLease(ttlSeconds)));
      if (granted !== undefined) await this.#hold(granted.id, ttlSeconds);
    }
  }

  async #hold(lease: number, ttlSeconds: number): Promise<void> {
    const { random, isChaos } = this.#context;
    for (let left = integerBetween(random, 0, RENEWALS_MAX); left > 0 && isChaos(); left--) {
      const life = anyLife(this.#places, random);
      if (life !== undefined && left % RENEWALS_PER_TTL === 0) {
        const value = Buffer.from(`held by ${lease}`);
        const put = { type: 'put', key: pick(random, ['k/a', 'k/c']) ?? 'k/a', value, lease } as const;
        const outcome = await outcomeOf(life, life.client.transaction({ then: [put] }));
        if (outcome instanceof LeaseNotFoundError) return;
        expected(outcome);
      }
      const calledMs = this.#context.clock.now();
      if (life !== undefined) {
        const outcome = await outcomeOf(life, life.client.keepLeaseAlive(lease));
        if (outcome instanceof LeaseNotFoundError) return;
        expected(outcome);
      }
      const tookMs = this.#context.clock.now() - calledMs;
      await pause(this.#context, Math.max(0, (ttlSeconds * 1000) / RENEWALS_PER_TTL - tookMs));
    }
  }
}

/** What was answered; undefined where the client cannot know. */
function expected<Value>(outcome: Value | Error | undefined): Value | undefined {
  if (!(outcome instanceof Error)) return outcome;
  if (outcome instanceof UnavailableError || outcome instanceof UnknownOutcomeError) return undefined;
  if (outcome instanceof QuotaExceededError || outcome instanceof NoSpaceError) return undefined;
  throw new SafetyViolation(`the holder of a lease was answered with ${String(outcome)}`);
}
