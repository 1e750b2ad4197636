/**
 * Nobody gives what he has not (k/k pkg/registry/rbac/…/policybased): who writes a role must hold all its rules, or have the
 * verb `escalate` on it; who writes a binding must hold all rules of its role, or have the verb `bind` on that. It stands
 * with admission because it needs the object as it would be; it is asked before validation, as Kubernetes does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, PolicyRule, RoleBinding, RoleRef } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { ApiError, forbidden } from '../../api/status.ts';
import { goQuote } from '../../api/validation/errors.ts';
import { RBAC_GROUP } from '../../api/validation/rbac.ts';
import { resourceAttributes } from '../auth/attributes.ts';
import { type Authorizer, isAdministrator } from '../auth/authorizer.ts';
import { compactRules, goList, missingRules, ruleText } from '../auth/rbac/cover.ts';
import { referredRole, roleMissing } from '../auth/rbac/rbac-authorizer.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from './admission.ts';

/** Whoever may use an aggregation rule: it will grant whatever others label. */
const FULL_AUTHORITY: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

export function roleEscalation(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'RoleEscalation',
    mutate(request, states) {
      const { kind, operation, identity } = request;
      if (kind.group !== RBAC_GROUP || operation === 'DELETE' || !states.object) return undefined;
      if (isAdministrator(identity) || isOnlyForGarbageCollection(states)) return undefined;
      return refuseEscalation(authorizer, request, states);
    },
  };
}

/** Throws 403. */
async function refuseEscalation(authorizer: Authorizer, request: AdmissionRequest, states: States): Promise<void> {
  const { kind } = request;
  const isBinding = kind.kind === 'RoleBinding' || kind.kind === 'ClusterRoleBinding';
  const refusal = isBinding
    ? await refuseBinding(authorizer, request, states.object as RoleBinding)
    : await refuseRole(authorizer, request, states);
  if (refusal !== undefined) throw forbidden(resourceName(kind), states.object?.metadata?.name ?? '', refusal);
}

/** What deletion in the background does to an object must not fail because of the object's own rights. */
function isOnlyForGarbageCollection({ object, old }: States): boolean {
  if (!object || !old) return false;
  const rest = ({ metadata, ...body }: KubernetesObject) => {
    const { finalizers: _finalizers, ownerReferences: _owners, managedFields: _fields, ...others } = metadata ?? {};
    return { ...body, metadata: others };
  };
  return isDeepStrictEqual(rest(object), rest(old));
}

async function refuseRole(
  authorizer: Authorizer,
  request: AdmissionRequest,
  { object, old }: States,
): Promise<string | undefined> {
  const { identity, kind, info } = request;
  const escalate = { verb: 'escalate', group: RBAC_GROUP, resource: kind.plural };
  const asked = resourceAttributes(identity, { ...escalate, namespace: info.namespace, name: info.name });
  if ((await authorizer.authorize(asked)).allowed) return undefined;
  const role = object as ClusterRole;
  const refusal = await lacking(authorizer, request, role.rules ?? []);
  if (refusal !== undefined) return refusal;
  if (!role.aggregationRule && !(old as ClusterRole | undefined)?.aggregationRule) return undefined;
  const isAuthority = (await lacking(authorizer, request, FULL_AUTHORITY)) === undefined;
  return isAuthority ? undefined : 'must have cluster-admin privileges to use the aggregationRule';
}

async function refuseBinding(
  authorizer: Authorizer,
  request: AdmissionRequest,
  { roleRef }: RoleBinding,
): Promise<string | undefined> {
  const { identity, info } = request;
  if (!roleRef) return undefined;
  const { namespace } = info;
  const asked = resourceAttributes(identity, {
    verb: 'bind',
    group: roleRef.apiGroup,
    namespace,
    resource: roleRef.kind === 'Role' ? 'roles' : 'clusterroles',
    name: roleRef.name,
  });
  if ((await authorizer.authorize(asked)).allowed) return undefined;
  const role = referredRole(authorizer.roles, roleRef, namespace);
  if (!role) throw roleNotFound(roleRef);
  return lacking(authorizer, request, role.rules);
}

const roleNotFound = ({ kind, name }: RoleRef) =>
  new ApiError('NotFound', roleMissing({ kind, name }), {
    details: { name, group: RBAC_GROUP, kind: kind.toLowerCase() },
  });

/** Which of the rules the asker does not hold, in Kubernetes' words; undefined if he holds all. */
async function lacking(
  authorizer: Authorizer,
  { identity, info }: AdmissionRequest,
  wanted: readonly PolicyRule[],
): Promise<string | undefined> {
  const held = await authorizer.rulesFor(identity, info.namespace);
  const missing = missingRules(held.rules, wanted);
  if (missing.length === 0) return undefined;
  const texts = [...new Set(compactRules(missing).map(ruleText))].sort();
  const errors = held.errors.length > 0 ? `; resolution errors: [${held.errors.join(' ')}]` : '';
  return (
    `user ${goQuote(identity.user)} (groups=${goList(identity.groups)}) is attempting to grant RBAC permissions ` +
    `not currently held:\n${texts.join('\n')}${errors}`
  );
}
