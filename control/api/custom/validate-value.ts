/**
 * Judges a custom resource by its schema, in the order and with the sentences of Kubernetes (kube-openapi
 * pkg/validation/validate). On an update, what is wrong but was so before is let pass where the old value can be told
 * from the new one's place (validation ratcheting, KEP-4008).
 */
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import {
  forbiddenField,
  invalidText,
  notSupported,
  required,
  tooLongValue,
  tooManyValues,
} from '../validation/errors.ts';
import { isKnownFormat, isOfFormat } from './formats.ts';
import { shownValue } from './json-value.ts';
import { matchesPattern } from './patterns.ts';
import { isJsonObject, itemsOf, type JsonObject, type JsonSchema, propertyOf, valuesOf } from './schema.ts';

/** Where an error is told. Sentences name a value by its path within the schema's root. */
export interface ValidationRoot {
  /** The field of the root itself; '' for a whole object, `status` where only that is judged. */
  readonly field: string;
}

/** What was there before, if that can be told; an object, for undefined is no JSON value. */
interface Old {
  readonly value: unknown;
}

interface Outcome {
  readonly errors: FieldError[];
  /** How many checks were made: of several alternatives that all fail, the one that made most is told. */
  checks: number;
}

/** All that is wrong with a value. With `old`, unchanged mistakes are let pass. */
export function validateValue(value: unknown, schema: JsonSchema, { field }: ValidationRoot, old?: Old): FieldError[] {
  const fieldOf = (path: string) => {
    const trimmed = path.replace(/^\./, '');
    if (field === '') return trimmed === '' ? NO_FIELD : trimmed;
    return trimmed === '' ? field : `${field}.${trimmed}`;
  };
  return new Validator(fieldOf).check(schema, value, { path: '', old }).errors;
}

/** How a field error without a path is told. */
const NO_FIELD = '<nil>';

interface Place {
  readonly path: string;
  readonly old: Old | undefined;
}

class Validator {
  readonly #fieldOf: (path: string) => string;

  constructor(fieldOf: (path: string) => string) {
    this.#fieldOf = fieldOf;
  }

  check(schema: JsonSchema, value: unknown, place: Place): Outcome {
    const outcome: Outcome = { errors: [], checks: 0 };
    this.#type(schema, value, place, outcome);
    if (value !== null) {
      this.#junctors(schema, value, place, outcome);
      if (typeof value === 'string') this.#text(schema, value, place, outcome);
      else if (typeof value === 'number') this.#number(schema, value, place, outcome);
      else if (Array.isArray(value)) this.#list(schema, value, place, outcome);
    }
    this.#enum(schema, value, place, outcome);
    if (isJsonObject(value)) this.#object(schema, value, place, outcome);
    const isOldMistake = outcome.errors.length > 0 && place.old !== undefined && isEqual(value, place.old.value);
    return isOldMistake ? { errors: [], checks: outcome.checks } : outcome;
  }

  #type(schema: JsonSchema, value: unknown, { path }: Place, outcome: Outcome): void {
    const types = typesOf(schema);
    if (types.length === 0) return;
    outcome.checks++;
    if (value === null ? schema.nullable : types.includes(typeOf(value))) return;
    if (
      typeof value === 'number' &&
      (types.includes('number') || (types.includes('integer') && Number.isInteger(value)))
    ) {
      return;
    }
    outcome.errors.push(this.#wrongType(path, types.join(','), typeOf(value)));
  }

  #wrongType(path: string, wanted: string, found: string): FieldError {
    const shown = JSON.stringify(found);
    return {
      type: 'FieldValueTypeInvalid',
      field: this.#fieldOf(path),
      message: `Invalid value: ${shown}: ${path} in body must be of type ${wanted}: ${shown}`,
    };
  }

  #text(schema: JsonSchema, value: string, { path }: Place, outcome: Outcome): void {
    outcome.checks++;
    const error = this.#textError(schema, value, path);
    if (error) outcome.errors.push(error);
    const { format = '' } = schema;
    if (format === '' || !isKnownFormat(schema.type ?? '', format)) return;
    outcome.checks++;
    if (isOfFormat(format, value) === false) outcome.errors.push(this.#wrongType(path, format, value));
  }

  /** The first thing that is wrong with a text. */
  #textError({ maxLength, minLength, pattern }: JsonSchema, value: string, path: string): FieldError | undefined {
    if (maxLength !== undefined || minLength !== undefined) {
      const length = lengthOf(value);
      if (maxLength !== undefined && length > maxLength) return tooLongValue(this.#fieldOf(path), maxLength);
      if (minLength !== undefined && length < minLength) {
        return this.#invalid(path, value, `should be at least ${minLength} chars long`);
      }
    }
    if (pattern !== undefined && pattern !== '' && !matchesPattern(pattern, value)) {
      return this.#invalid(path, value, `should match '${pattern}'`);
    }
    return undefined;
  }

  #invalid(path: string, value: unknown, detail: string): FieldError {
    return invalidText(this.#fieldOf(path), shownValue(value), `${path} in body ${detail}`);
  }

  #number(schema: JsonSchema, value: number, { path }: Place, outcome: Outcome): void {
    outcome.checks++;
    const { multipleOf, maximum, minimum, exclusiveMaximum, exclusiveMinimum, type, format = '' } = schema;
    const add = (detail: string) => outcome.errors.push(this.#invalid(path, value, detail));
    if (type === 'integer' && Number.isInteger(value) && !isInRange(value, format)) {
      const wanted = isKnownFormat('integer', format) ? `integer with format ${format}` : 'integer (default format)';
      outcome.errors.push(this.#unplaced(`Checked value must be of type ${wanted} in ${path}`));
    }
    if (multipleOf !== undefined && !isMultiple(value, multipleOf)) add(`should be a multiple of ${multipleOf}`);
    if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
      add(`should be less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
    }
    if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
      add(`should be greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
    }
  }

  #unplaced(detail: string): FieldError {
    return invalidText(this.#fieldOf(''), '""', detail);
  }

  #list(schema: JsonSchema, value: readonly unknown[], place: Place, outcome: Outcome): void {
    outcome.checks++;
    const { path } = place;
    const items = itemsOf(schema);
    if (items) {
      const oldItem = oldItems(schema, place.old);
      value.forEach((item, index) => {
        merge(outcome, this.check(items, item, { path: `${path}[${index}]`, old: oldItem(item) }));
      });
    }
    const { minItems, maxItems } = schema;
    if (minItems !== undefined && value.length < minItems) {
      outcome.errors.push(
        invalidText(
          this.#fieldOf(path),
          String(value.length),
          `${path} in body should have at least ${minItems} items`,
        ),
      );
    }
    if (maxItems !== undefined && value.length > maxItems) {
      outcome.errors.push(tooManyValues(this.#fieldOf(path), value.length, maxItems));
    }
  }

  #enum(schema: JsonSchema, value: unknown, { path }: Place, outcome: Outcome): void {
    if (!schema.enum || schema.enum.length === 0) return;
    outcome.checks++;
    if (schema.enum.some(allowed => isEqual(allowed, value))) return;
    const allowed = schema.enum.map(one => (typeof one === 'string' ? one : JSON.stringify(one)));
    const error = notSupported(this.#fieldOf(path), '', allowed);
    outcome.errors.push({ ...error, message: error.message.replace('""', () => shownValue(value)) });
  }

  #object(schema: JsonSchema, value: JsonObject, place: Place, outcome: Outcome): void {
    outcome.checks++;
    const { path } = place;
    const keys = Object.keys(value);
    const { minProperties, maxProperties, additionalProperties } = schema;
    if (minProperties !== undefined && keys.length < minProperties) {
      outcome.errors.push(
        invalidText(
          this.#fieldOf(path),
          String(keys.length),
          `${path} in body should have at least ${minProperties} properties`,
        ),
      );
    }
    if (maxProperties !== undefined && keys.length > maxProperties) {
      outcome.errors.push(tooManyValues(this.#fieldOf(path), keys.length, maxProperties));
    }
    const oldField = oldFields(schema, place.old);
    const values = valuesOf(schema);
    for (const key of keys) {
      const field = propertyOf(schema, key);
      if (field || additionalProperties === undefined) continue;
      if (additionalProperties === false) {
        outcome.errors.push(forbiddenField(this.#fieldOf(path), `${path}.${key} in body is a forbidden property`));
      } else if (values) {
        merge(outcome, this.check(values, value[key], { path: `${path}.${key}`, old: oldField(key) }));
      }
    }
    for (const [key, field] of Object.entries(schema.properties ?? {})) {
      if (!Object.hasOwn(value, key)) continue;
      const inner = path === '' ? key : `${path}.${key}`;
      merge(outcome, this.check(field, value[key], { path: inner, old: oldField(key) }));
    }
    for (const key of schema.required ?? []) {
      if (Object.hasOwn(value, key) || propertyOf(schema, key)?.default !== undefined) continue;
      outcome.errors.push(required(this.#fieldOf(`${path}.${key}`)));
    }
  }

  #junctors(schema: JsonSchema, value: unknown, place: Place, outcome: Outcome): void {
    const { anyOf = [], oneOf = [], allOf = [], not } = schema;
    if (anyOf.length + oneOf.length + allOf.length === 0 && !not) return;
    outcome.checks++;
    const name = JSON.stringify(place.path);
    // The alternatives are judged as they are: an old mistake in one says nothing of the others.
    const judge = (one: JsonSchema) => this.check(one, value, place);
    if (anyOf.length > 0) {
      const results = anyOf.map(judge);
      if (!results.some(isValid)) {
        outcome.errors.push(this.#unplaced(`${name} must validate at least one schema (anyOf)`));
        merge(outcome, best(results));
      }
    }
    if (oneOf.length > 0) {
      const results = oneOf.map(judge);
      const count = results.filter(isValid).length;
      if (count !== 1) {
        const found = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`;
        outcome.errors.push(this.#unplaced(`${name} must validate one and only one schema (oneOf). ${found}`));
        if (count === 0) merge(outcome, best(results));
      }
    }
    if (allOf.length > 0) {
      const results = allOf.map(judge);
      for (const result of results) merge(outcome, result);
      const count = results.filter(isValid).length;
      if (count !== allOf.length) {
        const none = count === 0 ? '. None validated' : '';
        outcome.errors.push(this.#unplaced(`${name} must validate all the schemas (allOf)${none}`));
      }
    }
    if (not && isValid(judge(not))) {
      outcome.errors.push(this.#unplaced(`${name} must not validate the schema (not)`));
    }
  }
}

const isValid = ({ errors }: Outcome): boolean => errors.length === 0;

function merge(into: Outcome, from: Outcome): void {
  into.errors.push(...from.errors);
  into.checks += from.checks;
}

/** The first of those that made most checks. */
const best = (results: readonly Outcome[]): Outcome =>
  results.reduce((found, result) => (result.checks > found.checks ? result : found));

function typesOf(schema: JsonSchema): readonly string[] {
  if (schema['x-kubernetes-int-or-string']) return ['integer', 'string'];
  return schema.type ? [schema.type] : [];
}

/** What JSON Schema calls the value's type. */
function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** Characters, not UTF-16 units. */
function lengthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const INT32_MAX = 2_147_483_647;
const INT64_MAX = 2 ** 63;

function isInRange(value: number, format: string): boolean {
  if (format === 'int32') return value <= INT32_MAX && value >= -INT32_MAX - 1;
  return Math.abs(value) <= INT64_MAX;
}

/** In decimal: 0.3 is a multiple of 0.1, whatever doubles make of it. */
function isMultiple(value: number, factor: number): boolean {
  if (Number.isInteger(value) && Number.isInteger(factor)) return value % factor === 0;
  const quotient = value / factor;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9 * Math.max(1, Math.abs(quotient));
}

/** The old value of a field, where fields are told apart by their names. */
function oldFields(schema: JsonSchema, old: Old | undefined): (key: string) => Old | undefined {
  const before = old?.value;
  if (!isJsonObject(before) || schema['x-kubernetes-map-type'] === 'atomic') return () => undefined;
  return key => (Object.hasOwn(before, key) ? { value: before[key] } : undefined);
}

/** The old value of an item, where items are told apart by their keys. */
function oldItems(schema: JsonSchema, old: Old | undefined): (item: unknown) => Old | undefined {
  const before = old?.value;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (!Array.isArray(before) || schema['x-kubernetes-list-type'] !== 'map' || keys.length === 0) return () => undefined;
  const items = itemsOf(schema);
  const nameOf = (item: unknown) =>
    isJsonObject(item)
      ? JSON.stringify(keys.map(key => item[key] ?? propertyOf(items, key)?.default ?? null))
      : undefined;
  let byName: Map<string | undefined, Old> | undefined;
  return item => {
    byName ??= new Map(before.map(one => [nameOf(one), { value: one }]));
    const name = nameOf(item);
    return name === undefined ? undefined : byName.get(name);
  };
}
