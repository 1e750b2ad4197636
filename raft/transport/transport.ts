/**
 * How members talk. Implementations: `websocket.ts` (ws over mutual TLS, msgpackr frames, versioned) and `memory.ts`
 * (for tests and the simulator, with loss, delay, duplication and partitions injected).
 *
 * Contract: `send` never blocks and never throws for a peer that is away; it drops, because Raft repeats itself. Order
 * between two members is kept while their connection lives. Each peer's outgoing queue is bounded in bytes.
 */

import type { Message } from '../core/messages.ts';
import type { MemberId, SnapshotMetadata } from '../core/types.ts';

/** Where a peer is. */
export interface Peer {
  readonly id: MemberId;
  readonly peerAddress: string;
}

/** A snapshot on its way to a peer, in chunks of bounded size; no fixed time limit on the whole. */
export interface OutgoingSnapshot {
  readonly metadata: SnapshotMetadata;
  /** The leader's term. */
  readonly term: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * A snapshot that arrives. The receiver drains `chunks`; an error in it means the transfer broke off. Leaving the
 * iteration early (`return`) refuses the snapshot: the sender's `sendSnapshot` rejects.
 */
export interface IncomingSnapshot extends OutgoingSnapshot {
  readonly from: MemberId;
}

/** What the owner of a transport does with what arrives. Called on the event loop, must not block. */
export interface TransportHandlers {
  onMessage(message: Message): void;
  onSnapshot(snapshot: IncomingSnapshot): void;
  /** A call from another member, or one that would join (proposal forwarding, ReadIndex forwarding, join): answers with bytes or throws. */
  onRequest(from: MemberId, method: string, body: Uint8Array): Promise<Uint8Array>;
  /** A member of the cluster, known by certificate and id, refuses this one because it was removed. */
  onRemoved?(by: MemberId): void;
}

/** One member's door to its peers. */
export interface Transport {
  start(handlers: TransportHandlers): Promise<void>;
  /**
   * Replaces the set of peers that are dialled. Others of the same cluster may still call (a member may lead by a
   * membership that this one has not received yet, thesis 4.1), except those in `refused`, which were removed.
   */
  setPeers(peers: readonly Peer[], refused?: readonly MemberId[]): void;
  send(message: Message): void;
  /** Resolves when the peer has taken all of it; rejects when it broke off. */
  sendSnapshot(to: MemberId, snapshot: OutgoingSnapshot): Promise<void>;
  /** A request to one peer; rejects with {@link PeerUnreachableError}, or with the peer's own error by code. */
  request(to: MemberId, method: string, body: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The peer could not be reached, or the connection broke before the answer came: the outcome is not known. */
export class PeerUnreachableError extends Error {
  override readonly name = 'PeerUnreachableError';
  readonly code = 'RAFT_PEER_UNREACHABLE';
  /** True if the request certainly never left: then nothing happened, and it is safe to try again. */
  readonly isUnsent: boolean;
  constructor(message: string, options: ErrorOptions & { readonly isUnsent?: boolean } = {}) {
    super(message, options);
    this.isUnsent = options.isUnsent ?? false;
  }
}

/** The peer answered a request with an error; `code` is the peer's. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
