/** Bounds of the native runtime. */

/** A container's log on disk is at most `logFilesMax` files of this size, the kubelet's defaults. */
export const logFileBytesMax = 10 * 1024 * 1024;
export const logFilesMax = 5;
/** A line longer than this is kept in parts. */
export const logLineBytesMax = 16 * 1024;
/** How soon a follower sees a new line. */
export const logPollMs = 50;

/** Setting up a container's files and namespaces. */
export const startTimeoutMs = 30_000;
/** Waiting for a process to end, or for the supervisor to note it. */
export const settleTimeoutMs = 10_000;
export const settlePollMs = 20;

/** The supervisor's heap: it holds a buffer a stream and no more. */
export const supervisorHeapMegabytes = 64;
export const supervisorStartTimeoutMs = 10_000;
/** A request to the supervisor is one line. */
export const requestBytesMax = 64 * 1024;
/** Output kept for an attached client that reads slowly; beyond, it is cut off. */
export const attachBacklogBytesMax = 4 * 1024 * 1024;
/** Delay before the supervisor's news are asked for again. */
export const newsRetryMs = 500;

export const devTmpfsBytes = 64 * 1024;
export const shmBytes = 64 * 1024 * 1024;
