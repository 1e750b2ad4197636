/**
 * The API server. Everything it needs is handed in; nothing here reads the environment. `createApiServer` puts the parts
 * together: store → cache → verbs → chain → TLS listener, and the same chain for callers in the process.
 *
 * Start reading at `chain.ts` (what happens to every request), then `dispatch.ts` (which verb runs), then `verbs/`.
 */

import type { CustomContext } from '../api/custom/declaration.ts';
import { familiesOf } from '../api/families.ts';
import { secrets } from '../api/generated/kinds.ts';
import type { Secret } from '../api/generated/types.ts';
import { declarationOf } from '../api/registry.ts';
import { createAdmission } from './admission/admission.ts';
import { serviceAllocation } from './admission/allocation.ts';
import { certificateApproval } from './admission/certificates.ts';
import { claimResize } from './admission/claim-resize.ts';
import { createPermission } from './admission/create-permission.ts';
import { defaultIngressClass, defaultStorageClass } from './admission/default-classes.ts';
import { limitRanger } from './admission/limit-range.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { nodeRestriction } from './admission/node-restriction.ts';
import { taintNewNodes } from './admission/node-taint.ts';
import { defaultTolerations, serviceAccount, TOLERATION_DEFAULTS } from './admission/pod-defaults.ts';
import { podSecurity } from './admission/pod-security/pod-security.ts';
import { validatingPolicies } from './admission/policies/validating.ts';
import { priority } from './admission/priority.ts';
import { resourceQuota } from './admission/quota/resource-quota.ts';
import { parsePortRange } from './admission/ranges.ts';
import { roleEscalation } from './admission/role-escalation.ts';
import { runtimeClass } from './admission/runtime-class.ts';
import { ownServiceRanges } from './admission/service-ranges.ts';
import { mutatingWebhooks } from './admission/webhooks/mutating.ts';
import { validatingWebhooks } from './admission/webhooks/validating.ts';
import { withAggregation } from './aggregation/aggregator.ts';
import { ApiServiceKeeper } from './aggregation/keeper.ts';
import { DEFAULT_AGGREGATION_LIMITS } from './aggregation/limits.ts';
import type { GroupVersion } from './aggregation/local-services.ts';
import { Auditor } from './audit/audit.ts';
import type { AuthenticationOptions } from './auth/authentication.ts';
import { Authorizer } from './auth/authorizer.ts';
import { LegacyTokenUses } from './auth/legacy-token-uses.ts';
import { NodeReferences } from './auth/node-references.ts';
import { oidcAuthenticator } from './auth/oidc.ts';
import { DEFAULT_ISSUER, ServiceAccountTokens } from './auth/service-account-tokens.ts';
import { WatchCache } from './cache/watch-cache.ts';
import { type Callout, createCallout } from './callout/client.ts';
import { makeChain } from './chain.ts';
import type { Core } from './core.ts';
import { Catalogue } from './custom/catalogue.ts';
import { Conversions } from './custom/conversions.ts';
import { Discovery } from './discovery.ts';
import { createDispatcher } from './dispatch.ts';
import { EventLeases } from './event-leases.ts';
import { Fairness } from './fairness/fairness.ts';
import { inProcessExchange, toApiResponse } from './http/in-process.ts';
import { Listener } from './http/listener.ts';
import { RequestEnd } from './http/request-end.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { Metrics } from './metrics.ts';
import { OpenApiDocuments } from './openapi.ts';
import { ResourceMetrics } from './resource-metrics/resource-metrics.ts';
import { REVIEWS } from './reviews.ts';
import { healthChecks } from './server-health.ts';
import type { ApiServer, ApiServerOptions } from './server-options.ts';
import { BINDINGS } from './subresources/binding.ts';
import { createSubresources } from './subresources/subresources.ts';
import type { ApiRequest, ApiResponse, Handler, Identity } from './types.ts';
import { cached } from './verbs/get.ts';

export type { ApiServer, ApiServerOptions } from './server-options.ts';

export function createApiServer(options: ApiServerOptions): ApiServer {
  return new Server(options);
}

/** Under whom the server writes what no request asked for. */
const ITSELF: Identity = { user: 'system:apiserver', groups: ['system:masters'] };

class Server implements ApiServer {
  readonly #limits: Limits;
  readonly #cache: WatchCache;
  readonly #callout: Callout;
  readonly #keeper: ApiServiceKeeper;
  readonly #handler: Handler;
  readonly #legacyUses: LegacyTokenUses;
  readonly #closing = new AbortController();
  readonly #listener: Listener;
  #isCacheStarted = false;

  constructor(options: ApiServerOptions) {
    const { store, clock, logger, random, newUid } = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const limits = this.#limits;
    const metrics = new Metrics(options.registry);
    this.#cache = new WatchCache({ store, clock, logger, limits });
    const cache = this.#cache;
    this.#callout = createCallout({ core: { cache, clock, limits }, agents: options.kubeletClient });
    const callout = this.#callout;
    const tokens = tokensOf(options);
    const authorizer = new Authorizer({ cache, nodeReferences: new NodeReferences(cache, clock) });
    const conversions = new Conversions({ callout, newUid });
    const context: CustomContext = {
      convert: (object, toVersion, definition) => conversions.convert(object, toVersion, definition),
    };
    const kinds = new Catalogue({ cache, context });
    const webhooks = { cache, callout, kinds, conversions, logger, newUid, authorizer };
    const admission = createAdmission([
      namespaceLifecycle(cache),
      nodeRestriction(cache),
      taintNewNodes,
      limitRanger(cache),
      serviceAccount({ cache, random, mountsTokens: tokens !== undefined }),
      defaultTolerations({ ...TOLERATION_DEFAULTS, ...options.tolerations }),
      priority(cache),
      runtimeClass(cache),
      defaultStorageClass(cache),
      defaultIngressClass(cache),
      claimResize(cache),
      podSecurity({ cache, clock }),
      createPermission(authorizer),
      roleEscalation(authorizer),
      certificateApproval(authorizer),
      mutatingWebhooks(webhooks),
      validatingPolicies({ cache, authorizer, kinds }),
      validatingWebhooks(webhooks),
      serviceAllocation({
        cache,
        addresses: ownServiceRanges(options.serviceCIDR),
        ports: parsePortRange(options.nodePortRange),
        random,
        newUid,
        clock,
      }),
      resourceQuota({ cache, clock }),
    ]);
    const eventLeases = new EventLeases(store, clock);
    const core: Core = {
      store,
      cache,
      kinds,
      conversions,
      limits,
      clock,
      logger,
      metrics,
      newUid,
      serviceFamilies: familiesOf(options.serviceCIDR),
      random,
      admission,
      eventLeases,
      callout,
    };
    this.#legacyUses = new LegacyTokenUses({
      clock,
      logger,
      registry: metrics.registry,
      caller: { server: this, identity: ITSELF },
    });
    const authentication: AuthenticationOptions = {
      clock,
      staticTokens: options.staticTokens ?? [],
      ...(options.requestHeader && { requestHeader: options.requestHeader }),
      refusesAnonymous: options.refusesAnonymous ?? false,
      readBootstrapSecret: name => readSecret(cache, name),
      ...(options.oidc && { oidc: oidcAuthenticator(options.oidc, { clock, logger }) }),
      ...(options.configuredAuthentication && { configured: options.configuredAuthentication }),
      serviceAccounts: tokens && { tokens, cache, clock, legacyUses: this.#legacyUses },
    };
    const routes = options.routes ?? [];
    const fairness = new Fairness({
      cache,
      clock,
      seats: limits.readsInFlightMax + limits.writesInFlightMax,
      requestMsMax: limits.requestMsMax,
      registry: metrics.registry,
    });
    const dispatcher = createDispatcher({
      core,
      discovery: new Discovery(kinds, [...REVIEWS, BINDINGS]),
      health: healthChecks({ cache, authorizer, options, closing: this.#closing.signal }),
      version: options.version,
      openApi: new OpenApiDocuments({
        catalogue: kinds,
        clock,
        version: options.version.gitVersion,
        reviews: [...REVIEWS, BINDINGS],
      }),
      subresources: createSubresources(core, { credentials: options.kubeletClient, tokens }),
      routes,
      authentication,
      authorizer,
      tokens,
      fairness,
      moreMetrics: options.moreMetrics,
    });
    this.#keeper = new ApiServiceKeeper({
      cache,
      callout,
      credentials: options.proxyClient,
      clock,
      logger,
      limits: DEFAULT_AGGREGATION_LIMITS,
      builtIn: groupVersionsOf([...kinds.builtIn, ...REVIEWS, BINDINGS]),
    });
    this.#handler = makeChain(
      {
        limits,
        clock,
        logger,
        metrics,
        authentication,
        authorizer,
        fairness,
        cache,
        routes,
        newUid,
        ...(options.audit && { audit: options.audit }),
        ...(options.auditLog && { auditor: new Auditor({ ...options.auditLog, clock }) }),
      },
      withAggregation(
        {
          core,
          credentials: options.proxyClient,
          inProcess: new ResourceMetrics(core, { credentials: options.kubeletClient }),
        },
        dispatcher,
      ),
    );
    this.#listener = new Listener({ ...options, limits, handler: this.#handler, closing: this.#closing.signal });
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#listener.address;
  }

  async listen(): Promise<void> {
    this.#startCache();
    await this.#listener.listen();
  }

  async handle(request: ApiRequest, identity: Identity): Promise<ApiResponse> {
    this.#startCache();
    const signals = [this.#closing.signal, ...(request.signal ? [request.signal] : [])];
    const exchange = inProcessExchange(request, {
      identity,
      end: new RequestEnd(signals),
      bodyBytesMax: this.#limits.bodyBytesMax,
    });
    return toApiResponse(await this.#handler(exchange), exchange.warnings);
  }

  async keepApiServices(identity: Identity, signal: AbortSignal): Promise<void> {
    this.#startCache();
    await this.#keeper.run({ server: this, identity }, AbortSignal.any([signal, this.#closing.signal]));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#callout.close();
    await this.#legacyUses.settled();
    await this.#cache.close();
    await this.#listener.close();
  }

  #startCache(): void {
    if (this.#isCacheStarted) return;
    this.#isCacheStarted = true;
    this.#cache.start();
  }
}

/** Each group and version once. */
function groupVersionsOf(resources: readonly GroupVersion[]): GroupVersion[] {
  const byName = new Map(resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...byName.values()];
}

function tokensOf({ serviceAccountKey: key, serviceAccountIssuer, clock, newUid }: ApiServerOptions) {
  const issuer = serviceAccountIssuer ?? DEFAULT_ISSUER;
  return key === undefined ? undefined : new ServiceAccountTokens({ key, issuer, clock, newUid });
}

const SECRET = declarationOf(secrets);

/** A token may have been made a moment ago through another master: what the cache does not have is asked for. */
async function readSecret(cache: WatchCache, name: string): Promise<Secret | undefined> {
  const read = () => cached({ cache }, SECRET, 'kube-system', name)?.parse<Secret>();
  const found = read();
  if (found) return found;
  await cache.freshen();
  return read();
}
