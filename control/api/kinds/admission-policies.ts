/** Admission policies in CEL: ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding. */
import * as kinds from '../generated/kinds.ts';
import type { MatchResources } from '../generated/types.ts';
import { validatePolicy, validatePolicyBinding, validatePolicyStatus } from '../validation/admission-policies.ts';
import { declare, STATUS } from './declare.ts';

function defaultMatch(match: MatchResources | undefined): void {
  if (!match) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}

export const validatingAdmissionPolicy = declare(kinds.validatingadmissionpolicies, {
  statusKeepsMetadata: true,
  subresources: [STATUS],
  tracksGeneration: true,
  allowUnconditionalUpdate: false,
  defaults(policy) {
    policy.spec ??= {};
    policy.spec.failurePolicy ??= 'Fail';
    defaultMatch(policy.spec.matchConstraints);
  },
  prepareForCreate(policy) {
    policy.status = {};
  },
  validate: validatePolicy,
  validateUpdate: (policy, _old, subresource) => (subresource === 'status' ? validatePolicyStatus(policy) : []),
});

export const validatingAdmissionPolicyBinding = declare(kinds.validatingadmissionpolicybindings, {
  tracksGeneration: true,
  allowUnconditionalUpdate: false,
  defaults({ spec }) {
    defaultMatch(spec?.matchResources);
  },
  validate: validatePolicyBinding,
});
