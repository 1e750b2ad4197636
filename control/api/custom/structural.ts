/**
 * Whether a schema is structural: each value has its type in one place, and what judges values only judges
 * (apiextensions-apiserver pkg/apiserver/schema/validation.go and complete.go).
 */
import type { FieldError } from '../status.ts';
import { forbiddenField, invalidValue, required } from '../validation/errors.ts';
import { checkPattern, PatternError } from './patterns.ts';
import { itemsOf, type JsonSchema, valuesOf } from './schema.ts';

/** Where in the schema a node stands. */
type Level = 'root' | 'field' | 'item';

/** What makes a schema not structural, in the order of the sentences. */
export function validateStructural(schema: JsonSchema, path: string): FieldError[] {
  const errors = [...invariants(schema, 'root', path), ...completeness(schema, schema, { path, told: path })];
  const sentence = ({ field, message }: FieldError) => `${field}: ${message}`;
  return errors.sort((a, b) => (sentence(a) < sentence(b) ? -1 : 1));
}

function invariants(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const items = itemsOf(schema);
  const values = valuesOf(schema);
  const hasValues = schema.additionalProperties !== undefined;
  return [
    ...(schema.type === 'array' && schema.items === undefined ? [required(`${path}.items`, 'must be specified')] : []),
    ...(items ? invariants(items, 'item', `${path}.items`) : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      invariants(property, 'field', `${path}.properties[${name}]`),
    ),
    ...(hasValues && level === 'root'
      ? [forbiddenField(`${path}.additionalProperties`, 'must not be used at the root')]
      : []),
    ...(values ? invariants(values, 'field', `${path}.additionalProperties`) : []),
    ...extensions(schema, path),
    ...judgements(schema, path, {
      skipsAnyOf: isIntOrString(schema.anyOf),
      skipsFirstAllOf: isIntOrString(schema.allOf?.[0]?.anyOf),
    }),
    ...typeRules(schema, level, path),
    ...metaRules(schema, level, path),
  ];
}

function extensions(schema: JsonSchema, path: string): FieldError[] {
  if (!schema['x-kubernetes-int-or-string']) return [];
  const why = 'must be false if x-kubernetes-int-or-string is true';
  return ['x-kubernetes-preserve-unknown-fields' as const, 'x-kubernetes-embedded-resource' as const]
    .filter(key => schema[key])
    .map(key => invalidValue(`${path}.${key}`, true, why));
}

const EMPTY_TYPE: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

function typeRules(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const { type = '' } = schema;
  const isResource = schema['x-kubernetes-embedded-resource'] === true;
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const errors: FieldError[] = [];
  if (isResource && type !== 'object') {
    const why = 'must be object if x-kubernetes-embedded-resource is true';
    errors.push(type === '' ? required(`${path}.type`, why) : invalidValue(`${path}.type`, type, why));
  } else if (type === '' && !schema['x-kubernetes-int-or-string'] && !keepsUnknown) {
    errors.push(required(`${path}.type`, EMPTY_TYPE[level]));
  }
  if (isResource && schema.additionalProperties !== undefined) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'),
    );
  }
  if (level === 'root' && type !== '' && type !== 'object') {
    errors.push(invalidValue(`${path}.type`, type, 'must be object at the root'));
  }
  if (isResource && !keepsUnknown && Object.keys(schema.properties ?? {}).length === 0) {
    const why =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    errors.push(required(`${path}.properties`, why));
  }
  return errors;
}

/** What every object has may be told, but not otherwise than it is. */
function metaRules(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const { properties = {} } = schema;
  const isObject = level === 'root' || schema['x-kubernetes-embedded-resource'] === true;
  const errors: FieldError[] = [];
  for (const name of ['kind', 'apiVersion']) {
    const property = properties[name];
    if (isObject && property && property.type !== 'string') {
      errors.push(invalidValue(`${path}.properties[${name}].type`, property.type ?? '', 'must be string'));
    }
  }
  const { metadata } = properties;
  if (!metadata) return errors;
  const where = `${path}.properties[metadata]`;
  if (isObject && metadata.type !== 'object') {
    errors.push(invalidValue(`${where}.type`, metadata.type ?? '', 'must be object'));
  }
  if (level === 'root' && !saysOnlyNames(metadata)) {
    const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    errors.push(forbiddenField(where, why));
  }
  return errors;
}

function saysOnlyNames({ type: _type, default: _default, properties, ...rest }: JsonSchema): boolean {
  const isBare = Object.keys(rest).every(key => key === 'externalDocs' || key === 'example' || key === '$schema');
  return isBare && Object.keys(properties ?? {}).every(name => name === 'name' || name === 'generateName');
}

interface Skips {
  readonly skipsAnyOf?: boolean;
  readonly skipsFirstAllOf?: boolean;
}

/** The parts of a node that judge values: they must not tell what a value is. */
function judgements(schema: JsonSchema, path: string, { skipsAnyOf, skipsFirstAllOf }: Skips = {}): FieldError[] {
  const { anyOf = [], allOf = [], oneOf = [], not, pattern } = schema;
  return [
    ...(skipsAnyOf ? [] : anyOf.flatMap((one, index) => nested(one, `${path}.anyOf[${index}]`))),
    ...allOf.flatMap((one, index) => {
      return nested(one, `${path}.allOf[${index}]`, { skipsAnyOf: skipsFirstAllOf === true && index === 0 });
    }),
    ...oneOf.flatMap((one, index) => nested(one, `${path}.oneOf[${index}]`)),
    ...(not ? nested(not, `${path}.not`) : []),
    ...patternErrors(pattern, path),
  ];
}

function patternErrors(pattern: string | undefined, path: string): FieldError[] {
  if (!pattern) return [];
  try {
    checkPattern(pattern);
    return [];
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return [
      invalidValue(`${path}.pattern`, pattern, `must be a valid regular expression, but isn't: ${error.message}`),
    ];
  }
}

/** Words that a judging schema may not have, in the order of Kubernetes' checks. */
const NOT_WHEN_JUDGING: readonly (readonly [key: keyof JsonSchema, why: string])[] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
];

function nested(schema: JsonSchema, path: string, skips: Skips = {}): FieldError[] {
  const items = itemsOf(schema);
  const { properties = {} } = schema;
  return [
    ...judgements(schema, path, skips),
    ...(items ? nested(items, `${path}.items`) : []),
    ...Object.entries(properties).flatMap(([name, property]) => nested(property, `${path}.properties[${name}]`)),
    ...NOT_WHEN_JUDGING.filter(([key]) => isSaid(schema[key])).map(([key, why]) =>
      forbiddenField(`${path}.${key}`, why),
    ),
    ...(properties.metadata
      ? [forbiddenField(`${path}.properties[metadata]`, 'must not be specified in a nested context')]
      : []),
  ];
}

const isSaid = (value: unknown): boolean =>
  value !== undefined && value !== '' && value !== false && !(Array.isArray(value) && value.length === 0);

/** `anyOf: [{type: integer}, {type: string}]`: the one place where alternatives tell types. */
function isIntOrString(anyOf: readonly JsonSchema[] | undefined): boolean {
  return anyOf?.length === 2 && JSON.stringify(anyOf) === '[{"type":"integer"},{"type":"string"}]';
}

interface Told {
  /** Where the value should have its type. */
  readonly path: string;
  /** Where it is judged. */
  readonly told: string;
}

/** Whatever is judged must have a type somewhere. */
function completeness(judging: JsonSchema, schema: JsonSchema, { path, told }: Told): FieldError[] {
  const parts: (readonly [JsonSchema, string])[] = [
    ...(judging.not ? [[judging.not, 'not'] as const] : []),
    ...(['allOf', 'anyOf', 'oneOf'] as const).flatMap(key =>
      (judging[key] ?? []).map((one, index) => [one, `${key}[${index}]`] as const),
    ),
  ];
  return parts.flatMap(([one, name]) => nestedCompleteness(one, schema, { path, told: `${told}.${name}` }));
}

function nestedCompleteness(judging: JsonSchema, schema: JsonSchema | undefined, { path, told }: Told): FieldError[] {
  if (schema === undefined) return [required(path, `because it is defined in ${told}`)];
  const items = itemsOf(judging);
  return [
    ...completeness(judging, schema, { path, told }),
    ...(items ? nestedCompleteness(items, itemsOf(schema), { path: `${path}.items`, told: `${told}.items` }) : []),
    ...Object.entries(judging.properties ?? {}).flatMap(([name, property]) => {
      const there = schema.properties?.[name];
      const where = { path: `${path}.properties[${name}]`, told: `${told}.properties[${name}]` };
      return nestedCompleteness(property, there, where);
    }),
  ];
}
