/** Types of built-in objects, from their definitions: for telling mistakes in policies before a request meets them. */
import { definition, referenceOf, type SchemaDefinition } from '../schema/definitions.ts';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  type ObjectType,
  STRING,
  TIMESTAMP,
  type Type,
} from './types.ts';

const INT_OR_STRING = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
const known = new Map<string, Type>();

/** The type of a definition such as `io.k8s.api.apps.v1.Deployment`. Fields are looked at when they are asked for. */
export function definitionType(name: string): Type {
  if (name === INT_OR_STRING) return DYN;
  let type = known.get(name);
  if (!type) {
    type = schemaToType(definition(name));
    known.set(name, type);
  }
  return type;
}

const FORMATS: Readonly<Record<string, Type>> = {
  byte: BYTES,
  'date-time': TIMESTAMP,
  date: TIMESTAMP,
  duration: DURATION,
};

function schemaToType(schema: SchemaDefinition): Type {
  const reference = referenceOf(schema);
  if (reference !== undefined) return definitionType(reference);
  const { type, format = '', items, additionalProperties: values } = schema;
  switch (type) {
    case 'array':
      return listOf(items ? schemaToType(items) : DYN);
    case 'string':
      return FORMATS[format] ?? STRING;
    case 'boolean':
      return BOOL;
    case 'integer':
      return INT;
    case 'number':
      return DOUBLE;
    case 'object':
      return values ? mapOf(STRING, schemaToType(values)) : objectType(schema.properties ?? {});
    default:
      // Quantities are texts or numbers.
      return DYN;
  }
}

function objectType(properties: Readonly<Record<string, SchemaDefinition>>): ObjectType {
  const fields = new Map<string, Type>();
  return {
    kind: 'object',
    name: 'object',
    field(name) {
      const given = name.replace(/^__(\w+)__$/, '$1');
      const schema = Object.hasOwn(properties, given) ? properties[given] : undefined;
      if (!schema) return undefined;
      const type = fields.get(given) ?? schemaToType(schema);
      fields.set(given, type);
      return type;
    },
  };
}
