/**
 * Whether a webhook's rules are about a request (apiserver/pkg/admission/plugin/webhook/predicates). Pure. Policies ask the
 * same questions.
 */
import type { RuleWithOperations } from '../../../api/generated/types.ts';

/** What a request is about, as rules see it. */
export interface Asked {
  readonly operation: string;
  readonly group: string;
  readonly version: string;
  /** The plural: `pods`. */
  readonly resource: string;
  readonly subresource: string;
  /** '' for what is in none; the name of a namespace for the namespace itself. */
  readonly namespace: string;
}

export function matchesRule(rule: RuleWithOperations, asked: Asked): boolean {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [], scope = '*' } = rule;
  return (
    holds(operations, asked.operation) &&
    holds(apiGroups, asked.group) &&
    holds(apiVersions, asked.version) &&
    isInScope(scope, asked) &&
    resources.some(text => matchesResource(text, asked))
  );
}

const holds = (list: readonly string[], value: string) => list.some(item => item === '*' || item === value);

/** `pods`, `pods/status`, `pods/*`, `*`, `*` with a subresource, and all of everything as two stars. */
function matchesResource(text: string, { resource, subresource }: Asked): boolean {
  const slash = text.indexOf('/');
  const [wanted, part] = slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)];
  return (wanted === '*' || wanted === resource) && (part === '*' || part === subresource);
}

export const isNamespaces = ({ group, resource }: Pick<Asked, 'group' | 'resource'>) =>
  group === '' && resource === 'namespaces';

/** A namespace is of the cluster, though it counts as being in itself. */
function isInScope(scope: string, asked: Asked): boolean {
  if (scope === '*') return true;
  const isInNamespace = asked.namespace !== '' && !isNamespaces(asked);
  return scope === 'Namespaced' ? isInNamespace : !isInNamespace;
}

const EXEMPT = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
]);

/** Nobody may lock the way to the rules that lock it. */
export const isExempt = ({ group, resource }: Pick<Asked, 'group' | 'resource'>) =>
  group === 'admissionregistration.k8s.io' && EXEMPT.has(resource);
