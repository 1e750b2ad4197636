/** Bounds of the docker runtime, with the reason for each. */

/** Engine 20.10, the oldest that is supported, speaks this version. */
export const apiVersionMin = '1.41';
/** The newest version whose documents were read; a newer engine is asked for this one. */
export const apiVersionMax = '1.51';

/** Inspections under way at once in one `list`: enough to hide latency, few enough to spare the engine. */
export const inspectConcurrencyMax = 16;
/** An inspection without an answer for so long is looked after, and again each time: an engine that works answers at once. */
export const inspectPatienceMs = 3_000;
/** Statistics under way at once; each makes the engine read several files. */
export const statsConcurrencyMax = 8;
/** Containers measured at once: the engine walks through all files of each. */
export const storageConcurrencyMax = 1;

/** A container's log on disk is at most `logFilesMax` files of `logFileSize`, the kubelet's defaults. */
export const logFileSize = '10m';
export const logFilesMax = 5;

/** Waiting for the engine to finish what it has begun (a removal, the exit of an exec). */
export const settlePollMs = 20;
export const settleTimeoutMs = 10_000;

/** Delay before the event stream is opened again. */
export const eventRetryMsMin = 100;
export const eventRetryMsMax = 5_000;

/** Answer to a question asked while connecting. */
export const connectTimeoutMs = 10_000;
