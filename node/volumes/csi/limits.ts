/** Bounds of what is done with CSI drivers, with the reason for each. */

/** How often the folder of registration sockets is looked at. */
export const socketsScanMs = 1_000;
/** Sockets in that folder that are looked at. */
export const socketsMax = 256;
/** A registration that failed is tried again after this, doubled with each failure (kubelet: operation executor). */
export const registerRetryMs = 500;
export const registerRetryMsMax = 120_000;
/** A driver's and its registrar's answers while it is registered. */
export const registerCallTimeoutMs = 15_000;
/** Mounting and unmounting may mean formatting a disk: as long as the kubelet waits (csiTimeout). */
export const volumeCallTimeoutMs = 120_000;
/** How long one attempt to mount waits until the volume is attached; then the pod backs off, and asks again. */
export const attachWaitMs = 10_000;
export const attachPollMs = 250;
/** How long one attempt to mount waits until the node's status names the volume as in use. */
export const inUseWaitMs = 10_000;
export const inUsePollMs = 50;
/** Keys of the CSINode's and Node's objects that are tried to be written while others write them too. */
export const writeAttemptsMax = 5;
/** How old a volume's figures may be that collectors are told (kubelet `volumeStatsAggPeriod`). */
export const volumeStatsAgeMs = 60_000;
/** Drivers asked for figures at once. */
export const volumeStatsCallsMax = 4;
/** How long an answer to collectors waits for drivers; what comes later is told next time. */
export const volumeStatsWaitMs = 2_000;
