/** How a refusal reads, and who is a node. */
import { ApiError } from '../../api/status.ts';
import type { Identity } from '../types.ts';
import type { Attributes } from './attributes.ts';

const NODE_USER = 'system:node:';
const NODE_GROUP = 'system:nodes';

/** The name of the node that asks; undefined for whom is none. */
export function nodeNameOf({ user, groups }: Identity): string | undefined {
  return user.startsWith(NODE_USER) && groups.includes(NODE_GROUP) ? user.slice(NODE_USER.length) : undefined;
}

/** The refusal in Kubernetes' words. */
export function denial(asked: Attributes, reason: string | undefined): ApiError {
  const { identity, verb, group, name, namespace } = asked;
  const why = reason ? `: ${reason}` : '';
  if (!asked.isResource) {
    return new ApiError('Forbidden', `forbidden: User "${identity.user}" cannot ${verb} path "${asked.path}"${why}`, {
      details: {},
    });
  }
  const resource = asked.subresource ? `${asked.resource}/${asked.subresource}` : asked.resource;
  const qualified = group ? `${asked.resource}.${group}` : asked.resource;
  const where = namespace ? `in the namespace "${namespace}"` : 'at the cluster scope';
  const message =
    `${qualified}${name ? ` "${name}"` : ''} is forbidden: User "${identity.user}" cannot ${verb} resource ` +
    `"${resource}" in API group "${group}" ${where}${why}`;
  return new ApiError('Forbidden', message, {
    details: { ...(name && { name }), ...(group && { group }), kind: asked.resource },
  });
}
