/** Every bound of the client machinery, by name. */

/** A whole response body that is read into memory. */
export const RESPONSE_BYTES_MAX = 256 * 1024 * 1024;
/** One watch event. The store's request limit is far below. */
export const WATCH_LINE_BYTES_MAX = 16 * 1024 * 1024;
/** Objects per page of an informer's list: bounds what one turn of the event loop parses. */
export const LIST_PAGE_SIZE = 500;
/** How often a request that the server asks to retry (429, or 5xx with Retry-After) is retried. */
export const RETRY_AFTER_ATTEMPTS_MAX = 5;
export const RETRY_AFTER_SECONDS_MAX = 30;

/** A watch is asked to end after this long plus a random part of the same length. */
export const WATCH_TIMEOUT_SECONDS_MIN = 300;
/** An informer's delay between failed attempts. */
export const INFORMER_BACKOFF_MS_MIN = 100;
export const INFORMER_BACKOFF_MS_MAX = 10_000;

/** Keys in a work queue. They are unique, so this is a guard against a leak, not a working limit. */
export const WORKQUEUE_KEYS_MAX = 1_000_000;
/** Delay of a key after its first failure, doubled with each further one. */
export const WORKQUEUE_BACKOFF_MS_MIN = 5;
export const WORKQUEUE_BACKOFF_MS_MAX = 60_000;

/** Events waiting to be written; more are dropped and counted. */
export const EVENT_QUEUE_MAX = 2_000;
/** Events written at the same time. */
export const EVENT_WRITES_CONCURRENT_MAX = 8;
/** Remembered events, for counting repetitions (client-go's maxLruCacheEntries). */
export const EVENT_CACHE_MAX = 4_096;
/** Alike events on one object with different messages before they are merged (client-go's defaultAggregateMaxEvents). */
export const EVENT_SIMILAR_MAX = 10;
export const EVENT_SIMILAR_INTERVAL_MS = 600_000;
/** Events that one source may write about one object in a burst; afterwards one per refill (client-go's spam filter). */
export const EVENT_BURST_MAX = 25;
export const EVENT_REFILL_MS = 300_000;

/** Time to open a connection, TLS included. */
export const CONNECT_TIMEOUT_MS = 3_000;
/** Time until a response's head arrives. */
export const RESPONSE_TIMEOUT_MS = 60_000;
/** Idle connections are probed this often, and given up if the answer takes longer than the time-out. */
export const PING_INTERVAL_MS = 5_000;
export const PING_TIMEOUT_MS = 5_000;
/** A failed server is left alone for this long, doubled with each further failure. */
export const SERVER_BACKOFF_MS_MIN = 250;
export const SERVER_BACKOFF_MS_MAX = 10_000;
/** Rounds over all servers before a request that may be retried is given up. */
export const SERVER_ROUNDS_MAX = 3;
/** Pause between such rounds. */
export const SERVER_ROUND_DELAY_MS = 200;
/** Sockets per HTTP/1.1 server. */
export const HTTP1_SOCKETS_MAX = 64;
/** HTTP/2 flow control: room for a stream and for a connection. */
export const HTTP2_STREAM_WINDOW_BYTES = 1024 * 1024;
export const HTTP2_SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

/** Creations and deletions that were never seen in a watch are forgotten after this long (k/k controller_utils.go). */
export const EXPECTATION_TTL_MS = 300_000;
