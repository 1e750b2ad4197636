/** Bounds and fixed numbers of the pod network. */

/** Marks our routes (`ip route … proto`); not taken in iproute2's rt_protos, below the numbers for local use of others. */
export const routeProtocol = 114;
/** Each node's routes have a metric of its own from here on, so that nodes on one machine do not take each other's. */
export const routeMetricMin = 1_000;
export const routeMetricCount = 60_000;

/** Used where no default route tells the machine's own. */
export const mtuBytesDefault = 1_500;
/** IPv4 works from here on (RFC 791); anything smaller is a mistake. */
export const mtuBytesMin = 576;

/** A range needs a network, a gateway, a pod and a broadcast address. */
export const prefixLengthMax = 30;
/** Larger ranges make no sense for one node and would make searching them long. */
export const prefixLengthMin = 12;

/** UDP port of VXLAN (RFC 7348). */
export const vxlanPort = 4_789;
/** UDP ports of WireGuard: the first that is free is taken, since several nodes may share a machine. */
export const wireguardPortMin = 51_820;
export const wireguardPortCount = 16;

/** Seconds that iptables waits for its lock. */
export const iptablesWaitSeconds = 10;
