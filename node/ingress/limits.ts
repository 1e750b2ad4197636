/** The limits and times of Ingress, by name. Where proxies that people come from have a usual number, it is the same here. */

/** Requests and tunnels under way at once; more are answered with 503. */
export const REQUESTS_MAX = 10_000;
/** Connections of clients to one port; more are closed. */
export const CONNECTIONS_MAX = 20_000;
/** Header lines and bytes of one request. */
export const HEADER_BYTES_MAX = 32 * 1024;
export const HEADER_LINES_MAX = 200;
/** HTTP/2 streams in one connection. */
export const STREAMS_PER_CONNECTION_MAX = 128;
/** A client has this long to send its headers, and to finish a TLS handshake. */
export const HEADERS_TIMEOUT_MS = 15_000;
/** An idle connection of a client is closed after this: above what balancers in front keep. */
export const CLIENT_IDLE_MS = 75_000;

/** How long a connection to an endpoint may take. */
export const CONNECT_TIMEOUT_MS = 3_000;
/** How long an endpoint may be silent before its answer begins, unless the Ingress says otherwise. */
export const RESPONSE_TIMEOUT_MS = 60_000;
export const RESPONSE_TIMEOUT_MS_MAX = 3_600_000;
/** How long an answer that has begun may pause. */
export const STREAM_IDLE_MS = 600_000;
/** How long an upgraded connection may be silent. */
export const TUNNEL_IDLE_MS = 3_600_000;
/** Endpoints that are tried for one request. */
export const ATTEMPTS_MAX = 4;
/** Idle connections kept to one endpoint, and how long: shorter than what servers keep them, so that none closes under a request. */
export const IDLE_PER_ENDPOINT_MAX = 64;
export const ENDPOINT_IDLE_MS = 1_500;
/** An endpoint that could not be connected to is tried last for this long. */
export const ENDPOINT_REST_MS = 2_000;
export const RESTING_ENDPOINTS_MAX = 4_096;
/** Clients whose endpoint is remembered (`sessionAffinity: ClientIP`); the one not seen for longest is forgotten. */
export const AFFINITY_CLIENTS_MAX = 20_000;

/** TLS Secrets that one node follows; Ingresses beyond get the default certificate. */
export const TLS_SECRETS_MAX = 500;
/** A port that is taken is tried again after this. */
export const LISTEN_RETRY_MS = 10_000;
/** Rest between two looks at all Ingresses. */
export const TABLE_REST_MS = 20;
/** Requests under way have this long when the agent stops. */
export const CLOSE_GRACE_MS = 5_000;
