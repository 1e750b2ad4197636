/**
 * Who may do what: administrators everything, nodes what the node authorizer says, everybody else, and nodes besides, what
 * the roles bound to them allow. A refusal counts only when it is confirmed by the latest state: a role that another master
 * has just acknowledged holds here too.
 */
import type { WatchCache } from '../cache/watch-cache.ts';
import type { Identity } from '../types.ts';
import type { Attributes, Verdict } from './attributes.ts';
import { nodeNameOf } from './authorization.ts';
import { authorizeNode } from './node-authorizer.ts';
import type { NodeReferences } from './node-references.ts';
import { decideByRoles, rulesFor } from './rbac/rbac-authorizer.ts';
import { RoleIndex } from './rbac/role-index.ts';

export const ADMINISTRATORS = 'system:masters';
const ANONYMOUS_USER = 'system:anonymous';

export interface AuthorizerOptions {
  readonly cache: WatchCache;
  readonly nodeReferences: NodeReferences;
}

export class Authorizer {
  readonly roles: RoleIndex;
  readonly #options: AuthorizerOptions;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.roles = new RoleIndex(options.cache);
  }

  /** Decides. Throws 503 as long as the roles have not been read from the store. */
  async authorize(asked: Attributes): Promise<Verdict> {
    if (isAdministrator(asked.identity) || isHealth(asked)) return { allowed: true };
    const byNode = await this.#decideForNode(asked);
    if (byNode?.allowed) return byNode;
    const { cache } = this.#options;
    if (!cache.isFilled) await cache.waitFor(0);
    let byRoles = decideByRoles(this.roles, asked);
    if (!byRoles.allowed && asked.identity.user !== ANONYMOUS_USER) {
      await cache.freshenSoon();
      byRoles = decideByRoles(this.roles, asked);
    }
    if (byRoles.allowed) return byRoles;
    const reasons = [byNode?.reason, byRoles.reason].filter(reason => reason !== undefined);
    return { allowed: false, ...(reasons.length > 0 && { reason: reasons.join('\n') }) };
  }

  /** All rules of a user in a namespace, as far as roles tell. */
  async rulesFor(identity: Identity, namespace: string): Promise<ReturnType<typeof rulesFor>> {
    await this.#options.cache.freshenSoon();
    return rulesFor(this.roles, identity, namespace);
  }

  /** Undefined for whom is no node. */
  async #decideForNode(asked: Attributes): Promise<Verdict | undefined> {
    const nodeName = nodeNameOf(asked.identity);
    if (nodeName === undefined) return undefined;
    if (!asked.isResource) return { allowed: false };
    const verdict = authorizeNode(nodeName, asked);
    if (!verdict.allowed) return verdict;
    const reason = await this.#options.nodeReferences.refuse(nodeName, asked);
    return reason === undefined ? { allowed: true } : { allowed: false, reason };
  }
}

/**
 * Supervisors and balancers have to tell a dead master from a living one before the cluster has its roles, and while the
 * roles cannot be read. With the default roles everybody may see these anyway.
 */
const HEALTH_PATHS = new Set(['/healthz', '/livez', '/readyz']);
const isHealth = ({ isResource, verb, path }: Attributes): boolean =>
  !isResource && verb === 'get' && HEALTH_PATHS.has(path);

export const isAdministrator = ({ groups }: Identity): boolean => groups.includes(ADMINISTRATORS);
