/** Validation of resource quotas. */
import type { ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { goQuote, IMMUTABLE, invalidText, invalidValue, required } from './errors.ts';
import { goStrings } from './go-text.ts';
import { qualifiedName } from './names.ts';
import { validateAnyResourceName, validateResourceQuantity } from './resources.ts';

const COMPUTE = new Set(['cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory']);
const QUOTA_RESOURCES = new Set([
  ...COMPUTE,
  'ephemeral-storage',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
const isQuotaHugePages = (name: string): boolean => /^(?:requests\.)?hugepages-/.test(name);

/** Scopes that a pod has or has not; only the others are compared with values. */
const PLAIN_SCOPES = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'CrossNamespacePodAffinity'];
const SCOPES = new Set([...PLAIN_SCOPES, 'PriorityClass', 'VolumeAttributesClass']);
/** What a quota about claims by their attributes may limit. */
const CLAIM_RESOURCES = new Set(['persistentvolumeclaims', 'requests.storage']);
const CONFLICTS = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

export function validateQuota({ spec = {}, status }: ResourceQuota): FieldError[] {
  return [
    ...validateHard(spec.hard, 'spec.hard'),
    ...validateScopes(spec),
    ...(spec.scopeSelector?.matchExpressions ?? []).flatMap((expression, index) =>
      validateExpression(expression, spec, `spec.scopeSelector.matchExpressions[${index}]`),
    ),
    ...validateHard(status?.hard, 'status.hard'),
    ...validateHard(status?.used, 'status.used'),
  ];
}

function validateHard(list: ResourceQuotaSpec['hard'], path: string): FieldError[] {
  return Object.entries(list ?? {}).flatMap(([name, text]) => {
    const field = `${path}[${name}]`;
    return [...validateName(name, field), ...validateResourceQuantity(name, parseQuantity(String(text)), field)];
  });
}

function validateName(name: string, field: string): FieldError[] {
  const isUnqualified = qualifiedName(name).length === 0 && !name.includes('/');
  const isKnown = QUOTA_RESOURCES.has(name) || isQuotaHugePages(name);
  const errors = isQuotaHugePages(name) ? [] : validateAnyResourceName(name, field);
  if (isUnqualified && !isKnown) errors.push(invalidText(field, name, 'must be a standard resource for quota'));
  return errors;
}

const goScopes = (scopes: readonly string[]): string => `[]core.ResourceQuotaScope{${scopes.map(goQuote).join(', ')}}`;

function isScopeFor(scope: string, resource: string): boolean {
  if (!SCOPES.has(scope)) return true;
  if (scope === 'VolumeAttributesClass') return CLAIM_RESOURCES.has(resource);
  return resource === 'pods' || (scope !== 'BestEffort' && COMPUTE.has(resource));
}

function validateScopes({ scopes = [], hard }: ResourceQuotaSpec): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (why: string) => errors.push(invalidText('spec.scopes', goScopes(scopes), why));
  const resources = Object.keys(hard ?? {}).filter(name => QUOTA_RESOURCES.has(name));
  for (const scope of scopes) {
    if (!SCOPES.has(scope)) refuse('unsupported scope');
    for (const resource of resources) {
      if (!isScopeFor(scope, resource)) refuse('unsupported scope applied to resource');
    }
  }
  for (const pair of CONFLICTS) if (pair.every(scope => scopes.includes(scope))) refuse('conflicting scopes');
  return errors;
}

const EXISTS_MESSAGE =
  "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

function validateExpression(
  { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement,
  { hard }: ResourceQuotaSpec,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!SCOPES.has(scopeName)) errors.push(invalidValue(`${path}.scopeName`, scopeName, 'unsupported scope'));
  for (const resource of Object.keys(hard ?? {}).filter(name => QUOTA_RESOURCES.has(name))) {
    if (isScopeFor(scopeName, resource)) continue;
    errors.push(invalidValue(`${path}.scopeName`, scopeName, 'unsupported scope applied to resource'));
  }
  if (PLAIN_SCOPES.includes(scopeName) && operator !== 'Exists') {
    errors.push(invalidValue(`${path}.operator`, operator, EXISTS_MESSAGE));
  }
  switch (operator) {
    case 'In':
    case 'NotIn': {
      const why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (values.length === 0) errors.push(required(`${path}.values`, why));
      break;
    }
    case 'Exists':
    case 'DoesNotExist': {
      const why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
      if (values.length > 0) errors.push(invalidText(`${path}.values`, goStrings(values), why));
      break;
    }
    default:
      errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
  }
  return errors;
}

/** Which pods a quota counts is said for good. */
export function validateQuotaUpdate(object: ResourceQuota, old: ResourceQuota): FieldError[] {
  const scopes = object.spec?.scopes ?? [];
  if (isEqual([...scopes].sort(), [...(old.spec?.scopes ?? [])].sort())) return [];
  return [invalidText('spec.scopes', goScopes(scopes), IMMUTABLE)];
}
