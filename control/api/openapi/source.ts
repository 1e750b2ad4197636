/** What OpenAPI documents are made from. */

/** An OpenAPI v2 schema as far as Kubernetes' facts use it; further keys, such as `x-kubernetes-…`, pass through. */
export interface SchemaFacts {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly items?: SchemaFacts;
  readonly properties?: Readonly<Record<string, SchemaFacts>>;
  readonly additionalProperties?: SchemaFacts;
  /** In place of `type`, for numbers that may be text. */
  readonly oneOf?: readonly SchemaFacts[];
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** A served kind; every `KindDeclaration` is one. */
export interface ServedKind extends GroupVersionKind {
  readonly plural: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly subresources: readonly {
    readonly name: string;
    readonly verbs: readonly string[];
    readonly responseKind?: GroupVersionKind;
  }[];
  readonly definition: string;
  /** Set for custom resources, which know no strategic merge patch. */
  readonly form?: object;
}

export interface OpenApiSource {
  readonly title: string;
  /** The server's version: `v1.33.1`. */
  readonly version: string;
  readonly kinds: readonly ServedKind[];
  /** Schema by name, of which all those that `kinds` and their subresources reach must be there. */
  definition(name: string): SchemaFacts;
  /** Whether there is such a schema: not all kinds have a list. */
  hasDefinition(name: string): boolean;
  /** True of a schema that users wrote: it is shown as they did, with nothing added. */
  isAsWritten?(name: string): boolean;
  /** A definition with what is said of it and its fields, made from what `definition` gave. Without it nothing is said. */
  describe?(name: string, schema: SchemaFacts): SchemaFacts;
}

/** The definition as documents show it. Who only follows references needs no prose, and asks the source itself. */
export function shownDefinition(source: OpenApiSource, name: string): SchemaFacts {
  const schema = source.definition(name);
  return source.describe?.(name, schema) ?? schema;
}

export const REF_PREFIX = '#/definitions/';

/** `api/v1`, `apis/apps/v1`: under what OpenAPI v3 lists a group version. */
export function groupVersionPath({ group, version }: { group: string; version: string }): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

/** All schemas that `roots` reach, themselves included, sorted. */
export function reachable(roots: Iterable<string>, definition: (name: string) => SchemaFacts): string[] {
  const seen = new Set<string>();
  const visit = (schema: SchemaFacts): void => {
    if (schema.$ref) visitName(schema.$ref.slice(REF_PREFIX.length));
    for (const property of Object.values(schema.properties ?? {})) visit(property);
    if (schema.items) visit(schema.items);
    if (schema.additionalProperties) visit(schema.additionalProperties);
  };
  const visitName = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    visit(definition(name));
  };
  for (const root of roots) visitName(root);
  return [...seen].sort();
}
