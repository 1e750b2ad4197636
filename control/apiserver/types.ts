/**
 * The words that all parts of the API server share: who asks (Identity), what is asked (Exchange), what is answered
 * (Reply), and what the world hands in (Clock, Logger).
 */
import type { Duplex } from 'node:stream';

export type { Clock } from './clock.ts';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Who asks, as authentication found out or an in-process caller says. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** Writes are refused by the store unless this leadership term still holds. Only in-process callers have one. */
  readonly fenceTerm?: number;
}

/** A request from within the process; what control/client calls an ApiRequest. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
}
export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body, where it is there at once. */
  readonly whole?: Uint8Array;
}

/** What a request's path and method mean (apiserver: RequestInfo). */
export interface RequestInfo {
  /** Decoded path without the query. */
  readonly path: string;
  readonly isResource: boolean;
  /** get list watch create update patch delete deletecollection; the lower-case method for other paths. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** What follows the subresource, for proxies: `a/b`. */
  readonly rest: string;
}

/** How a connection is taken over for a stream: exec, attach, port-forward. */
export interface UpgradeSocket {
  readonly socket: Duplex;
  /** Bytes that arrived behind the request's head. */
  readonly head: Uint8Array;
}

/** What a client's certificate says, and whose it is: our own CA's, that of the proxies in front, or, rarely, both. */
export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** True if it makes its holder a user. */
  readonly isClient: boolean;
  /** True if its holder may say in headers who asks. */
  readonly isProxy: boolean;
}

/** One request on its way through the chain. Filters fill in `info` and `identity`. */
export interface Exchange {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly query: URLSearchParams;
  /** Lower-case names; repeated headers joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** All values of a header that was sent several times. Callers in the process have none: theirs are joined. */
  headerValues?(name: string): readonly string[];
  /** Reads the whole body once, within the limit. Throws RequestEntityTooLarge. */
  readBody(): Promise<Uint8Array>;
  /** The body as it comes, of any size, for those that pass it on; instead of {@link readBody}. */
  streamBody(): AsyncIterable<Uint8Array>;
  /** Aborts when the client has gone, the server closes, or the request has used up its time. Made when first read. */
  readonly signal: AbortSignal;
  /** Nobody waits for the answer any more: ends {@link signal}. */
  end(reason: unknown): void;
  /** The subject of the client's certificate, if it sent one that an authority which we know has signed. */
  readonly clientCertificate?: ClientCertificate;
  /** Set for requests that ask to upgrade the connection. */
  readonly upgrade?: UpgradeSocket;
  /** Stands for the connection, to remember by it what its earlier requests have shown. Callers in the process have none. */
  readonly connection?: object;
  readonly remoteAddress: string;
  /** Host and port under which the client reached us, for documents that name the server. */
  readonly localAddress: string;
  /** Known from the start for in-process callers. */
  identity?: Identity;
  info: RequestInfo;
  /** Sentences for `Warning:` headers, in order. */
  readonly warnings: string[];
  /** True for callers in the process. */
  readonly isInProcess?: boolean;
  /** Headers that filters add to whatever is answered. */
  answerHeaders?: Record<string, string>;
  /** What admission has to say for the audit log, by key. */
  readonly auditAnnotations: Map<string, string>;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;
/** An answer. A stream's chunks are pulled, so that a slow reader slows its source. */
export type Reply =
  | { readonly status: number; readonly headers: Headers; readonly body: Uint8Array | AsyncIterable<Uint8Array> }
  /** The handler has taken the connection over; nothing is left to answer. */
  | { readonly status: 101; readonly taken: true };

export type Handler = (exchange: Exchange) => Promise<Reply>;

/** An extra path of the product itself. */
export interface Route {
  readonly method: string;
  /** Exact path without query. */
  readonly path: string;
  /** False serves anyone; true demands an authenticated user, and leaves what he may do to the handler. */
  readonly authenticate: boolean;
  handler(request: RouteRequest, identity: Identity): Promise<RouteResponse>;
}
export interface RouteRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
  readonly remoteAddress: string;
}
export interface RouteResponse {
  readonly status: number;
  readonly headers?: Headers;
  /** An object goes out as JSON, bytes and streams as they are. */
  readonly body?: object | string | Uint8Array | AsyncIterable<Uint8Array>;
}
