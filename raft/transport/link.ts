/**
 * One agreed connection between two members, carrying messages, requests and answers. What a turn of the event loop has
 * to say goes out as few frames; what waits is bounded in bytes, and what comes beyond is dropped.
 */
import type { WebSocket } from 'ws';
import type { MemberId } from '../core/types.ts';
import type { Clock } from '../driver/clock.ts';
import { decodeItems, encodeItems, type Item } from './frames.ts';
import type { TransportLimits } from './limits.ts';
import type { TransportObserver } from './observer.ts';

export interface LinkHooks {
  readonly onItem: (link: Link, item: Item) => void;
  /** Called once, however the connection ended. */
  readonly onClosed: (link: Link, reason: string) => void;
}

/** Frames are closed at about this size, so that a small message waits for no more than one of them. */
const FRAME_BYTES_TARGET = 1024 * 1024;

export class Link {
  readonly peer: MemberId;
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #hooks: LinkHooks;
  readonly #limits: TransportLimits;
  #queue: Item[] = [];
  #queuedBytes = 0;
  #isFlushScheduled = false;
  #isClosed = false;
  #cancelPing: () => void;
  #unansweredPings = 0;
  #pingedAtMs = 0;
  readonly #observer: TransportObserver | undefined;

  constructor(
    peer: MemberId,
    socket: WebSocket,
    options: LinkHooks & {
      readonly clock: Clock;
      readonly limits: TransportLimits;
      readonly observer?: TransportObserver;
    },
  ) {
    this.peer = peer;
    this.#socket = socket;
    this.#clock = options.clock;
    this.#hooks = options;
    this.#limits = options.limits;
    this.#observer = options.observer;
    socket.on('message', (data: Buffer) => this.#receive(data));
    socket.on('pong', () => {
      // Of two that are under way, the answer may be to either.
      if (this.#unansweredPings === 1) this.#observer?.peerRoundTrip?.(peer, this.#clock.now() - this.#pingedAtMs);
      this.#unansweredPings = 0;
    });
    socket.on('close', () => this.#closed('the connection ended'));
    socket.on('error', error => this.#closed(error.message));
    this.#cancelPing = this.#schedulePing();
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#socket.readyState === this.#socket.OPEN;
  }

  /** Answers false if the item was dropped. */
  push(item: Item): boolean {
    if (!this.isOpen) return false;
    const bytes = itemBytes(item);
    const waiting = this.#queuedBytes + this.#socket.bufferedAmount;
    if (waiting > 0 && waiting + bytes > this.#limits.queueBytesMax) return false;
    this.#queue.push(item);
    this.#queuedBytes += bytes;
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      // The loop speaks at the end of a turn and in one go; a further turn would only add delay.
      queueMicrotask(() => this.#flush());
    }
    return true;
  }

  close(): void {
    this.#socket.terminate();
    this.#closed('closed here');
  }

  #flush(): void {
    this.#isFlushScheduled = false;
    if (!this.isOpen) return;
    const items = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    let frame: Item[] = [];
    let bytes = 0;
    for (const item of items) {
      const size = itemBytes(item);
      if (frame.length > 0 && bytes + size > FRAME_BYTES_TARGET) {
        this.#sendFrame(frame);
        frame = [];
        bytes = 0;
      }
      frame.push(item);
      bytes += size;
    }
    if (frame.length > 0) this.#sendFrame(frame);
  }

  #sendFrame(items: readonly Item[]): void {
    const frame = encodeItems(items);
    this.#observer?.peerSent?.(this.peer, frame.length);
    this.#socket.send(frame);
  }

  #receive(data: Buffer): void {
    // The socket still hands out what it had read when it was closed. A later connection of the peer may have taken this one's
    // place, and the peer may have lost since what it acknowledged here (simulation seed 1903).
    if (this.#isClosed) return;
    this.#observer?.peerReceived?.(this.peer, data.length);
    try {
      // Entries stay in the log as views into their frame, so the frame must not belong to the socket's read pool.
      for (const item of decodeItems(Uint8Array.prototype.slice.call(data))) this.#hooks.onItem(this, item);
    } catch (error) {
      this.#observer?.peerReceiveFailed?.(this.peer);
      this.#socket.terminate();
      this.#closed(error instanceof Error ? error.message : 'the frame could not be handled');
    }
  }

  #schedulePing(): () => void {
    return this.#clock.setTimeout(() => {
      if (!this.isOpen) return;
      if (this.#unansweredPings >= 2) {
        this.#socket.terminate();
        this.#closed('the peer does not answer');
        return;
      }
      this.#unansweredPings++;
      this.#pingedAtMs = this.#clock.now();
      this.#socket.ping();
      this.#cancelPing = this.#schedulePing();
    }, this.#limits.pingIntervalMs);
  }

  #closed(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelPing();
    this.#queue = [];
    this.#hooks.onClosed(this, reason);
  }
}

const ITEM_OVERHEAD_BYTES = 96;

function itemBytes(item: Item): number {
  if (item.type === 'request' || item.type === 'answer') return ITEM_OVERHEAD_BYTES + item.body.length;
  if (item.type === 'failure' || item.message.type !== 'appendRequest') return ITEM_OVERHEAD_BYTES;
  return item.message.entries.reduce((sum, entry) => sum + 8 + entry.data.length, ITEM_OVERHEAD_BYTES);
}
