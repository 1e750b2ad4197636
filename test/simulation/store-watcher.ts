/**
 * A watcher: follows all keys from the beginning to the end, over crashes and from member to member, each time from the
 * revision after the last one seen. Nothing may be missing, doubled or out of order; what compaction has taken is read anew.
 */
import { CompactedError, UnavailableError, type WatchBatch, WatchLostError } from '../../store/index.ts';
import { integerBetween, pick } from './random.ts';
import { SafetyViolation } from './safety-violation.ts';
import { ALL_KEYS } from './store-model.ts';
import { ENDED, type StoreLife, type StorePlace, type StorePlaceContext } from './store-place.ts';
import { itemsText } from './store-text.ts';
import { pause } from './workload.ts';

/** A member that tells nothing for so long may never do: it may not even belong to the cluster. */
const PATIENCE_MS = 2_000;
/** After so many batches at most, a watcher goes to another member. */
const BATCHES_MAX = 60;
const PROGRESS_MS = 500;
const PAUSE_MS = 50;
/** How often a reader is away when something comes, and for how long at most. */
const AWAY_CHANCE = 0.15;
const AWAY_MS_MAX = 300;

export class Watcher {
  readonly #name: string;
  readonly #context: StorePlaceContext;
  readonly #places: readonly StorePlace[];
  /** Everything through this revision has been seen; 1 is the empty store. */
  #seen = 1;
  #place: StorePlace | undefined;

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
    const { random, coverage } = this.#context;
    for (;;) {
      const place = pick(
        random,
        this.#places.filter(({ life }) => life?.isTrusted() === true),
      );
      if (place !== this.#place) coverage.note('watch moved');
      this.#place = place;
      if (place?.life !== undefined) await this.#follow(place, place.life);
      await pause(this.#context, PAUSE_MS);
    }
  }

  async #follow(place: StorePlace, life: StoreLife): Promise<void> {
    const { random, trace } = this.#context;
    const abort = new AbortController();
    trace?.(`${this.#name} watches on ${place.id} from ${this.#seen + 1}`);
    try {
      const request = { ...ALL_KEYS, startRevision: this.#seen + 1, progressMs: PROGRESS_MS, signal: abort.signal };
      const batches = life.client.watch(request)[Symbol.asyncIterator]();
      for (let left = integerBetween(random, 1, BATCHES_MAX); left > 0; left--) {
        await beAway(this.#context);
        const next = await patiently(this.#context, Promise.race([batches.next(), life.ended]));
        if (next === ENDED || next.done === true || !life.isTrusted()) return;
        if (next.value.events.length === 0) this.#context.coverage.note('watch told of progress');
        this.#take(next.value);
      }
    } catch (error) {
      trace?.(`${this.#name}: ${error}`);
      const { coverage } = this.#context;
      if (error instanceof CompactedError) {
        coverage.note('watch started too late');
        await this.#readAnew(life, error);
      } else if (error instanceof WatchLostError) coverage.note('watch lost its place');
      else if (!(error instanceof UnavailableError)) throw error;
    } finally {
      abort.abort();
    }
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
    if (result === ENDED || !life.isTrusted()) return;
    judge.checkState(this.#name, result.revision, itemsText(result.items));
    if (result.revision < this.#seen)
      throw new SafetyViolation(`${this.#name} has seen ${this.#seen}, and reads ${result.revision}`);
    this.#seen = result.revision;
  }
}

/** A reader is busy with what it was given, now and then for longer. */
async function beAway(context: StorePlaceContext): Promise<void> {
  const { random, coverage } = context;
  if (random() >= AWAY_CHANCE) return;
  coverage.note('reader of a watch away');
  await pause(context, AWAY_MS_MAX * random());
}

/** What is awaited, or nothing if it takes too long. */
function patiently<Value>(context: StorePlaceContext, result: Promise<Value>): Promise<Value | typeof ENDED> {
  return new Promise((resolve, reject) => {
    const cancel = context.clock.setTimeout(() => resolve(ENDED), PATIENCE_MS);
    result.finally(cancel).then(resolve, reject);
  });
}

/** Ranges that are watched besides everything: a key, a few, an empty one, all that follows. */
const RANGES: readonly { readonly key: string; readonly end?: string }[] = [
  { key: 'k/a' },
  { key: 'k/e' },
  { key: 'k/b', end: 'k/d' },
  { key: 'k/b', end: 'k/b' },
  { key: 'k/c', end: '' },
];
const WANDERER_BATCHES_MAX = 8;
/** How far in the future a watch may begin. */
const FUTURE_REVISIONS_MAX = 5;

/** Watches part of the keys, from some revision: past, present, or still to come. */
export class Wanderer {
  readonly #name: string;
  readonly #context: StorePlaceContext;
  readonly #places: readonly StorePlace[];

  constructor(name: string, context: StorePlaceContext, places: readonly StorePlace[]) {
    this.#name = name;
    this.#context = context;
    this.#places = places;
  }

  /** Goes on for as long as the world turns. */
  async run(): Promise<void> {
    const { random, judge } = this.#context;
    for (;;) {
      await pause(this.#context, PAUSE_MS * 10 * random());
      const life = pick(random, this.#places)?.life;
      if (life === undefined || !life.isTrusted()) continue;
      const { revision, compactedRevision } = judge.model;
      const start = integerBetween(random, Math.max(1, compactedRevision - 1), revision + FUTURE_REVISIONS_MAX);
      const isNow = random() < 0.2;
      await this.#watch(life, pick(random, RANGES) ?? ALL_KEYS, isNow ? undefined : start);
    }
  }

  async #watch(life: StoreLife, range: { key: string; end?: string }, start: number | undefined): Promise<void> {
    const { judge, coverage, random } = this.#context;
    const abort = new AbortController();
    const present = life.replica.state.revision;
    let next = start ?? present + 1;
    if (next > present + 1) coverage.note('watch of the future');
    try {
      const request = { ...range, progressMs: PROGRESS_MS, signal: abort.signal };
      const watch = life.client.watch(start === undefined ? request : { ...request, startRevision: start });
      const batches = watch[Symbol.asyncIterator]();
      for (let left = integerBetween(random, 1, WANDERER_BATCHES_MAX); left > 0; left--) {
        await beAway(this.#context);
        const result = await patiently(this.#context, Promise.race([batches.next(), life.ended]));
        if (result === ENDED || result.done === true || !life.isTrusted()) return;
        const { revision, events } = result.value;
        if (revision < next - 1 || (revision < next && events.length > 0)) {
          throw new SafetyViolation(`${this.#name} waits for ${next} and is told of ${revision}`);
        }
        judge.checkEventsIn(this.#name, { ...range, from: next, through: revision }, events);
        next = revision + 1;
      }
    } catch (error) {
      if (error instanceof CompactedError) coverage.note('watch started too late');
      else if (error instanceof WatchLostError) coverage.note('watch lost its place');
      else if (!(error instanceof UnavailableError)) throw error;
    } finally {
      abort.abort();
    }
  }
}
