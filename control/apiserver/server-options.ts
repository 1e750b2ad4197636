/** What an API server is made of, and what it does. */
import type { Registry } from 'prom-client';
import type { StoreClient } from '../../store/index.ts';
import type { TolerationDefaults } from './admission/pod-defaults.ts';
import type { AuditorOptions } from './audit/audit.ts';
import type { StaticToken } from './auth/authentication.ts';
import type { ConfiguredAuthentication } from './auth/configured-authentication.ts';
import type { OidcOptions } from './auth/oidc.ts';
import type { RequestHeaderOptions } from './auth/request-header.ts';
import type { ClientCredentials } from './callout/connections.ts';
import type { AuditRecord } from './chain.ts';
import type { VersionInfo } from './dispatch.ts';
import type { HealthCheck } from './health.ts';
import type { Limits } from './limits.ts';
import type { AgentCredentials } from './subresources/agent.ts';
import type { ApiRequest, ApiResponse, Clock, Identity, Logger, Route } from './types.ts';

export interface ApiServerOptions {
  readonly store: StoreClient;
  /** PEM. `ca` signs the clients' certificates. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly newUid: () => string;
  readonly logger: Logger;
  /** Where Services get their addresses: `10.96.0.0/12`. */
  readonly serviceCIDR: string;
  /** `30000-32767`. */
  readonly nodePortRange: string;
  readonly version: VersionInfo;
  /** Bearer tokens that stand for users, besides bootstrap tokens. */
  readonly staticTokens?: readonly StaticToken[];
  /** Proxies in front that say who asks. */
  readonly requestHeader?: RequestHeaderOptions;
  /** An OpenID Connect provider that vouches for users. */
  readonly oidc?: OidcOptions;
  /** Issuers of tokens, and who may be anonymous; whoever hands it in may exchange what it says while the server runs. */
  readonly configuredAuthentication?: ConfiguredAuthentication | undefined;
  /** True if requests without credentials are refused. */
  readonly refusesAnonymous?: boolean;
  /** With which the server dials agents; without it there are no logs, exec and port-forward. */
  readonly kubeletClient?: AgentCredentials;
  /** With which the server shows API servers behind it that it may say who asks. */
  readonly proxyClient?: ClientCredentials;
  /** Signs service accounts' tokens: RSA, PKCS#8 PEM. Without it there are none, and pods get none. */
  readonly serviceAccountKey?: string;
  /** Who says so in the tokens; {@link DEFAULT_ISSUER} if not given. */
  readonly serviceAccountIssuer?: string;
  /** Conditions of readiness besides the server's own, such as the store's. */
  readonly readiness?: readonly HealthCheck[];
  /** Conditions without which the process should be started again. They must not need the other masters. */
  readonly liveness?: readonly HealthCheck[];
  /** Where the server's metrics go, and what else `/metrics` shows. */
  readonly registry?: Registry;
  /** Figures of other parts of the process, in Prometheus' text form, behind those of the registry. */
  readonly moreMetrics?: () => Promise<string>;
  readonly audit?: (record: AuditRecord) => void;
  /** What is written down of requests, and where: a line of JSON an event. */
  readonly auditLog?: Pick<AuditorOptions, 'policy' | 'write'>;
  /** Extra paths of the product. */
  readonly routes?: readonly Route[];
  readonly limits?: Partial<Limits>;
  /** How long pods that say nothing of it stay on nodes that fail. */
  readonly tolerations?: Partial<TolerationDefaults>;
}

export interface ApiServer {
  /** Starts to fill the cache and to take connections. Resolves when the port is open. */
  listen(): Promise<void>;
  /** Host and port; only after {@link listen}. */
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Serves a request from within the process, past the socket and authentication but through everything else. The caller
   * must drain the body or return it.
   */
  handle(request: ApiRequest, identity: Identity): Promise<ApiResponse>;
  /**
   * What a leader does for the servers behind this one: lists who serves what, and tells whether they are there. Until the
   * signal aborts; never rejects.
   */
  keepApiServices(identity: Identity, signal: AbortSignal): Promise<void>;
  /** Ends watches and streams, lets answers under way finish for a moment, and closes the port. */
  close(): Promise<void>;
}
