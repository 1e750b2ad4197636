/**
 * From Ingresses and their classes to a table that says, for a host and a path, which backend a request goes to. Pure.
 *
 * A request meets the rules of its exact host first, then those of a wildcard (one label), then those without a host; in each
 * the longest path wins, and Exact before Prefix. What meets no rule goes to a default backend: of an Ingress with rules for
 * the host, else of any. Where two Ingresses say different things about the same host and path, the older one holds.
 */
import {
  compareAge,
  type Ingress,
  type IngressBackend,
  type IngressClass,
  isRoutedIngress,
  type OwnClasses,
  ownClasses,
} from '../api.ts';
import { RESPONSE_TIMEOUT_MS, RESPONSE_TIMEOUT_MS_MAX } from './limits.ts';
import { normalPath } from './path.ts';

/** On an Ingress: `"false"` leaves requests over HTTP where they are although the host has TLS. */
const SSL_REDIRECT = 'ingress.raftsman.io/ssl-redirect';
/** On an Ingress: the largest body of a request, in bytes. */
const BODY_BYTES_MAX = 'ingress.raftsman.io/max-body-bytes';
/** On an Ingress: how long a backend may be silent before it answers. */
const RESPONSE_TIMEOUT_SECONDS = 'ingress.raftsman.io/response-timeout-seconds';

/** A port of a Service, by number or name. */
export interface BackendReference {
  /** `namespace/service:port`. */
  readonly key: string;
  /** `namespace/service`. */
  readonly service: string;
  readonly port: string | number;
}
export interface Route {
  /** `namespace/name` of the Ingress. */
  readonly ingress: string;
  /** Undefined for a backend that is no Service. */
  readonly backend: BackendReference | undefined;
  /** Hosts under TLS whose requests over HTTP are sent to HTTPS; undefined if none are. */
  readonly redirect: HostSet | undefined;
  /** Infinity if nothing is said. */
  readonly bodyBytesMax: number;
  readonly responseTimeoutMs: number;
}
/** Hosts and wildcards; `all` where none are named. */
export interface HostSet {
  readonly all: boolean;
  readonly names: ReadonlySet<string>;
}
/** Which Secret has the certificate of a host: `*.example.com` for a wildcard, '' for all that have none of their own. */
export interface CertificateReference {
  readonly host: string;
  /** `namespace/name`. */
  readonly secret: string;
  readonly ingress: Ingress;
}
interface HostRoutes {
  readonly exact: Map<string, Route>;
  /** By the path without slashes at its end. */
  readonly prefixes: Map<string, Route>;
  /** Elements of the longest prefix. */
  depthMax: number;
  fallback: Route | undefined;
}
export interface RoutingTable {
  /** By host, `*.example.com`, or '' for rules without one. */
  readonly hosts: ReadonlyMap<string, HostRoutes>;
  readonly fallback: Route | undefined;
  readonly certificates: readonly CertificateReference[];
  /** How many Ingresses are in it. */
  readonly size: number;
}

export const EMPTY_TABLE: RoutingTable = { hosts: new Map(), fallback: undefined, certificates: [], size: 0 };

export function planTable(ingresses: readonly Ingress[], classes: readonly IngressClass[]): RoutingTable {
  const own: OwnClasses = ownClasses(classes);
  const routed = ingresses.filter(ingress => isRoutedIngress(ingress, own)).sort(compareAge);
  const hosts = new Map<string, HostRoutes>();
  const certificates = new Map<string, CertificateReference>();
  let [fallback, fallbackWithRules]: (Route | undefined)[] = [];
  for (const ingress of routed) {
    const make = routeMaker(ingress);
    const { defaultBackend, rules = [] } = ingress.spec ?? {};
    for (const { host = '', http } of rules) {
      const routes = getOrAdd(hosts, host.toLowerCase(), newHost);
      for (const { path, pathType, backend } of http?.paths ?? []) addPath(routes, { path, pathType }, make(backend));
      if (defaultBackend) routes.fallback ??= make(defaultBackend);
    }
    if (defaultBackend && rules.length === 0) fallback ??= make(defaultBackend);
    else if (defaultBackend) fallbackWithRules ??= make(defaultBackend);
    for (const { host, secret } of certificatesOf(ingress)) {
      if (!certificates.has(host)) certificates.set(host, { host, secret, ingress });
    }
  }
  return {
    hosts,
    fallback: fallback ?? fallbackWithRules,
    certificates: [...certificates.values()],
    size: routed.length,
  };
}

/** Where a request goes; undefined if no rule meets it. */
export function matchRoute(table: RoutingTable, { host, path }: { host: string; path: string }): Route | undefined {
  const levels = hostLevels(host).map(level => table.hosts.get(level));
  for (const routes of levels) {
    const found = routes && (routes.exact.get(path) ?? longestPrefix(routes, path));
    if (found) return found;
  }
  return levels.find(routes => routes?.fallback)?.fallback ?? table.fallback;
}

/** True if the host is one of the set, itself or by a wildcard. */
export function includesHost({ all, names }: HostSet, host: string): boolean {
  return all || hostLevels(host).some(level => level !== '' && names.has(level));
}

/** Under which names a host is looked for, the most specific first. */
export function hostLevels(host: string): readonly string[] {
  if (host === '') return [''];
  const dot = host.indexOf('.');
  return dot > 0 ? [host, `*${host.slice(dot)}`, ''] : [host, ''];
}

function longestPrefix({ prefixes, depthMax }: HostRoutes, path: string): Route | undefined {
  let end = endOfElements(path, depthMax);
  while (end >= 0) {
    const found = prefixes.get(path.slice(0, end));
    if (found) return found;
    end = end === 0 ? -1 : path.lastIndexOf('/', end - 1);
  }
  return undefined;
}

/** Where the path's first `count` elements end: a path of thousands of slashes costs no more than the rules are deep. */
function endOfElements(path: string, count: number): number {
  let at = 0;
  for (let elements = 0; elements <= count; elements++) {
    const slash = path.indexOf('/', elements === 0 ? 0 : at + 1);
    if (slash < 0) return path.length;
    at = slash;
  }
  return at;
}

function addPath(
  routes: HostRoutes,
  { path = '/', pathType }: { readonly path?: string | undefined; readonly pathType: string },
  route: Route,
): void {
  const normal = normalPath(path || '/');
  if (pathType === 'Exact') {
    if (!routes.exact.has(normal)) routes.exact.set(normal, route);
    return;
  }
  const prefix = normal.replace(/\/+$/, '');
  if (!routes.prefixes.has(prefix)) routes.prefixes.set(prefix, route);
  routes.depthMax = Math.max(routes.depthMax, prefix.split('/').length - 1);
}

/** What all routes of one Ingress share is worked out once. */
function routeMaker(ingress: Ingress): (backend: IngressBackend) => Route {
  const { metadata, spec } = ingress;
  const namespace = metadata?.namespace ?? '';
  const annotations = metadata?.annotations ?? {};
  const common = {
    ingress: `${namespace}/${metadata?.name}`,
    redirect: spec?.tls?.length && annotations[SSL_REDIRECT] !== 'false' ? tlsHosts(ingress) : undefined,
    bodyBytesMax: positive(annotations[BODY_BYTES_MAX]) ?? Number.POSITIVE_INFINITY,
    responseTimeoutMs: Math.min(
      (positive(annotations[RESPONSE_TIMEOUT_SECONDS]) ?? RESPONSE_TIMEOUT_MS / 1_000) * 1_000,
      RESPONSE_TIMEOUT_MS_MAX,
    ),
  };
  return ({ service }) => {
    if (!service) return { ...common, backend: undefined };
    const port = service.port?.name ?? service.port?.number ?? 0;
    const name = `${namespace}/${service.name}`;
    return { ...common, backend: { key: `${name}:${port}`, service: name, port } };
  };
}

function positive(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,14}$/.test(text)) return undefined;
  return Number(text);
}

function tlsHosts({ spec }: Ingress): HostSet {
  const tls = spec?.tls ?? [];
  const named = tls.flatMap(({ hosts = [] }) => hosts.map(host => host.toLowerCase()));
  return { all: tls.some(({ hosts = [] }) => hosts.length === 0), names: new Set(named) };
}

/** A part without hosts is for those of the rules; where there are none, for everybody. */
function certificatesOf({ metadata, spec }: Ingress): readonly { readonly host: string; readonly secret: string }[] {
  const ruleHosts = (spec?.rules ?? []).flatMap(({ host }) => (host ? [host] : []));
  return (spec?.tls ?? []).flatMap(({ hosts = [], secretName }) => {
    if (!secretName) return [];
    const named = hosts.length > 0 ? hosts : ruleHosts.length > 0 ? ruleHosts : [''];
    return named.map(host => ({ host: host.toLowerCase(), secret: `${metadata?.namespace}/${secretName}` }));
  });
}

const newHost = (): HostRoutes => ({ exact: new Map(), prefixes: new Map(), depthMax: 0, fallback: undefined });

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
