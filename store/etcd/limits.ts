/** The bounds of etcd's API. Those of HTTP/2 are in `http2/limits.ts`, those of the state in `../mvcc/limits.ts`. */

/** One request message (etcd: 1.5 MiB and half a MiB for what surrounds it). */
export const MESSAGE_BYTES_MAX = 2 * 1024 * 1024;
/** Calls of one connection that are being answered at a time. */
export const CALLS_MAX = 20_000;
/** Requests of one streaming call that wait to be looked at; the client is held up after that. */
export const STREAM_REQUESTS_MAX = 1_000;
/** Watches of one stream. */
export const STREAM_WATCHES_MAX = 10_000;
/** Renewals of one stream that are under way at a time. */
export const STREAM_RENEWALS_MAX = 1_000;
/** Events in one answer, unless one revision holds more and may not be cut. Most gRPC clients take 4 MiB. */
export const RESPONSE_BYTES_MAX = 2 * 1024 * 1024;
/** A watch that asked for progress hears of it this often while nothing happens (etcd: 10 minutes). */
export const PROGRESS_NOTIFY_MS = 10 * 60 * 1000;
/** A progress request that could not be answered at once is tried again. */
export const PROGRESS_RETRY_MS = 100;
/** How long changing the membership or the leader may take. */
export const MEMBERSHIP_TIMEOUT_MS = 30_000;
/** A member that was added as a voter has so long to catch up. */
export const MEMBER_CATCH_UP_MS = 10 * 60 * 1000;
/** One piece of a snapshot on its way to a client. */
export const SNAPSHOT_CHUNK_BYTES = 64 * 1024;
/** A password. */
export const PASSWORD_BYTES_MAX = 1024;
/** scrypt: 16 MiB of memory and about 50 ms a hash. */
export const SCRYPT_COST = 2 ** 14;
export const SCRYPT_BLOCK_SIZE = 8;
export const PASSWORD_SALT_BYTES = 16;
export const PASSWORD_HASH_BYTES = 32;
/** Passwords that wait to be hashed. */
export const PASSWORD_HASHES_WAITING_MAX = 128;
/** What signs tokens. */
export const TOKEN_SECRET_BYTES = 32;
/** How long a token is good for; clients ask for another by themselves (etcd: 5 minutes after its last use). */
export const TOKEN_LIFE_MS = 5 * 60 * 1000;
/** Tokens that are remembered as good, so that not every call is a signature to check. */
export const TOKENS_KNOWN_MAX = 1_000;
/** A token, as clients send it. */
export const TOKEN_LENGTH_MAX = 2_048;
/** A call is looked at anew when users or permissions changed while it was under way, so many times. */
export const AUTH_RECHECKS_MAX = 8;
/** Connections that speak HTTP/1, or have not said yet what they speak. */
export const HTTP1_CONNECTIONS_MAX = 256;
/** One that says nothing for so long is closed. */
export const HTTP1_IDLE_MS = 30_000;
