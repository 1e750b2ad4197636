/**
 * A custom resource's definition as the rest of the server works with it: small, for schemas are large. A version's
 * schema is read again when somebody first needs it, without the words that only people read.
 */
import type {
  CustomResourceColumnDefinition,
  CustomResourceConversion,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceSubresourceScale,
} from '../generated/types.ts';
import { type JsonSchema, withoutProse } from './schema.ts';

export interface CustomDefinition {
  /** `plural.group`. */
  readonly name: string;
  readonly uid: string;
  readonly group: string;
  readonly isNamespaced: boolean;
  readonly names: Required<CustomResourceDefinitionNames>;
  readonly conversion: CustomResourceConversion;
  readonly storageVersion: string;
  readonly versions: readonly CustomVersion[];
  /** Its objects can be reached. */
  readonly isServed: boolean;
  /** Its kinds stand in discovery. */
  readonly isEstablished: boolean;
  /** Nothing new may come in: the definition is on its way out. */
  readonly isTerminating: boolean;
  /** Equal for definitions of which nothing that matters here is different. */
  readonly fingerprint: string;
  /** Equal for definitions whose objects look the same. */
  readonly formKey: string;
}

export interface CustomVersion {
  readonly name: string;
  readonly isServed: boolean;
  /** The sentence with which requests for it are answered, if it is deprecated. */
  readonly deprecation: string | undefined;
  readonly hasStatus: boolean;
  readonly scale: CustomResourceSubresourceScale | undefined;
  readonly columns: readonly CustomResourceColumnDefinition[];
  /** Paths such as `.spec.color`. */
  readonly selectableFields: readonly string[];
  /** Without what is only for people; empty for a version that has none. */
  readonly schema: JsonSchema;
}

/** A condition of a definition's status. */
export function hasCondition({ status }: CustomResourceDefinition, type: string): boolean {
  return (status?.conditions ?? []).some(condition => condition.type === type && condition.status === 'True');
}

/**
 * Reads a definition.
 * @param reload Gives the same definition again, when a schema is first needed.
 */
export function readDefinition(
  crd: CustomResourceDefinition,
  reload: () => CustomResourceDefinition,
): CustomDefinition {
  const { spec, status, metadata } = crd;
  const accepted = status?.acceptedNames;
  const {
    plural,
    kind,
    singular = '',
    listKind = '',
    shortNames = [],
    categories = [],
  } = accepted?.plural ? accepted : spec.names;
  const isEstablished = hasCondition(crd, 'Established');
  const names = {
    plural,
    kind,
    singular: singular || kind.toLowerCase(),
    listKind: listKind || `${kind}List`,
    shortNames,
    categories,
  };
  const isTerminating = hasCondition(crd, 'Terminating') || metadata?.deletionTimestamp !== undefined;
  const isServed = isEstablished || hasCondition(crd, 'NamesAccepted');
  // A deletion makes a generation of its own, though nothing looks different.
  const formKey = JSON.stringify([metadata?.uid, names, spec.conversion, isTerminating ? '' : metadata?.generation]);
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    group: spec.group,
    isNamespaced: spec.scope === 'Namespaced',
    names,
    conversion: spec.conversion ?? { strategy: 'None' },
    storageVersion: spec.versions.find(({ storage }) => storage)?.name ?? '',
    versions: spec.versions.map(version => ({
      name: version.name,
      isServed: version.served,
      deprecation: deprecationOf(crd, version),
      hasStatus: version.subresources?.status !== undefined,
      scale: version.subresources?.scale,
      columns: version.additionalPrinterColumns ?? [],
      selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath),
      get schema() {
        return schemaOf(reload(), version.name, this);
      },
    })),
    isServed,
    isEstablished,
    isTerminating,
    fingerprint: JSON.stringify([formKey, metadata?.generation, isServed, isEstablished, isTerminating]),
    formKey,
  };
}

/** Reads a version's schema, and keeps it in the version. */
function schemaOf(crd: CustomResourceDefinition, name: string, version: object): JsonSchema {
  const found = crd.spec.versions.find(candidate => candidate.name === name)?.schema?.openAPIV3Schema;
  const value = withoutProse((found ?? {}) as JsonSchema); // it was checked when the definition was written
  Object.defineProperty(version, 'schema', { value });
  return value;
}

type Version = CustomResourceDefinition['spec']['versions'][number];

function deprecationOf({ spec }: CustomResourceDefinition, version: Version): string | undefined {
  if (!version.deprecated) return undefined;
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const { group, names, versions } = spec;
  const [better] = versions
    .filter(({ name, served, deprecated }) => served && !deprecated && compareVersions(name, version.name) < 0)
    .map(({ name }) => name)
    .sort(compareVersions);
  const use = better === undefined ? '' : `; use ${group}/${better} ${names.kind}`;
  return `${group}/${version.name} ${names.kind} is deprecated${use}`;
}

/**
 * Orders versions as Kubernetes does: stable before beta before alpha, newer before older, all of them before names of
 * other forms, which follow the alphabet (apimachinery pkg/version.CompareKubeAwareVersionStrings).
 */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [rankOf(a), rankOf(b)];
  if (!first || !second) return first ? -1 : second ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (const index of [0, 1, 2] as const) if (first[index] !== second[index]) return second[index] - first[index];
  return 0;
}

function rankOf(version: string): readonly [stage: number, major: number, minor: number] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!match) return undefined;
  return [match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)];
}
