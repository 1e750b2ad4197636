/** Who has a role: the subjects of a binding, by flags. */
import type { JsonObject } from './api.ts';
import { failure } from './errors.ts';

export const RBAC = 'rbac.authorization.k8s.io';

export interface SubjectFlags {
  readonly subjectUsers?: readonly string[];
  readonly group?: readonly string[];
  readonly serviceaccount?: readonly string[];
}

/** The subjects of `--user`, `--group` and `--serviceaccount=NAMESPACE:NAME`. */
export function subjectsOf(flags: SubjectFlags): JsonObject[] {
  return [
    ...(flags.subjectUsers ?? []).map(name => ({ kind: 'User', apiGroup: RBAC, name })),
    ...(flags.group ?? []).map(name => ({ kind: 'Group', apiGroup: RBAC, name })),
    ...(flags.serviceaccount ?? []).map(text => {
      const [namespace = '', name, ...more] = text.split(':');
      if (namespace === '' || !name || more.length > 0) throw failure('serviceaccount must be <namespace>:<name>');
      return { kind: 'ServiceAccount', name, namespace };
    }),
  ];
}
