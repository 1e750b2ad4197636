/** Bounds of the transports. */

export const TRANSPORT_LIMITS = {
  /** Bytes waiting for one peer; what comes beyond is dropped, because Raft repeats itself. */
  queueBytesMax: 32 * 1024 * 1024,
  /** Largest frame accepted. Above the largest append message and the largest forwarded batch. */
  frameBytesMax: 64 * 1024 * 1024,
  /** Requests without an answer, per peer. */
  pendingRequestsMax: 4096,
  /** A snapshot's chunks are cut to this, so that no single one holds the event loop for long. */
  snapshotChunkBytesMax: 256 * 1024,
  /** Chunks sent and not yet consumed on the other side. */
  snapshotWindowChunks: 8,
  /** First and longest pause between attempts to connect. */
  reconnectDelayMsMin: 50,
  reconnectDelayMsMax: 1_000,
  /** A connection that is not agreed on by then is given up. */
  handshakeTimeoutMs: 3_000,
  /** How often an open connection is tried; one without an answer for two of them is dead. */
  pingIntervalMs: 2_000,
  /** Connections from members that this one does not know, at a time. */
  unknownConnectionsMax: 16,
} as const;
