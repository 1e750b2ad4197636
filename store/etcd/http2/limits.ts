/** The bounds of one HTTP/2 connection. */

/** Streams of one connection at a time (gRPC's Go server has no bound, node's HTTP/2 one of 2^32 - 1). */
export const STREAMS_MAX = 10_000;
/** Header fields of one request, counted as RFC 9113 6.5.2 does. */
export const HEADER_LIST_BYTES_MAX = 64 * 1024;
/** The fields of one request as they arrive, in HEADERS and CONTINUATION frames together. */
export const HEADER_BLOCK_BYTES_MAX = 64 * 1024;
/** What the peer's fields may take in the table that both sides keep (the default of RFC 9113). */
export const HEADER_TABLE_BYTES = 4096;
/** One frame from the peer (the default of RFC 9113). */
export const FRAME_BYTES_MAX = 16_384;
/** What a peer may send on one stream before it is told that it was taken. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;
/** What a peer may send on one connection before it is told that it was taken. */
export const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** No more is read from a peer that leaves so much unread itself. */
export const UNREAD_BYTES_MAX = 8 * 1024 * 1024;
/** One who streams waits while so much of its own is unsent. */
export const STREAM_UNSENT_BYTES_MAX = 256 * 1024;
/** A peer has so long to begin. */
export const PREFACE_TIMEOUT_MS = 10_000;
/** What is under way may end within this time when the server closes. */
export const CLOSE_GRACE_MS = 1_000;
/** After so long without a sign, the operating system asks whether the peer is there. */
export const TCP_KEEPALIVE_MS = 30_000;
