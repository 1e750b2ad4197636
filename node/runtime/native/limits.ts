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
/** What a set-up said last is read at most this long after its end. */
export const setupDrainMs = 500;
/** Output of a container whose processes have all ended is read at most this long. */
export const outputDrainMs = 5_000;
/** Waiting for a process to end, or for the supervisor to note it. */
export const settleTimeoutMs = 10_000;
export const settlePollMs = 20;

/** The supervisor's heap: it holds a buffer a stream and no more. */
export const supervisorHeapMegabytes = 64;
export const supervisorStartTimeoutMs = 10_000;
/** Without containers and without an agent that listens it ends after this: longer than a restart of the agent takes. */
export const supervisorIdleMs = 30_000;
/** A supervisor that gives no answer for so long hangs; a start is the longest that it can take. */
export const supervisorAnswerTimeoutMs = startTimeoutMs + 3 * outputDrainMs;
/** A request to the supervisor is one line. */
export const requestBytesMax = 64 * 1024;
/** Output kept for an attached client that reads slowly; beyond, it is cut off. */
export const attachBacklogBytesMax = 4 * 1024 * 1024;
/** Delay before the supervisor's news are asked for again. */
export const newsRetryMs = 500;

export const devTmpfsBytes = 64 * 1024;
export const shmBytes = 64 * 1024 * 1024;
/** Device nodes of the machine that a privileged container gets. */
export const privilegedDevicesMax = 4_096;
