/**
 * Makes `merge-facts.json` from the facts of the Kubernetes v1.33 API: for each definition that holds a merged list
 * somewhere below it, its fields' types and how a strategic merge patch treats them. A development script:
 * `node control/api/patch/generate.ts ../shared/api/definitions.json`.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Schema {
  readonly $ref?: string;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
}

const definitions = JSON.parse(readFileSync(process.argv[2] ?? '../shared/api/definitions.json', 'utf8')) as Record<
  string,
  Schema
>;

const target = (schema: Schema): string | undefined =>
  (schema.$ref ?? schema.items?.$ref ?? schema.additionalProperties?.$ref)?.replace('#/definitions/', '');
const strategyOf = (schema: Schema) => schema['x-kubernetes-patch-strategy'];

/** Definitions below which something is not simply replaced or merged as a map. */
const relevant = new Set<string>();
for (let before = -1; before !== relevant.size; ) {
  before = relevant.size;
  for (const [name, schema] of Object.entries(definitions)) {
    const fields = Object.values(schema.properties ?? {});
    if (fields.some(field => strategyOf(field) || relevant.has(target(field) ?? ''))) relevant.add(name);
  }
}

const facts: Record<string, Record<string, { type?: string; map?: true; key?: string; strategy?: string }>> = {};
for (const name of [...relevant].sort()) {
  const fields: (typeof facts)[string] = {};
  for (const [field, schema] of Object.entries(definitions[name]?.properties ?? {})) {
    const type = target(schema);
    const strategy = strategyOf(schema);
    const key = schema['x-kubernetes-patch-merge-key'];
    if (!strategy && !(type && relevant.has(type))) continue;
    fields[field] = {
      ...(type && relevant.has(type) && { type }),
      ...(schema.additionalProperties && { map: true as const }),
      ...(key && { key }),
      ...(strategy && { strategy }),
    };
  }
  facts[name] = fields;
}
writeFileSync(new URL('./merge-facts.json', import.meta.url), `${JSON.stringify(facts, null, 1)}\n`);
