/**
 * A watcher: follows all keys from the beginning to the end, over crashes and from member to member, each time from the
 * revision after the last one seen. Nothing may be missing, doubled or out of order; what compaction has taken is read anew.
 */
import { CompactedError, UnavailableError, type WatchBatch, WatchLostError } from '../../store/index.ts';
import { integerBetween, pick } from './random.ts';
import { SafetyViolation } from './reference.ts';
import { ALL_KEYS } from './store-model.ts';
import { ENDED, type StoreLife, type StorePlace, type StorePlaceContext } from './store-place.ts';
import { itemsText } from './store-text.ts';
import { pause } from './workload.ts';

/** A member that tells nothing for so long may never do: it may not even belong to the cluster. */
const PATIENCE_MS = 2_000;
/** After so many batches at most, a watcher goes to another member. */
const BATCHES_MAX = 60;

export class Watcher {
  readonly #name: string;
  readonly #context: StorePlaceContext;
  readonly #places: readonly StorePlace[];
  /** Everything through this revision has been seen; 1 is the empty store. */
  #seen = 1;
  batches = 0;

  constructor(name: string, context: StorePlaceContext, places: readonly StorePlace[]) {
    this.#name = name;
    this.#context = context;
    this.#places = places;
  }

  get seen(): number {
    return this.#seen;
  }

  /** Goes on for as long as the world turns. */
  async run(): Promise<void> {
    for (;;) {
      const place = pick(this.#context.random, this.#places);
      if (place?.life !== undefined) await this.#follow(place, place.life);
      await pause(this.#context, 20);
    }
  }

  async #follow(place: StorePlace, life: StoreLife): Promise<void> {
    const { random, trace } = this.#context;
    const abort = new AbortController();
    trace?.(`${this.#name} watches on ${place.id} from ${this.#seen + 1}`);
    try {
      const request = { ...ALL_KEYS, startRevision: this.#seen + 1, progressMs: 100, signal: abort.signal };
      const batches = life.client.watch(request)[Symbol.asyncIterator]();
      for (let left = integerBetween(random, 1, BATCHES_MAX); left > 0; left--) {
        const next = await this.#patiently(Promise.race([batches.next(), life.ended]));
        if (next === ENDED || next.done === true) return;
        this.#take(next.value);
      }
    } catch (error) {
      trace?.(`${this.#name}: ${error}`);
      if (error instanceof CompactedError) await this.#readAnew(life, error);
      else if (!(error instanceof WatchLostError || error instanceof UnavailableError)) throw error;
    } finally {
      abort.abort();
    }
  }

  #patiently<Value>(result: Promise<Value>): Promise<Value | typeof ENDED> {
    return new Promise((resolve, reject) => {
      const cancel = this.#context.clock.setTimeout(() => resolve(ENDED), PATIENCE_MS);
      result.finally(cancel).then(resolve, reject);
    });
  }

  #take({ revision, events }: WatchBatch): void {
    const { judge } = this.#context;
    if (revision < this.#seen || (revision === this.#seen && events.length > 0)) {
      throw new SafetyViolation(`${this.#name} has seen ${this.#seen} and is told of ${revision} again`);
    }
    const foreign = events.find(({ item }) => item.modRevision <= this.#seen || item.modRevision > revision);
    if (foreign !== undefined)
      throw new SafetyViolation(`an event of ${foreign.item.modRevision} came with ${revision}`);
    const order = events.map(({ item }) => item.modRevision);
    if (order.some((at, position) => at < (order[position - 1] ?? 0))) {
      throw new SafetyViolation(`${this.#name} sees the revisions ${order} in this order`);
    }
    for (let at = this.#seen + 1; at <= revision; at++) {
      judge.checkEvents(
        this.#name,
        at,
        events.filter(({ item }) => item.modRevision === at),
      );
    }
    this.#seen = revision;
    this.batches++;
  }

  /** What a client does whose place in the history is gone: it reads everything and watches from there. */
  async #readAnew(life: StoreLife, { compactedRevision }: CompactedError): Promise<void> {
    const { judge } = this.#context;
    if (compactedRevision <= this.#seen + 1 || compactedRevision > judge.model.compactedRevision) {
      throw new SafetyViolation(
        `${this.#name} wants ${this.#seen + 1} and is told that ${compactedRevision} is compacted`,
      );
    }
    const read = life.client.range(ALL_KEYS).catch((error: unknown): typeof ENDED => {
      if (error instanceof UnavailableError) return ENDED;
      throw error;
    });
    const result = await Promise.race([read, life.ended]);
    if (result === ENDED) return;
    judge.checkState(this.#name, result.revision, itemsText(result.items));
    if (result.revision < this.#seen)
      throw new SafetyViolation(`${this.#name} has seen ${this.#seen}, and reads ${result.revision}`);
    this.#seen = result.revision;
  }
}
