/** Bounds of the transports. */
import { withDefaults } from '../positive.ts';

/** All but `frameBytesMax` and the times may differ from member to member. */
export interface TransportLimits {
  /** Bytes waiting for one peer; what comes beyond is dropped, because Raft repeats itself. */
  readonly queueBytesMax: number;
  /** Largest frame accepted. Above the largest append message and the largest forwarded batch of any member. */
  readonly frameBytesMax: number;
  /** Requests without an answer, over all peers. */
  readonly pendingRequestsMax: number;
  /** A snapshot's chunks are cut to this, so that no single one holds the event loop for long. */
  readonly snapshotChunkBytesMax: number;
  /** Chunks sent and not yet consumed on the other side. */
  readonly snapshotWindowChunks: number;
  /** First and longest pause between attempts to connect. */
  readonly reconnectDelayMsMin: number;
  readonly reconnectDelayMsMax: number;
  /** A connection that is not agreed on by then is given up. */
  readonly handshakeTimeoutMs: number;
  /** How often an open connection is tried; one without an answer for two of them is dead. */
  readonly pingIntervalMs: number;
  /** Connections from members that this one does not know, at a time. */
  readonly unknownConnectionsMax: number;
}

export const TRANSPORT_LIMITS: TransportLimits = {
  queueBytesMax: 32 * 1024 * 1024,
  frameBytesMax: 64 * 1024 * 1024,
  pendingRequestsMax: 4096,
  snapshotChunkBytesMax: 256 * 1024,
  snapshotWindowChunks: 8,
  reconnectDelayMsMin: 50,
  reconnectDelayMsMax: 1_000,
  handshakeTimeoutMs: 3_000,
  pingIntervalMs: 2_000,
  unknownConnectionsMax: 16,
};

/** Fills in the defaults. @throws {RangeError} no positive number, or two that do not fit each other */
export function resolveTransportLimits(settings: Partial<TransportLimits> = {}): TransportLimits {
  const limits = withDefaults(TRANSPORT_LIMITS, settings);
  if (limits.snapshotChunkBytesMax >= limits.frameBytesMax) {
    throw new RangeError('the limit snapshotChunkBytesMax must be below frameBytesMax');
  }
  if (limits.reconnectDelayMsMin > limits.reconnectDelayMsMax) {
    throw new RangeError('the limit reconnectDelayMsMin must not exceed reconnectDelayMsMax');
  }
  return limits;
}
