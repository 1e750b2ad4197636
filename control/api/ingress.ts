/**
 * What control plane and agents agree on for Ingresses: which of them are routed by the agents, which TLS Secrets those name,
 * and how a node says where it listens. Pure.
 */
import { type IpFamily, parseIpv6 } from './families.ts';
import type { Ingress, IngressClass, Node, NodeStatus } from './generated/types.ts';

/** The class that is there by itself, and what stands in `spec.controller` of every class that agents route. */
export const INGRESS_CLASS = 'raftsman';
export const INGRESS_CONTROLLER = 'raftsman.io/ingress';
/** On an IngressClass: what Ingresses without a class get. */
export const DEFAULT_INGRESS_CLASS = 'ingressclass.kubernetes.io/is-default-class';
/** On an Ingress: how it named its class before there was a field for it. */
const OLD_INGRESS_CLASS = 'kubernetes.io/ingress.class';
/** On a Node: where its agent takes requests, `HTTP,HTTPS`; 0 for a port that it does not have. */
export const INGRESS_PORTS = 'raftsman.io/ingress-ports';
/** On a Node, set by operators and never by the node itself: with `off` the node routes nothing and may read no TLS Secret. */
export const INGRESS_LABEL = 'node-restriction.kubernetes.io/ingress';
/** The only type of Secret that is read for an Ingress. */
export const TLS_SECRET_TYPE = 'kubernetes.io/tls';

/** The classes that agents route. */
export interface OwnClasses {
  readonly names: ReadonlySet<string>;
  /** Ingresses that name no class are routed too. */
  readonly isDefault: boolean;
}

export function ownClasses(classes: readonly IngressClass[]): OwnClasses {
  const isOwn = ({ spec }: IngressClass) => spec?.controller === INGRESS_CONTROLLER;
  const names = new Set(classes.filter(isOwn).map(({ metadata }) => metadata?.name ?? ''));
  const chosen = defaultIngressClass(classes);
  return { names, isDefault: chosen !== undefined && isOwn(chosen) };
}

/** The newest of the classes marked as default, and of equally new ones the first by name. */
export function defaultIngressClass(classes: readonly IngressClass[]): IngressClass | undefined {
  const rank = ({ metadata }: IngressClass) => metadata?.creationTimestamp ?? '';
  return classes
    .filter(({ metadata }) => metadata?.annotations?.[DEFAULT_INGRESS_CLASS] === 'true')
    .toSorted(
      (a, b) => compareTexts(rank(b), rank(a)) || compareTexts(a.metadata?.name ?? '', b.metadata?.name ?? ''),
    )[0];
}

/** True if the agents route it. The annotation needs no IngressClass: it is older than they are. */
export function isRoutedIngress({ metadata, spec }: Ingress, { names, isDefault }: OwnClasses): boolean {
  if (spec?.ingressClassName !== undefined) return names.has(spec.ingressClassName);
  const annotation = metadata?.annotations?.[OLD_INGRESS_CLASS];
  if (annotation !== undefined) return annotation === INGRESS_CLASS || names.has(annotation);
  return isDefault;
}

/** The names of the TLS Secrets of an Ingress, which lie in its namespace. */
export const tlsSecretsOf = ({ spec }: Ingress): readonly string[] =>
  (spec?.tls ?? []).flatMap(({ secretName }) => (secretName ? [secretName] : []));

/** True if operators let the node route. */
export const mayRoute = ({ metadata }: Node): boolean => metadata?.labels?.[INGRESS_LABEL] !== 'off';

/** True if the node says that it takes requests on some port. */
export function isIngressNode(node: Node): boolean {
  const ports = node.metadata?.annotations?.[INGRESS_PORTS] ?? '';
  return mayRoute(node) && ports.split(',').some(port => Number(port) > 0);
}

/** The addresses of nodes in the world, where they have such, else those within the cluster; sorted, each once. */
export function addressesOfNodes(
  nodes: readonly { readonly status?: NodeStatus }[],
  family: IpFamily = 'IPv4',
): readonly string[] {
  const isUsable = family === 'IPv4' ? isIPv4 : isIPv6;
  const ofType = (wanted: string) =>
    nodes.flatMap(({ status }) =>
      (status?.addresses ?? []).flatMap(({ type, address }) => (type === wanted && isUsable(address) ? [address] : [])),
    );
  const external = ofType('ExternalIP');
  return [...new Set(external.length > 0 ? external : ofType('InternalIP'))].sort();
}

/** Loopback is no way into a cluster: the API refuses it as an address of a Service. */
const isIPv4 = (address: string) => /^\d+(\.\d+){3}$/.test(address) && !address.startsWith('127.');

/** Nor is an address that has a meaning on one link only. */
const isIPv6 = (address: string) => parseIpv6(address) !== undefined && !/^(::1$|fe[89ab])/i.test(address);

/** The order in which conflicts are settled: the oldest first, then by namespace and name. */
export function compareAge(a: Ingress, b: Ingress): number {
  const rank = ({ metadata }: Ingress) =>
    [metadata?.creationTimestamp ?? '', metadata?.namespace ?? '', metadata?.name ?? ''] as const;
  const [ranksA, ranksB] = [rank(a), rank(b)];
  return compareTexts(ranksA[0], ranksB[0]) || compareTexts(ranksA[1], ranksB[1]) || compareTexts(ranksA[2], ranksB[2]);
}

const compareTexts = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
