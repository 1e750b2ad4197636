/** What policies are judged by, from the API's objects. Pure. */
import type { NetworkPolicy, Pod } from '../api.ts';
import { familyOf } from './ranges.ts';
import type { Protocol } from './ruleset.ts';

export type Labels = Readonly<Record<string, string>>;

export interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** A pod with an address of its own; those of the host's network are nobody's peer and are never isolated. */
export interface PolicyPod {
  readonly namespace: string;
  readonly labels: Labels;
  readonly addresses: readonly string[];
  readonly ports: readonly NamedPort[];
  /** Whether this node enforces its policies. */
  readonly isLocal: boolean;
}

export interface PolicyWorld {
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly PolicyPod[];
  /** Labels by name. */
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** An API object's part that policies look at: what the agent keeps of each pod of the cluster. */
export function slimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels } = metadata ?? {};
  const portsOf = (containers: NonNullable<Pod['spec']>['containers'] | undefined) =>
    (containers ?? []).flatMap(({ name: container, ports, restartPolicy }) =>
      ports?.some(port => port.name) ? [{ name: container, ports, ...(restartPolicy && { restartPolicy }) }] : [],
    );
  return {
    ...(apiVersion && { apiVersion }),
    ...(kind && { kind }),
    metadata: {
      ...(name && { name }),
      ...(namespace && { namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
      ...(labels && { labels }),
    },
    spec: {
      containers: portsOf(spec?.containers),
      initContainers: portsOf(spec?.initContainers),
      ...(spec?.nodeName && { nodeName: spec.nodeName }),
      ...(spec?.hostNetwork && { hostNetwork: true }),
    },
    status: {
      ...(status?.phase && { phase: status.phase }),
      podIPs: status?.podIPs ?? (status?.podIP ? [{ ip: status.podIP }] : []),
    },
  };
}

/** True if two states of a pod are the same to all policies. */
export function isSameToPolicies(a: Pod, b: Pod): boolean {
  const key = ({ metadata, spec, status }: Pod) => {
    const { containers, initContainers, hostNetwork } =
      slimPod({ metadata: metadata ?? {}, ...(spec && { spec }) }).spec ?? {};
    const ips = status?.podIPs ?? (status?.podIP ? [{ ip: status.podIP }] : []);
    return JSON.stringify([metadata?.labels, containers, initContainers, hostNetwork, status?.phase, ips]);
  };
  return key(a) === key(b);
}

/**
 * A pod as policies see it; undefined if it has no address of its own (any more). `ownAddress` and `ownIpv6`
 * are what this node's network gave it, which the API may not know yet.
 */
export function policyPod(
  { metadata, spec, status }: Pod,
  {
    isLocal,
    ownAddress,
    ownIpv6,
  }: {
    readonly isLocal: boolean;
    readonly ownAddress?: string | undefined;
    readonly ownIpv6?: string | undefined;
  },
): PolicyPod | undefined {
  const hasEnded = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  // An ended pod's address may be another's already, unless this node's network says that it still has it.
  if (spec?.hostNetwork || (hasEnded && ownAddress === undefined)) return undefined;
  const reported = status?.podIPs ?? (status?.podIP ? [{ ip: status.podIP }] : []);
  const known = hasEnded || (isLocal && ownAddress === undefined) ? [] : reported.map(({ ip }) => ip);
  const addresses = [...new Set([ownAddress, ownIpv6, ...known].filter(address => address !== undefined))];
  const usable = addresses.filter(address => familyOf(address) !== undefined);
  if (usable.length === 0) return undefined;
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const ports = [...(spec?.containers ?? []), ...sidecars].flatMap(container =>
    (container.ports ?? []).flatMap(({ name, protocol, containerPort }) =>
      name === undefined ? [] : [{ name, protocol: protocolOf(protocol), port: containerPort }],
    ),
  );
  return { namespace: metadata?.namespace ?? '', labels: metadata?.labels ?? {}, addresses: usable, ports, isLocal };
}

/** TCP where nothing is said. */
export function protocolOf(text: string | undefined): Protocol {
  return text === 'UDP' || text === 'SCTP' ? text : 'TCP';
}
