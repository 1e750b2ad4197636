/** Limits and times of the cluster's DNS. Where CoreDNS or glibc have the same number, it is the same here. */

/** Where DNS is served. */
export const DNS_PORT = 53;
/** What clients may keep an answer about the cluster (CoreDNS' default), and that there is none. */
export const CLUSTER_TTL_SECONDS = 5;
/** A datagram without EDNS (RFC 1035), and the largest one sent: it passes every link in one piece (DNS flag day 2020). */
export const DATAGRAM_BYTES_DEFAULT = 512;
export const DATAGRAM_BYTES_MAX = 1_232;
/** A message over TCP has its length in two bytes. */
export const MESSAGE_BYTES_MAX = 65_535;
/** ExternalNames that lead to ExternalNames. */
export const ALIASES_MAX = 8;

/** Questions that are being answered at once: all, and of one client. What comes above is told to fail at once. */
export const REQUESTS_MAX = 1_000;
export const REQUESTS_PER_CLIENT_MAX = 200;
/** Connections at once: all, and of one client. */
export const CONNECTIONS_MAX = 500;
export const CONNECTIONS_PER_CLIENT_MAX = 50;
/** A connection that says nothing is closed. */
export const CONNECTION_IDLE_MS = 10_000;
/** Questions of one connection that wait for their answer; more are left in the socket. */
export const CONNECTION_REQUESTS_MAX = 100;

/** Answers of other resolvers that are kept, how large they may be, and for how long at most. */
export const CACHE_ENTRIES_MAX = 4_096;
export const CACHE_ENTRY_BYTES_MAX = 4_096;
export const CACHE_SECONDS_MAX = 300;
/** That there is nothing is kept more shortly, and that nobody answered only to spare the next in line (RFC 2308). */
export const CACHE_NEGATIVE_SECONDS_MAX = 30;
export const CACHE_FAILURE_SECONDS = 1;
/** Questions to other resolvers at once; the same question is asked once. */
export const UPSTREAM_REQUESTS_MAX = 500;
/** One resolver has this long; glibc gives all of them five seconds. */
export const UPSTREAM_TRY_MS = 1_500;
export const UPSTREAM_TRIES_MAX = 3;
/** A resolver that did not answer is asked last for this long. */
export const UPSTREAM_REST_MS = 10_000;

/** How long the machine's own addresses are remembered. */
export const LOCAL_ADDRESSES_MS = 10_000;

/** What a pod's resolv.conf may hold (kubelet's validation: MaxDNSNameservers, MaxDNSSearchPaths, MaxDNSSearchListChars). */
export const NAMESERVERS_MAX = 3;
export const SEARCHES_MAX = 32;
export const SEARCH_LENGTH_MAX = 2_048;
