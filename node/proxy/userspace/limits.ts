/** Bounds of the userspace forwarder. */

/** TCP connections through one node; what comes beyond is closed at once. */
export const connectionsMax = 10_000;
/** Endpoints tried for one connection. */
export const attemptsMax = 8;
export const connectTimeoutMs = 5_000;

/** UDP clients remembered per service port; beyond, the one that was silent longest is forgotten. */
export const udpClientsMax = 4_096;
/** A UDP client that is silent this long is forgotten (the kernel's default for a stream of packets is 120 s). */
export const udpIdleMs = 120_000;

/** Clients remembered for affinity per service port. */
export const affinityClientsMax = 65_536;
