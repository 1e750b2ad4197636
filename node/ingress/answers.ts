/** What clients are told where no endpoint can answer: a status and one plain sentence, without names of the cluster's parts. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import { http } from '../api.ts';

/** HTTP/1.1 or HTTP/2: Node gives both the same shape. */
export type ClientRequest = IncomingMessage | Http2ServerRequest;
export type ClientResponse = ServerResponse | Http2ServerResponse;

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the log is told, where that is more. */
  readonly why?: string;
}

export const ANSWERS = {
  badTarget: { status: 400, text: 'the request names no host and path that could be routed' },
  upgradeWithBody: { status: 400, text: 'a request to upgrade the connection must not have a body' },
  noRoute: { status: 404, text: 'no Ingress has a rule for this host and path' },
  tooLarge: { status: 413, text: 'the body of the request is larger than this Ingress takes' },
  unreachable: { status: 502, text: 'the service behind this path could not be reached' },
  broken: { status: 502, text: 'the service behind this path closed the connection without an answer' },
  unreadable: { status: 502, text: 'the service behind this path gave an answer that is no HTTP' },
  notReady: {
    status: 503,
    text: 'this node has not yet read the cluster’s Ingresses',
    headers: { 'retry-after': '1' },
  },
  noBackend: { status: 503, text: 'the service behind this path does not exist or has no such port' },
  noEndpoint: {
    status: 503,
    text: 'the service behind this path has no ready endpoint',
    headers: { 'retry-after': '1' },
  },
  busy: { status: 503, text: 'this node has too many requests under way', headers: { 'retry-after': '1' } },
  tooSlow: { status: 504, text: 'the service behind this path did not answer in time' },
} as const satisfies Readonly<Record<string, Answer>>;

export function redirectTo(location: string): Answer {
  return { status: 308, text: `this is served over HTTPS: ${location}`, headers: { location } };
}

/** Answers, unless an answer has begun: then the connection or stream is broken off, so that the client notices. */
export function sendAnswer(
  {
    request,
    response,
    hasBody,
  }: { readonly request: ClientRequest; readonly response: ClientResponse; readonly hasBody: boolean },
  answer: Answer,
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { body, headers } = rendered(answer);
  // What is left of a body is not read to its end for the sake of the next request.
  const isUnread = hasBody && request.httpVersionMajor === 1 && !request.complete;
  const all = isUnread ? { ...headers, connection: 'close' } : headers;
  // One call for both shapes of response, which agree in this.
  (response as ServerResponse).writeHead(answer.status, all).end(request.method === 'HEAD' ? undefined : body);
}

/** The same on a connection that was to be upgraded. */
export function sendRawAnswer(socket: Duplex, answer: Answer): void {
  const { body, headers } = rendered(answer);
  const lines = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${answer.status} ${http.STATUS_CODES[answer.status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
}

function rendered({ status, text, headers = {} }: Answer) {
  const body = `${status} ${http.STATUS_CODES[status] ?? ''}: ${text}\n`;
  const own = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(body)) };
  return { body, headers: { ...own, ...headers } };
}
