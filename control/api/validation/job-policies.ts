/** Validation of what a job makes of failed pods and of succeeded indexes (k/k pkg/apis/batch/validation). */
import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import {
  byRule,
  duplicateValue,
  invalidValue,
  invalidWithoutValue,
  notNegative,
  oneOf,
  required,
  tooLongValue,
  tooManyValues,
} from './errors.ts';
import { checkIndexes } from './job-indexes.ts';
import { qualifiedName } from './names.ts';

const RULES_MAX = 20;
const EXIT_CODES_MAX = 255;
const PATTERNS_MAX = 20;
const SUCCEEDED_INDEXES_BYTES_MAX = 64 * 1024;
const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

export function validateFailurePolicy(spec: JobSpec, path: string): FieldError[] {
  const names = new Set(
    [...(spec.template.spec?.containers ?? []), ...(spec.template.spec?.initContainers ?? [])].map(({ name }) => name),
  );
  const rules = spec.podFailurePolicy?.rules ?? [];
  return [
    ...atMost(`${path}.rules`, rules, RULES_MAX),
    ...rules.flatMap((rule, index) => validateFailureRule(rule, `${path}.rules[${index}]`, { names, spec })),
  ];
}

function validateFailureRule(
  { action, onExitCodes, onPodConditions }: PodFailurePolicyRule,
  path: string,
  { names, spec }: { readonly names: ReadonlySet<string>; readonly spec: JobSpec },
): FieldError[] {
  const errors: FieldError[] = [];
  if (action === '') errors.push(required(`${path}.action`, 'valid values: "Count", "FailIndex", "FailJob", "Ignore"'));
  else errors.push(...oneOf(`${path}.action`, action, ACTIONS));
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalidValue(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  }
  if (onExitCodes) {
    const { operator, containerName } = onExitCodes;
    // The field may come as null.
    const values = onExitCodes.values ?? [];
    const field = `${path}.onExitCodes`;
    errors.push(...oneOf(`${field}.operator`, operator, ['In', 'NotIn']));
    if (containerName !== undefined && !names.has(containerName)) {
      errors.push(
        invalidValue(
          `${field}.containerName`,
          containerName,
          'must be one of the container or initContainer names in the pod template',
        ),
      );
    }
    if (values.length === 0) errors.push(invalidValue(`${field}.values`, values, 'at least one value is required'));
    errors.push(...atMost(`${field}.values`, values, EXIT_CODES_MAX));
    const seen = new Set<number>();
    for (const [index, value] of values.entries()) {
      if (operator === 'In' && value === 0) {
        errors.push(invalidValue(`${field}.values[${index}]`, value, 'must not be 0 for the In operator'));
      }
      if (seen.has(value)) errors.push(duplicateValue(`${field}.values[${index}]`, value));
      seen.add(value);
    }
    if (values.some((value, index) => value < (values[index - 1] ?? value))) {
      errors.push(invalidValue(`${field}.values`, values, 'must be ordered'));
    }
  }
  errors.push(...atMost(`${path}.onPodConditions`, onPodConditions ?? [], PATTERNS_MAX));
  for (const [index, { type, status }] of (onPodConditions ?? []).entries()) {
    const field = `${path}.onPodConditions[${index}]`;
    errors.push(...byRule(`${field}.type`, type, qualifiedName(type)));
    errors.push(...oneOf(`${field}.status`, status, ['False', 'True', 'Unknown']));
  }
  const count = (onExitCodes ? 1 : 0) + (onPodConditions?.length ? 1 : 0);
  if (count === 0) {
    errors.push(invalidWithoutValue(path, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
  if (count > 1) {
    errors.push(invalidWithoutValue(path, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  }
  return errors;
}

/** Only for indexed jobs; the number of their completions is judged elsewhere. */
export function validateSuccessPolicy({ successPolicy, completions = 0 }: JobSpec, path: string): FieldError[] {
  const rules = successPolicy?.rules ?? [];
  const errors = atMost(`${path}.rules`, rules, RULES_MAX);
  if (rules.length === 0) {
    errors.push(required(`${path}.rules`, 'at least one rules must be specified when the successPolicy is specified'));
  }
  return [
    ...errors,
    ...rules.flatMap((rule, index) => validateSuccessRule(rule, `${path}.rules[${index}]`, completions)),
  ];
}

function validateSuccessRule(
  { succeededIndexes, succeededCount }: SuccessPolicyRule,
  path: string,
  completions: number,
): FieldError[] {
  if (succeededIndexes === undefined && succeededCount === undefined) {
    return [required(path, 'at least one of succeededCount or succeededIndexes must be specified')];
  }
  const errors: FieldError[] = [];
  const checked = checkIndexes(succeededIndexes, completions);
  if (succeededIndexes !== undefined) {
    const field = `${path}.succeededIndexes`;
    if (succeededIndexes.length > SUCCEEDED_INDEXES_BYTES_MAX) {
      errors.push(tooLongValue(field, SUCCEEDED_INDEXES_BYTES_MAX));
    }
    if (checked.why !== undefined) {
      errors.push(invalidValue(field, succeededIndexes, `error parsing succeededIndexes: ${checked.why}`));
    }
  }
  if (succeededCount === undefined) return errors;
  const field = `${path}.succeededCount`;
  const atMostOf = (count: number, what: string) => {
    if (succeededCount <= count) return;
    errors.push(invalidValue(field, succeededCount, `must be less than or equal to ${count} (${what})`));
  };
  errors.push(...notNegative(field, succeededCount));
  atMostOf(completions, 'the number of specified completions');
  if (succeededIndexes !== undefined) {
    atMostOf(checked.count, 'the number of indexes in the specified succeededIndexes field');
  }
  return errors;
}

function atMost(field: string, values: readonly unknown[], countMax: number): FieldError[] {
  return values.length > countMax ? [tooManyValues(field, values.length, countMax)] : [];
}
