/** Every bound of the leader's thread, by name. */

/** Bytes of one body that are on their way to the thread, or wait there for who reads them; more waits where it comes from. */
export const BODY_WINDOW_BYTES = 4 * 1024 * 1024;
/** Bytes read before the other side is told that there is room again. */
export const BODY_CREDIT_BYTES = BODY_WINDOW_BYTES / 4;
/** Bytes that are gathered into one message before the turn of the event loop is over. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Requests under way at once. Workers wait for their answers, so this guards against a leak and is no working limit. */
export const REQUESTS_MAX = 20_000;
/** How long the thread may take to tell its figures; a scrape does without them then. */
export const METRICS_MS_MAX = 1_000;
/** How long a thread may take to put down its work before it is ended. */
export const STOP_MS_MAX = 5_000;
