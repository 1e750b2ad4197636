/** Groups of the Kubernetes community need the approval of its reviewers (KEP-2337). */
import type { CustomResourceDefinition } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { invalidValue, required } from '../validation/errors.ts';

const APPROVED_ANNOTATION = 'api-approved.kubernetes.io';

export type Approval = 'approved' | 'bypassed' | 'missing' | 'invalid';

export function isProtectedGroup(group: string): boolean {
  return ['k8s.io', 'kubernetes.io'].some(domain => group === domain || group.endsWith(`.${domain}`));
}

/** What the annotation says, and why. */
export function approvalOf({ metadata }: CustomResourceDefinition): {
  readonly state: Approval;
  readonly reason: string;
} {
  const value = metadata?.annotations?.[APPROVED_ANNOTATION] ?? '';
  if (value === '') {
    return {
      state: 'missing',
      reason: `protected groups must have approval annotation "${APPROVED_ANNOTATION}", see https://github.com/kubernetes/enhancements/pull/1111`,
    };
  }
  if (value.startsWith('unapproved')) return { state: 'bypassed', reason: `not approved: "${value}"` };
  // net/url.Parse takes nearly everything; it is the scheme and the host that must be there.
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/]+/i.test(value)) return { state: 'approved', reason: `approved in ${value}` };
  return {
    state: 'invalid',
    reason: `protected groups must have approval annotation "${APPROVED_ANNOTATION}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`,
  };
}

/** A definition keeps what it has; only a change for the worse is refused. */
export function validateApproval(
  crd: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): FieldError[] {
  if (!isProtectedGroup(crd.spec.group)) return [];
  const { state, reason } = approvalOf(crd);
  if (old && approvalOf(old).state === state) return [];
  const path = `metadata.annotations[${APPROVED_ANNOTATION}]`;
  if (state === 'missing') return [required(path, reason)];
  const value = crd.metadata?.annotations?.[APPROVED_ANNOTATION] ?? '';
  return state === 'invalid' ? [invalidValue(path, value, reason)] : [];
}
