/** Numbers of pods that may also be given as a share of them: `2` or `25%`. */
import type { FieldError } from '../status.ts';
import { invalidText, notNegative } from './errors.ts';
import { goIntOrString } from './go-text.ts';

const PERCENT = /^\d+%$/;
const PERCENT_MESSAGE =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/** A number of pods, or a share of them. */
export function validateShare(value: number | string | undefined, field: string): FieldError[] {
  if (typeof value === 'number') return notNegative(field, value);
  if (value === undefined || PERCENT.test(value)) return [];
  return [invalidText(field, goIntOrString(value), PERCENT_MESSAGE)];
}

/** A share that is not more than all. */
export function validateAtMostAll(value: number | string | undefined, field: string): FieldError[] {
  if (typeof value !== 'string' || !PERCENT.test(value) || Number.parseInt(value, 10) <= 100) return [];
  return [invalidText(field, goIntOrString(value), 'must not be greater than 100%')];
}
