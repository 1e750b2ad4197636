/**
 * What a user may do, until roles decide it (RBAC is not there yet): masters and the control plane's own users everything,
 * a node what its agent needs, everybody who is known the discovery documents, anonymous the health and version pages.
 */
import { ApiError } from '../../api/status.ts';
import type { Identity, RequestInfo } from '../types.ts';
import { authorizeNode } from './node-authorizer.ts';

export interface AuthorizationRequest {
  readonly identity: Identity;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
}

/** allow; deny with an optional reason; undefined where the authorizer has no opinion. */
export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly reason?: string };

const ALL_POWERFUL_USERS = new Set(['system:kube-controller-manager', 'system:kube-scheduler', 'system:apiserver']);
const PUBLIC_PATHS = /^\/(version|livez|readyz|healthz)(\/.*)?$/;
const DISCOVERY_PATHS = /^\/(api|apis|openapi|openid|\.well-known)(\/.*)?$/;
const SELF_REVIEWS = new Set(['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews']);

/** Decides. Pure: what an object in the store would have to tell is left to admission. */
export function decide({ identity, info, query }: AuthorizationRequest): Verdict {
  const { user, groups } = identity;
  if (groups.includes('system:masters') || ALL_POWERFUL_USERS.has(user)) return { allowed: true };
  const isKnown = groups.includes('system:authenticated');
  if (!info.isResource) {
    const isRead = info.verb === 'get';
    const isMonitor = groups.includes('system:monitoring') && info.path === '/metrics';
    const isOpen = PUBLIC_PATHS.test(info.path) || (isKnown && isDiscovery(info.path));
    const allowed = isRead && (isOpen || isMonitor);
    return allowed ? { allowed } : { allowed };
  }
  if (isKnown && info.verb === 'create' && SELF_REVIEWS.has(info.resource)) return { allowed: true };
  if (groups.includes('system:nodes') && user.startsWith('system:node:')) {
    return authorizeNode(user.slice('system:node:'.length), info, query);
  }
  return { allowed: false };
}

const isDiscovery = (path: string) => path === '/' || DISCOVERY_PATHS.test(path);

/** The refusal as the client is told it, or undefined if the request may go on. */
export function authorize(request: AuthorizationRequest): ApiError | undefined {
  const verdict = decide(request);
  return verdict.allowed ? undefined : denial(request, verdict.reason);
}

/** The refusal in Kubernetes' words. */
export function denial({ identity, info }: AuthorizationRequest, reason: string | undefined): ApiError {
  if (!info.isResource) {
    return new ApiError('Forbidden', `forbidden: User "${identity.user}" cannot ${info.verb} path "${info.path}"`, {
      details: {},
    });
  }
  const { group, name } = info;
  const resource = info.subresource ? `${info.resource}/${info.subresource}` : info.resource;
  const qualified = group ? `${info.resource}.${group}` : info.resource;
  const where = info.namespace ? `in the namespace "${info.namespace}"` : 'at the cluster scope';
  const message =
    `${qualified}${name ? ` "${name}"` : ''} is forbidden: User "${identity.user}" cannot ${info.verb} resource ` +
    `"${resource}" in API group "${group}" ${where}${reason ? `: ${reason}` : ''}`;
  return new ApiError('Forbidden', message, {
    details: { ...(name && { name }), ...(group && { group }), kind: info.resource },
  });
}
