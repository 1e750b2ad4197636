/**
 * Makes a {@link KindDeclaration} of what is special about a kind. What all kinds share is here: which metadata the server
 * sets, that status is written only through its subresource, that `metadata.generation` counts changes of the spec, and
 * that an object leaves preparation in the form in which it is stored.
 */
import type { ObjectMeta, PodSpec } from '../generated/types.ts';
import type { Kind, KindDeclaration, KubernetesObject, StrategyContext, Subresource } from '../kind.ts';
import { defaultPrinter, printers } from '../printers/printers.ts';
import { canonical } from '../schema/decode.ts';
import { definition, derivedFrom } from '../schema/definitions.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import {
  validateMetadataContents,
  validateObjectMeta,
  validateObjectMetaUpdate,
  validateStandardFinalizers,
} from '../validation/metadata.ts';
import { type NameRule, subdomainName } from '../validation/names.ts';
import { dropImageVolumes } from './image-volumes.ts';

/** What a kind may say of itself; see {@link KindDeclaration} for each member. */
export interface Behaviour<T extends KubernetesObject> {
  readonly storedAs?: KindDeclaration<T>['storedAs'];
  readonly verbs?: readonly string[];
  readonly subresources?: readonly Subresource[];
  readonly tracksGeneration?: boolean;
  /** What counts as a change for the generation; by default everything but metadata and status. */
  isSpecChanged?(object: T, old: T): boolean;
  readonly allowCreateOnUpdate?: boolean;
  readonly allowUnconditionalUpdate?: boolean;
  /** True if a write through `status` leaves the metadata as they are; of most kinds it may change labels, annotations and such. */
  readonly statusKeepsMetadata?: boolean;
  /** True if a create may bring a status: nodes register with theirs. */
  readonly keepsStatusOnCreate?: boolean;
  readonly defaultPropagation?: 'Background' | 'Orphan';
  /** What names of this kind look like; DNS subdomains if not said. */
  readonly nameRule?: NameRule;
  defaults?(object: T): void;
  /** The spec of the pods that it is, or makes: fields of features that are off leave it. */
  podSpecOf?(object: T): PodSpec | undefined;
  prepareForCreate?(object: T, context: StrategyContext): void;
  /** Not called for the status subresource, whose rules are the same for all kinds. */
  prepareForUpdate?(object: T, old: T, context: StrategyContext): void;
  /** What a write through the status subresource does besides taking the status. */
  prepareForStatusUpdate?(object: T, old: T, context: StrategyContext): void;
  /** `old` is what an update is of: a part that is the very same value was judged when it was written. */
  validate?(object: T, old?: T): FieldError[];
  /** What may not change. The object as it has become is validated besides. */
  validateUpdate?(object: T, old: T, subresource: string): FieldError[];
  /** True if an update tells what is wrong with the object before what may not change. */
  readonly judgesWholeFirst?: boolean;
  /** True if an update is refused only for what it changes and for its metadata, not for what was there before. */
  readonly judgesOnlyChanges?: boolean;
  readonly isUnlisted?: boolean;
  readonly deprecation?: string;
  warnings?(object: T, old: T | undefined): string[];
  decideDeletion?: KindDeclaration<T>['decideDeletion'];
  selectableFields?(object: T): Readonly<Record<string, string>>;
  readonly selectableFieldNames?: readonly string[];
}

/** All verbs that an ordinary resource has, in discovery's order. */
export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

/** The `status` subresource. */
export const STATUS: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] };

/** The `scale` subresource. */
export const SCALE: Subresource = {
  name: 'scale',
  verbs: ['get', 'patch', 'update'],
  responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
};

/** Through which subresource an object was changed: what may change depends on it, and validation comes later. */
const preparedFor = new WeakMap<object, string>();

/** Owners that an object named twice, by uid, until its warnings are told. */
const repeatedOwners = new WeakMap<object, readonly string[]>();

/** An owner counts once. */
export function dropRepeatedOwners(object: KubernetesObject): void {
  const { ownerReferences: owners } = metadataOf(object);
  if (!owners || owners.length < 2) return;
  const repeated = new Set<string>();
  const kept = owners.filter((owner, index) => {
    const isRepeated = owners.slice(0, index).some(other => isEqual(other, owner));
    if (isRepeated) repeated.add(owner.uid);
    return !isRepeated;
  });
  if (repeated.size === 0) return;
  metadataOf(object).ownerReferences = kept;
  repeatedOwners.set(object, [...repeated]);
}

/** What a client is told of owners that it named twice. */
export function ownerWarnings(object: KubernetesObject): string[] {
  const uids = repeatedOwners.get(object);
  if (!uids) return [];
  return [
    `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${uids.join(', ')}`,
  ];
}

/** Groups whose objects may have finalizers of any name. */
const ANY_FINALIZERS = new Set(['admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io']);

/** Declares a kind. */
export function declare<T extends KubernetesObject>(
  kind: Kind<T>,
  behaviour: Behaviour<NoInfer<T>>,
): KindDeclaration<T> {
  const tracksGeneration = behaviour.tracksGeneration ?? false;
  const hasStatus = 'status' in (definition(kind.definition).properties ?? {});
  const nameRule = behaviour.nameRule ?? subdomainName;
  // An old version is shown as the one that it was made of.
  const shown = printers[kind.definition] ?? printers[derivedFrom(kind.definition) ?? ''] ?? defaultPrinter;
  const dropDisabled = (object: T, old: T | undefined, { features }: StrategyContext): void => {
    const spec = behaviour.podSpecOf?.(object);
    if (spec && !features?.ImageVolume) dropImageVolumes(spec, old && behaviour.podSpecOf?.(old));
  };
  const validateWhole = (object: T, old?: T): FieldError[] => [
    ...validateObjectMeta(metadataOf(object), kind.namespaced, nameRule),
    ...(ANY_FINALIZERS.has(kind.group) ? [] : validateStandardFinalizers(metadataOf(object))),
    ...(behaviour.validate?.(object, old) ?? []),
  ];
  return {
    ...kind,
    ...(behaviour.storedAs && { storedAs: behaviour.storedAs }),
    verbs: behaviour.verbs ?? ALL_VERBS,
    subresources: behaviour.subresources ?? [],
    tracksGeneration,
    allowCreateOnUpdate: behaviour.allowCreateOnUpdate ?? false,
    allowUnconditionalUpdate: behaviour.allowUnconditionalUpdate ?? true,
    defaultPropagation: behaviour.defaultPropagation ?? 'Background',
    selectableFieldNames: behaviour.selectableFieldNames ?? [],
    defaults: object => behaviour.defaults?.(object),
    prepareForCreate(object, context) {
      const metadata = metadataOf(object);
      setServerFields(metadata, context);
      if (hasStatus && !behaviour.keepsStatusOnCreate) delete (object as WithStatus).status;
      if (tracksGeneration) metadata.generation = 1;
      dropDisabled(object, undefined, context);
      behaviour.prepareForCreate?.(object, context);
      dropRepeatedOwners(object);
      settle(kind, object);
    },
    prepareForUpdate(object, old, context) {
      keepServerFields(metadataOf(object), metadataOf(old));
      preparedFor.set(object, context.subresource);
      if (context.subresource === 'status') {
        keepAllButStatus(object, old);
        if (behaviour.statusKeepsMetadata) keepMetadata(object, old);
        behaviour.prepareForStatusUpdate?.(object, old, context);
      } else {
        // The one subresource besides `status` that writes a part of it: a certificate request's approval.
        if (hasStatus && context.subresource !== 'approval') copyMember<WithStatus>(object, old, 'status');
        dropDisabled(object, old, context);
        behaviour.prepareForUpdate?.(object, old, context);
      }
      dropRepeatedOwners(object);
      if (context.subresource === 'status') settleStatus(kind, object);
      else settle(kind, object);
      if (tracksGeneration) {
        const isChanged = context.subresource !== 'status' && (behaviour.isSpecChanged ?? isBodyChanged)(object, old);
        metadataOf(object).generation = (metadataOf(old).generation ?? 0) + (isChanged ? 1 : 0);
      }
    },
    // An object that was prepared for an update is judged as a whole by validateUpdate.
    validate: object => (preparedFor.has(object) ? [] : validateWhole(object)),
    validateUpdate(object, old) {
      const metadata = validateObjectMetaUpdate(metadataOf(object), metadataOf(old));
      const changes = behaviour.validateUpdate?.(object, old, preparedFor.get(object) ?? '') ?? [];
      const whole = behaviour.judgesOnlyChanges ? [] : validateWhole(object, old);
      // Kubernetes looks at metadata several times, and clients see it in the list of causes.
      const first = [...metadata, ...validateMetadataContents(metadataOf(object))];
      return behaviour.judgesWholeFirst
        ? [...first, ...whole, ...metadata, ...changes]
        : [...first, ...metadata, ...changes, ...whole];
    },
    ...(behaviour.isUnlisted && { isUnlisted: true }),
    ...(behaviour.deprecation && { deprecation: behaviour.deprecation }),
    warnings: (object, old) => [...ownerWarnings(object), ...(behaviour.warnings?.(object, old) ?? [])],
    ...(behaviour.decideDeletion && { decideDeletion: behaviour.decideDeletion }),
    selectableFields: object => behaviour.selectableFields?.(object) ?? {},
    columns: shown.columns,
    row: (object, now) => shown.row(object, now),
  };
}

type WithStatus = KubernetesObject & { status?: unknown };

/** The object's metadata, made if it has none. */
export function metadataOf(object: KubernetesObject): ObjectMeta {
  object.metadata ??= {};
  return object.metadata;
}

function copyMember<T extends object>(to: object, from: object, key: keyof T): void {
  const value = (from as T)[key];
  if (value === undefined) delete (to as T)[key];
  else (to as T)[key] = value;
}

/** What the server sets in the metadata of a new object. */
export function setServerFields(metadata: ObjectMeta, { now, newUid }: StrategyContext): void {
  metadata.uid = newUid();
  metadata.creationTimestamp = now;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
}

/** What a client leaves out is what it was; what it gets wrong is validation's affair. */
export function keepServerFields(metadata: ObjectMeta, old: ObjectMeta): void {
  if (!metadata.uid) copyMember<ObjectMeta>(metadata, old, 'uid');
  copyMember<ObjectMeta>(metadata, old, 'creationTimestamp');
  if (!metadata.deletionTimestamp) copyMember<ObjectMeta>(metadata, old, 'deletionTimestamp');
  if (metadata.deletionGracePeriodSeconds === undefined) {
    copyMember<ObjectMeta>(metadata, old, 'deletionGracePeriodSeconds');
  }
  copyMember<ObjectMeta>(metadata, old, 'generation');
  copyMember<ObjectMeta>(metadata, old, 'selfLink');
}

/** All of the metadata but who owns which field, and the version that the write was made for. */
function keepMetadata(object: KubernetesObject, old: KubernetesObject): void {
  const { managedFields, resourceVersion } = metadataOf(object);
  const { managedFields: _fields, resourceVersion: _version, ...kept } = metadataOf(old);
  object.metadata = {
    ...structuredClone(kept),
    ...(managedFields && { managedFields }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** A write through `status` changes nothing else, except metadata that clients may write. */
function keepAllButStatus(object: KubernetesObject, old: KubernetesObject): void {
  for (const key of Object.keys(object) as (keyof typeof object)[]) if (!isOwnMember(key)) delete object[key];
  for (const key of Object.keys(old) as (keyof typeof old)[]) {
    if (!isOwnMember(key)) copyMember<KubernetesObject>(object, old, key);
  }
}

/** What a write through `status` may write. */
const STATUS_MEMBERS: readonly (keyof WithStatus)[] = ['metadata', 'status'];

const isOwnMember = (key: string): boolean =>
  (STATUS_MEMBERS as readonly string[]).includes(key) || key === 'kind' || key === 'apiVersion';

function isBodyChanged(object: KubernetesObject, old: KubernetesObject): boolean {
  const body = ({
    metadata: _metadata,
    status: _status,
    kind: _kind,
    apiVersion: _version,
    ...rest
  }: WithStatus & {
    [key: string]: unknown;
  }) => rest;
  return !isEqual(body({ ...object }), body({ ...old }));
}

/** Brings the object into stored form, in place. */
function settle<T extends KubernetesObject>(kind: Kind<T>, object: T): void {
  const settled = canonical(kind, object);
  for (const key of Object.keys(object) as (keyof T)[]) if (!(key in settled)) delete object[key];
  Object.assign(object, settled);
}

/** The same for what a write through `status` may have changed; the rest is as it was stored. */
function settleStatus(kind: Kind, object: WithStatus): void {
  const { metadata, status } = object;
  const settled = canonical<WithStatus>(kind, { metadata, status });
  for (const member of STATUS_MEMBERS) copyMember<WithStatus>(object, settled, member);
}
