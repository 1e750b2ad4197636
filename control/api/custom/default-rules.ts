/** Defaults of a schema must themselves be as the schema wants them (apiextensions-apiserver pkg/apiserver/schema/defaulting). */
import { isEqual } from '../schema/equal.ts';
import { DecodeError } from '../schema/walk.ts';
import type { FieldError } from '../status.ts';
import { invalidText } from '../validation/errors.ts';
import { readEmbedded, validateEmbedded } from './embedded.ts';
import { shownValue } from './json-value.ts';
import { pruneObject } from './prune.ts';
import { itemsOf, type JsonSchema, META_FIELDS } from './schema.ts';
import { validateValue } from './validate-value.ts';

/** What is wrong with the defaults of a structural schema. Those of map values are never applied and not judged. */
export function validateDefaults(schema: JsonSchema, path: string): FieldError[] {
  return inNode(schema, path, false);
}

function inNode(schema: JsonSchema, path: string, isInMetadata: boolean): FieldError[] {
  const errors = schema.default === undefined ? [] : ofDefault(schema, `${path}.default`, isInMetadata);
  const items = itemsOf(schema);
  return [
    ...errors,
    ...(items ? inNode(items, `${path}.items`, isInMetadata) : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
      const isMeta = schema['x-kubernetes-embedded-resource'] === true && META_FIELDS.has(name);
      return inNode(property, `${path}.properties[${name}]`, isInMetadata || isMeta);
    }),
  ];
}

function ofDefault(schema: JsonSchema, path: string, isInMetadata: boolean): FieldError[] {
  const value = structuredClone(schema.default);
  // A default within metadata has been judged with the object around it.
  if (!isInMetadata) {
    const holder = { value: structuredClone(value) };
    pruneObject(holder, { type: 'object', properties: { value: schema } });
    if (!isEqual(holder.value, value)) return [invalidText(path, shownValue(value), 'must not have unknown fields')];
  }
  try {
    readEmbedded(value, schema, path, { dropsInvalid: false });
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return [invalidText(path, shownValue(value), error.message)];
  }
  const ofObjects = validateEmbedded(value, schema, path);
  return ofObjects.length > 0 ? ofObjects : validateValue(value, schema, { field: path });
}
