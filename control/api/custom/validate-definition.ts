/**
 * What is wrong with a CustomResourceDefinition (apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go).
 * Kubernetes judges an inner form in which what all versions share stands once at the top; clients see its paths.
 */
import type { CustomResourceDefinition, CustomResourceDefinitionNames } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { goQuote, IMMUTABLE, invalidText, invalidValue, oneOf, required } from '../validation/errors.ts';
import { goStrings } from '../validation/go-text.ts';
import { dns1035Label, dns1123Subdomain } from '../validation/names.ts';
import { validateApproval } from './approval.ts';
import { validateConversion } from './conversion-rules.ts';
import { hasCondition } from './definition.ts';
import { goVersions, type InnerSpec, innerSpecOf } from './inner-spec.ts';
import { DEPRECATION_WARNING_BYTES_MAX } from './limits.ts';
import {
  type SchemaContext,
  validateColumns,
  validateSchema,
  validateSelectable,
  validateSubresources,
} from './version-rules.ts';

type Spec = CustomResourceDefinition['spec'];
type Version = Spec['versions'][number];

/** All that is wrong with a new definition besides its metadata. */
export function validateDefinition(crd: CustomResourceDefinition): FieldError[] {
  return [
    ...validateName(crd),
    ...validateSpec(crd.spec, {}),
    ...validateStatus(crd),
    ...validateStoredVersions(crd),
    ...validateApproval(crd, undefined),
    ...validatePreserve(crd, undefined),
  ];
}

/** All that is wrong with a changed definition besides its metadata. */
export function validateDefinitionUpdate(crd: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  return [
    ...validateSpec(crd.spec, { oldSpec: old.spec }),
    ...validateImmutable(crd.spec, old.spec, hasCondition(old, 'Established')),
    ...validateStatus(crd),
    ...validateStoredVersions(crd),
    ...validateApproval(crd, old),
    ...validatePreserve(crd, old),
  ];
}

/** A write of the status is judged for the names in it. */
export function validateStatus({ status }: CustomResourceDefinition): FieldError[] {
  return status?.acceptedNames ? validateNames(status.acceptedNames, 'status.acceptedNames') : [];
}

function validateName({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const name = metadata?.name ?? '';
  if (name === '' || name === `${spec.names.plural}.${spec.group}`) return [];
  return [invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group')];
}

function validateSpec(spec: Spec, context: SchemaContext): FieldError[] {
  const inner = innerSpecOf(spec);
  return [
    ...validateGroup(spec.group),
    ...(spec.scope === '' ? [required('spec.scope')] : oneOf('spec.scope', spec.scope, ['Cluster', 'Namespaced'])),
    ...missingSchemas(spec),
    ...(spec.versions ?? []).flatMap((version, index) => validateVersion(version, index, { inner, context })),
    ...validateVersionNames(spec, inner),
    ...requiredNames(spec.names),
    ...validateNames(spec.names, 'spec.names'),
    ...validateShared(inner, context),
    ...validateConversion(spec.conversion),
  ];
}

function validateGroup(group: string): FieldError[] {
  if (group === '') return [required('spec.group')];
  const wrong = dns1123Subdomain(group);
  if (wrong.length > 0) return [invalidValue('spec.group', group, wrong.join(','))];
  return group.includes('.') ? [] : [invalidValue('spec.group', group, 'should be a domain with at least one dot')];
}

function missingSchemas({ versions }: Spec): FieldError[] {
  return (versions ?? []).flatMap(({ schema }, index) =>
    schema?.openAPIV3Schema ? [] : [required(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required')],
  );
}

interface VersionContext {
  readonly inner: InnerSpec;
  readonly context: SchemaContext;
}

function validateVersion(version: Version, index: number, { inner, context }: VersionContext): FieldError[] {
  const path = `spec.versions[${index}]`;
  const own = inner.versions[index] ?? {};
  const label = dns1035Label(version.name);
  return [
    ...(label.length > 0 ? [invalidValue(`${path}.name`, version.name, label.join(','))] : []),
    ...validateWarning(version, path),
    ...(own.schema
      ? validateSchema(own.schema, `${path}.schema`, {
          ...context,
          hasStatus: version.subresources?.status !== undefined,
          versionName: version.name,
        })
      : []),
    ...validateSubresources(own.subresources, `${path}.subresources`),
    ...validateColumns(own.columns, `${path}.additionalPrinterColumns`),
    ...validateSelectable(own.selectableFields, version.schema, `${path}.selectableFields`),
  ];
}

/** What all versions share is judged once, and told at the top. */
function validateShared({ shared, versionName }: InnerSpec, context: SchemaContext): FieldError[] {
  const { schema, subresources, columns, selectableFields } = shared;
  const hasStatus = shared.hasStatus;
  return [
    ...(schema ? validateSchema(schema, 'spec.validation', { ...context, hasStatus, versionName }) : []),
    ...validateSubresources(subresources, 'spec.subresources'),
    ...validateColumns(columns, 'spec.additionalPrinterColumns'),
    ...validateSelectable(selectableFields, schema, 'spec.selectableFields'),
  ];
}

function validateWarning({ deprecated, deprecationWarning: warning }: Version, path: string): FieldError[] {
  if (warning === undefined) return [];
  const refuse = (why: string) => invalidText(`${path}.deprecationWarning`, goQuote(warning), why);
  if (!deprecated) return [refuse('can only be set for deprecated versions')];
  const errors: FieldError[] = [];
  if (new TextEncoder().encode(warning).length > DEPRECATION_WARNING_BYTES_MAX) {
    errors.push(refuse(`must be <= ${DEPRECATION_WARNING_BYTES_MAX} characters long`));
  }
  if (warning === '') errors.push(refuse('must not be an empty string'));
  const unprintable = warning.search(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
  if (unprintable >= 0) {
    const index = new TextEncoder().encode(warning.slice(0, unprintable)).length;
    errors.push(
      refuse(`must only contain printable UTF-8 characters; non-printable character found at index ${index}`),
    );
  }
  return errors;
}

function validateVersionNames(spec: Spec, inner: InnerSpec): FieldError[] {
  const { versions } = spec;
  const errors: FieldError[] = [];
  const names = (versions ?? []).map(({ name }) => name);
  const refuse = (why: string) => errors.push(invalidText('spec.versions', goVersions(spec.versions, inner), why));
  if (new Set(names).size < names.length) refuse('must contain unique version names');
  if ((versions ?? []).filter(({ storage }) => storage).length !== 1) {
    refuse('must have exactly one version marked as storage version');
  }
  // The name of the first version is kept a second time, and so judged a second time.
  const [first] = names;
  const label = first === undefined || first === '' ? [] : dns1035Label(first);
  if (first !== undefined && label.length > 0) errors.push(invalidValue('spec.version', first, label.join(',')));
  return errors;
}

function requiredNames({ plural, singular, kind, listKind }: CustomResourceDefinitionNames): FieldError[] {
  const names = { plural, singular, kind, listKind };
  return Object.entries(names).flatMap(([key, name]) => (name ? [] : [required(`spec.names.${key}`)]));
}

function validateNames(names: CustomResourceDefinitionNames, path: string): FieldError[] {
  const { plural, singular = '', kind, listKind = '', shortNames = [], categories = [] } = names;
  const label = (key: string, name: string, lead = '') => {
    const wrong = name === '' ? [] : dns1035Label(lead === '' ? name : name.toLowerCase());
    return wrong.length > 0 ? [invalidValue(`${path}.${key}`, name, lead + wrong.join(','))] : [];
  };
  const mixed = 'may have mixed case, but should otherwise match: ';
  const each = (key: string, list: readonly string[]) =>
    list.flatMap((name, index) => {
      const wrong = dns1035Label(name);
      return wrong.length > 0 ? [invalidValue(`${path}.${key}[${index}]`, name, wrong.join(','))] : [];
    });
  return [
    ...label('plural', plural),
    ...label('singular', singular),
    ...label('kind', kind, mixed),
    ...label('listKind', listKind, mixed),
    ...each('shortNames', shortNames),
    ...(kind !== '' && kind === listKind
      ? [invalidValue(`${path}.listKind`, listKind, 'kind and listKind may not be the same')]
      : []),
    ...each('categories', categories),
  ];
}

function validateImmutable(spec: Spec, old: Spec, isEstablished: boolean): FieldError[] {
  const same = (path: string, now: string, before: string) =>
    isEqual(now, before) ? [] : [invalidValue(path, now, IMMUTABLE)];
  return [
    // These say how objects lie in the store.
    ...(isEstablished
      ? [...same('spec.scope', spec.scope, old.scope), ...same('spec.names.kind', spec.names.kind, old.names.kind)]
      : []),
    ...same('spec.group', spec.group, old.group),
    ...same('spec.names.plural', spec.names.plural, old.names.plural),
  ];
}

function validateStoredVersions({ spec, status }: CustomResourceDefinition): FieldError[] {
  const path = 'status.storedVersions';
  const stored = status?.storedVersions ?? [];
  if (stored.length === 0) {
    return [invalidText(path, goStrings(undefined), 'must have at least one stored version')];
  }
  const names = (spec.versions ?? []).map(({ name }) => name);
  return [
    ...(spec.versions ?? [])
      .filter(({ storage, name }) => storage && !stored.includes(name))
      .map(({ name }) => invalidText(path, goStrings(stored), `must have the storage version ${name}`)),
    ...stored.flatMap((name, index) => {
      if (names.includes(name)) return [];
      const why = `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
      return [invalidValue(`${path}[${index}]`, name, why)];
    }),
  ];
}

function validatePreserve(crd: CustomResourceDefinition, old: CustomResourceDefinition | undefined): FieldError[] {
  if (!crd.spec.preserveUnknownFields || old?.spec.preserveUnknownFields) return [];
  const why = 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
  return [invalidValue('spec.preserveUnknownFields', true, why)];
}
