/** Bounds of connections to gRPC servers on this machine. */

/** The largest message that is read or written, as the kubelet has it. */
export const messageBytesMax = 16 * 1024 * 1024;
export const reconnectMsMin = 100;
export const reconnectMsMax = 2_000;
