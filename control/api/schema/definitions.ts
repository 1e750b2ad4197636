/**
 * The API's schemas by name, parsed when first asked for. Besides the generated ones there are those of API versions that
 * Kubernetes no longer serves and we still accept (see {@link LEGACY}).
 */
import { DEFINITION_TEXTS } from '../generated/definitions.ts';

/** An OpenAPI v2 schema as far as Kubernetes uses it. */
export interface SchemaDefinition {
  readonly $ref?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly items?: SchemaDefinition;
  readonly properties?: Readonly<Record<string, SchemaDefinition>>;
  readonly additionalProperties?: SchemaDefinition;
  readonly required?: readonly string[];
  readonly oneOf?: readonly SchemaDefinition[];
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-group-version-kind'?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
}

const REF_PREFIX = '#/definitions/';

/** A schema that is another one with some properties added or taken away. */
interface Derived {
  readonly from: string;
  readonly group: string;
  readonly version: string;
  readonly properties?: Readonly<Record<string, SchemaDefinition>>;
  readonly optional?: readonly string[];
}

const APPS = 'io.k8s.api.apps.v1.';

function derivedDeployment(group: string, version: string, name: string): Record<string, Derived> {
  const prefix = `io.k8s.api.${name}.${version}.`;
  return {
    [`${prefix}Deployment`]: {
      from: `${APPS}Deployment`,
      group,
      version,
      properties: { spec: { $ref: `${REF_PREFIX}${prefix}DeploymentSpec`, default: {} } },
    },
    [`${prefix}DeploymentSpec`]: {
      from: `${APPS}DeploymentSpec`,
      group,
      version,
      properties: { rollbackTo: { $ref: `${REF_PREFIX}io.k8s.api.extensions.v1beta1.RollbackConfig` } },
      optional: ['selector'],
    },
  };
}

function derivedDaemonSet(group: string, version: string, name: string): Record<string, Derived> {
  const prefix = `io.k8s.api.${name}.${version}.`;
  return {
    [`${prefix}DaemonSet`]: {
      from: `${APPS}DaemonSet`,
      group,
      version,
      properties: { spec: { $ref: `${REF_PREFIX}${prefix}DaemonSetSpec`, default: {} } },
    },
    [`${prefix}DaemonSetSpec`]: {
      from: `${APPS}DaemonSetSpec`,
      group,
      version,
      properties: { templateGeneration: { type: 'integer', format: 'int64' } },
      optional: ['selector'],
    },
  };
}

function derivedReplicaSet(group: string, version: string, name: string): Record<string, Derived> {
  const prefix = `io.k8s.api.${name}.${version}.`;
  return {
    [`${prefix}ReplicaSet`]: {
      from: `${APPS}ReplicaSet`,
      group,
      version,
      properties: { spec: { $ref: `${REF_PREFIX}${prefix}ReplicaSetSpec`, default: {} } },
    },
    [`${prefix}ReplicaSetSpec`]: { from: `${APPS}ReplicaSetSpec`, group, version, optional: ['selector'] },
  };
}

/** Versions that Kubernetes dropped in 1.16: the same structs, with selectors optional and a few fields of their own. */
const LEGACY: Readonly<Record<string, Derived>> = {
  ...derivedDeployment('extensions', 'v1beta1', 'extensions'),
  ...derivedDeployment('apps', 'v1beta1', 'apps'),
  ...derivedDeployment('apps', 'v1beta2', 'apps'),
  ...derivedDaemonSet('extensions', 'v1beta1', 'extensions'),
  ...derivedDaemonSet('apps', 'v1beta2', 'apps'),
  ...derivedReplicaSet('extensions', 'v1beta1', 'extensions'),
  ...derivedReplicaSet('apps', 'v1beta2', 'apps'),
};

const HAND_WRITTEN: Readonly<Record<string, SchemaDefinition>> = {
  'io.k8s.api.extensions.v1beta1.RollbackConfig': {
    type: 'object',
    properties: { revision: { type: 'integer', format: 'int64' } },
  },
};

const parsed = new Map<string, SchemaDefinition>();

function load(name: string): SchemaDefinition | undefined {
  const text = DEFINITION_TEXTS[name];
  if (text !== undefined) return JSON.parse(text) as SchemaDefinition;
  const derived = LEGACY[name];
  if (!derived) return HAND_WRITTEN[name];
  const base = definition(derived.from);
  return {
    ...base,
    properties: { ...base.properties, ...derived.properties },
    required: (base.required ?? []).filter(field => !derived.optional?.includes(field)),
    ...(base['x-kubernetes-group-version-kind'] && {
      'x-kubernetes-group-version-kind': [
        { group: derived.group, version: derived.version, kind: name.slice(name.lastIndexOf('.') + 1) },
      ],
    }),
  };
}

/** The schema of that name, such as `io.k8s.api.core.v1.Pod`. Throws if there is none: names come from our own tables. */
export function definition(name: string): SchemaDefinition {
  let found = parsed.get(name);
  if (!found) {
    found = load(name);
    if (!found) throw new Error(`there is no schema named ${name}`);
    parsed.set(name, found);
  }
  return found;
}

/** The names of all schemas. */
export const definitionNames = (): readonly string[] =>
  [DEFINITION_TEXTS, LEGACY, HAND_WRITTEN].flatMap(table => Object.keys(table));

/** True if there is a schema of that name. */
export function isDefined(name: string): boolean {
  return Object.hasOwn(DEFINITION_TEXTS, name) || Object.hasOwn(LEGACY, name) || Object.hasOwn(HAND_WRITTEN, name);
}

/** Name of the schema that `schema` refers to, or undefined if it is not a reference. */
export function referenceOf(schema: SchemaDefinition): string | undefined {
  return schema.$ref?.slice(REF_PREFIX.length);
}

/** Follows a reference, if it is one. */
export function resolve(schema: SchemaDefinition): SchemaDefinition {
  const name = referenceOf(schema);
  return name === undefined ? schema : definition(name);
}

/** The name of the struct that `name` is written after, where it is a dropped version: its Go facts are those of that one. */
export function derivedFrom(name: string): string | undefined {
  return LEGACY[name]?.from;
}

/** All schemas that `roots` reach, themselves included: what an OpenAPI document has to hold. */
export function reachable(roots: readonly string[]): string[] {
  const seen = new Set<string>();
  const visit = (schema: SchemaDefinition): void => {
    const name = referenceOf(schema);
    if (name !== undefined) {
      if (seen.has(name)) return;
      seen.add(name);
      visit(definition(name));
    }
    for (const property of Object.values(schema.properties ?? {})) visit(property);
    if (schema.items) visit(schema.items);
    if (schema.additionalProperties) visit(schema.additionalProperties);
  };
  for (const root of roots) visit({ $ref: `${REF_PREFIX}${root}` });
  return [...seen].sort();
}
