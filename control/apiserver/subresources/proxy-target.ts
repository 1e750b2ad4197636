/**
 * Whom a proxy request means: `[SCHEME:]NAME[:PORT]` of a pod, a service or a node (apimachinery: SplitSchemeNamePort),
 * and how that is reached. Ports of pods are reached through the agent of the pod's node, so that a master needs no route
 * into the pod network; other addresses are dialled.
 */
import type { Duplex } from 'node:stream';
import { pods } from '../../api/generated/kinds.ts';
import type { Pod, Service } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { ApiError, badRequest } from '../../api/status.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { cached, readConsistent } from '../verbs/get.ts';
import { type AgentCredentials, dialAgent, locateNode } from './agent.ts';
import { noCredentials } from './log.ts';
import { dialAddress, reachPod, readyEndpoints } from './reach.ts';

export interface ProxyTarget {
  readonly scheme: 'http' | 'https';
  /** Opens a connection, bare or, where `isSecured`, already under TLS. Rejects with what users are told. */
  open(): Promise<Duplex>;
  readonly isSecured: boolean;
}
interface Locating {
  readonly core: Core;
  readonly request: ResourceRequest;
  readonly credentials: AgentCredentials | undefined;
}
export interface NameParts {
  readonly scheme: '' | 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

const POD = declarationOf(pods);
const DEFAULT_PORTS = { http: '80', https: '443' } as const;

/** Takes `[SCHEME:]NAME[:PORT]` apart; undefined if it is not of that form. */
export function splitSchemeNamePort(text: string): NameParts | undefined {
  const parts = text.split(':');
  if (parts.length > 3) return undefined;
  const [scheme = '', name = '', port = ''] =
    parts.length === 3 ? parts : parts.length === 2 ? ['', ...parts] : ['', text];
  if (name === '' || (scheme !== '' && scheme !== 'http' && scheme !== 'https')) return undefined;
  return { scheme, name, port };
}

/** Throws 400 for a name of the wrong form, 404, and 503 for a service that leads nowhere. */
export async function locateTarget(locating: Locating): Promise<ProxyTarget> {
  const { kind, info } = locating.request;
  const parts = splitSchemeNamePort(info.name);
  if (!parts) throw badRequest(`invalid ${kind.singular} request ${JSON.stringify(info.name)}`);
  switch (kind.plural) {
    case 'pods':
      return podTarget(locating, parts);
    case 'services':
      return serviceTarget(locating, parts);
    default:
      return nodeTarget(locating, parts);
  }
}

export function unavailable(why: string): ApiError {
  return new ApiError('ServiceUnavailable', why);
}

async function podTarget(locating: Locating, { scheme: asked, name, port }: NameParts): Promise<ProxyTarget> {
  const { core, request } = locating;
  const pod = (await readConsistent(core, POD, { namespace: request.info.namespace, name })).parse<Pod>();
  const scheme = asked || 'http';
  const declared = pod.spec?.containers.flatMap(({ ports = [] }) => ports)[0]?.containerPort;
  if (!pod.status?.podIP) throw badRequest('address not allowed');
  return throughAgent(locating, pod, { scheme, port: port || String(declared ?? DEFAULT_PORTS[scheme]) });
}

function throughAgent(
  { core, credentials }: Locating,
  pod: Pod,
  { scheme, port }: { readonly scheme: 'http' | 'https'; readonly port: string },
): ProxyTarget {
  return { scheme, isSecured: false, open: reachPod({ core, credentials }, pod, port) };
}

/** A port is named, or numbered as the Service numbers it (k/k:pkg/registry/core/service/storage: ResourceLocation). */
async function serviceTarget(locating: Locating, { scheme: asked, name, port }: NameParts): Promise<ProxyTarget> {
  const { core, request } = locating;
  const { namespace } = request.info;
  const service = (await readConsistent(core, request.kind, { namespace, name })).parse<Service>();
  let portName = port;
  if (/^\d+$/.test(port)) {
    const found = service.spec?.ports?.find(candidate => candidate.port === Number(port));
    if (!found) throw unavailable(`no service port ${port} found for service ${JSON.stringify(name)}`);
    portName = found.name ?? '';
  }
  const candidates = readyEndpoints(core, { namespace, name, portName });
  const chosen = candidates[Math.floor(core.random() * candidates.length)];
  if (!chosen) throw unavailable(`no endpoints available for service ${JSON.stringify(request.info.name)}`);
  const scheme = asked || 'http';
  const { endpoint, port: endpointPort } = chosen;
  const { targetRef } = endpoint;
  const podName = targetRef?.kind === 'Pod' ? (targetRef.name ?? '') : '';
  const pod = podName ? cached(core, POD, namespace, podName)?.parse<Pod>() : undefined;
  if (pod?.spec?.nodeName) return throughAgent(locating, pod, { scheme, port: String(endpointPort) });
  return dialled(core, { scheme, host: endpoint.addresses[0] ?? '', port: String(endpointPort) });
}

/** A node's own port is its agent's, spoken to as the cluster's own; any other port is the client's to know. */
async function nodeTarget({ core, request, credentials }: Locating, parts: NameParts): Promise<ProxyTarget> {
  const { name, port } = parts;
  await readConsistent(core, request.kind, { namespace: '', name });
  const agent = locateNode(core, name);
  if (port === '' || Number(port) === agent.port) {
    if (!credentials) throw noCredentials();
    return { scheme: 'https', isSecured: true, open: () => dialAgent(core, agent, credentials) };
  }
  return dialled(core, { scheme: parts.scheme || 'http', host: agent.host, port });
}

function dialled(
  core: Core,
  { scheme, host, port }: { readonly scheme: 'http' | 'https'; readonly host: string; readonly port: string },
): ProxyTarget {
  return { scheme, isSecured: false, open: () => dialAddress(core, { host, port }) };
}
