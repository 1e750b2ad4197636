/**
 * Whether the server behind an APIService is there: its service, a port, endpoints, and an answer to a question for its
 * resources (kube-aggregator pkg/controllers/status/remote).
 */
import { endpointslices, services } from '../../api/generated/kinds.ts';
import type { APIServiceCondition, Service } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import type { Callout } from '../callout/client.ts';
import type { ClientCredentials } from '../callout/connections.ts';
import { listPrefix } from '../keys.ts';
import { readyEndpoints } from '../subresources/reach.ts';
import { cached } from '../verbs/get.ts';
import { AVAILABLE, type RemoteService } from './api-services.ts';
import { AGGREGATOR, remoteHeaders } from './remote-user.ts';

export interface AvailabilityOptions {
  readonly cache: WatchCache;
  readonly callout: Callout;
  readonly credentials: ClientCredentials | undefined;
  readonly timeoutMs: number;
}

export type Availability = Pick<APIServiceCondition, 'status' | 'reason' | 'message'>;

const SERVICE = declarationOf(services);
const SLICE = declarationOf(endpointslices);
const SERVICE_NAME = 'kubernetes.io/service-name';
/** Any of them may reach another endpoint; one answer is enough. */
const ATTEMPTS = 3;
const HTTPS_PORT = 443;

/** Looks. Never rejects. */
export async function checkAvailability(options: AvailabilityOptions, remote: RemoteService): Promise<Availability> {
  const { namespace = '', name = '', port = HTTPS_PORT } = remote.target.service ?? {};
  const no = (reason: string, message: string): Availability => ({ status: 'False', reason, message });
  const shown = `service/${name} in ${JSON.stringify(namespace)}`;
  const service = cached(options, SERVICE, namespace, name)?.parse<Service>();
  if (!service) return no('ServiceNotFound', `${shown} is not present`);
  if ((service.spec?.type ?? 'ClusterIP') === 'ClusterIP') {
    const found = service.spec?.ports?.find(candidate => candidate.port === port);
    if (!found) return no('ServicePortError', `${shown} is not listening on port ${port}`);
    const portName = found.name ?? '';
    if (slicesOf(options.cache, namespace, name).length === 0) {
      return no('EndpointsNotFound', `cannot find endpointslices for ${shown}`);
    }
    if (readyEndpoints({ cache: options.cache }, { namespace, name, portName }).length === 0) {
      const why = `endpoints for ${shown} have no addresses with port name ${JSON.stringify(portName)}`;
      return no('MissingEndpoints', why);
    }
  }
  const failure = await ask(options, remote);
  if (failure !== undefined) return no('FailedDiscoveryCheck', failure);
  return { status: 'True', reason: 'Passed', message: 'all checks passed' };
}

/** The slices of a service, as the cache has them. */
export function slicesOf(cache: WatchCache, namespace: string, name: string): CachedObject[] {
  const slices = cache.resource(listPrefix(SLICE, '')).list(listPrefix(SLICE, namespace));
  return slices.filter(({ labels }) => labels[SERVICE_NAME] === name);
}

/** Why the server did not answer; undefined if it did. Its certificate is not judged: a liar gains nothing here. */
async function ask(
  { callout, credentials, timeoutMs }: AvailabilityOptions,
  remote: RemoteService,
): Promise<string | undefined> {
  const path = `/apis/${remote.group}/${remote.version}`;
  const target = { service: remote.target.service, insecureSkipTLSVerify: true };
  const url = `${callout.urlOf(target).replace(/\/$/, '')}${path}`;
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const { status } = await callout.call(target, {
        method: 'GET',
        path,
        headers: { accept: 'application/json', ...remoteHeaders(AGGREGATOR) },
        timeoutMs,
        ...(credentials && { credentials }),
      });
      if (status >= 200 && status < 300) return undefined;
      failure = `bad status from ${url}: ${status}`;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
  }
  return `failing or missing response from ${url}: ${failure}`;
}

/** The conditions with the one about availability as it is now; undefined if that says what it said. */
export function conditionsAfter(
  conditions: readonly APIServiceCondition[],
  { status, reason, message }: Availability,
  now: string,
): APIServiceCondition[] | undefined {
  const index = conditions.findIndex(({ type }) => type === AVAILABLE);
  const before = conditions[index];
  if (before?.status === status && before.reason === reason && before.message === message) return undefined;
  const lastTransitionTime = before?.status === status ? (before.lastTransitionTime ?? now) : now;
  const after = { lastTransitionTime, message, reason, status, type: AVAILABLE } as APIServiceCondition;
  return index < 0 ? [...conditions, after] : conditions.map((condition, at) => (at === index ? after : condition));
}
