/** Validation of what a job makes of pods that failed and of indexes that succeeded. */
import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import {
  byRule,
  duplicateValue,
  goQuote,
  invalidText,
  invalidValue,
  invalidWithoutValue,
  notNegative,
  oneOf,
  required,
  tooLongValue,
  tooManyValues,
} from './errors.ts';
import { goInts } from './go-text.ts';
import { checkIndexes } from './job-indexes.ts';
import { qualifiedName } from './names.ts';

const FAILURE_RULES_MAX = 20;
const EXIT_CODES_MAX = 255;
const CONDITION_PATTERNS_MAX = 20;
const SUCCESS_RULES_MAX = 20;
const SUCCEEDED_INDEXES_BYTES_MAX = 64 * 1_024;

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const OPERATORS = ['In', 'NotIn'];

/** A word that is missing is asked for, with those that there are; another one is refused. */
function word(field: string, value: string, words: readonly string[]): FieldError[] {
  if (value !== '') return oneOf(field, value, words);
  return [required(field, `valid values: [${words.map(goQuote).join(' ')}]`)];
}

/** `path` is that of the job's spec, which has the policy. */
export function validateFailurePolicy(spec: JobSpec, path: string): FieldError[] {
  const field = `${path}.podFailurePolicy.rules`;
  const rules = spec.podFailurePolicy?.rules ?? [];
  const { containers = [], initContainers = [] } = spec.template.spec ?? {};
  const names = new Set([...containers, ...initContainers].map(({ name }) => name));
  return [
    ...(rules.length > FAILURE_RULES_MAX ? [tooManyValues(field, rules.length, FAILURE_RULES_MAX)] : []),
    ...rules.flatMap((rule, index) => validateFailureRule(rule, `${field}[${index}]`, { names, spec })),
  ];
}

interface RuleContext {
  readonly names: ReadonlySet<string>;
  readonly spec: JobSpec;
}

function validateFailureRule(rule: PodFailurePolicyRule, path: string, { names, spec }: RuleContext): FieldError[] {
  const { action, onExitCodes, onPodConditions } = rule;
  const errors = word(`${path}.action`, action, ACTIONS);
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalidValue(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'));
  }
  if (onExitCodes) errors.push(...validateExitCodes(onExitCodes, `${path}.onExitCodes`, names));
  errors.push(...validateConditions(onPodConditions ?? [], `${path}.onPodConditions`));
  const count = (onExitCodes ? 1 : 0) + (onPodConditions?.length ? 1 : 0);
  if (count === 0) {
    errors.push(invalidWithoutValue(path, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
  if (count > 1) {
    errors.push(invalidWithoutValue(path, 'specifying both OnExitCodes and OnPodConditions is not supported'));
  }
  return errors;
}

function validateExitCodes(
  { operator, containerName, values }: NonNullable<PodFailurePolicyRule['onExitCodes']>,
  path: string,
  names: ReadonlySet<string>,
): FieldError[] {
  const errors = word(`${path}.operator`, operator, OPERATORS);
  if (containerName !== undefined && !names.has(containerName)) {
    const why = 'must be one of the container or initContainer names in the pod template';
    errors.push(invalidValue(`${path}.containerName`, containerName, why));
  }
  // The field may come as null.
  const codes = values ?? [];
  const field = `${path}.values`;
  if (codes.length === 0) errors.push(invalidText(field, goInts(values), 'at least one value is required'));
  if (codes.length > EXIT_CODES_MAX) errors.push(tooManyValues(field, codes.length, EXIT_CODES_MAX));
  const seen = new Set<number>();
  for (const [index, code] of codes.entries()) {
    const at = `${field}[${index}]`;
    if (operator === 'In' && code === 0) errors.push(invalidValue(at, code, 'must not be 0 for the In operator'));
    if (seen.has(code)) errors.push(duplicateValue(at, code));
    seen.add(code);
  }
  const isOrdered = codes.every((code, index) => index === 0 || (codes[index - 1] as number) <= code);
  if (!isOrdered) errors.push(invalidText(field, goInts(codes), 'must be ordered'));
  return errors;
}

function validateConditions(
  patterns: NonNullable<PodFailurePolicyRule['onPodConditions']>,
  path: string,
): FieldError[] {
  const count = patterns.length;
  return [
    ...(count > CONDITION_PATTERNS_MAX ? [tooManyValues(path, count, CONDITION_PATTERNS_MAX)] : []),
    ...patterns.flatMap(({ type, status }, index) => [
      ...byRule(`${path}[${index}].type`, type, qualifiedName(type)),
      ...word(`${path}[${index}].status`, status, ['False', 'True', 'Unknown']),
    ]),
  ];
}

/** Of an indexed job. `path` is that of the job's spec, which has the policy. */
export function validateSuccessPolicy({ successPolicy, completions }: JobSpec, path: string): FieldError[] {
  const field = `${path}.successPolicy.rules`;
  const rules = successPolicy?.rules ?? [];
  const errors: FieldError[] = [];
  if (rules.length === 0) {
    errors.push(required(field, 'at least one rules must be specified when the successPolicy is specified'));
  }
  if (rules.length > SUCCESS_RULES_MAX) errors.push(tooManyValues(field, rules.length, SUCCESS_RULES_MAX));
  // How many indexes there are is asked for elsewhere; without it nothing can be said of them.
  if (completions === undefined) return errors;
  return [...errors, ...rules.flatMap((rule, index) => validateSuccessRule(rule, `${field}[${index}]`, completions))];
}

function validateSuccessRule(
  { succeededIndexes: indexes, succeededCount: count }: SuccessPolicyRule,
  path: string,
  completions: number,
): FieldError[] {
  if (indexes === undefined && count === undefined) {
    return [required(path, 'at least one of succeededCount or succeededIndexes must be specified')];
  }
  const errors: FieldError[] = [];
  let total = 0;
  if (indexes !== undefined) {
    const field = `${path}.succeededIndexes`;
    if (Buffer.byteLength(indexes) > SUCCEEDED_INDEXES_BYTES_MAX) {
      errors.push(tooLongValue(field, SUCCEEDED_INDEXES_BYTES_MAX));
    }
    const checked = checkIndexes(indexes, completions);
    total = checked.count;
    if (checked.why !== undefined) {
      errors.push(invalidValue(field, indexes, `error parsing succeededIndexes: ${checked.why}`));
    }
  }
  if (count === undefined) return errors;
  const field = `${path}.succeededCount`;
  const atMost = (most: number, what: string) => {
    if (count > most) errors.push(invalidValue(field, count, `must be less than or equal to ${most} (${what})`));
  };
  errors.push(...notNegative(field, count));
  atMost(completions, 'the number of specified completions');
  if (indexes !== undefined) atMost(total, 'the number of indexes in the specified succeededIndexes field');
  return errors;
}
