/** Role, ClusterRole, RoleBinding and ClusterRoleBinding. */
import * as kinds from '../generated/kinds.ts';
import type { ClusterRoleBinding, RoleBinding } from '../generated/types.ts';
import { pathSegmentName } from '../validation/names.ts';
import {
  RBAC_GROUP,
  validateBindingUpdate,
  validateClusterRole,
  validateClusterRoleBinding,
  validateRole,
  validateRoleBinding,
} from '../validation/rbac.ts';
import { declare } from './declare.ts';

const COMMON = { allowCreateOnUpdate: true, nameRule: pathSegmentName, judgesWholeFirst: true } as const;

export const role = declare(kinds.roles, { ...COMMON, validate: validateRole });
export const clusterRole = declare(kinds.clusterroles, { ...COMMON, validate: validateClusterRole });

export const roleBinding = declare(kinds.rolebindings, {
  ...COMMON,
  defaults: defaultBinding,
  validate: validateRoleBinding,
  validateUpdate: validateBindingUpdate,
});
export const clusterRoleBinding = declare(kinds.clusterrolebindings, {
  ...COMMON,
  defaults: defaultBinding,
  validate: validateClusterRoleBinding,
  validateUpdate: validateBindingUpdate,
});

/** Users and groups are named in RBAC's own group, service accounts in the core group. */
function defaultBinding(binding: RoleBinding | ClusterRoleBinding): void {
  // Whoever leaves the role out is told so by validation, which wants the struct to be there.
  binding.roleRef ??= { apiGroup: '', kind: '', name: '' };
  binding.roleRef.apiGroup ||= RBAC_GROUP;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= RBAC_GROUP;
  }
}
