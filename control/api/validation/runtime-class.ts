/** Validation of runtime classes. */
import type { RuntimeClass } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, IMMUTABLE, invalidValue } from './errors.ts';
import { validateLabels } from './metadata.ts';
import { dns1123Label } from './names.ts';
import { validateRequirements } from './resources.ts';
import { validateTolerations } from './scheduling.ts';

export function validateRuntimeClass({ handler, overhead, scheduling }: RuntimeClass): FieldError[] {
  return [
    ...byRule('handler', handler, dns1123Label(handler)),
    ...validateRequirements(overhead?.podFixed && { limits: overhead.podFixed }, 'overhead.podFixed'),
    ...validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
    ...validateTolerations(scheduling?.tolerations, 'scheduling.tolerations'),
  ];
}

export const validateRuntimeClassUpdate = (object: RuntimeClass, old: RuntimeClass): FieldError[] =>
  object.handler === old.handler ? [] : [invalidValue('handler', object.handler, IMMUTABLE)];
