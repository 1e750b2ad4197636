/** How each field of each built-in kind takes part in a strategic merge, read from `merge-facts.json`. */
import facts from './merge-facts.json' with { type: 'json' };

interface FieldFact {
  /** The definition of the field's value, its items or its map's values, where merging below it needs facts. */
  readonly type?: string;
  /** True if `type` is that of the values of a map with free keys. */
  readonly map?: boolean;
  /** The key that tells items of a merged list apart; absent for lists of scalars. */
  readonly key?: string;
  /** `merge`, `replace`, `retainKeys` or `merge,retainKeys`; absent: maps merge, lists are replaced. */
  readonly strategy?: string;
}
const FACTS: Readonly<Record<string, Readonly<Record<string, FieldFact>> | undefined>> = facts;

/** Where in the schema a merge is: a definition, a map with free keys, or nowhere known. */
export type Place = { readonly definition?: string; readonly mapOf?: string };

/** What holds for one field of a place. */
export interface FieldRule {
  readonly place: Place;
  readonly mergeKey: string | undefined;
  readonly mergesList: boolean;
  readonly replaces: boolean;
}

/** The rule of field `name` at `place`. */
export function ruleOf(place: Place, name: string): FieldRule {
  if (place.mapOf) {
    return { place: { definition: place.mapOf }, mergeKey: undefined, mergesList: false, replaces: false };
  }
  const fields = place.definition ? FACTS[place.definition] : undefined;
  const fact = fields && Object.hasOwn(fields, name) ? fields[name] : undefined;
  const strategies = fact?.strategy?.split(',') ?? [];
  return {
    place: fact?.type ? (fact.map ? { mapOf: fact.type } : { definition: fact.type }) : {},
    mergeKey: fact?.key,
    mergesList: strategies.includes('merge'),
    replaces: strategies.includes('replace'),
  };
}
