/**
 * Hosts and paths as they are compared. The request goes on as it came; what is compared is its normal form (RFC 3986
 * 6.2.2), so that `/public/%2e%2e/admin` meets the rule of `/admin` and not that of `/public`. Pure.
 */

/** What decides where a request goes. */
export interface Target {
  /** Lower-case, without port; '' if the client named none. */
  readonly host: string;
  /** In normal form, without the query. */
  readonly path: string;
  /** Path and query as they came, always beginning with a slash. */
  readonly forwarded: string;
  /** The host as it came, with its port: what the endpoint is told. */
  readonly authority: string;
}

/** Undefined for what no proxy should pass on: `*`, or something that is no URL. */
export function targetOf(url: string, hostHeader: string | undefined): Target | undefined {
  let [authority, rest] = [hostHeader ?? '', url];
  if (!url.startsWith('/')) {
    // The absolute form: its authority counts, whatever the header says (RFC 9112 3.2.2).
    const [, named, after] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
    if (named === undefined) return undefined;
    authority = named;
    rest = after?.startsWith('/') ? after : `/${after ?? ''}`;
  }
  const host = normalHost(authority);
  if (host === undefined) return undefined;
  const forwarded = rest.split('#', 1)[0] ?? '/';
  return { host, path: normalPath(forwarded.split('?', 1)[0] ?? '/'), forwarded, authority };
}

/** Undefined for text that is no host, or names a user. */
export function normalHost(authority: string): string | undefined {
  if (authority === '') return '';
  const [, name] = /^(\[[0-9a-f:.]+\]|[^:@\s/?#[\]]+)(?::\d*)?$/i.exec(authority) ?? [];
  return name?.toLowerCase().replace(/\.$/, '');
}

/** Decodes what needs no encoding, writes the rest in capitals, and resolves `.` and `..`. `%2F` stays: it is no slash. */
export function normalPath(path: string): string {
  const decoded = path.includes('%') ? path.replaceAll(/%[0-9a-f]{2}/gi, decodeUnreserved) : path;
  if (!decoded.includes('/.')) return decoded;
  const kept: string[] = [];
  const segments = decoded.split('/').slice(1);
  segments.forEach((segment, index) => {
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDots) kept.push(segment);
    else if (index === segments.length - 1) kept.push('');
  });
  return `/${kept.join('/')}`;
}

function decodeUnreserved(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return /[A-Za-z0-9._~-]/.test(character) ? character : encoded.toUpperCase();
}
