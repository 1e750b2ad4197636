/**
 * What OpenAPI says of definitions and their fields, in our own words: `kubectl explain` shows it. The facts that the
 * schemas are made of hold no prose. All of it is some hundred kilobytes: import this file when a document is made.
 */
import { derivedFrom } from '../../schema/definitions.ts';
import type { SchemaFacts } from '../source.ts';
import { APIMACHINERY } from './apimachinery.ts';
import { CORE } from './core/tables.ts';
import { textsOfForm } from './forms.ts';
import { GROUPS } from './groups/tables.ts';
import { META } from './meta.ts';
import type { DefinitionTexts, TextTable } from './texts.ts';

/** One table a subject. No two tell of the same definition. */
export const TABLES: readonly TextTable[] = [APIMACHINERY, META, ...CORE, ...GROUPS];

const TEXTS: ReadonlyMap<string, DefinitionTexts> = new Map(
  TABLES.flatMap(({ prefix, texts }) =>
    Object.entries(texts).map(([name, said]) => [`${prefix}${name}`, said] as const),
  ),
);

/** What is said of a definition, if anything is: by its table, by that of the one that it was derived from, by its form. */
function textsOf(name: string, schema: SchemaFacts): Partial<DefinitionTexts> {
  const base = derivedFrom(name);
  return { ...textsOfForm(name, schema), ...(base !== undefined && TEXTS.get(base)), ...TEXTS.get(name) };
}

/** The same schema with its descriptions, as far as there are any. */
export function withDescriptions(name: string, schema: SchemaFacts): SchemaFacts {
  const { itself, ...fields } = textsOf(name, schema);
  const properties = Object.entries(schema.properties ?? {}).map(([field, property]) => {
    const description = Object.hasOwn(fields, field) ? fields[field] : undefined;
    return [field, description === undefined ? property : { ...property, description }];
  });
  return {
    ...schema,
    ...(itself !== undefined && { description: itself }),
    ...(schema.properties && { properties: Object.fromEntries(properties) }),
  } as SchemaFacts;
}
