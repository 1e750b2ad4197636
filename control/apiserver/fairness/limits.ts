/** Bounds of priority and fairness, with their reasons. */

/** A request waits for its turn no longer than a quarter of its time (apiserver: requestWaitLimit). */
export const WAIT_SHARE = 0.25;
/** A list takes a seat for every so many objects, up to a bound (apiserver: WorkEstimatorConfig). */
export const OBJECTS_PER_SEAT = 100;
export const SEATS_PER_REQUEST_MAX = 10;
/** Flows whose queues are remembered; dealing them anew costs some microseconds. */
export const HANDS_MAX = 4_096;
/** When a client that was turned away may come again. */
export const RETRY_AFTER_SECONDS = 1;
