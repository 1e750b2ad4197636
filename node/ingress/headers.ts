/**
 * Headers on their way through: what belongs to one connection only stays behind (RFC 9110 7.6.1), and what a client says
 * about who it is and where it came from is replaced by what is known here. Pure.
 */

/** Names and values by turns, as Node has them. */
export type RawHeaders = readonly string[];

export interface ClientFacts {
  readonly address: string;
  readonly proto: 'http' | 'https';
  /** The Host that the client named, with its port. */
  readonly host: string;
  /** Where the client connected to. */
  readonly port: number;
}
/** How long the body of a request is: in bytes, unknown, or that there is none. */
export type BodyLength = number | 'chunked' | 'none';

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
/** Written anew for the endpoint. */
const REPLACED = new Set([
  'host',
  'content-length',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-server',
  'x-real-ip',
]);
const METHODS_WITHOUT_BODY = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'DELETE']);

/** Decides from the parser's view: it has refused requests whose length is told twice or in two ways. */
export function bodyLengthOf(headers: Readonly<Record<string, string | string[] | undefined>>): BodyLength {
  if (headers['transfer-encoding'] !== undefined) return 'chunked';
  const length = headers['content-length'];
  if (length === undefined) return 'none';
  return Number(length) === 0 ? 'none' : Number(length);
}

/** What the endpoint is sent. */
export function requestHeaders(
  raw: RawHeaders,
  client: ClientFacts,
  { method, body, upgrade }: { readonly method: string; readonly body: BodyLength; readonly upgrade?: string },
): string[] {
  const result = ['Host', client.host];
  const dropped = connectionOnly(raw);
  const cookies: string[] = [];
  let takesTrailers = false;
  eachHeader(raw, (name, value, lower) => {
    if (lower === 'te') takesTrailers = /\btrailers\b/i.test(value);
    if (name.startsWith(':') || dropped.has(lower) || HOP_BY_HOP.has(lower) || REPLACED.has(lower)) return;
    // HTTP/2 sends a cookie in crumbs (RFC 9113 8.2.3).
    if (lower === 'cookie') cookies.push(value);
    else result.push(name, value);
  });
  if (cookies.length > 0) result.push('Cookie', cookies.join('; '));
  result.push(
    ...['X-Forwarded-For', client.address, 'X-Real-IP', client.address],
    ...['X-Forwarded-Proto', client.proto, 'X-Forwarded-Host', client.host, 'X-Forwarded-Port', String(client.port)],
  );
  if (takesTrailers) result.push('TE', 'trailers');
  if (upgrade !== undefined) result.push('Connection', 'Upgrade', 'Upgrade', upgrade);
  if (body === 'chunked') result.push('Transfer-Encoding', 'chunked');
  else if (body !== 'none') result.push('Content-Length', String(body));
  else if (!METHODS_WITHOUT_BODY.has(method)) result.push('Content-Length', '0');
  return result;
}

/** What the client is sent: names and values by turns. */
export function responseHeaders(raw: RawHeaders): string[] {
  const result: string[] = [];
  const dropped = connectionOnly(raw);
  eachHeader(raw, (name, value, lower) => {
    if (!dropped.has(lower) && !HOP_BY_HOP.has(lower)) result.push(name, value);
  });
  return result;
}

/** The same for HTTP/2, where names are lower-case and each has all its values. */
export function grouped(flat: RawHeaders): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null);
  eachHeader(flat, (_name, value, lower) => {
    const known = result[lower];
    if (known === undefined) result[lower] = value;
    else result[lower] = [...(typeof known === 'string' ? [known] : known), value];
  });
  return result;
}

function connectionOnly(raw: RawHeaders): ReadonlySet<string> {
  const names = new Set<string>();
  eachHeader(raw, (_name, value, lower) => {
    if (lower === 'connection') for (const token of value.split(',')) names.add(token.trim().toLowerCase());
  });
  return names;
}

function eachHeader(raw: RawHeaders, visit: (name: string, value: string, lower: string) => void): void {
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = [raw[index], raw[index + 1]];
    visit(name, value, name.toLowerCase());
  }
}
