/** What a pod says about where it may run: selectors, affinity, tolerations, spreading. */
import type {
  Affinity,
  LabelSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
  PodAntiAffinity,
  Toleration,
  TopologySpreadConstraint,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, forbiddenField, invalidValue, notSupported, oneOf, required } from './errors.ts';
import { validateLabels } from './metadata.ts';
import { labelValue, qualifiedName } from './names.ts';

/** A label selector in object form. `mayBeBad` tells of values that are no label values: some kinds allow them. */
export function validateLabelSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  if (!selector) return [];
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`);
  for (const [index, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const field = `${path}.matchExpressions[${index}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) {
          errors.push(required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) {
          errors.push(
            forbiddenField(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        }
        break;
      default:
        errors.push(invalidValue(`${field}.operator`, operator, 'not a valid selector operator'));
    }
    errors.push(...byRule(`${field}.key`, key, qualifiedName(key)));
    for (const [at, value] of values.entries())
      errors.push(...byRule(`${field}.values[${at}]`, value, labelValue(value)));
  }
  return errors;
}

function validateNodeRequirement(requirement: NodeSelectorRequirement, path: string): FieldError[] {
  const { key, operator, values = [] } = requirement;
  const errors: FieldError[] = [];
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) {
        errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) {
        errors.push(
          forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1) {
        errors.push(required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      }
      break;
    default:
      errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
  }
  return [...errors, ...byRule(`${path}.key`, key, qualifiedName(key))];
}

function validateNodeField({ key, operator, values = [] }: NodeSelectorRequirement, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (operator !== 'In' && operator !== 'NotIn') {
    errors.push(invalidValue(`${path}.operator`, operator, 'not a valid selector operator'));
  } else if (values.length !== 1) {
    errors.push(
      required(`${path}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
    );
  }
  if (key !== 'metadata.name') errors.push(invalidValue(`${path}.key`, key, 'not a valid field selector key'));
  return errors;
}

/** One term of a node selector. */
export function validateNodeTerm(term: NodeSelectorTerm, path: string): FieldError[] {
  return [
    ...(term.matchExpressions ?? []).flatMap((requirement, index) =>
      validateNodeRequirement(requirement, `${path}.matchExpressions[${index}]`),
    ),
    ...(term.matchFields ?? []).flatMap((requirement, index) =>
      validateNodeField(requirement, `${path}.matchFields[${index}]`),
    ),
  ];
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

const validateWeight = (weight: number, path: string): FieldError[] =>
  weight <= 0 || weight > 100 ? [invalidValue(`${path}.weight`, weight, 'must be in the range 1-100')] : [];

function validatePodTerm(term: PodAffinityTerm, path: string): FieldError[] {
  const { topologyKey = '' } = term;
  return [
    ...validateLabelSelector(term.labelSelector, `${path}.labelSelector`),
    ...validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`),
    ...(topologyKey === '' ? [required(`${path}.topologyKey`, 'can not be empty')] : []),
    ...byRule(`${path}.topologyKey`, topologyKey, qualifiedName(topologyKey)),
  ];
}

function validatePodAffinity(affinity: PodAffinity | PodAntiAffinity, path: string): FieldError[] {
  return [
    ...(affinity[REQUIRED] ?? []).flatMap((term, index) => validatePodTerm(term, `${path}.${REQUIRED}[${index}]`)),
    ...(affinity[PREFERRED] ?? []).flatMap(({ weight, podAffinityTerm }, index) => [
      ...validateWeight(weight, `${path}.${PREFERRED}[${index}]`),
      ...validatePodTerm(podAffinityTerm, `${path}.${PREFERRED}[${index}].podAffinityTerm`),
    ]),
  ];
}

/** `spec.affinity`. */
export function validateAffinity(affinity: Affinity | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  if (nodeAffinity) {
    const field = `${path}.nodeAffinity`;
    const terms = nodeAffinity[REQUIRED]?.nodeSelectorTerms;
    if (nodeAffinity[REQUIRED]) {
      if (!terms || terms.length === 0) {
        errors.push(required(`${field}.${REQUIRED}.nodeSelectorTerms`, 'must have at least one node selector term'));
      }
      for (const [index, term] of (terms ?? []).entries()) {
        errors.push(...validateNodeTerm(term, `${field}.${REQUIRED}.nodeSelectorTerms[${index}]`));
      }
    }
    for (const [index, { weight, preference }] of (nodeAffinity[PREFERRED] ?? []).entries()) {
      const at = `${field}.${PREFERRED}[${index}]`;
      errors.push(...validateWeight(weight, at), ...validateNodeTerm(preference, `${at}.preference`));
    }
  }
  if (podAffinity) errors.push(...validatePodAffinity(podAffinity, `${path}.podAffinity`));
  if (podAntiAffinity) errors.push(...validatePodAffinity(podAntiAffinity, `${path}.podAntiAffinity`));
  return errors;
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** The list `tolerations`. */
export function validateTolerations(tolerations: readonly Toleration[] | undefined, path: string): FieldError[] {
  return (tolerations ?? []).flatMap((toleration, index) => {
    const field = `${path}[${index}]`;
    const { key = '', operator = '', value = '', effect = '', tolerationSeconds } = toleration;
    const errors = key === '' ? [] : byRule(`${field}.key`, key, qualifiedName(key));
    if (key === '' && operator !== 'Exists') {
      errors.push(
        invalidValue(
          `${field}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(
        invalidValue(`${field}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    }
    if (operator === 'Exists') {
      if (value !== '') {
        errors.push(invalidValue(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'"));
      }
    } else if (operator === 'Equal' || operator === '') {
      const sentences = labelValue(value);
      if (sentences.length > 0) errors.push(invalidValue(`${field}.operator`, value, sentences.join(';')));
    } else errors.push(notSupported(`${field}.operator`, operator, ['Equal', 'Exists']));
    if (effect !== '') errors.push(...oneOf(`${field}.effect`, effect, EFFECTS));
    return errors;
  });
}

/** The list `topologySpreadConstraints`. */
export function validateSpread(
  constraints: readonly TopologySpreadConstraint[] | undefined,
  path: string,
): FieldError[] {
  const seen = new Set<string>();
  return (constraints ?? []).flatMap((constraint, index) => {
    const field = `${path}[${index}]`;
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, labelSelector } = constraint;
    const errors: FieldError[] = [];
    if (maxSkew <= 0) errors.push(invalidValue(`${field}.maxSkew`, maxSkew, 'must be greater than zero'));
    if (topologyKey === '') errors.push(required(`${field}.topologyKey`, 'can not be empty'));
    errors.push(...oneOf(`${field}.whenUnsatisfiable`, whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway']));
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (seen.has(pair)) {
      errors.push({
        type: 'FieldValueDuplicate',
        field: `${field}.{topologyKey, whenUnsatisfiable}`,
        message: `Duplicate value: ${JSON.stringify(pair)}`,
      });
    }
    seen.add(pair);
    if (minDomains !== undefined && minDomains <= 0) {
      errors.push(invalidValue(`${field}.minDomains`, minDomains, 'must be greater than zero'));
    }
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule') {
      const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
      errors.push(invalidValue(`${field}.minDomains`, minDomains, why));
    }
    return [...errors, ...validateLabelSelector(labelSelector, `${field}.labelSelector`)];
  });
}
