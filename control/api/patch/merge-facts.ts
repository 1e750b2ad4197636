/** How each field of each kind takes part in a strategic merge, read from the schemas. */
import { definition, isDefined, referenceOf, type SchemaDefinition } from '../schema/definitions.ts';

/** Where in the schema a merge is: a definition, a map with free keys, or nowhere known. */
export type Place = { readonly definition?: string; readonly mapOf?: string };

/** What holds for one field of a place. */
export interface FieldRule {
  readonly place: Place;
  /** The key that tells items of a merged list apart; undefined for lists of scalars. */
  readonly mergeKey: string | undefined;
  readonly mergesList: boolean;
  readonly replaces: boolean;
}

/** The rule of field `name` at `place`. Where nothing is known, maps merge and lists are replaced. */
export function ruleOf(place: Place, name: string): FieldRule {
  if (place.mapOf) {
    return { place: { definition: place.mapOf }, mergeKey: undefined, mergesList: false, replaces: false };
  }
  const schema = fieldOf(place.definition, name);
  const strategies = schema?.['x-kubernetes-patch-strategy']?.split(',') ?? [];
  return {
    place: schema ? below(schema) : {},
    mergeKey: schema?.['x-kubernetes-patch-merge-key'],
    mergesList: strategies.includes('merge'),
    replaces: strategies.includes('replace'),
  };
}

function fieldOf(name: string | undefined, field: string): SchemaDefinition | undefined {
  if (name === undefined || !isDefined(name)) return undefined;
  const { properties } = definition(name);
  return properties && Object.hasOwn(properties, field) ? properties[field] : undefined;
}

/** Where a merge of the field's value, or of its items, goes on. */
function below(schema: SchemaDefinition): Place {
  const mapped = schema.additionalProperties && referenceOf(schema.additionalProperties);
  if (mapped) return { mapOf: mapped };
  const named = referenceOf(schema) ?? (schema.items && referenceOf(schema.items));
  return named ? { definition: named } : {};
}
