/**
 * Makes `generated/types.ts`, `generated/kinds.ts` and `generated/definitions.ts` from the facts of the Kubernetes v1.33 API (`npm run generate`, with the facts' folder as
 * the argument). A development script: nothing at run time imports it, and the product ships only what it writes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly oneOf?: readonly Schema[];
}

/** The short TypeScript name of a definition; a clash between groups is resolved in favour of the first in this order. */
const GROUP_ORDER = ['io.k8s.api.core.v1.', 'io.k8s.api.', 'io.k8s.apimachinery.', 'io.k8s.'];

function shortNames(definitions: Readonly<Record<string, Schema>>): Map<string, string> {
  const rank = (name: string) => GROUP_ORDER.findIndex(prefix => name.startsWith(prefix));
  const stable = (name: string) => (/\.v\d+\.[^.]+$/.test(name) ? 0 : 1);
  const ordered = Object.keys(definitions).sort(
    (a, b) => rank(a) - rank(b) || stable(a) - stable(b) || (a < b ? -1 : a > b ? 1 : 0),
  );
  const taken = new Map<string, string>();
  const names = new Map<string, string>();
  for (const full of ordered) {
    const parts = full.split('.');
    const kind = parts.at(-1) ?? full;
    const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
    const long = parts
      .slice(-3)
      .map(capital)
      .join('')
      .replaceAll(/[^A-Za-z0-9]/g, '');
    const name = taken.has(kind) ? long : kind;
    taken.set(name, full);
    names.set(full, name);
  }
  return names;
}

function typeOf(schema: Schema, names: ReadonlyMap<string, string>): string {
  if (schema.$ref) return names.get(schema.$ref.replace('#/definitions/', '')) ?? 'unknown';
  if (schema.oneOf) return 'string | number';
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array': {
      const item = schema.items ? typeOf(schema.items, names) : 'unknown';
      return /^\w+$/.test(item) ? `${item}[]` : `(${item})[]`;
    }
    case 'object':
      if (schema.properties) return body(schema, names, '  ');
      return schema.additionalProperties
        ? `Record<string, ${typeOf(schema.additionalProperties, names)}>`
        : 'Record<string, unknown>';
    default:
      return 'unknown';
  }
}

function body(schema: Schema, names: ReadonlyMap<string, string>, indent = ''): string {
  const required = new Set(schema.required);
  const lines = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const name = /^[A-Za-z_$][\w$]*$/.test(key) ? key : `'${key}'`;
    return `${indent}  ${name}${required.has(key) ? '' : '?'}: ${typeOf(property, names)};`;
  });
  return `{\n${lines.join('\n')}\n${indent}}`;
}

function renderTypes(definitions: Readonly<Record<string, Schema>>): string {
  const names = shortNames(definitions);
  const parts = Object.entries(definitions).map(([full, schema]) => {
    const name = names.get(full) ?? full;
    const doc = `/** ${full} */\n`;
    if (schema.type === 'object' && schema.properties) return `${doc}export interface ${name} ${body(schema, names)}`;
    return `${doc}export type ${name} = ${typeOf(schema, names)};`;
  });
  return `// Made by control/api/generate.ts from the facts of Kubernetes v1.33. Do not edit.\n\n${parts.join('\n\n')}\n`;
}

interface DiscoveryResource {
  readonly resource: string;
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly scope: string;
  readonly singularResource: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}
interface DiscoveryDocument {
  readonly items: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions: readonly { readonly version: string; readonly resources: readonly DiscoveryResource[] }[];
  }[];
}

/** One constant a resource: `pods`, `deployments`; a second group or version gets a prefix: `eventsV1Events`. */
function renderKinds(definitions: Readonly<Record<string, Schema>>, documents: readonly DiscoveryDocument[]): string {
  const names = shortNames(definitions);
  const taken = new Set<string>();
  const constants: string[] = [];
  const types = new Set<string>();
  for (const group of documents.flatMap(document => document.items)) {
    const groupName = group.metadata?.name ?? '';
    for (const { version, resources } of group.versions) {
      for (const entry of resources) {
        const { kind } = entry.responseKind;
        const definition = Object.keys(definitions).find(full => {
          const path = groupName === '' ? 'core' : groupName.replace(/\.k8s\.io$/, '').split('.')[0];
          return (
            full.endsWith(`.${path}.${version}.${kind}`) ||
            full.endsWith(`.${groupName.split('.')[0]}.${version}.${kind}`)
          );
        });
        if (!definition) continue;
        const prefix = `${groupName.split('.')[0]}${version.charAt(0).toUpperCase()}${version.slice(1)}`;
        const constant = taken.has(entry.resource)
          ? `${prefix}${entry.resource.charAt(0).toUpperCase()}${entry.resource.slice(1)}`
          : entry.resource;
        taken.add(constant);
        const type = names.get(definition) ?? 'unknown';
        types.add(type);
        constants.push(
          `export const ${constant}: Kind<${type}> = ${JSON.stringify({
            group: groupName,
            version,
            kind,
            plural: entry.resource,
            singular: entry.singularResource,
            namespaced: entry.scope === 'Namespaced',
            shortNames: entry.shortNames ?? [],
            categories: entry.categories ?? [],
            definition,
          })};`,
        );
      }
    }
  }
  return [
    '// Made by control/api/generate.ts from the facts of Kubernetes v1.33. Do not edit.',
    "import type { Kind } from '../kind.ts';",
    `import type {\n  ${[...types].sort().join(',\n  ')},\n} from './types.ts';`,
    '',
    constants.join('\n'),
    '',
  ].join('\n');
}

/** Definitions as one JSON text each: a text costs little until its definition is needed, and is parsed then. */
function renderDefinitions(definitions: Readonly<Record<string, Schema>>): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = Object.entries(definitions).map(([full, schema]) => `  '${full}': ${quote(JSON.stringify(schema))},`);
  return [
    '// Made by control/api/generate.ts from the facts of Kubernetes v1.33. Do not edit.',
    '',
    '/** OpenAPI v2 schemas, as JSON text by name. */',
    'export const DEFINITION_TEXTS: Readonly<Record<string, string>> = {',
    ...lines,
    '};',
    '',
  ].join('\n');
}

const facts = process.argv[2] ?? '../shared/api';
const { definitions, ...rest } = JSON.parse(readFileSync(join(facts, 'definitions.json'), 'utf8')) as {
  definitions?: Record<string, Schema>;
};
const all = definitions ?? (rest as Record<string, Schema>);
writeFileSync(new URL('./generated/types.ts', import.meta.url), renderTypes(all));
writeFileSync(new URL('./generated/definitions.ts', import.meta.url), renderDefinitions(all));
const discovery = JSON.parse(readFileSync(join(facts, 'discovery.json'), 'utf8')) as Record<string, DiscoveryDocument>;
writeFileSync(
  new URL('./generated/kinds.ts', import.meta.url),
  renderKinds(
    all,
    Object.entries(discovery)
      .filter(([path]) => !path.includes('#'))
      .map(([, document]) => document),
  ),
);
