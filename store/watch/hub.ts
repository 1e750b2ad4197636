/**
 * Watches of one member. Nothing is queued for a watcher: it follows, or it is a cursor into the log of revisions. So a slow
 * watcher costs nobody anything and holds no memory; when compaction passes its cursor it has lost its place and is told so.
 * Who follows is found by key, so that a change costs those whom it concerns and not all.
 *
 * Invariants: a watcher sees each revision's matching events once, whole, in order; a follower has seen everything up to the
 * last publication.
 */
import {
  InvalidRequestError,
  UnavailableError,
  type WatchBatch,
  type WatchEvent,
  WatchLostError,
  type WatchRequest,
} from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { STORE_LIMITS } from '../limits.ts';
import { boundProblem, keyProblem, sortName } from '../mvcc/keys.ts';
import { type WatchGroup, WatchIndex, type WatchTarget } from './watch-index.ts';
import { type RevisionSource, Watcher, type WatchHost, type Watching, type WatchLimits } from './watcher.ts';

export type { RevisionSource, Watching, WatchLimits } from './watcher.ts';

/** How many watches there are, and what they have been told since the member started. */
export interface WatchCounts {
  readonly watchers: number;
  /** Those whose reader has not taken what is there for it. */
  readonly slow: number;
  readonly batches: number;
  readonly events: number;
  /** Watches that lost their place. */
  readonly lost: number;
}

export class WatchHub implements WatchHost {
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly #watchers = new Set<Watcher>();
  readonly #following = new WatchIndex<Watcher>();
  /** Watches on revisions to come, by the first that they want. */
  readonly #early = new Map<number, Set<Watcher>>();
  #source: RevisionSource;
  /** Followers have been told of everything up to here. */
  #publishedRevision: number;
  #batches = 0;
  #events = 0;
  #lost = 0;
  #isClosed = false;

  constructor(options: { readonly source: RevisionSource; readonly clock: Clock; readonly limits?: WatchLimits }) {
    this.#source = options.source;
    this.#publishedRevision = options.source.revision;
    this.clock = options.clock;
    this.limits = options.limits ?? STORE_LIMITS;
  }

  get size(): number {
    return this.#watchers.size;
  }
  get source(): RevisionSource {
    return this.#source;
  }
  /** Looks at every watch, so it is for the eyes of an operator and not for a hot path. */
  get counts(): WatchCounts {
    let slow = 0;
    for (const watcher of this.#watchers) if (watcher.isBehind) slow++;
    return { watchers: this.size, slow, batches: this.#batches, events: this.#events, lost: this.#lost };
  }

  /** Watches as {@link WatchRequest} says. The place is taken at this call, not at the first `next`. */
  watch(request: WatchRequest): Watching {
    const problem = request.end === undefined ? keyProblem(request.key) : watchRangeProblem(request);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    if (this.#isClosed) throw new UnavailableError('the store is closed');
    const { watchesMax } = this.limits;
    if (this.#watchers.size >= watchesMax) throw new UnavailableError(`there are ${watchesMax} watches already`);
    const watcher = new Watcher(this, request);
    if (request.signal.aborted) return watcher;
    this.#watchers.add(watcher);
    const { earlyFor } = watcher;
    if (earlyFor !== undefined) this.#early.set(earlyFor, (this.#early.get(earlyFor) ?? new Set()).add(watcher));
    return watcher;
  }

  /** Says that new revisions are there. */
  published(): void {
    const { revision } = this.#source;
    const from = this.#publishedRevision + 1;
    this.#publishedRevision = revision;
    const begun = this.#takeBegun(from, revision);
    // What was written and compacted within one publication is gone: followers have lost their place, and must be told so.
    if (from < this.#source.compactedRevision) this.#setBack(from);
    else if (this.#following.size > 0) for (const group of this.#gather(from, revision)) this.#handOut(group, revision);
    for (const watcher of begun) watcher.catchUp();
  }

  /** After the whole state was replaced: nobody's place in the old log means anything for sure. */
  replaceSource(source: RevisionSource): void {
    this.#source = source;
    this.failAll(() => new WatchLostError('the member took over a snapshot; start again after the last revision seen'));
    this.#publishedRevision = source.revision;
  }

  /** Ends all watches; new ones are refused. */
  close(): void {
    this.#isClosed = true;
    this.failAll(() => new WatchLostError('the store is closed'));
  }

  /** Ends all watches with an error. */
  failAll(makeError: () => Error): void {
    for (const watcher of [...this.#watchers]) watcher.fail(makeError());
  }

  follow(watcher: Watcher, target: WatchTarget): WatchGroup<Watcher> {
    // It has read the log to its end, so those who follow must have been told of all of that too.
    if (this.#publishedRevision < this.#source.revision) this.published();
    return this.#following.add(target, watcher);
  }

  unfollow(watcher: Watcher, group: WatchGroup<Watcher>): void {
    this.#following.remove(group, watcher);
  }

  handedOver(events: number): void {
    this.#batches++;
    this.#events += events;
  }

  ended(watcher: Watcher, wasLost: boolean): void {
    this.#watchers.delete(watcher);
    if (wasLost) this.#lost++;
    const { earlyFor } = watcher;
    if (earlyFor === undefined) return;
    const others = this.#early.get(earlyFor);
    others?.delete(watcher);
    if (others?.size === 0) this.#early.delete(earlyFor);
  }

  /** Those who waited for one of these revisions. */
  #takeBegun(from: number, through: number): readonly Watcher[] {
    const begun: Watcher[] = [];
    // Where nobody is early, which is usual, this costs nothing.
    for (let revision = from; revision <= through && this.#early.size > 0; revision++) {
      begun.push(...(this.#early.get(revision) ?? []));
      this.#early.delete(revision);
    }
    return begun;
  }

  #setBack(revision: number): void {
    if (this.#following.size > 0) for (const watcher of [...this.#watchers]) watcher.setBack(revision);
  }

  #gather(from: number, through: number): readonly WatchGroup<Watcher>[] {
    const touched: WatchGroup<Watcher>[] = [];
    const { watchBatchEventsMax } = this.limits;
    for (let revision = from; revision <= through; revision++) {
      this.#source.visitEvents(revision, (key, makeEvent) => {
        let event: WatchEvent | undefined;
        this.#following.visit(sortName(key), group => {
          event ??= makeEvent();
          if (group.take(event, revision, watchBatchEventsMax)) touched.push(group);
        });
      });
    }
    return touched;
  }

  /** One batch for all of a group, so that it is made, and can be encoded, once. */
  #handOut(group: WatchGroup<Watcher>, through: number): void {
    const { events, firstRevision, overflowRevision } = group;
    group.reset();
    const batch: WatchBatch = { revision: overflowRevision === undefined ? through : overflowRevision - 1, events };
    for (const watcher of group.watchers) {
      if (watcher.isReady(firstRevision)) watcher.deliver(batch, overflowRevision);
    }
  }
}

function watchRangeProblem(request: WatchRequest): string | undefined {
  return boundProblem(request.key) ?? boundProblem(request.end);
}
