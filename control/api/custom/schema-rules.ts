/**
 * What a definition's schema may say (apiextensions-apiserver pkg/apis/apiextensions/validation): words that Kubernetes
 * does not know, lists with keys, and the outer form of rules.
 */
import type { ValidationRule } from '../cel/index.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, goQuote, invalidText, invalidValue, notSupported, required } from '../validation/errors.ts';
import { goStrings } from '../validation/go-text.ts';
import { isFieldPath } from './field-path.ts';
import { isJsonObject, itemsOf, type JsonSchema, META_FIELDS, valuesOf } from './schema.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/** What the nodes above say of a node. */
interface Above {
  readonly isRoot: boolean;
  /** Why there may be no defaults here. */
  readonly forbidsDefaults?: string;
  /** Within apiVersion, kind or metadata of an object. */
  readonly isInMetadata?: boolean;
}

/** All that is wrong with the words of a schema. */
export function validateSchemaWords(schema: JsonSchema, path: string, above: Above = { isRoot: true }): FieldError[] {
  const below = { ...above, isRoot: false };
  const inner = (one: JsonSchema | undefined, name: string, how: Above = below) =>
    one ? validateSchemaWords(one, `${path}.${name}`, how) : [];
  const listed = (key: 'allOf' | 'oneOf' | 'anyOf') =>
    (schema[key] ?? []).flatMap((one, index) => inner(one, `${key}[${index}]`));
  const { properties = {}, items } = schema;
  const belowValues =
    above.isInMetadata === true
      ? { ...below, forbidsDefaults: 'inside additionalProperties applying to object metadata' }
      : below;
  return [
    ...ownWords(schema, path, above),
    ...inner(valuesOf(schema), 'additionalProperties', belowValues),
    ...Object.entries(properties).flatMap(([name, property]) =>
      inner(property, `properties[${name}]`, belowProperty(schema, name, above)),
    ),
    ...inner(schema.not, 'not'),
    ...listed('allOf'),
    ...listed('oneOf'),
    ...listed('anyOf'),
    ...Object.entries(schema.definitions ?? {}).flatMap(([name, one]) => inner(one, `definitions[${name}]`)),
    ...(Array.isArray(items)
      ? (items as readonly JsonSchema[]).flatMap((one, index) => inner(one, `items[${index}]`))
      : inner(itemsOf(schema), 'items')),
    ...Object.entries(schema.dependencies ?? {}).flatMap(([name, one]) =>
      isJsonObject(one) ? inner(one as JsonSchema, `dependencies[${name}]`) : [],
    ),
    ...kubernetesWords(schema, path),
    ...(schema['x-kubernetes-validations'] ?? []).flatMap((rule, index) =>
      ruleWords(schema, rule, `${path}.x-kubernetes-validations[${index}]`),
    ),
  ];
}

function belowProperty(schema: JsonSchema, name: string, above: Above): Above {
  const isObject = above.isRoot || schema['x-kubernetes-embedded-resource'] === true;
  const below = { ...above, isRoot: false };
  if (!isObject || !META_FIELDS.has(name)) return below;
  return { ...below, isInMetadata: true, ...(above.isRoot && { forbidsDefaults: `in top-level ${name}` }) };
}

function ownWords(schema: JsonSchema, path: string, { forbidsDefaults, isInMetadata }: Above): FieldError[] {
  const errors: FieldError[] = [];
  const forbid = (word: string, why: string) => errors.push(forbiddenField(`${path}.${word}`, why));
  const { type = '' } = schema;
  if (type !== '' && !TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES));
  if (schema.default !== undefined && forbidsDefaults !== undefined)
    forbid('default', `must not be set ${forbidsDefaults}`);
  if (schema.id) forbid('id', 'id is not supported');
  if (schema.additionalItems !== undefined) forbid('additionalItems', 'additionalItems is not supported');
  if (hasKeys(schema.patternProperties)) forbid('patternProperties', 'patternProperties is not supported');
  if (hasKeys(schema.definitions)) forbid('definitions', 'definitions is not supported');
  if (schema.dependencies !== undefined) forbid('dependencies', 'dependencies is not supported');
  if (schema.$ref !== undefined) forbid('$ref', '$ref is not supported');
  if (type === 'null') forbid('type', 'type cannot be set to null, use nullable as an alternative');
  if (Array.isArray(schema.items)) forbid('items', 'items must be a schema object and not an array');
  if (isInMetadata && schema['x-kubernetes-embedded-resource']) {
    forbid('x-kubernetes-embedded-resource', 'must not be used inside of resource meta');
  }
  if (schema.uniqueItems) {
    forbid('uniqueItems', 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic');
  }
  const { additionalProperties } = schema;
  if (additionalProperties !== undefined && additionalProperties !== true && hasKeys(schema.properties)) {
    forbid('additionalProperties', 'additionalProperties and properties are mutual exclusive');
  }
  return errors;
}

const hasKeys = (map: object | undefined): boolean => Object.keys(map ?? {}).length > 0;

function kubernetesWords(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { type = '' } = schema;
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  const needsType = (wanted: string, word: string) => {
    const why = `must be ${wanted} if ${word} is specified`;
    errors.push(type === '' ? required(`${path}.type`, why) : invalidValue(`${path}.type`, type, why));
  };
  const mapType = schema['x-kubernetes-map-type'];
  if (mapType !== undefined && type !== 'object') needsType('object', 'x-kubernetes-map-type');
  if (mapType !== undefined && !MAP_TYPES.includes(mapType)) {
    errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, MAP_TYPES));
  }
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== undefined && type !== 'array') needsType('array', 'x-kubernetes-list-type');
  else if (listType === 'set') errors.push(...setItems(itemsOf(schema), path));
  if (listType !== undefined && !LIST_TYPES.includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, LIST_TYPES));
  }
  return [...errors, ...listKeys(schema, path), ...keyedItems(schema, path)];
}

const MAP_TYPES = ['atomic', 'granular'];
const LIST_TYPES = ['atomic', 'set', 'map'];

/** The items of a set are one value each. */
function setItems(items: JsonSchema | undefined, path: string): FieldError[] {
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const listType = items?.['x-kubernetes-list-type'];
  if (items?.type === 'array' && listType !== undefined && listType !== 'atomic') {
    return [invalidText(`${path}.items.x-kubernetes-list-type`, goQuote(listType), why)];
  }
  if (items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    // Kubernetes shows the list type here, which is not set.
    return [
      invalidText(`${path}.items.x-kubernetes-map-type`, listType === undefined ? 'null' : goQuote(listType), why),
    ];
  }
  return [];
}

function listKeys(schema: JsonSchema, path: string): FieldError[] {
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const listType = schema['x-kubernetes-list-type'];
  const errors: FieldError[] = [];
  if (keys.length > 0 && listType !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const where = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(where, why) : invalidValue(where, listType, why));
  }
  if (listType !== 'map') return errors;
  if (keys.length === 0) {
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'));
  }
  const items = itemsOf(schema);
  if (schema.items === undefined) {
    errors.push(required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
  } else if (items === undefined) {
    errors.push(
      invalidText(`${path}.items`, '<items>', 'must only have a single schema if x-kubernetes-list-type is map'),
    );
  } else if (items.type !== 'object') {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    errors.push(invalidValue(`${path}.items.type`, items.type ?? '', why));
  } else errors.push(...keyFields(keys, items, path));
  return errors;
}

function keyFields(keys: readonly string[], items: JsonSchema, path: string): FieldError[] {
  const where = `${path}.x-kubernetes-list-map-keys`;
  return keys.flatMap((key, index) => {
    const errors: FieldError[] = [];
    const field = items.properties?.[key];
    if (!field) errors.push(invalidText(where, goStrings(keys), 'entries must all be names of item properties'));
    else if (field.type === 'array' || field.type === 'object') {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      errors.push(invalidValue(`${path}.items.properties[${key}].type`, items.type, why));
    }
    if (keys.indexOf(key) < index) {
      errors.push(invalidText(where, goStrings(keys), 'must not contain duplicate entries'));
    }
    return errors;
  });
}

/** Items that are told apart must be there, and each of their keys. */
function keyedItems(schema: JsonSchema, path: string): FieldError[] {
  const items = itemsOf(schema);
  const listType = schema['x-kubernetes-list-type'];
  if (!items || (listType !== 'set' && listType !== 'map')) return [];
  const errors: FieldError[] = items.nullable
    ? [forbiddenField(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`)]
    : [];
  if (listType === 'set') return errors;
  for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
    const field = items.properties?.[key];
    if (!field) continue;
    const where = `${path}.items.properties[${key}]`;
    if (!items.required?.includes(key) && field.default === undefined) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      errors.push(required(`${where}.default`, why));
    }
    if (field.nullable) {
      errors.push(
        forbiddenField(`${where}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'),
      );
    }
  }
  return errors;
}

const hasLineBreak = (text: string): boolean => /[\n\r]/.test(text);

function ruleWords(schema: JsonSchema, rule: ValidationRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { message = '', messageExpression = '', fieldPath = '', reason } = rule;
  const isBlank = (text: string) => text !== '' && text.trim() === '';
  if (rule.rule.trim() === '') errors.push(required(`${path}.rule`, 'rule is not specified'));
  else if (isBlank(message))
    errors.push(invalidValue(`${path}.message`, message, 'message must be non-empty if specified'));
  else if (hasLineBreak(message.trim())) {
    errors.push(invalidValue(`${path}.message`, message, 'message must not contain line breaks'));
  } else if (hasLineBreak(rule.rule.trim()) && message.trim() === '') {
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'));
  }
  if (isBlank(messageExpression)) {
    errors.push(required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'));
  }
  if (reason !== undefined && !REASONS.includes(reason)) {
    errors.push(notSupported(`${path}.reason`, reason, REASONS));
  }
  if (isBlank(fieldPath))
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be non-empty if specified'));
  if (hasLineBreak(fieldPath))
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must not contain line breaks'));
  if (fieldPath !== '' && !isFieldPath(fieldPath, schema)) {
    errors.push(invalidValue(`${path}.fieldPath`, fieldPath, 'fieldPath must be a valid path'));
  }
  return errors;
}
