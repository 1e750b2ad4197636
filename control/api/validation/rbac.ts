/** Validation of roles and their bindings (k/k pkg/apis/rbac/validation). */
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacV1Subject,
  Role,
  RoleBinding,
  RoleRef,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, goQuote, invalidText, notSupported, required } from './errors.ts';
import { goStrings } from './go-text.ts';
import { pathSegmentName, subdomainName } from './names.ts';
import { validateLabelSelector } from './scheduling.ts';

/** The group in which roles, users and groups are named. */
export const RBAC_GROUP = 'rbac.authorization.k8s.io';

export const validateRole = ({ rules }: Role): FieldError[] => validateRules(rules, true);

export function validateClusterRole({ rules, aggregationRule }: ClusterRole): FieldError[] {
  const errors = validateRules(rules, false);
  if (!aggregationRule) return errors;
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    errors.push(required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
  }
  for (const [index, selector] of selectors.entries()) {
    errors.push(...validateLabelSelector(selector, `${field}[${index}]`));
  }
  return errors;
}

/** Go's nil slices come as null. */
function validateRules(rules: readonly PolicyRule[] | null | undefined, isNamespaced: boolean): FieldError[] {
  return (rules ?? []).flatMap((rule, index) => validateRule(rule, isNamespaced, `rules[${index}]`));
}

function validateRule(rule: PolicyRule, isNamespaced: boolean, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const isEmpty = (list: readonly string[] | null | undefined) => (list ?? []).length === 0;
  if (isEmpty(rule.verbs)) errors.push(required(`${field}.verbs`, 'verbs must contain at least one value'));
  if (!isEmpty(rule.nonResourceURLs)) {
    const refuse = (detail: string) =>
      errors.push(invalidText(`${field}.nonResourceURLs`, goStrings(rule.nonResourceURLs), detail));
    if (isNamespaced) refuse('namespaced rules cannot apply to non-resource URLs');
    if (!isEmpty(rule.apiGroups) || !isEmpty(rule.resources) || !isEmpty(rule.resourceNames)) {
      refuse('rules cannot apply to both regular resources and non-resource URLs');
    }
    return errors;
  }
  if (isEmpty(rule.apiGroups)) {
    errors.push(required(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (isEmpty(rule.resources)) {
    errors.push(required(`${field}.resources`, 'resource rules must supply at least one resource'));
  }
  return errors;
}

export const validateRoleBinding = (object: RoleBinding): FieldError[] => validateBinding(object, true);
export const validateClusterRoleBinding = (object: ClusterRoleBinding): FieldError[] => validateBinding(object, false);

function validateBinding({ roleRef, subjects }: RoleBinding | ClusterRoleBinding, isNamespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const { apiGroup = '', kind = '', name = '' } = roleRef ?? {};
  if (apiGroup !== RBAC_GROUP) errors.push(notSupported('roleRef.apiGroup', apiGroup, [RBAC_GROUP]));
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(kind)) errors.push(notSupported('roleRef.kind', kind, kinds));
  if (name === '') errors.push(required('roleRef.name'));
  else errors.push(...byRule('roleRef.name', name, pathSegmentName(name, false)));
  for (const [index, subject] of (subjects ?? []).entries()) {
    errors.push(...validateSubject(subject, isNamespaced, `subjects[${index}]`));
  }
  return errors;
}

function validateSubject(subject: RbacV1Subject, isNamespaced: boolean, field: string): FieldError[] {
  const { kind = '', name = '', apiGroup = '', namespace = '' } = subject;
  const errors: FieldError[] = name === '' ? [required(`${field}.name`)] : [];
  switch (kind) {
    case 'ServiceAccount':
      if (name !== '') errors.push(...byRule(`${field}.name`, name, subdomainName(name, false)));
      if (apiGroup !== '') errors.push(notSupported(`${field}.apiGroup`, apiGroup, ['']));
      if (!isNamespaced && namespace === '') errors.push(required(`${field}.namespace`));
      return errors;
    case 'User':
    case 'Group':
      if (apiGroup !== RBAC_GROUP) errors.push(notSupported(`${field}.apiGroup`, apiGroup, [RBAC_GROUP]));
      return errors;
    default:
      return [...errors, notSupported(`${field}.kind`, kind, ['ServiceAccount', 'User', 'Group'])];
  }
}

/** A binding that would suddenly grant something else could be used to trick those who reviewed its subjects. */
export function validateBindingUpdate(
  { roleRef }: RoleBinding | ClusterRoleBinding,
  { roleRef: old }: RoleBinding | ClusterRoleBinding,
): FieldError[] {
  if (roleRef.apiGroup === old.apiGroup && roleRef.kind === old.kind && roleRef.name === old.name) return [];
  return [invalidText('roleRef', goRoleRef(roleRef), 'cannot change roleRef')];
}

const goRoleRef = ({ apiGroup = '', kind = '', name = '' }: RoleRef): string =>
  `rbac.RoleRef{APIGroup:${goQuote(apiGroup)}, Kind:${goQuote(kind)}, Name:${goQuote(name)}}`;
