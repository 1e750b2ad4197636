/** What a node is started with: by its user, and by the process that it runs in. */
import type { Clock } from '../control/client/clock.ts';
import type { Resolver } from './dns/exchange.ts';
import type { EvictionOptions } from './eviction/settings.ts';
import type { ImagePolicy } from './housekeeping/image-plan.ts';
import type { IngressPorts } from './ingress/listeners.ts';
import type { NodeNetworkMode } from './network/way.ts';

export type RuntimeName = 'docker' | 'cri' | 'native' | 'fake';

export interface NodeOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly servers: readonly string[];
  readonly token: string | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  readonly runtime: 'auto' | RuntimeName;
  /** Where a CRI runtime listens; undefined for containerd's usual socket. */
  readonly runtimeEndpoint?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  /** Where manifests of static pods are; undefined for `manifests` in the data directory. */
  readonly podManifestPath?: string | undefined;
  /** The folder that CSI drivers know as the kubelet's; undefined for /var/lib/kubelet. */
  readonly kubeletDir?: string | undefined;
  readonly housekeeping?: HousekeepingOptions | undefined;
  readonly nodeIp: string | undefined;
  /** How pods of other nodes are reached. */
  readonly nodeNetwork: NodeNetworkMode;
  /** Whether NetworkPolicies are enforced. */
  readonly networkPolicy: boolean;
  readonly ingress: IngressPorts;
  /** Mirrors, keys and authorities of registries, for the native runtime. */
  readonly registriesFile: string | undefined;
  /** How long a heartbeat holds; undefined for the usual time. */
  readonly leaseDurationSeconds: number | undefined;
  readonly dns: DnsOptions;
}
/** When pods are evicted and images removed; what is not said is a kubelet's default. */
export interface HousekeepingOptions {
  readonly eviction?: EvictionOptions;
  readonly images?: Partial<ImagePolicy>;
}
/** Settings of DNS that the cluster has a value for otherwise. */
export interface DnsOptions {
  /** What pods are given as their resolvers. */
  readonly addresses?: readonly string[] | undefined;
  readonly domain?: string | undefined;
  /** The node's resolv.conf. */
  readonly resolvConf?: string | undefined;
  /** Zones with resolvers of their own. */
  readonly stubZones?: Readonly<Record<string, readonly Resolver[]>> | undefined;
}
/** What the process hands in. */
export interface NodeContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
}
