/**
 * Role-based access control (k/k plugin/pkg/auth/authorizer/rbac): purely additive. What is asked is allowed if some role
 * that is bound to the user or to one of his groups has a rule that allows it.
 */
import type { PolicyRule, RoleRef } from '../../../api/generated/types.ts';
import { goQuote } from '../../../api/validation/errors.ts';
import type { Identity } from '../../types.ts';
import type { Attributes, Verdict } from '../attributes.ts';
import { type Grant, groupSubject, type IndexedRole, type RoleIndex, userSubject } from './role-index.ts';
import { allows } from './rules.ts';

type Roles = Pick<RoleIndex, 'grants' | 'role'>;

/** Decides by the roles as the index has them now. */
export function decideByRoles(index: Roles, asked: Attributes): Verdict {
  const missing: string[] = [];
  for (const grant of grantsOf(index, asked.identity, asked.namespace)) {
    const role = index.role(grant.roleRef, grant.namespace);
    if (!role) missing.push(roleMissing(grant.roleRef));
    else if (role.compiled.some(rule => allows(rule, asked))) return { allowed: true, reason: reasonOf(grant) };
  }
  return missing.length === 0 ? { allowed: false } : { allowed: false, reason: `RBAC: ${aggregate(missing)}` };
}

/** All rules that hold for a user in a namespace, and what could not be found out. */
export function rulesFor(
  index: Roles,
  identity: Identity,
  namespace: string,
): { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] } {
  const rules: PolicyRule[] = [];
  const errors: string[] = [];
  for (const grant of grantsOf(index, identity, namespace)) {
    const role = index.role(grant.roleRef, grant.namespace);
    if (role) rules.push(...role.rules);
    else errors.push(roleMissing(grant.roleRef));
  }
  return { rules, errors };
}

/** The role that a binding in `namespace` names. */
export function referredRole(index: Roles, roleRef: RoleRef, namespace: string): IndexedRole | undefined {
  return index.role(roleRef, namespace);
}

/** What holds in the whole cluster first, then what holds in the namespace. */
function* grantsOf(index: Roles, { user, groups }: Identity, namespace: string): Generator<Grant> {
  for (const place of namespace === '' ? [''] : ['', namespace]) {
    yield* index.grants(place, userSubject(user));
    for (const group of groups) yield* index.grants(place, groupSubject(group));
  }
}

/** By grant, and as long as it is there: the sentence costs more than the decision. */
const reasons = new WeakMap<Grant, string>();

function reasonOf(grant: Grant): string {
  let reason = reasons.get(grant);
  if (reason === undefined) {
    reason = sentenceOf(grant);
    reasons.set(grant, reason);
  }
  return reason;
}

function sentenceOf({ binding, namespace, roleRef, subject }: Grant): string {
  const [kind, name] = namespace === '' ? ['ClusterRoleBinding', binding] : ['RoleBinding', `${binding}/${namespace}`];
  const who = subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || namespace}` : subject.name;
  return `RBAC: allowed by ${kind} ${goQuote(name)} of ${roleRef.kind} ${goQuote(roleRef.name)} to ${subject.kind} ${goQuote(who)}`;
}

/** As client-go's listers say it. */
export const roleMissing = ({ kind, name }: Pick<RoleRef, 'kind' | 'name'>): string =>
  `${kind.toLowerCase()}.rbac.authorization.k8s.io ${goQuote(name)} not found`;

/** Go's aggregate of errors: each once. */
export function aggregate(errors: readonly string[]): string {
  const once = [...new Set(errors)];
  return once.length === 1 ? (once[0] ?? '') : `[${once.join(', ')}]`;
}
