/**
 * WATCH. A watcher first gets what happened since the revision it names, then every event as the cache takes it in. Events
 * are encoded once and shared by all watchers that want the same form. A watcher that reads too slowly is cut off; its
 * client starts again from the last revision it saw.
 */
import { CompactedError, type WatchEvent, WatchLostError } from '../../../store/index.ts';
import { ApiError } from '../../api/status.ts';
import { CachedObject } from '../cache/cached-object.ts';
import type { CacheEvent, CacheWatcher, ResourceCache } from '../cache/resource-cache.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { tooManyRequests } from '../exchange.ts';
import { negotiate, type Representation } from '../http/negotiate.ts';
import { bytesReply, JSON_TYPE } from '../http/replies.ts';
import { apiVersionOf, resourcePrefix, storedKind } from '../keys.ts';
import { Pace } from '../pace.ts';
import type { Reply } from '../types.ts';
import { FrameQueue } from './frame-queue.ts';
import { waitUntil } from './get.ts';
import { type ListOptions, readListOptions } from './options.ts';
import { prepareViews, refuseListForm } from './representation.ts';
import { readSelection, type Selection } from './selection.ts';
import { type EventType, type FrameMaker, frameMaker } from './watch-frames.ts';

const openWatches = new WeakMap<Core, { count: number }>();

export async function watch(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind } = request;
  const representation = negotiate(exchange.headers.accept, { isCollection: true });
  refuseListForm(representation, kind);
  const options = readListOptions(exchange.query, true);
  const selection = readSelection(request, options);
  const open = openWatches.get(core) ?? { count: 0 };
  openWatches.set(core, open);
  if (open.count >= core.limits.watchersMax) throw tooManyRequests();
  if (options.freshness.type !== 'notOlderThan') await waitUntil(core, options.freshness);
  const watcher = new Watcher(core, request, { options, selection, representation });
  // Counted when the body is first asked for: one that never is needs no closing either.
  const opened = () => {
    open.count++;
    core.metrics.watchOpened(kind);
    return () => {
      open.count--;
      core.metrics.watchClosed(kind);
    };
  };
  return bytesReply(200, watcher.run(opened), { 'content-type': JSON_TYPE });
}

interface WatchSetup {
  readonly options: ListOptions;
  readonly selection: Selection;
  readonly representation: Representation;
}

/** As far as timers reach. */
const LIFETIME_MS_MAX = 2 ** 31 - 1;

/** One client's watch. */
class Watcher implements CacheWatcher {
  readonly #core: Core;
  readonly #request: ResourceRequest;
  readonly #setup: WatchSetup;
  readonly #queue: FrameQueue;
  readonly #resource: ResourceCache;
  readonly #frameOf: FrameMaker;
  /** The store's own watch, while the cache's history does not reach back far enough. */
  #replay: AbortController | undefined;
  /** The client has seen everything up to this revision. */
  #after = 0;
  /** Events that wait until the first state has been sent. */
  #held: CacheEvent[] | undefined;
  /** Events that wait for a webhook to convert them. */
  #converting = 0;
  /** Ends when all of them have been told; never rejects. */
  #conversion: Promise<void> = Promise.resolve();
  /** Set while the watch runs. */
  #free: (() => void) | undefined;

  constructor(core: Core, request: ResourceRequest, setup: WatchSetup) {
    this.#core = core;
    this.#request = request;
    this.#setup = setup;
    this.#queue = new FrameQueue(core.limits.watcherFramesMax, core.limits.watcherBytesMax);
    this.#resource = core.cache.resource(resourcePrefix(storedKind(request.kind)));
    this.#frameOf = frameMaker(core, request, setup.representation);
  }

  /** The response's body. Ends with the deadline, with the client, or when the watcher is too slow. */
  async *run(opened: () => () => void): AsyncGenerator<Uint8Array> {
    const { signal } = this.#request.exchange;
    const closed = opened();
    const end = () => this.#end();
    const cancelDeadline = this.#core.clock.setTimeout(end, this.#lifetimeMs());
    const cancelBookmarks = this.#keepBookmarks();
    // Freed as soon as the watch ends, not when its reader gets around to noticing.
    this.#free = () => {
      cancelDeadline();
      cancelBookmarks();
      signal.removeEventListener('abort', end);
      this.#resource.watchers.delete(this);
      this.#replay?.abort();
      closed();
    };
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    const starting = this.#start();
    try {
      yield* this.#queue.drain();
    } finally {
      end();
      await starting;
    }
  }

  /** Ends the watch, once; what is queued still goes out. */
  #end(): void {
    this.#queue.end();
    const free = this.#free;
    this.#free = undefined;
    free?.();
  }

  offer(event: CacheEvent): void {
    // This server may lag behind the one that told the client its revision: what the client has seen must not come again.
    if (event.revision <= this.#after) return;
    // The cache tells of a whole resource: what lies in other namespaces is none of this watcher's business.
    const { key } = (event.object ?? event.previous) as CachedObject;
    if (!key.startsWith(this.#setup.selection.prefix)) return;
    if (this.#held || this.#converting > 0 || this.#request.kind.form?.convertsByWebhook) {
      this.#offerLater(event);
      return;
    }
    this.#tell(event);
  }

  #tell(event: CacheEvent): void {
    const frame = this.#encode(event);
    if (frame) this.#queue.push(frame);
    if (this.#queue.hasEnded) this.#end();
  }

  /** Keeps an event until the first state has been sent, and until a webhook has converted its objects; in order. */
  #offerLater(event: CacheEvent): void {
    if (this.#held) {
      this.#held.push(event);
      if (this.#held.length > this.#core.limits.watcherFramesMax) this.#end();
      return;
    }
    this.#converting++;
    if (this.#converting > this.#core.limits.watcherFramesMax) this.#end();
    const { kind } = this.#request;
    this.#conversion = this.#conversion.then(async () => {
      try {
        if (this.#queue.hasEnded) return;
        await prepareViews(this.#core, kind, [event.object, event.previous]);
        this.#tell(event);
      } catch (error) {
        this.#fail(error);
      } finally {
        this.#converting--;
      }
    });
  }

  lost(): void {
    this.#end();
  }

  #lifetimeMs(): number {
    const { timeoutSeconds } = this.#setup.options;
    const seconds = timeoutSeconds || this.#core.limits.watchSecondsMin * (1 + this.#core.random());
    return Math.min(Math.max(seconds, 0) * 1000, LIFETIME_MS_MAX);
  }

  async #start(): Promise<void> {
    try {
      const { freshness, sendInitialEvents } = this.#setup.options;
      if (freshness.type !== 'notOlderThan' || sendInitialEvents) {
        if (freshness.type === 'notOlderThan') await waitUntil(this.#core, freshness);
        await this.#sendState(sendInitialEvents);
        return;
      }
      await this.#catchUp(freshness.revision);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * The present state as ADDED events, then what has happened meanwhile. State and attaching are of one moment; looking
   * through the state takes turns, and events that come in between are held back.
   */
  async #sendState(sendInitialEvents: boolean | undefined): Promise<void> {
    const state = sendInitialEvents === false ? [] : this.#resource.list(this.#setup.selection.prefix);
    const { revision } = this.#core.cache;
    const held: CacheEvent[] = [];
    this.#held = held;
    this.#attach();
    await prepareViews(this.#core, this.#request.kind, state);
    const pace = new Pace(this.#core.clock);
    for (const object of state) {
      if (pace.isDue()) await pace.turn();
      if (this.#queue.hasEnded) return;
      if (this.#setup.selection.matches(object)) this.#queue.push(this.#frameOf('ADDED', object), 'unbounded');
    }
    if (sendInitialEvents) this.#bookmark(revision, { 'k8s.io/initial-events-end': 'true' });
    this.#held = undefined;
    for (const event of held) this.offer(event);
  }

  #attach(): void {
    if (!this.#queue.hasEnded) this.#resource.watchers.add(this);
  }

  /**
   * Sends what came after `revision`, then follows the cache. What a client missed may be far more than is kept for a slow
   * reader: it goes out as fast as it is read, or a client that is far behind would be cut off each time it comes back.
   */
  async #catchUp(revision: number): Promise<void> {
    let seen = revision;
    this.#after = revision;
    while (!this.#queue.hasEnded) {
      if (!this.#resource.canReplayFrom(seen)) {
        seen = await this.#replayFromStore(seen);
        continue;
      }
      // The history goes on while the reader takes its time, and may not reach back as far any more.
      seen = this.#offerMissed(seen) ?? seen;
      if (this.#resource.watchers.has(this)) return;
      await this.#room();
    }
  }

  /** Offers what the history has after `seen` as far as there is room, and follows the cache if that was all. Gives the last revision offered. */
  #offerMissed(seen: number): number | undefined {
    let last: number | undefined;
    for (const event of this.#resource.eventsAfter(seen)) {
      if (event.revision !== last && this.#isHalfFull()) return last;
      this.offer(event);
      last = event.revision;
    }
    this.#attach();
    return last;
  }

  /** Events that wait for their conversion will be frames. */
  #isHalfFull(): boolean {
    return this.#queue.isHalfFull || this.#converting * 2 > this.#core.limits.watcherFramesMax;
  }

  async #room(): Promise<void> {
    if (this.#converting * 2 > this.#core.limits.watcherFramesMax) await this.#conversion;
    await this.#queue.room();
  }

  /** Follows the store from `seen` on until the cache's history takes over; gives the last revision sent. */
  async #replayFromStore(seen: number): Promise<number> {
    const { prefix } = this.#setup.selection;
    const replay = new AbortController();
    this.#replay = replay;
    try {
      const end = `${prefix.slice(0, -1)}0`;
      const batches = this.#core.store.watch({
        key: prefix,
        end,
        startRevision: seen + 1,
        progressMs: 1_000,
        signal: replay.signal,
      });
      for await (const batch of batches) {
        for (const event of batch.events) {
          if (this.#isHalfFull()) await this.#room();
          this.offer(cacheEventOf(event));
        }
        seen = Math.max(seen, batch.revision);
        if (this.#queue.hasEnded || this.#resource.canReplayFrom(seen)) break;
      }
    } catch (error) {
      if (!(error instanceof WatchLostError)) throw error;
    } finally {
      replay.abort();
    }
    return seen;
  }

  /** Tells the client why the watch ends, as an ERROR event. */
  #fail(error: unknown): void {
    if (this.#queue.hasEnded) return;
    const status = this.#statusOf(error);
    this.#queue.push(Buffer.from(`${JSON.stringify({ type: 'ERROR', object: status.toStatus() })}\n`), 'unbounded');
    this.#end();
  }

  #statusOf(error: unknown): ApiError {
    if (error instanceof ApiError) return error;
    if (error instanceof CompactedError) {
      const wanted = this.#setup.options.resourceVersion;
      return new ApiError('Expired', `too old resource version: ${wanted} (${error.compactedRevision})`);
    }
    this.#core.logger.warn({ error: String(error) }, 'a watch failed');
    return new ApiError('InternalError', `Internal error occurred: ${String(error)}`);
  }

  /** The frame of an event as this watcher sees it; undefined if it does not concern it. */
  #encode({ object, previous, revision, frames }: CacheEvent): Buffer | undefined {
    const { matches } = this.#setup.selection;
    const is = object !== undefined && matches(object);
    const was = previous !== undefined && matches(previous);
    const type: EventType | undefined = is ? (was ? 'MODIFIED' : 'ADDED') : was ? 'DELETED' : undefined;
    if (!type) return undefined;
    // What leaves the selection is told with its old content and the new revision.
    const shown = is ? object : (previous as CachedObject).at(revision);
    if (this.#frameOf.key === undefined) return this.#frameOf(type, shown);
    const key = `${this.#frameOf.key} ${type}`;
    let frame = frames.get(key);
    if (!frame) {
      frame = this.#frameOf(type, shown);
      frames.set(key, frame);
    }
    return frame;
  }

  #keepBookmarks(): () => void {
    if (!this.#setup.options.allowBookmarks) return () => undefined;
    const { clock, limits } = this.#core;
    let cancel = () => {};
    const again = () => {
      cancel = clock.setTimeout(() => {
        const { revision } = this.#core.cache;
        const isFollowing =
          this.#resource.watchers.has(this) && !this.#held && this.#converting === 0 && revision >= this.#after;
        if (isFollowing) this.#bookmark(revision);
        again();
      }, limits.bookmarkMs);
    };
    again();
    return () => cancel();
  }

  /** Everything up to `revision` must have been queued before. */
  #bookmark(revision: number, annotations?: Readonly<Record<string, string>>): void {
    const { kind } = this.#request;
    const { form, metaVersion } = this.#setup.representation;
    const metadata = {
      resourceVersion: String(revision),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    };
    const object =
      form === 'PartialObjectMetadata'
        ? { kind: form, apiVersion: `meta.k8s.io/${metaVersion}`, metadata }
        : { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata };
    this.#queue.push(
      Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`),
      annotations ? 'unbounded' : 'bounded',
    );
  }
}

function cacheEventOf({ type, item, previous }: WatchEvent): CacheEvent {
  return {
    revision: item.modRevision,
    object: type === 'put' ? CachedObject.fromStored(item.key, item.value, item.modRevision) : undefined,
    previous: previous && CachedObject.fromStored(previous.key, previous.value, previous.modRevision),
    frames: new Map(),
  };
}
