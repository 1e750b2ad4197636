/** Bounds of the runtime over CRI, with the reason for each. */

/** A call that is no pull, no stop and makes no sandbox. */
export const callTimeoutMs = 120_000;
/** Making a sandbox may pull its image. */
export const sandboxTimeoutMs = 240_000;
/** Beyond the grace period, the runtime has this long to end a container. */
export const stopMarginMs = 60_000;
/** Questions asked while connecting. */
export const connectTimeoutMs = 10_000;
/** An image may be large and the line slow: only a pull that is stuck for good is given up. */
export const pullTimeoutMs = 3_600_000;

/** Status calls under way at once in one `list`. */
export const statusConcurrencyMax = 16;
/** How long after its end a container may still be told to have run out of memory. */
export const outcomeSettlesMs = 30_000;

/** How often the lists are compared where the runtime tells nothing (the kubelet's relist). */
export const relistMs = 1_000;
/** The same where it does tell. */
export const relistWithEventsMs = 10_000;
/** Rest between two looks in any case. */
export const lookGapMs = 50;
/** How long after a change that was made here or told the runtime's lists may still show what was before. */
export const settlingMs = 300;
export const eventRetryMsMin = 500;
export const eventRetryMsMax = 5_000;

/** A container's log on disk is at most `logFilesMax` files (native/limits.ts) of this size, the kubelet's defaults. */
export const logFileBytesMax = 10 * 1024 * 1024;
/** How often sizes of logs are looked at, as the kubelet does. */
export const logRotationMs = 10_000;

/** Waiting for what the runtime has begun. */
export const settlePollMs = 20;
export const settleTimeoutMs = 10_000;
/** How long a killed exec's process is looked for that may just be starting. */
export const killSearchMs = 2_000;
/** How long a terminal's new size is waited for. */
export const resizeTimeoutMs = 2_000;
/** Dialling the runtime's streaming server. */
export const streamDialTimeoutMs = 10_000;
/** A status on the error stream longer than this is cut. */
export const streamStatusBytesMax = 64 * 1024;
/** Waiting for the runtime to take up a network configuration. */
export const networkReadyTimeoutMs = 15_000;
/** One piece of an image's content on its way into containerd. */
export const contentChunkBytes = 1024 * 1024;
