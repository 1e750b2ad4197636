/**
 * Objects within a custom resource (`x-kubernetes-embedded-resource`): their metadata is brought into its form when they
 * are read, and judged like that of any object (apiextensions-apiserver pkg/apiserver/schema/objectmeta).
 */
import type { ObjectMeta } from '../generated/types.ts';
import { structOf } from '../schema/compile.ts';
import { DecodeError, walk } from '../schema/walk.ts';
import type { FieldError } from '../status.ts';
import { invalidText, invalidValue, required } from '../validation/errors.ts';
import { validateObjectMeta } from '../validation/metadata.ts';
import { dns1035Label, pathSegmentName } from '../validation/names.ts';
import { shownValue } from './json-value.ts';
import { isJsonObject, itemsOf, type JsonObject, type JsonSchema, propertyOf, valuesOf } from './schema.ts';

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

export interface MetadataOptions {
  /** Fields that cannot be read are left out, as in objects that are stored already; else they are refused. */
  readonly dropsInvalid: boolean;
  onUnknown?(path: string): void;
}

/** Metadata in the form in which Go would write it. Throws {@link DecodeError}. */
export function readMetadata(value: unknown, path: string, { dropsInvalid, onUnknown }: MetadataOptions): ObjectMeta {
  const read = (fields: unknown) =>
    walk(structOf(OBJECT_META), fields, {
      ...(onUnknown && {
        onComplaint: (_: string, field: string) => onUnknown(path === '' ? field : `${path}.${field}`),
      }),
    });
  let metadata: JsonObject;
  try {
    metadata = read(value);
  } catch (error) {
    if (!(error instanceof DecodeError) || !dropsInvalid || !isJsonObject(value)) throw error;
    metadata = {};
    for (const [key, field] of Object.entries(value)) {
      try {
        Object.assign(metadata, read({ [key]: field }));
      } catch (inner) {
        if (!(inner instanceof DecodeError)) throw inner;
      }
    }
  }
  if (metadata.creationTimestamp === null) delete metadata.creationTimestamp;
  return metadata as ObjectMeta; // the walker checked it
}

/** Brings the metadata of all embedded objects into form, in place. Throws {@link DecodeError}. */
export function readEmbedded(
  value: unknown,
  schema: JsonSchema | undefined,
  path: string,
  options: MetadataOptions,
): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (const [index, item] of value.entries()) readEmbedded(item, items, `${path}[${index}]`, options);
    return;
  }
  if (!isJsonObject(value)) return;
  if (schema['x-kubernetes-embedded-resource'] && path !== '') readOne(value, path, options);
  const values = valuesOf(schema);
  for (const key of Object.keys(value)) {
    readEmbedded(value[key], propertyOf(schema, key) ?? values, path === '' ? key : `${path}.${key}`, options);
  }
}

function readOne(object: JsonObject, path: string, options: MetadataOptions): void {
  for (const key of ['apiVersion', 'kind']) {
    if (!Object.hasOwn(object, key) || typeof object[key] === 'string') continue;
    if (!options.dropsInvalid)
      throw new DecodeError(`${path}.${key}: Invalid value: ${shownValue(object[key])}: must be a string`);
    delete object[key];
  }
  if (!Object.hasOwn(object, 'metadata')) return;
  try {
    object.metadata = readMetadata(object.metadata, `${path}.metadata`, options);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (!options.dropsInvalid) {
      const shown = shownValue(object.metadata);
      throw new DecodeError(`${path}.metadata: Invalid value: ${shown}: ${error.message}`, { cause: error });
    }
  }
}

/** What is wrong with the kinds and the metadata of embedded objects. */
export function validateEmbedded(value: unknown, schema: JsonSchema | undefined, path = ''): FieldError[] {
  if (schema === undefined) return [];
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    return value.flatMap((item, index) => validateEmbedded(item, items, `${path}[${index}]`));
  }
  if (!isJsonObject(value)) return [];
  const values = valuesOf(schema);
  return [
    ...(schema['x-kubernetes-embedded-resource'] ? validateOne(value, path) : []),
    ...Object.keys(value).flatMap(key => {
      const field = propertyOf(schema, key);
      if (field) return validateEmbedded(value[key], field, path === '' ? key : `${path}.${key}`);
      return values ? validateEmbedded(value[key], values, `${path}[${key}]`) : [];
    }),
  ];
}

/** Validation needs a name; an embedded object needs none. */
const NAME_IN_PLACE = 'fakename';

function validateOne(object: JsonObject, path: string): FieldError[] {
  const errors = ['apiVersion', 'kind'].flatMap(key => validateTypeField(object, key, `${path}.${key}`));
  if (!Object.hasOwn(object, 'metadata')) return errors;
  const where = `${path}.metadata`;
  try {
    const metadata = readMetadata(object.metadata, where, { dropsInvalid: false });
    const named = metadata.name ? metadata : { ...metadata, name: NAME_IN_PLACE };
    errors.push(...validateObjectMeta(named, !!metadata.namespace, pathSegmentName, where));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    errors.push(invalidText(where, shownValue(object.metadata), error.message));
  }
  return errors;
}

function validateTypeField(object: JsonObject, key: string, path: string): FieldError[] {
  if (!Object.hasOwn(object, key)) return [required(path, 'must not be empty')];
  const value = object[key];
  if (typeof value !== 'string') return [invalidText(path, shownValue(value), 'must be a string')];
  if (value === '') return [invalidValue(path, value, 'must not be empty')];
  if (key === 'apiVersion') {
    return value.split('/').length > 2 ? [invalidValue(path, value, `unexpected GroupVersion string: ${value}`)] : [];
  }
  const wrong = dns1035Label(value.toLowerCase());
  return wrong.length === 0
    ? []
    : [invalidValue(path, value, `may have mixed case, but should otherwise match: ${wrong.join(',')}`)];
}
