/**
 * HTTP requests of probes and hooks, in the manner of Go's client with a kubelet's settings (k/k: pkg/probe/http): redirects are
 * followed on the host that was asked and nowhere else, certificates are not checked, and headers of the manifest win.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { http, type Probe } from '../api.ts';
import { PROBE_OUTPUT_BYTES_MAX, PROBE_REDIRECTS_MAX } from '../limits.ts';

export type HttpAction = NonNullable<Probe['httpGet']>;

export interface HttpAsk {
  /** The action's host, or the pod's address. */
  readonly host: string;
  readonly port: number;
  readonly action: HttpAction;
  /** Who asks, as servers see it in their logs. */
  readonly userAgent: string;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** As much of it as is kept. */
  readonly body: string;
}

/** A request was not answered; the message is as Go has it. */
export class HttpAskError extends Error {
  override readonly name = 'HttpAskError';
  readonly code = 'PROBE_HTTP';
  /** The server does not speak TLS. */
  readonly isPlain: boolean;

  constructor(url: URL, why: string, isPlain = false) {
    super(`Get "${url.href}": ${why}`);
    this.isPlain = isPlain;
  }
}

/** The last answer, after redirects. Throws {@link HttpAskError}. */
export async function askHttp(ask: HttpAsk): Promise<HttpAnswer> {
  const first = urlOf(ask);
  let url = first;
  for (let count = 0; ; count++) {
    const answer = await askOnce(url, ask);
    const next = redirectOf(answer, url);
    if (!next || next.hostname !== first.hostname) return answer;
    if (count === PROBE_REDIRECTS_MAX) throw new HttpAskError(next, `stopped after ${PROBE_REDIRECTS_MAX} redirects`);
    url = next;
  }
}

/** What Go says of a connection that was not made. */
export function dialText(error: Error & { code?: string }, host: string, port: number): string {
  const at = `dial tcp ${host.includes(':') ? `[${host}]` : host}:${port}: `;
  if (error.code === 'ECONNREFUSED') return `${at}connect: connection refused`;
  if (error.code === 'EHOSTUNREACH') return `${at}connect: no route to host`;
  if (error.code === 'ENETUNREACH') return `${at}connect: network is unreachable`;
  return error.message;
}

/** The path may have a query; without a slash it gets one. */
function urlOf({ host, port, action: { path = '', scheme } }: HttpAsk): URL {
  const origin = `${scheme === 'HTTPS' ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = new URL(origin);
  const [, plain = '', search = ''] = /^([^?#]*)(\?[^#]*)?/.exec(path) ?? [];
  url.pathname = plain;
  url.search = search;
  return url;
}

function redirectOf({ status, location }: HttpAnswer & { location: string | undefined }, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || !location) return undefined;
  if (!URL.canParse(location, from.href)) throw new HttpAskError(from, `failed to parse Location header "${location}"`);
  return new URL(location, from);
}

function askOnce(url: URL, ask: HttpAsk): Promise<HttpAnswer & { location: string | undefined }> {
  const { signal } = ask;
  const options = { headers: headersOf(ask), signal, agent: false as const };
  return new Promise((resolve, reject) => {
    // A probe asks whether somebody answers, not who: certificates are not checked, as with a kubelet.
    const request: ClientRequest =
      url.protocol === 'https:'
        ? httpsRequest(url.href, { ...options, rejectUnauthorized: false })
        : http.request(url.href, options);
    const fail = (error: Error & { code?: string }) => reject(askError(url, error, signal));
    request.on('error', fail);
    request.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        if (size < PROBE_OUTPUT_BYTES_MAX) chunks.push(chunk.subarray(0, PROBE_OUTPUT_BYTES_MAX - size));
        size += chunk.length;
        // As with a kubelet, what is longer is not waited for.
        if (size >= PROBE_OUTPUT_BYTES_MAX) response.destroy();
      });
      response.on('error', fail);
      response.on('close', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, body: Buffer.concat(chunks).toString('utf8'), location: headers.location });
      });
    });
    request.end();
  });
}

function askError(url: URL, error: Error & { code?: string }, signal: AbortSignal): HttpAskError {
  if (signal.aborted)
    return new HttpAskError(url, 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)');
  // What OpenSSL makes of an answer that is no TLS.
  if (error.code === 'EPROTO' || error.code === 'ERR_SSL_WRONG_VERSION_NUMBER')
    return new HttpAskError(url, 'http: server gave HTTP response to HTTPS client', true);
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  return new HttpAskError(url, dialText(error, url.hostname.replace(/^\[|\]$/g, ''), port));
}

/** Those of the manifest, a name that comes again with all its values, and ours where it says nothing. */
function headersOf({ action: { httpHeaders = [] }, userAgent }: HttpAsk): Record<string, string | string[]> {
  const given = new Map<string, string[]>();
  for (const { name, value } of httpHeaders) {
    const key = name.toLowerCase();
    given.set(key, [...(given.get(key) ?? []), value]);
  }
  // An empty one says that none is to be sent.
  const accept = given.get('accept') ?? ['*/*'];
  given.delete('accept');
  const single = ([name, values]: [string, string[]]) => [name, values.length === 1 ? (values[0] ?? '') : values];
  return {
    'user-agent': userAgent,
    ...(accept[0] !== '' && { accept }),
    connection: 'close',
    ...Object.fromEntries([...given].map(single)),
  };
}
