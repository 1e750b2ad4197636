/** What a master is told: by its flags, and by the process that runs it. */
import type { FeatureGates } from '../api/features.ts';
import type { OidcOptions } from '../apiserver/auth/oidc.ts';
import type { Clock } from '../client/clock.ts';
import type { SnapshotSettings } from '../operations/snapshots.ts';
import type { StoreSettings } from '../operations/store-settings.ts';
import type { DatastoreOptions } from './datastore.ts';
import type { FailoverSettings } from './failover.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}
export interface MasterOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly listen: Endpoint;
  readonly peerListen: Endpoint;
  /** Where the store answers etcd's v3 API; undefined for nowhere. */
  readonly etcdListen: Endpoint | undefined;
  readonly storeSettings: StoreSettings;
  /** Where the `kubernetes` Service leads; undefined for this master's own address. */
  readonly advertise: Endpoint | undefined;
  readonly token: string | undefined;
  readonly join: readonly string[] | undefined;
  /** Joins as a learner, and stays one until it is promoted. */
  readonly isLearner: boolean;
  /** Joins in the place of this member, by name or id. */
  readonly replace: string | undefined;
  /** Where to dial masters, by name or id, that are not where the membership says. */
  readonly peerAddresses: ReadonlyMap<string, string>;
  readonly snapshots: SnapshotSettings;
  readonly withAgent: boolean;
  /** Flags for that agent, as it reads them. */
  readonly agentFlags: readonly string[];
  readonly tlsSans: readonly string[];
  readonly authentication: AuthenticationFlags;
  readonly audit: AuditFlags;
  /** An EncryptionConfiguration; undefined for keys of the masters' own. */
  readonly encryptionConfigurationFile: string | undefined;
  /** A KubeSchedulerConfiguration; undefined for kube-scheduler's defaults. */
  readonly schedulerConfigurationFile: string | undefined;
  /** Features of Kubernetes that may be on. */
  readonly features: FeatureGates;
  readonly clusterCIDR: string | undefined;
  readonly serviceCIDR: string | undefined;
  /** An external etcd, in place of a store of its own. */
  readonly datastore: DatastoreOptions | undefined;
  /** How soon silent nodes count as dead, and how long pods stay on them. */
  readonly failover: FailoverSettings;
  /** True if Services of type LoadBalancer get the nodes' addresses. */
  readonly balancesServices: boolean;
  /** True if there is an IngressClass that agents route. */
  readonly routesIngresses: boolean;
}
/** How else users may be known than by the cluster's own certificates and tokens. */
export interface AuthenticationFlags {
  /** A file of static tokens. */
  readonly tokenFile?: string | undefined;
  /** The authority of the proxies in front, a file in PEM, and the common names that they may have. */
  readonly proxyAuthorityFile?: string | undefined;
  readonly proxyNames?: readonly string[] | undefined;
  readonly isAnonymousRefused: boolean;
  /** An AuthenticationConfiguration; never together with {@link oidc}. */
  readonly configurationFile?: string | undefined;
  /** How long a token made automatically goes unused before it is refused, and then removed; a year if not given. */
  readonly legacyTokenUnusedMs?: number | undefined;
  /** An OpenID Connect provider. */
  readonly oidc?: (Omit<OidcOptions, 'authority'> & { readonly authorityFile: string | undefined }) | undefined;
}
/** What is written down of requests; nothing without a policy. */
export interface AuditFlags {
  readonly policyFile: string | undefined;
  readonly logPath: string | undefined;
  /** Days; 0 for ever. */
  readonly ageDaysMax: number;
  /** 0 for all. */
  readonly backupsMax: number;
  readonly sizeMebibytesMax: number;
}
/** What the process hands in. */
export interface MasterContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly command: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
}
