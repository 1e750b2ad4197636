/** What a transport tells whoever keeps count of it. Called on the hot path, once a frame: must be quick and must not throw. */
import type { MemberId } from '../core/types.ts';

export interface TransportObserver {
  peerConnected?(peer: MemberId): void;
  peerDisconnected?(peer: MemberId): void;
  peerSent?(peer: MemberId, bytes: number): void;
  peerReceived?(peer: MemberId, bytes: number): void;
  /** Something meant for the peer was dropped: there is no connection, or its queue is full. */
  peerSendFailed?(peer: MemberId): void;
  /** What the peer sent could not be understood. */
  peerReceiveFailed?(peer: MemberId): void;
  /** From a ping to its answer, on a connection that carries everything else too. */
  peerRoundTrip?(peer: MemberId, durationMs: number): void;
}
