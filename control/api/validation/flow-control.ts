/** Validation of flow schemas and priority levels. */
import type {
  FlowSchema,
  LimitedPriorityLevelConfiguration,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  PriorityLevelConfiguration,
  QueuingConfiguration,
  ResourcePolicyRule,
  Subject,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, forbiddenField, invalidText, invalidValue, oneOf, required } from './errors.ts';
import { goStrings } from './go-text.ts';
import { dns1123Label, dns1123Subdomain, pathSegment } from './names.ts';

const PRECEDENCE_MAX = 10_000;
const EXEMPT = 'exempt';
const QUEUES_MAX = 10_000_000;
const PERCENT_MAX = 100;
/** The entropy with which queues are dealt out (Kubernetes' shuffle sharding). */
const ENTROPY_BITS_MAX = 60;
const VERBS = ['*', 'create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

export function validateFlowSchema({ metadata, spec }: FlowSchema): FieldError[] {
  const { matchingPrecedence: precedence = 0, distinguisherMethod, priorityLevelConfiguration, rules } = spec ?? {};
  const field = 'spec.matchingPrecedence';
  const errors: FieldError[] = [];
  if (precedence <= 0) errors.push(invalidValue(field, precedence, 'must be a positive value'));
  if (precedence > PRECEDENCE_MAX) {
    errors.push(invalidValue(field, precedence, `must not be greater than ${PRECEDENCE_MAX}`));
  }
  if (precedence === 1 && metadata?.name !== EXEMPT) {
    errors.push(invalidValue(field, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  }
  if (distinguisherMethod) {
    errors.push(...oneOf('spec.distinguisherMethod', distinguisherMethod.type, ['ByNamespace', 'ByUser']));
  }
  const level = priorityLevelConfiguration?.name ?? '';
  const levelField = 'spec.priorityLevelConfiguration.name';
  if (level === '') errors.push(required(levelField, 'must reference a priority level'));
  else errors.push(...byRule(levelField, level, dns1123Subdomain(level)));
  return [...errors, ...(rules ?? []).flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`))];
}

function validateRule(rule: PolicyRulesWithSubjects, path: string): FieldError[] {
  const { subjects, resourceRules = [], nonResourceRules = [] } = rule;
  const errors = (subjects ?? []).flatMap((subject, index) => validateSubject(subject, `${path}.subjects[${index}]`));
  if ((subjects ?? []).length === 0) {
    errors.push(required(`${path}.subjects`, 'subjects must contain at least one value'));
  }
  if (resourceRules.length === 0 && nonResourceRules.length === 0) {
    errors.push(required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  }
  return [
    ...errors,
    ...resourceRules.flatMap((each, index) => validateResourceRule(each, `${path}.resourceRules[${index}]`)),
    ...nonResourceRules.flatMap((each, index) => validateUrlRule(each, `${path}.nonResourceRules[${index}]`)),
  ];
}

function validateSubject({ kind, user, group, serviceAccount }: Subject, path: string): FieldError[] {
  const parts = { User: ['user', user], Group: ['group', group], ServiceAccount: ['serviceAccount', serviceAccount] };
  const errors = oneOf(`${path}.kind`, kind, ['Group', 'ServiceAccount', 'User']);
  if (errors.length > 0) return errors;
  for (const [word, [field, part]] of Object.entries(parts) as [string, [string, { name?: string } | undefined]][]) {
    if (word === kind && !part)
      errors.push(required(`${path}.${field}`, `${field} is required when subject kind is '${word}'`));
    if (word !== kind && part) {
      errors.push(forbiddenField(`${path}.${field}`, `${field} is forbidden when subject kind is not '${word}'`));
    }
    if (word === kind && part && !part.name) errors.push(required(`${path}.${field}.name`));
  }
  if (kind === 'ServiceAccount' && serviceAccount) errors.push(...validateAccount(serviceAccount, path));
  return errors;
}

function validateAccount({ name, namespace }: { name: string; namespace: string }, path: string): FieldError[] {
  const field = `${path}.serviceAccount`;
  const errors = name === '' || name === '*' ? [] : byRule(`${field}.name`, name, dns1123Subdomain(name));
  if (namespace === '')
    return [...errors, required(`${field}.namespace`, 'must specify namespace for service account')];
  return [...errors, ...byRule(`${field}.namespace`, namespace, dns1123Label(namespace))];
}

/** `*` alone means all; among others it means nothing. */
function validateWildcard(list: readonly string[], field: string): FieldError[] {
  if (list.length < 2 || !list.includes('*')) return [];
  return [invalidText(field, goStrings(list), "if '*' is present, must not specify other values")];
}

function validateResourceRule(rule: ResourcePolicyRule, path: string): FieldError[] {
  const { verbs, apiGroups, resources, namespaces, clusterScope } = rule;
  const errors: FieldError[] = [];
  const some = (list: readonly string[] | undefined, name: string, why: string) => {
    if ((list ?? []).length === 0) errors.push(required(`${path}.${name}`, why));
    else errors.push(...validateWildcard(list ?? [], `${path}.${name}`));
  };
  some(verbs, 'verbs', 'verbs must contain at least one value');
  for (const verb of verbs ?? []) errors.push(...oneOf(`${path}.verbs`, verb, VERBS));
  some(apiGroups, 'apiGroups', 'resource rules must supply at least one api group');
  some(resources, 'resources', 'resource rules must supply at least one resource');
  if ((namespaces ?? []).length === 0) {
    const why = 'resource rules that are not cluster scoped must supply at least one namespace';
    if (!clusterScope) errors.push(required(`${path}.namespaces`, why));
    return errors;
  }
  errors.push(...validateWildcard(namespaces ?? [], `${path}.namespaces`));
  for (const [index, name] of (namespaces ?? []).entries()) {
    if (name === '*') continue;
    errors.push(...byRule(`${path}.namespaces[${index}]`, name, dns1123Label(name)));
  }
  return errors;
}

function validateUrlRule({ verbs, nonResourceURLs: urls }: NonResourcePolicyRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if ((verbs ?? []).length === 0) errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
  else errors.push(...validateWildcard(verbs, `${path}.verbs`));
  if ((urls ?? []).length === 0) {
    return [...errors, required(`${path}.nonResourceURLs`, 'nonResourceURLs must contain at least one value')];
  }
  if (urls.includes('*')) return [...errors, ...validateWildcard(urls, `${path}.nonResourceURLs`)];
  return [...errors, ...urls.flatMap((url, index) => validateUrl(url, `${path}.nonResourceURLs[${index}]`))];
}

function validateUrl(url: string, field: string): FieldError[] {
  const refuse = (why: string) => [invalidValue(field, url, why)];
  if (url === '') return refuse('nonResourceURL must not be empty');
  if (url === '/') return [];
  if (!url.startsWith('/')) return refuse("nonResourceURL must start with '/'");
  if (url.includes(' ')) return refuse('nonResourceURL must not contain white-space');
  if (url.includes('//')) return refuse('nonResourceURL must not contain double slash');
  const segments = url.split('/').slice(1);
  const isBad = segments.some((segment, index) => {
    if (segment === '*') return index !== segments.length - 1;
    return segment.includes('*') || pathSegment(segment).length > 0;
  });
  return isBad ? refuse("wildcard can only do suffix matching, as in '/healthz/*'") : [];
}

export function validatePriorityLevel({ metadata, spec }: PriorityLevelConfiguration): FieldError[] {
  const { type = '', limited, exempt } = spec ?? {};
  const errors: FieldError[] = [];
  const isExemptName = metadata?.name === EXEMPT;
  if (isExemptName !== (type === 'Exempt')) {
    errors.push(invalidValue('spec.type', type, `type must be 'Exempt' if and only if name is 'exempt'`));
  }
  switch (type) {
    case 'Exempt':
      if (limited) errors.push(forbiddenField('spec.limited', 'must be nil if the type is not Limited'));
      return [...errors, ...validateShares(exempt ?? {}, 'spec.exempt')];
    case 'Limited':
      if (exempt) errors.push(forbiddenField('spec.exempt', 'must be nil if the type is Limited'));
      if (!limited) return [...errors, required('spec.limited', 'must not be empty when type is Limited')];
      return [...errors, ...validateLimited(limited, 'spec.limited')];
    default:
      return [...errors, ...oneOf('spec.type', type, ['Exempt', 'Limited'])];
  }
}

function validateShares(
  { nominalConcurrencyShares: shares = 0, lendablePercent = 0 }: LimitedPriorityLevelConfiguration,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (shares < 0) {
    errors.push(invalidValue(`${path}.nominalConcurrencyShares`, shares, 'must be a non-negative integer'));
  }
  if (lendablePercent < 0 || lendablePercent > PERCENT_MAX) {
    errors.push(invalidValue(`${path}.lendablePercent`, lendablePercent, 'must be between 0 and 100, inclusive'));
  }
  return errors;
}

function validateLimited(limited: LimitedPriorityLevelConfiguration, path: string): FieldError[] {
  const { limitResponse, borrowingLimitPercent: borrowing = 0 } = limited;
  const errors: FieldError[] = [];
  const field = `${path}.limitResponse`;
  const { type = '', queuing } = limitResponse ?? {};
  if (type === 'Reject' && queuing) {
    errors.push(forbiddenField(`${field}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
  } else if (type === 'Queue') {
    if (queuing) errors.push(...validateQueuing(queuing, `${field}.queuing`));
    else errors.push(required(`${field}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
  } else if (type !== 'Reject') errors.push(...oneOf(`${field}.type`, type, ['Queue', 'Reject']));
  errors.push(...validateShares(limited, path));
  if (borrowing < 0) {
    const why = 'if specified, must be a non-negative integer';
    errors.push(invalidValue(`${path}.borrowingLimitPercent`, borrowing, why));
  }
  return errors;
}

function validateQueuing(queuing: QueuingConfiguration, path: string): FieldError[] {
  const { queueLengthLimit = 0, queues = 0, handSize = 0 } = queuing;
  const errors: FieldError[] = [];
  const refuse = (name: string, value: number, why: string) => errors.push(invalidValue(`${path}.${name}`, value, why));
  if (queueLengthLimit <= 0) refuse('queueLengthLimit', queueLengthLimit, 'must be positive');
  if (queues <= 0) refuse('queues', queues, 'must be positive');
  else if (queues > QUEUES_MAX) refuse('queues', queues, `must not be greater than ${QUEUES_MAX}`);
  if (handSize <= 0) refuse('handSize', handSize, 'must be positive');
  else if (handSize > queues) refuse('handSize', handSize, `should not be greater than queues (${queues})`);
  else if (entropyBits(queues, handSize) > ENTROPY_BITS_MAX) {
    const why = `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${ENTROPY_BITS_MAX}`;
    refuse('handSize', handSize, why);
  }
  return errors;
}

/** Bits of a hash that dealing a hand takes. */
function entropyBits(deckSize: number, handSize: number): number {
  let bits = 0;
  for (let dealt = 0; dealt < handSize; dealt++) bits += Math.log2(deckSize - dealt);
  return Math.ceil(bits);
}
