/**
 * The form in which Kubernetes judges a definition's versions: what is the same in all of them stands once, at the top
 * (apiextensions-apiserver pkg/apis/apiextensions/v1/conversion.go). Errors are told by the paths of this form.
 */
import type { CustomResourceDefinition } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { goQuote } from '../validation/errors.ts';
import { goPointer } from '../validation/go-text.ts';

type Version = CustomResourceDefinition['spec']['versions'][number];

/** What may be shared by all versions, and is else a version's own. */
export interface Shareable {
  readonly schema?: Version['schema'];
  readonly subresources?: Version['subresources'];
  readonly columns?: Version['additionalPrinterColumns'];
  readonly selectableFields?: Version['selectableFields'];
}

export interface InnerSpec {
  readonly shared: Shareable & { readonly hasStatus: boolean };
  readonly versions: readonly Shareable[];
  /** The first version's name. */
  readonly versionName: string;
}

export function innerSpecOf({ versions }: CustomResourceDefinition['spec']): InnerSpec {
  const parts = (versions ?? []).map(partsOf);
  const [first] = parts;
  const isShared = (key: keyof Shareable) => parts.every(part => isEqual(part[key] ?? null, first?.[key] ?? null));
  const keys = ['schema', 'subresources', 'columns', 'selectableFields'] as const;
  const sharedKeys = new Set(keys.filter(isShared));
  const pick = (part: Shareable, holds: (key: keyof Shareable) => boolean) =>
    Object.fromEntries(keys.filter(key => holds(key) && part[key] !== undefined).map(key => [key, part[key]]));
  return {
    shared: {
      ...pick(first ?? {}, key => sharedKeys.has(key)),
      hasStatus: parts.some(({ subresources }) => subresources?.status !== undefined),
    },
    versions: parts.map(part => pick(part, key => !sharedKeys.has(key))),
    versionName: versions?.[0]?.name ?? '',
  };
}

function partsOf({ schema, subresources, additionalPrinterColumns, selectableFields }: Version): Shareable {
  return {
    ...(schema && { schema }),
    ...(subresources && { subresources }),
    ...(additionalPrinterColumns && { columns: additionalPrinterColumns }),
    ...(selectableFields && { selectableFields }),
  };
}

/** The versions as Go's `%#v` prints them. Addresses are made up: they say only that there is something. */
export function goVersions(versions: readonly Version[] | undefined, inner: InnerSpec): string {
  const type = '[]apiextensions.CustomResourceDefinitionVersion';
  if (!versions) return `${type}(nil)`;
  const shown = versions.map((version, index) => {
    const { name, served, storage, deprecated = false, deprecationWarning } = version;
    const own = inner.versions[index] ?? {};
    const fields = [
      `Name:${goQuote(name)}`,
      `Served:${served}`,
      `Storage:${storage}`,
      `Deprecated:${deprecated}`,
      `DeprecationWarning:${goPointer('string', deprecationWarning)}`,
      `Schema:${goPointer('apiextensions.CustomResourceValidation', own.schema)}`,
      `Subresources:${goPointer('apiextensions.CustomResourceSubresources', own.subresources)}`,
      `AdditionalPrinterColumns:[]apiextensions.CustomResourceColumnDefinition${own.columns ? '{…}' : '(nil)'}`,
      `SelectableFields:[]apiextensions.SelectableField${own.selectableFields ? '{…}' : '(nil)'}`,
    ];
    return `apiextensions.CustomResourceDefinitionVersion{${fields.join(', ')}}`;
  });
  return `${type}{${shown.join(', ')}}`;
}
