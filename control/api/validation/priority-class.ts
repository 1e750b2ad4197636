/** Validation of priority classes. */
import type { PriorityClass } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, IMMUTABLE, invalidValue, oneOf } from './errors.ts';

/** Above this are only the classes of the system itself. */
const USER_VALUE_MAX = 1_000_000_000;
const SYSTEM_PREFIX = 'system-';

/** The classes that every cluster has, with the numbers that they stand for. */
export const SYSTEM_PRIORITY_CLASSES: readonly (PriorityClass & { readonly metadata: { readonly name: string } })[] = [
  {
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
];

export function validatePriorityClass(object: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  const name = object.metadata?.name ?? '';
  if (name.startsWith(SYSTEM_PREFIX)) {
    const why = whyNoSystemClass(object, name);
    if (why !== undefined) {
      const rule = "priority class names with 'system-' prefix are reserved for system use only.";
      errors.push(forbiddenField('metadata.name', `${rule} error: ${why}`));
    }
  } else if (object.value > USER_VALUE_MAX) {
    errors.push(forbiddenField('value', `maximum allowed value of a user defined priority is ${USER_VALUE_MAX}`));
  }
  if (object.preemptionPolicy !== undefined) {
    errors.push(...oneOf('preemptionPolicy', object.preemptionPolicy, ['PreemptLowerPriority', 'Never']));
  }
  return errors;
}

function whyNoSystemClass({ value, globalDefault }: PriorityClass, name: string): string | undefined {
  const known = SYSTEM_PRIORITY_CLASSES.find(({ metadata }) => metadata.name === name);
  if (!known) return `${name} is not a known system priority class`;
  if (known.value !== value) return `value of ${name} PriorityClass must be ${known.value}`;
  return globalDefault ? `globalDefault of ${name} PriorityClass must be false` : undefined;
}

/** Pods carry what their class said when they were made. */
export function validatePriorityClassUpdate(object: PriorityClass, old: PriorityClass): FieldError[] {
  return [
    ...(object.value === old.value ? [] : [forbiddenField('value', 'may not be changed in an update.')]),
    ...(object.preemptionPolicy === old.preemptionPolicy
      ? []
      : [invalidValue('preemptionPolicy', object.preemptionPolicy, IMMUTABLE)]),
  ];
}
