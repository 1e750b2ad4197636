/** Validation of `metadata` (apimachinery pkg/api/validation/objectmeta.go). */
import type { ObjectMeta, OwnerReference } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import {
  byRule,
  forbiddenField,
  GO_NULL,
  goQuote,
  IMMUTABLE,
  invalidText,
  invalidValue,
  required,
  tooLongValue,
} from './errors.ts';
import { goPointer } from './go-text.ts';
import { labelName, labelValue, type NameRule, qualifiedName } from './names.ts';

const encoder = new TextEncoder();
const ANNOTATIONS_BYTES_MAX = 262_144;
const STANDARD_FINALIZERS = new Set(['kubernetes', 'foregroundDeletion', 'orphan']);

/** Validates the metadata of an object on its own. */
export function validateObjectMeta(
  metadata: ObjectMeta,
  isNamespaced: boolean,
  nameRule: NameRule,
  path = 'metadata',
): FieldError[] {
  const errors: FieldError[] = [];
  const { name = '', generateName = '', namespace = '' } = metadata;
  if (generateName !== '') errors.push(...byRule(`${path}.generateName`, generateName, nameRule(generateName, true)));
  if (name !== '') errors.push(...byRule(`${path}.name`, name, nameRule(name, false)));
  else if (generateName === '') errors.push(required(`${path}.name`, 'name or generateName is required'));
  if (isNamespaced) {
    if (namespace === '') errors.push(required(`${path}.namespace`));
    else errors.push(...byRule(`${path}.namespace`, namespace, labelName(namespace, false)));
  } else if (namespace !== '') errors.push(forbiddenField(`${path}.namespace`, 'not allowed on this type'));
  if ((metadata.generation ?? 0) < 0) {
    errors.push(invalidValue(`${path}.generation`, metadata.generation, 'must be greater than or equal to 0'));
  }
  errors.push(
    ...validateLabels(metadata.labels, `${path}.labels`),
    ...validateAnnotations(metadata.annotations, `${path}.annotations`),
    ...validateOwnerReferences(metadata.ownerReferences ?? [], `${path}.ownerReferences`),
    ...validateFinalizers(metadata.finalizers ?? [], `${path}.finalizers`),
  );
  return errors;
}

/** Keys and values of labels. */
export function validateLabels(labels: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...byRule(path, key, qualifiedName(key)),
    ...byRule(path, value, labelValue(value)),
  ]);
}

/** Keys of annotations, and their size together. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    errors.push(...byRule(path, key, qualifiedName(key.toLowerCase())));
    sizeBytes += encoder.encode(key).length + encoder.encode(value).length;
  }
  if (sizeBytes > ANNOTATIONS_BYTES_MAX) errors.push(tooLongValue(path, ANNOTATIONS_BYTES_MAX));
  return errors;
}

/** An owner reference as Go's %#v shows it. */
function goOwner({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }: OwnerReference): string {
  return `v1.OwnerReference{APIVersion:${goQuote(apiVersion)}, Kind:${goQuote(kind)}, Name:${goQuote(name)}, UID:${goQuote(uid)}, Controller:${goPointer('bool', controller)}, BlockOwnerDeletion:${goPointer('bool', blockOwnerDeletion)}}`;
}

function validateOwnerReferences(owners: readonly OwnerReference[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const owner of owners) {
    errors.push(...validateOwner(owner, path));
    if (!owner.controller) continue;
    if (controller) {
      errors.push(
        invalidText(
          path,
          `[]v1.OwnerReference{${owners.map(goOwner).join(', ')}}`,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller.kind}/${controller.name} and ${owner.kind}/${owner.name}`,
        ),
      );
    }
    controller = owner;
  }
  return errors;
}

function validateOwner(owner: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const [group, version] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : ['', owner.apiVersion];
  if (!version) {
    errors.push(invalidValue(`${path}.apiVersion`, owner.apiVersion, 'version must not be empty'));
  }
  if (owner.kind === '') errors.push(invalidValue(`${path}.kind`, owner.kind, 'kind must not be empty'));
  if (owner.name === '') errors.push(invalidValue(`${path}.name`, owner.name, 'name must not be empty'));
  if (owner.uid === '') errors.push(invalidValue(`${path}.uid`, owner.uid, 'uid must not be empty'));
  if (group === '' && version === 'v1' && owner.kind === 'Event') {
    errors.push(invalidText(path, goOwner(owner), '/v1, Kind=Event is disallowed from being an owner'));
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[], path: string): FieldError[] {
  const errors = finalizers.flatMap(name => byRule(path, name, qualifiedName(name)));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(
      invalidText(
        path,
        `[]string{${finalizers.map(goQuote).join(', ')}}`,
        'finalizer orphan and foregroundDeletion cannot be both set',
      ),
    );
  }
  return errors;
}

/**
 * What Kubernetes' own kinds demand of finalizers besides: a domain, or one of the names of old. Kinds of apiextensions,
 * apiregistration and admissionregistration do not, nor do custom resources.
 */
export function validateStandardFinalizers({ finalizers = [] }: ObjectMeta, path = 'metadata'): FieldError[] {
  return finalizers.flatMap((name, index) => {
    if (name.includes('/') || STANDARD_FINALIZERS.has(name)) return [];
    const where = `${path}.finalizers[${index}]`;
    return [invalidValue(where, name, 'name is neither a standard finalizer name nor is it fully qualified')];
  });
}

/** A time as Go prints it. */
const goTime = (time: string): string => `${time.replace('T', ' ').replace('Z', '')} +0000 UTC`;

/** What an update may not change. */
export function validateObjectMetaUpdate(metadata: ObjectMeta, old: ObjectMeta, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = [];
  const added = (metadata.finalizers ?? []).filter(name => !old.finalizers?.includes(name));
  if (old.deletionTimestamp && added.length > 0) {
    errors.push(
      forbiddenField(
        `${path}.finalizers`,
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map(goQuote).join(', ')}}`,
      ),
    );
  }
  for (const key of ['name', 'namespace', 'uid'] as const) {
    if ((metadata[key] ?? '') !== (old[key] ?? '')) {
      errors.push(invalidValue(`${path}.${key}`, metadata[key] ?? '', IMMUTABLE));
    }
  }
  if ((metadata.deletionTimestamp ?? '') !== (old.deletionTimestamp ?? '')) {
    errors.push(
      invalidText(
        `${path}.deletionTimestamp`,
        metadata.deletionTimestamp ? goTime(metadata.deletionTimestamp) : GO_NULL,
        IMMUTABLE,
      ),
    );
  }
  if (metadata.deletionGracePeriodSeconds !== old.deletionGracePeriodSeconds) {
    errors.push(
      invalidValue(`${path}.deletionGracePeriodSeconds`, metadata.deletionGracePeriodSeconds ?? null, IMMUTABLE),
    );
  }
  return [...errors, ...validateMetadataContents(metadata, path)];
}

/** Labels, annotations and owners: looked at in every update, changed or not. */
export function validateMetadataContents(metadata: ObjectMeta, path = 'metadata'): FieldError[] {
  return [
    ...validateLabels(metadata.labels, `${path}.labels`),
    ...validateAnnotations(metadata.annotations, `${path}.annotations`),
    ...validateOwnerReferences(metadata.ownerReferences ?? [], `${path}.ownerReferences`),
  ];
}
