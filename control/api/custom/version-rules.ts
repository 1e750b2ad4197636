/** What a version of a definition may say: its schema, subresources, columns and selectable fields. */
import type { CustomResourceDefinition } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import {
  duplicateValue,
  forbiddenField,
  invalidText,
  invalidValue,
  required,
  tooManyValues,
} from '../validation/errors.ts';
import { validateDefaults } from './default-rules.ts';
import { FieldPathError, findField } from './field-path.ts';
import type { Shareable } from './inner-spec.ts';
import { SELECTABLE_FIELDS_MAX } from './limits.ts';
import { validateRules } from './rules.ts';
import { type JsonSchema, someSchema } from './schema.ts';
import { validateSchemaWords } from './schema-rules.ts';
import { validateStructural } from './structural.ts';

type Spec = CustomResourceDefinition['spec'];

export interface SchemaContext {
  /** The definition as it was, if this is a change. */
  readonly oldSpec?: Spec;
}

interface VersionSchemaContext extends SchemaContext {
  readonly hasStatus: boolean;
  readonly versionName: string;
}

/** With a status subresource, the root may say no more than this. */
const ROOT_WORDS: ReadonlySet<string> = new Set([
  'description',
  'type',
  'format',
  'title',
  'maximum',
  'exclusiveMaximum',
  'minimum',
  'exclusiveMinimum',
  'maxLength',
  'minLength',
  'pattern',
  'maxItems',
  'minItems',
  'uniqueItems',
  'multipleOf',
  'required',
  'items',
  'properties',
  'externalDocs',
  'example',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
]);
/** The same as Go prints the list. */
const ROOT_WORDS_TEXT =
  '[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]';

/** All that is wrong with a version's schema; `path` is that of what holds it. */
export function validateSchema(
  { openAPIV3Schema }: NonNullable<Shareable['schema']>,
  path: string,
  context: VersionSchemaContext,
): FieldError[] {
  if (!openAPIV3Schema) return [];
  const schema = openAPIV3Schema as JsonSchema; // the decoder checked it; only its types are told otherwise
  const where = `${path}.openAPIV3Schema`;
  const errors = [...(context.hasStatus ? rootWords(schema, where) : [])];
  if (schema.nullable) errors.push(forbiddenField(`${where}.nullable`, 'nullable cannot be true at the root'));
  // With words that no structural schema has, nothing more can be said of its structure.
  const structural = someSchema(schema, hasForeignWords) ? [] : validateStructural(schema, where);
  const wrong = structural.length > 0 ? structural : validateDefaults(schema, where);
  const words = validateSchemaWords(schema, where);
  const rules =
    wrong.length === 0 && words.length === 0 ? validateRules(schema, where, isUnchanged(schema, context)) : [];
  return [...errors, ...wrong, ...words, ...rules];
}

function hasForeignWords(schema: JsonSchema): boolean {
  const { id, $ref, definitions, patternProperties, dependencies, additionalItems, items } = schema;
  const isForeign = [id, $ref, definitions, patternProperties, dependencies, additionalItems].some(
    word => word !== undefined,
  );
  return isForeign || Array.isArray(items);
}

function isUnchanged(schema: JsonSchema, { oldSpec, versionName }: VersionSchemaContext): boolean {
  const before = oldSpec?.versions.find(({ name }) => name === versionName)?.schema?.openAPIV3Schema;
  return before !== undefined && isEqual(schema, before);
}

function rootWords(schema: JsonSchema, path: string): FieldError[] {
  if (schema.type !== undefined && schema.type !== '' && schema.type !== 'object') {
    const why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled';
    return [invalidValue(`${path}.type`, schema.type, why)];
  }
  if (Object.keys(schema).every(word => ROOT_WORDS.has(word))) return [];
  const why = `only ${ROOT_WORDS_TEXT} fields are allowed at the root of the schema if the status subresource is enabled`;
  return [invalidText(path, 'apiextensions.JSONSchemaProps{…}', why)];
}

export function validateSubresources(subresources: Shareable['subresources'], path: string): FieldError[] {
  const { scale } = subresources ?? {};
  if (!scale) return [];
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = scale;
  const check = (key: string, value: string, roots: readonly string[], where: string) => {
    const field = `${path}.scale.${key}`;
    if (value === '') return [required(field)];
    if (!value.startsWith('.')) return [invalidValue(field, value, SIMPLE_PATH)];
    if (roots.some(root => value.startsWith(root))) return [];
    return [invalidValue(field, value, `should be a json path under ${where}`)];
  };
  return [
    ...check('specReplicasPath', specReplicasPath, ['.spec.'], '.spec'),
    ...check('statusReplicasPath', statusReplicasPath, ['.status.'], '.status'),
    ...(labelSelectorPath
      ? check('labelSelectorPath', labelSelectorPath, ['.spec.', '.status.'], 'either .spec or .status')
      : []),
  ];
}

const SIMPLE_PATH = 'must be a simple json path starting with .';
const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const COLUMN_FORMATS = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

export function validateColumns(columns: Shareable['columns'], path: string): FieldError[] {
  return (columns ?? []).flatMap(({ name, type, format = '', jsonPath }, index) => {
    const where = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const types = `must be one of ${COLUMN_TYPES.join(',')}`;
    if (name === '') errors.push(required(`${where}.name`));
    if (type === '') errors.push(required(`${where}.type`, types));
    else if (!COLUMN_TYPES.includes(type)) errors.push(invalidValue(`${where}.type`, type, types));
    if (format !== '' && !COLUMN_FORMATS.includes(format)) {
      errors.push(invalidValue(`${where}.format`, format, `must be one of ${COLUMN_FORMATS.join(',')}`));
    }
    if (jsonPath === '') errors.push(required(`${where}.JSONPath`));
    else if (!jsonPath.startsWith('.')) errors.push(invalidValue(`${where}.JSONPath`, jsonPath, SIMPLE_PATH));
    return errors;
  });
}

const SELECTABLE_TYPES = ['string', 'boolean', 'integer'];

export function validateSelectable(
  fields: Shareable['selectableFields'],
  schema: Shareable['schema'],
  path: string,
): FieldError[] {
  if (!fields || fields.length === 0 || !schema?.openAPIV3Schema) return [];
  const root = schema.openAPIV3Schema as JsonSchema; // see validateSchema
  const seen = new Set<string>();
  const errors = fields.flatMap(({ jsonPath }, index) => {
    const where = `${path}[${index}].jsonPath`;
    if (jsonPath === '') return [required(where)];
    try {
      const { names, schema: found } = findField(jsonPath, root, false);
      const wrong: FieldError[] = [];
      if (names[0] === 'metadata') wrong.push(invalidValue(where, jsonPath, 'must not point to fields in metadata'));
      if (!SELECTABLE_TYPES.includes(found.type ?? '')) {
        const why =
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
        wrong.push(invalidValue(where, jsonPath, why));
      }
      if (seen.has(jsonPath)) wrong.push(duplicateValue(where, jsonPath));
      seen.add(jsonPath);
      return wrong;
    } catch (error) {
      if (!(error instanceof FieldPathError)) throw error;
      return [invalidValue(where, jsonPath, `is an invalid path: ${error.message}`)];
    }
  });
  if (seen.size > SELECTABLE_FIELDS_MAX) errors.push(tooManyValues(path, seen.size, SELECTABLE_FIELDS_MAX));
  return errors;
}
