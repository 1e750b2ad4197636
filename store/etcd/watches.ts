/**
 * etcd's Watch service: many watches on one stream. Each watch is a cursor of the member's watch hub and is sent to as fast as
 * the client reads; what it has not been sent costs nothing. A watch that lost its place (the member took over a snapshot)
 * goes on by itself after the last revision that it sent; one whose place was compacted is cancelled with the oldest
 * revision that is still there.
 */
import {
  CompactedError,
  type WatchBatch,
  type WatchEvent,
  WatchLostError,
  type WatchRequest,
} from '../client/client.ts';
import type { AuthHead } from '../mvcc/auth.ts';
import { keyBytes } from '../mvcc/keys.ts';
import type { Watching } from '../watch/hub.ts';
import { type Identity, readOf } from './access.ts';
import { type EtcdContext, type Header, kvOf } from './context.ts';
import { authError, etcdError } from './errors.ts';
import { type Route, type StreamingCall, streaming } from './grpc/routes.ts';
import { GrpcError } from './grpc/status.ts';
import { type KeyRange, watchRangeOf } from './keys.ts';
import { PROGRESS_NOTIFY_MS, PROGRESS_RETRY_MS, RESPONSE_BYTES_MAX, STREAM_WATCHES_MAX } from './limits.ts';
import { EVENT_DELETE, EVENT_PUT, Event, ResponseHeader } from './proto/kv.ts';
import { bool, bytes, type Init, int, many, message, type Read, text } from './proto/message.ts';
import { Watch } from './proto/services.ts';
import {
  type WatchRequest as EtcdRequest,
  FILTER_NO_DELETE,
  FILTER_NO_PUT,
  type WatchCreateRequest,
} from './proto/watch.ts';

/** As `WatchResponse`, with a header and events that are encoded already: they go to many watches. */
const EncodedWatchResponse = message('WatchResponse', {
  header: bytes(1),
  watchId: int(2),
  created: bool(3),
  canceled: bool(4),
  compactRevision: int(5),
  cancelReason: text(6),
  fragment: bool(7),
  events: many(bytes(11)),
});
type Response = Init<typeof EncodedWatchResponse>;
type Create = Read<typeof WatchCreateRequest>;
type Call = StreamingCall<Read<typeof EtcdRequest>, Response>;

/** As etcd's Go library prints the error. */
const DENIED = `rpc error: code = PermissionDenied desc = ${authError('denied').message}`;
/** In answers that are about no watch, or about one that could not be made. */
const NO_WATCH = -1;

export function watchRoutes(context: EtcdContext): Route[] {
  const encoder = new Encoder();
  return [
    streaming({ ...Watch.watch, response: EncodedWatchResponse }, async call => {
      context.requireLeader(call);
      await new WatchStream(context, encoder, call).run();
    }),
  ];
}

/** Encodes each event once, with and without what was there before, for as long as somebody holds it; and each header once. */
class Encoder {
  #header: { readonly revision: number; readonly raftTerm: number; readonly encoded: Buffer } | undefined;
  readonly #plain = new WeakMap<WatchEvent, Buffer>();
  readonly #withPrevious = new WeakMap<WatchEvent, Buffer>();

  header(header: Header): Buffer {
    const { revision, raftTerm } = header;
    if (this.#header?.revision !== revision || this.#header.raftTerm !== raftTerm) {
      this.#header = { revision, raftTerm, encoded: ResponseHeader.encode(header) };
    }
    return this.#header.encoded;
  }

  event(event: WatchEvent, wantsPrevious: boolean): Buffer {
    const known = wantsPrevious ? this.#withPrevious : this.#plain;
    const before = known.get(event);
    if (before !== undefined) return before;
    const { type, item, previous } = event;
    const encoded = Event.encode({
      type: type === 'put' ? EVENT_PUT : EVENT_DELETE,
      // etcd says of a deletion only which key and at what revision.
      kv: type === 'put' ? kvOf(item) : { key: keyBytes(item.key), modRevision: item.modRevision },
      ...(wantsPrevious && previous !== undefined && { prevKv: kvOf(previous) }),
    });
    known.set(event, encoded);
    return encoded;
  }
}

/** One watch of a stream. */
interface Watched {
  readonly id: number;
  readonly create: Create;
  readonly range: KeyRange;
  readonly abort: AbortController;
  readonly identity: Identity;
  /** The users and permissions with which it was found permitted. */
  permittedBy: AuthHead;
  /** The place in the hub, renewed when it was lost. */
  watching: Watching | undefined;
  /** The next revision that the client has not seen. */
  nextRevision: number;
}

class WatchStream {
  readonly #context: EtcdContext;
  readonly #encoder: Encoder;
  readonly #call: Call;
  readonly #watches = new Map<number, Watched>();
  #nextId = 0;
  /** Settles with the reason why the stream cannot go on. */
  readonly #failure = Promise.withResolvers<never>();
  #wantsProgress = false;
  #cancelProgressRetry: (() => void) | undefined;

  constructor(context: EtcdContext, encoder: Encoder, call: Call) {
    this.#context = context;
    this.#encoder = encoder;
    this.#call = call;
  }

  async run(): Promise<void> {
    const stopFollowing = this.#followLeader();
    const onAbort = () => this.#endAll();
    this.#call.signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#serve(), this.#failure.promise]);
    } finally {
      stopFollowing();
      this.#call.signal.removeEventListener('abort', onAbort);
      this.#endAll();
    }
  }

  /** A client may ask to be left as soon as nobody leads, so that it goes to another member. */
  #followLeader(): () => void {
    if (this.#call.headers.get('hasleader') !== 'true') return () => {};
    return this.#context.onLeader(() => {
      if (!this.#context.hasLeader) this.#failure.reject(etcdError('noLeader'));
    });
  }

  async #serve(): Promise<void> {
    for await (const request of this.#call.requests) {
      if (request.createRequest !== undefined) await this.#create(request.createRequest);
      else if (request.cancelRequest !== undefined) this.#cancel(request.cancelRequest.watchId);
      else if (request.progressRequest !== undefined) this.#progress();
    }
    // The client has asked all it wants, and still listens.
    while (this.#watches.size > 0 && !this.#call.signal.aborted) await this.#aborted();
  }

  #aborted(): Promise<void> {
    return new Promise(resolve => this.#call.signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  async #create(create: Create): Promise<void> {
    const identity = await this.#admitted(create);
    if (identity === undefined) {
      const watchId = create.watchId === 0 ? NO_WATCH : create.watchId;
      this.#send({ header: this.#header(), watchId, created: true, canceled: true, cancelReason: DENIED });
      return;
    }
    const id = this.#takeId(create.watchId);
    const range = id === undefined ? 'mvcc: duplicate watch ID provided on the WatchStream' : this.#rangeOf(create);
    if (id === undefined || typeof range === 'string') {
      const header = this.#header();
      this.#send({ header, watchId: NO_WATCH, created: true, canceled: true, cancelReason: String(range) });
      return;
    }
    const present = this.#context.state.revision;
    const nextRevision = create.startRevision > 0 ? create.startRevision : present + 1;
    const watched: Watched = {
      id,
      create,
      range,
      abort: new AbortController(),
      identity,
      permittedBy: this.#context.access.head,
      watching: undefined,
      nextRevision,
    };
    this.#watches.set(id, watched);
    this.#send({ header: this.#header(), watchId: id, created: true });
    this.#follow(watched).catch((error: unknown) => this.#failure.reject(error));
  }

  /** Who wants to watch; undefined if it may not. Like etcd this does not say why. */
  async #admitted({ key, rangeEnd }: Create): Promise<Identity | undefined> {
    const { access } = this.#context;
    if (!access.head.isEnabled) return access.identify(this.#call);
    try {
      return await access.admit(this.#call, [readOf(watchRangeOf(key, rangeEnd))]);
    } catch (error) {
      if (error instanceof GrpcError) return undefined;
      throw error;
    }
  }

  /** False once the one who watches may not read the range any more. Looked at before anything is sent. */
  #isPermitted(watched: Watched): boolean {
    const { access } = this.#context;
    if (watched.permittedBy === access.head) return true;
    if (access.refusal(watched.identity, [readOf(watched.range)]) !== undefined) return false;
    watched.permittedBy = access.head;
    return true;
  }

  /** What to watch, or why not. */
  #rangeOf(create: Create): KeyRange | string {
    if (this.#watches.size >= STREAM_WATCHES_MAX) return 'raftsman: too many watches on this stream';
    try {
      return watchRangeOf(create.key, create.rangeEnd);
    } catch (error) {
      if (error instanceof GrpcError) return error.message;
      throw error;
    }
  }

  /** The id that the client chose, or the next free one; undefined if it is taken. */
  #takeId(wanted: number): number | undefined {
    if (wanted !== 0) return this.#watches.has(wanted) ? undefined : wanted;
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(id: number): void {
    const watched = this.#watches.get(id);
    if (watched === undefined) return;
    this.#end(watched);
    this.#send({ header: this.#header(), watchId: id, canceled: true });
  }

  #end(watched: Watched): void {
    this.#watches.delete(watched.id);
    watched.abort.abort();
  }

  #endAll(): void {
    this.#cancelProgressRetry?.();
    for (const watched of [...this.#watches.values()]) this.#end(watched);
  }

  /** Sends a watch's events until it ends. */
  async #follow(watched: Watched): Promise<void> {
    while (this.#watches.get(watched.id) === watched) {
      try {
        await this.#followOnce(watched);
        return;
      } catch (error) {
        if (error instanceof WatchLostError) continue;
        if (this.#watches.get(watched.id) !== watched) return;
        this.#end(watched);
        this.#send({ header: this.#header(), watchId: watched.id, canceled: true, ...cancelCause(error) });
      }
    }
  }

  async #followOnce(watched: Watched): Promise<void> {
    watched.watching = this.#context.replica.watches.watch(this.#hubRequest(watched));
    for (;;) {
      const { done, value: batch } = await watched.watching.next();
      if (done === true || watched.abort.signal.aborted) return;
      if (!this.#isPermitted(watched)) {
        this.#end(watched);
        this.#send({ header: this.#header(), watchId: watched.id, canceled: true, cancelReason: DENIED });
        return;
      }
      // Where the client reads, which is usual, there is nothing to wait for, and a thousand watches are told in one go.
      const sending = this.#sendBatch(watched, batch);
      if (sending !== undefined) await sending;
      watched.nextRevision = Math.max(watched.nextRevision, batch.revision + 1);
      if (this.#wantsProgress) this.#progress();
    }
  }

  #hubRequest({ range, nextRevision, create, abort }: Watched): WatchRequest {
    return {
      ...range,
      startRevision: nextRevision,
      signal: abort.signal,
      ...(create.progressNotify && { progressMs: PROGRESS_NOTIFY_MS }),
    };
  }

  #sendBatch({ create, id }: Watched, batch: WatchBatch): Promise<void> | undefined {
    const header = this.#header(batch.revision);
    if (batch.events.length === 0) return this.#send({ header, watchId: id });
    const { filters, prevKv } = create;
    const wanted =
      filters.length === 0
        ? batch.events
        : batch.events.filter(({ type }) => !filters.includes(type === 'put' ? FILTER_NO_PUT : FILTER_NO_DELETE));
    const [first] = wanted;
    if (first === undefined) return undefined;
    if (wanted.length === 1) return this.#send({ header, watchId: id, events: [this.#encoder.event(first, prevKv)] });
    return this.#sendPieces(header, wanted, { create, id });
  }

  async #sendPieces(
    header: Buffer,
    wanted: readonly WatchEvent[],
    { create, id }: Pick<Watched, 'create' | 'id'>,
  ): Promise<void> {
    for (const { events, isFragment } of this.#pieces(wanted, create)) {
      await this.#send({ header, watchId: id, events, fragment: isFragment });
    }
  }

  #header(revision?: number): Buffer {
    return this.#encoder.header(this.#context.header(revision));
  }

  /** Events in messages of a fair size. A revision is only cut where the client said that it can put it together again. */
  *#pieces(events: readonly WatchEvent[], create: Create): Generator<{ events: Buffer[]; isFragment: boolean }> {
    let piece: Buffer[] = [];
    let sizeBytes = 0;
    let revision = 0;
    for (const event of events) {
      const { modRevision } = event.item;
      const encoded = this.#encoder.event(event, create.prevKv);
      const isWithin = modRevision === revision;
      if (piece.length > 0 && sizeBytes + encoded.length > RESPONSE_BYTES_MAX && (!isWithin || create.fragment)) {
        yield { events: piece, isFragment: isWithin };
        piece = [];
        sizeBytes = 0;
      }
      piece.push(encoded);
      sizeBytes += encoded.length;
      revision = modRevision;
    }
    yield { events: piece, isFragment: false };
  }

  /** Says how far all watches of the stream have come, once all have come as far as the store. */
  #progress(): void {
    this.#cancelProgressRetry?.();
    this.#cancelProgressRetry = undefined;
    const watches = [...this.#watches.values()];
    this.#wantsProgress = !watches.every(({ watching }) => watching?.isIdle === true);
    if (!this.#wantsProgress) {
      this.#send({ header: this.#header(), watchId: NO_WATCH });
      return;
    }
    this.#cancelProgressRetry = this.#context.clock.setTimeout(() => this.#progress(), PROGRESS_RETRY_MS);
  }

  #send(response: Response): Promise<void> | undefined {
    return this.#call.send(response);
  }
}

function cancelCause(error: unknown): Partial<Response> {
  if (error instanceof CompactedError) {
    return { compactRevision: error.compactedRevision, cancelReason: etcdError('compacted').message };
  }
  return { cancelReason: `raftsman: ${error instanceof Error ? error.message : String(error)}` };
}
