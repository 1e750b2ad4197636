/** All that can be wrong with a custom resource, rules in CEL last, in Kubernetes' order (apiextensions-apiserver pkg/registry/customresource). */
import type { CustomResourceSubresourceScale, ObjectMeta } from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { goText } from '../patch/json.ts';
import type { FieldError } from '../status.ts';
import { invalidText, invalidValue } from '../validation/errors.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from '../validation/metadata.ts';
import { subdomainName } from '../validation/names.ts';
import type { CustomVersion } from './definition.ts';
import { validateEmbedded } from './embedded.ts';
import { REPLICAS_MAX } from './limits.ts';
import { validateListTypes } from './list-types.ts';
import type { RuleCheck } from './rules.ts';
import { type JsonObject, type JsonSchema, propertyOf } from './schema.ts';
import { goTypeOf, valueAt } from './simple-path.ts';
import { validateValue } from './validate-value.ts';

export interface ObjectRules {
  readonly isNamespaced: boolean;
  readonly version: CustomVersion;
  readonly schema: JsonSchema;
}

const asJson = (object: KubernetesObject): JsonObject => object as unknown as JsonObject;
const metadataOf = ({ metadata }: KubernetesObject): ObjectMeta => metadata ?? {};

export function validateNew(object: KubernetesObject, rules: ObjectRules): FieldError[] {
  const { isNamespaced, version, schema } = rules;
  return [
    ...validateObjectMeta(metadataOf(object), isNamespaced, subdomainName),
    ...validateValue(asJson(object), schema, { field: '' }),
    ...validateScaleSpec(asJson(object), version.scale),
    ...validateScaleStatus(asJson(object), version.scale),
    ...validateEmbedded(object, schema),
    ...validateListTypes(asJson(object), schema),
  ];
}

export function validateChanged(
  object: KubernetesObject,
  old: KubernetesObject,
  rules: ObjectRules & { readonly isStatus: boolean },
): FieldError[] {
  const { version, schema, isStatus } = rules;
  const [now, before] = [asJson(object), asJson(old)];
  return [
    ...validateObjectMetaUpdate(metadataOf(object), metadataOf(old)),
    ...(isStatus ? validateStatus(now, before, schema) : validateValue(now, schema, { field: '' }, { value: before })),
    ...(isStatus ? [] : validateScaleSpec(now, version.scale)),
    ...validateScaleStatus(now, version.scale),
    ...(isStatus ? [] : validateEmbedded(object, schema)),
    // Items that were there twice before are let be.
    ...(validateListTypes(before, schema).length === 0 ? validateListTypes(now, schema) : []),
  ];
}

/** A write of the status is judged for its status only; sentences then name fields from there. */
function validateStatus(now: JsonObject, before: JsonObject, schema: JsonSchema): FieldError[] {
  const status = propertyOf(schema, 'status');
  if (!status || !Object.hasOwn(now, 'status')) return [];
  const old = Object.hasOwn(before, 'status') ? { value: before.status } : undefined;
  return validateValue(now.status, status, { field: 'status' }, old);
}

/** With these, values are not of the form that rules count on. */
const BLOCKING: ReadonlySet<FieldError['type']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

/** What the rules in CEL say, in steps, if what else was said of the object lets them be run. */
export function* judgeObject(
  check: RuleCheck,
  [object, old]: readonly [KubernetesObject, KubernetesObject | undefined],
  errors: readonly FieldError[],
): Generator<undefined, readonly FieldError[]> {
  if (!errors.some(({ type }) => BLOCKING.has(type))) return yield* check(asJson(object), old && asJson(old));
  const why =
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  return [invalidText('<nil>', '"null"', why)];
}

type Scale = CustomResourceSubresourceScale | undefined;

function validateScaleSpec(object: JsonObject, scale: Scale): FieldError[] {
  return scale ? validateCount(object, scale.specReplicasPath) : [];
}

function validateScaleStatus(object: JsonObject, scale: Scale): FieldError[] {
  if (!scale) return [];
  const errors = validateCount(object, scale.statusReplicasPath);
  const { labelSelectorPath: path } = scale;
  if (!path) return errors;
  const found = valueAt(object, path);
  if (found.error !== undefined) return [...errors, invalidValue(path, '', found.error)];
  if (found.value === undefined || typeof found.value === 'string') return errors;
  const why = `${path} accessor error: ${goText(found.value)} is of the type ${goTypeOf(found.value)}, expected string`;
  return [...errors, invalidValue(path, '', why)];
}

function validateCount(object: JsonObject, path: string): FieldError[] {
  const { value, error } = valueAt(object, path);
  if (error !== undefined) return [invalidValue(path, 0, error)];
  if (value === undefined) return [];
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    const why = `${path} accessor error: ${goText(value)} is of the type ${goTypeOf(value)}, expected int64`;
    return [invalidValue(path, 0, why)];
  }
  if (value < 0) return [invalidValue(path, value, 'should be a non-negative integer')];
  if (value > REPLICAS_MAX) return [invalidValue(path, value, `should be less than or equal to ${REPLICAS_MAX}`)];
  return [];
}
