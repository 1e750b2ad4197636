/** What an agent is made of and from. */
import type { Client, Taint } from './api.ts';
import type { Clock } from './clock.ts';
import type { NodeDns } from './dns/node-dns.ts';
import type { EvictionSettings } from './eviction/settings.ts';
import type { Observations } from './eviction/signals.ts';
import type { ImagePolicy } from './housekeeping/image-plan.ts';
import type { CertificatePair } from './ingress/certificates.ts';
import type { IngressPorts } from './ingress/listeners.ts';
import type { Logger } from './logger.ts';
import type { PodNetwork } from './network/network.ts';
import type { PolicyEnforcer } from './policy/enforcer.ts';
import type { ServiceProxy } from './proxy/proxy.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { AgentTls } from './server.ts';

export interface AgentOptions {
  readonly name: string;
  readonly client: Client;
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  /** Without one, services have no cluster addresses on this node. */
  readonly proxy?: ServiceProxy;
  /** Without one, network policies are not looked at on this node. */
  readonly policyEnforcer?: PolicyEnforcer;
  readonly dataDir: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Certificate and key of the agent's server, and the CA whose clients may use it. */
  readonly tls: AgentTls;
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The node's addresses, the primary one first; taken from the interfaces if there are none. */
  readonly addresses?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
  /** Where manifests of static pods are looked for; `manifests` in the data directory if it is not said. */
  readonly podManifestPath?: string;
  /** The folder that CSI drivers know as the kubelet's; `kubelet` in the data directory if it is not said. */
  readonly kubeletDir?: string;
  /** What the node reports as its kubelet's version. */
  readonly version: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** The cluster's DNS for this node's pods. Without one, only `clusterDns` says where they find any. */
  readonly dns?: NodeDns;
  /** What pods are told of the cluster's DNS, if it has one. */
  readonly clusterDns?: { readonly addresses: readonly string[]; readonly domain: string };
  /** Where requests for Ingresses are taken, if they are. */
  readonly ingress?: { readonly ports: IngressPorts; readonly defaultCertificate: CertificatePair };
  /** The text of the node's resolv.conf. */
  readonly resolvConf: string;
  /** Whether the agent may mount file systems (is root). */
  readonly canMount: boolean;
  readonly timing?: AgentTiming;
  /** What the node has left; measured on this machine where nothing is given. */
  readonly observeSupplies?: () => Promise<Observations>;
  /** When pods are evicted; a kubelet's thresholds where it is not said. */
  readonly eviction?: EvictionSettings;
  /** When images that nobody uses go; a kubelet's thresholds where it is not said. */
  readonly imagePolicy?: ImagePolicy;
}

/** Rhythms that may differ from `limits.ts`. */
export interface AgentTiming {
  readonly leaseRenewMs?: number;
  /** How long a heartbeat holds; without `leaseRenewMs` one is sent four times in that time. */
  readonly leaseDurationSeconds?: number;
  readonly nodeStatusMs?: number;
  readonly nodeObserveMs?: number;
  readonly runtimeRelistMs?: number;
  readonly volumeRefreshMs?: number;
  readonly orphanSweepMs?: number;
  readonly evictionObserveMs?: number;
  readonly manifestsScanMs?: number;
  readonly imagesCollectMs?: number;
  readonly socketsScanMs?: number;
}
