/** Makers of {@link FieldError}s, with the sentences of apimachinery's field.Error. */
import type { FieldError } from '../status.ts';

/** A value as Go prints it in messages: strings quoted, numbers and booleans plain. What is missing is the text "null". */
function goValue(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  if (value === null || value === undefined) return GO_NULL;
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

/** How field.Error shows a nil: it puts a text in its place, which is quoted like any other. */
export const GO_NULL = '"null"';

/** Go's %q for text. */
export function goQuote(text: string): string {
  return JSON.stringify(text).replaceAll('\\u00', '\\x').replaceAll('\\b', '\\b');
}

export const invalidValue = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  message: `Invalid value: ${goValue(value)}: ${detail}`,
});

/** The same where the message shows no value (field.OmitValueType). */
export const invalidWithoutValue = (field: string, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  message: `Invalid value: ${detail}`,
});

/** The same where Go's text of the value is none that {@link goValue} can make. */
export const invalidText = (field: string, text: string, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field,
  message: `Invalid value: ${text}: ${detail}`,
});

export const required = (field: string, detail = ''): FieldError => ({
  type: 'FieldValueRequired',
  field,
  message: detail === '' ? 'Required value' : `Required value: ${detail}`,
});

export const forbiddenField = (field: string, detail: string): FieldError => ({
  type: 'FieldValueForbidden',
  field,
  message: `Forbidden: ${detail}`,
});

/** `supported` is shown in the given order. */
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  type: 'FieldValueNotSupported',
  field,
  message: `Unsupported value: ${goValue(value)}${
    supported.length > 0 ? `: supported values: ${supported.map(goQuote).join(', ')}` : ''
  }`,
});

export const duplicateValue = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueDuplicate',
  field,
  message: `Duplicate value: ${goValue(value)}`,
});

export const notFoundValue = (field: string, value: unknown): FieldError => ({
  type: 'FieldValueNotFound',
  field,
  message: `Not found: ${goValue(value)}`,
});

export const tooLongValue = (field: string, lengthMax: number): FieldError => ({
  type: 'FieldValueTooLong',
  field,
  message: `Too long: may not be more than ${lengthMax} bytes`,
});

export const tooManyValues = (field: string, count: number, countMax: number): FieldError => ({
  type: 'FieldValueTooMany',
  field,
  message: `Too many: ${count}: must have at most ${countMax} items`,
});

export const IMMUTABLE = 'field is immutable';
export const NOT_NEGATIVE = 'must be greater than or equal to 0';

/** One error for each sentence of a rule. */
export const byRule = (field: string, value: string, sentences: readonly string[]): FieldError[] =>
  sentences.map(sentence => invalidValue(field, value, sentence));

/** An error if a number that is there is below zero. */
export const notNegative = (field: string, value: number | undefined | null): FieldError[] =>
  typeof value === 'number' && value < 0 ? [invalidValue(field, value, NOT_NEGATIVE)] : [];

/** An error if the value is not one of `supported`. */
export const oneOf = (field: string, value: string, supported: readonly string[]): FieldError[] =>
  supported.includes(value) ? [] : [notSupported(field, value, supported)];
