/**
 * From a custom resource's definition to kinds as the rest of the server knows them: one {@link KindDeclaration} a served
 * version. All versions of a resource are one object, stored in one of them and converted when they are read and written.
 */

import type { FieldSchema } from '../apply/types.ts';
import { typeOfCustomResource } from '../apply/types.ts';
import type { Kind, KindDeclaration, KubernetesObject, ObjectForm } from '../kind.ts';
import {
  ALL_VERBS,
  dropRepeatedOwners,
  keepServerFields,
  metadataOf,
  ownerWarnings,
  SCALE,
  STATUS,
  setServerFields,
} from '../kinds/declare.ts';
import { isEqual } from '../schema/equal.ts';
import { finalizerWarnings } from '../validation/finalizers.ts';
import { customPrinter, selectableValues } from './columns.ts';
import type { CustomDefinition, CustomVersion } from './definition.ts';
import { readSent, readStored, storeAs } from './form.ts';
import { parseJsonPath } from './json-path.ts';
import { compileRules, type RuleCheck } from './rules.ts';
import { judgeObject, validateChanged, validateNew } from './validate-object.ts';

/** Turns an object of one version of a definition into one of another. It is a private copy and may be changed. */
export type Convert = (object: KubernetesObject, toVersion: string, definition: CustomDefinition) => KubernetesObject;

export interface CustomContext {
  readonly convert: Convert;
}

/** The name of a version's schema: the group backwards, the version, the kind. */
const schemaNameOf = ({ group, names }: CustomDefinition, version: string): string =>
  `${group.split('.').reverse().join('.')}.${version}.${names.kind}`;

/** Declares the versions of a definition that are served. */
export function declareCustom(definition: CustomDefinition, context: CustomContext): KindDeclaration[] {
  if (!definition.isServed) return [];
  // What is not served any more must yet be found by whoever empties the definition.
  const isReachable = ({ isServed, name }: CustomVersion) =>
    isServed || (definition.isTerminating && name === definition.storageVersion);
  return definition.versions.filter(isReachable).map(version => declareVersion(definition, version, context));
}

type WithStatus = KubernetesObject & { status?: unknown };

function kindOf(definition: CustomDefinition, version: string): Kind {
  const { group, names, isNamespaced } = definition;
  return {
    group,
    version,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular,
    namespaced: isNamespaced,
    shortNames: names.shortNames,
    categories: names.categories,
    definition: schemaNameOf(definition, version),
  };
}

function declareVersion(definition: CustomDefinition, version: CustomVersion, context: CustomContext): KindDeclaration {
  const kind = kindOf(definition, version.name);
  const { columns, row } = customPrinter(version.columns);
  const selectable = version.selectableFields.map(path => [path.replace(/^\./, ''), parseJsonPath(path)] as const);
  const preparedFor = new WeakMap<object, string>();
  const form: ObjectForm = {
    listKind: definition.names.listKind,
    hasStatus: version.hasStatus,
    isTerminating: definition.isTerminating,
    convertsByWebhook: definition.conversion.strategy === 'Webhook',
    ...(version.scale && { scale: version.scale }),
    read: (value, onUnknown) => readSent(value, version.schema, onUnknown),
  };
  let rules: { readonly check: RuleCheck | undefined } | undefined;
  const objectRules = { isNamespaced: definition.isNamespaced, version, schema: version.schema };
  return {
    ...kind,
    form,
    storedAs: {
      kind: kindOf(definition, definition.storageVersion),
      toStored: object => storeAs(object, definition, context.convert),
      fromStored: object => readStored(object, { definition, version, convert: context.convert }),
    },
    verbs: ALL_VERBS,
    subresources: [...(version.hasStatus ? [STATUS] : []), ...(version.scale ? [SCALE] : [])],
    tracksGeneration: true,
    allowCreateOnUpdate: false,
    allowUnconditionalUpdate: false,
    defaultPropagation: 'Background',
    ...(version.deprecation !== undefined && { deprecation: version.deprecation }),
    get fieldType() {
      return typeOfCustomResource(version.schema as FieldSchema); // the same schema, with types that validation has checked
    },
    // The schema's defaults are in when an object has been read; there are no others.
    defaults: () => undefined,
    prepareForCreate(object, strategy) {
      const metadata = metadataOf(object);
      setServerFields(metadata, strategy);
      if (version.hasStatus) delete (object as WithStatus).status;
      metadata.generation = 1;
      dropRepeatedOwners(object);
    },
    prepareForUpdate(object, old, { subresource }) {
      keepServerFields(metadataOf(object), metadataOf(old));
      preparedFor.set(object, subresource);
      if (subresource === 'status') takeStatusOnly(object, old);
      else if (version.hasStatus) takeMember(object, old, 'status');
      dropRepeatedOwners(object);
      const isChanged = subresource !== 'status' && !isEqual(bodyOf(object), bodyOf(old));
      metadataOf(object).generation = (metadataOf(old).generation ?? 0) + (isChanged ? 1 : 0);
    },
    validate: object => (preparedFor.has(object) ? [] : validateNew(object, objectRules)),
    validateUpdate: (object, old) =>
      validateChanged(object, old, { ...objectRules, isStatus: preparedFor.get(object) === 'status' }),
    *judgeInSteps(object, old, errors) {
      rules ??= { check: compileRules(version.schema) };
      const { check } = rules;
      return check ? yield* judgeObject(check, [object, old], errors) : [];
    },
    warnings: (object, old) => [
      ...ownerWarnings(object),
      ...(preparedFor.get(object) === 'status' ? [] : finalizerWarnings(object, old)),
    ],
    selectableFieldNames: selectable.map(([name]) => name),
    selectableFields: object => selectableValues(selectable, object),
    columns,
    row,
  };
}

/** A write through `status` changes nothing else. */
function takeStatusOnly(object: KubernetesObject, old: KubernetesObject): void {
  const { status } = object as WithStatus;
  const { managedFields, resourceVersion } = object.metadata ?? {};
  for (const key of Object.keys(object) as (keyof typeof object)[]) delete object[key];
  Object.assign(object, structuredClone(old));
  const metadata = metadataOf(object);
  if (managedFields) metadata.managedFields = managedFields;
  else delete metadata.managedFields;
  if (resourceVersion !== undefined) metadata.resourceVersion = resourceVersion;
  if (status === undefined) delete (object as WithStatus).status;
  else (object as WithStatus).status = status;
}

function takeMember(object: KubernetesObject, old: KubernetesObject, key: 'status'): void {
  const value = (old as WithStatus)[key];
  if (value === undefined) delete (object as WithStatus)[key];
  else (object as WithStatus)[key] = value;
}

/** Everything but the metadata: a change of it makes a new generation. */
function bodyOf(object: KubernetesObject): object {
  const { metadata: _, ...body } = object;
  return body;
}
