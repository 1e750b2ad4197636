/**
 * Users that a proxy in front has authenticated (apiserver/pkg/authentication/request/headerrequest): it shows a
 * certificate of an authority that signs proxies and nothing else, and says in headers who asks.
 */
import type { Exchange, Identity } from '../types.ts';

export interface RequestHeaderOptions {
  /** Signs the proxies' certificates, PEM. */
  readonly clientCa: string;
  /** Common names that a proxy may have; empty for any. */
  readonly allowedNames: readonly string[];
  /** Lower-case names; the first that is there counts. */
  readonly userHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

/** The headers that Kubernetes' own proxies send. */
export const DEFAULT_HEADERS = {
  userHeaders: ['x-remote-user'],
  uidHeaders: ['x-remote-uid'],
  groupHeaders: ['x-remote-group'],
  extraPrefixes: ['x-remote-extra-'],
} as const;

/** Who asks, as the proxy says; undefined if it is no proxy, or says nothing. Headers of others mean nothing. */
export function proxiedIdentity(
  exchange: Pick<Exchange, 'headers' | 'headerValues' | 'clientCertificate'>,
  options: RequestHeaderOptions,
): Identity | undefined {
  const { clientCertificate, headers } = exchange;
  if (!clientCertificate?.isProxy) return undefined;
  const { allowedNames } = options;
  if (allowedNames.length > 0 && !allowedNames.includes(clientCertificate.commonName)) return undefined;
  const valuesOf = (name: string): readonly string[] =>
    exchange.headerValues?.(name) ?? (headers[name] === undefined ? [] : [headers[name]]);
  const firstOf = (names: readonly string[]) => names.flatMap(valuesOf).find(value => value !== '');
  const user = firstOf(options.userHeaders);
  if (user === undefined) return undefined;
  const uid = firstOf(options.uidHeaders);
  const extra: Record<string, readonly string[]> = {};
  for (const name of Object.keys(headers)) {
    const prefix = options.extraPrefixes.find(candidate => name.startsWith(candidate));
    if (prefix !== undefined) extra[unescaped(name.slice(prefix.length))] = valuesOf(name);
  }
  return {
    user,
    groups: options.groupHeaders.flatMap(valuesOf),
    ...(uid !== undefined && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
