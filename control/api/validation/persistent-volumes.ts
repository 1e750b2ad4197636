/** Validation of persistent volumes and claims to them. */
import type {
  LocalVolumeSource,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  VolumeNodeAffinity,
} from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { compareQuantities, formatQuantity, isWhole, parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { byRule, forbiddenField, IMMUTABLE, invalidText, invalidValue, oneOf, required } from './errors.ts';
import { dns1123Subdomain } from './names.ts';
import { validateTypedReference } from './references.ts';
import { goQuantity } from './resources.ts';
import { validateLabelSelector, validateNodeTerm } from './scheduling.ts';
import { validateDriverName } from './storage.ts';
import { hasDotDot, validateHostPath, validateNfs } from './volumes.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const VOLUME_MODES = ['Block', 'Filesystem'];
const RECLAIM_POLICIES = ['Delete', 'Recycle', 'Retain'];
const POSITIVE = 'must be greater than zero';
/** How a claim or volume named its class before `storageClassName`. */
const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';

/** Kinds of volume in the order in which Kubernetes looks at them: the first counts, the others are too many. */
const SOURCES = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'glusterfs',
  'flocker',
  'nfs',
  'rbd',
  'quobyte',
  'cephfs',
  'iscsi',
  'cinder',
  'fc',
  'flexVolume',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'scaleIO',
  'local',
  'storageos',
  'csi',
] as const;

function validateModes(modes: readonly string[], field: string): FieldError[] {
  const errors = modes.flatMap(mode => oneOf(field, mode, ACCESS_MODES));
  if (modes.includes('ReadWriteOncePod') && modes.some(mode => mode !== 'ReadWriteOncePod')) {
    errors.push(forbiddenField(field, 'may not use ReadWriteOncePod with other access modes'));
  }
  return errors;
}

function validatePositive(text: string | number, field: string): FieldError[] {
  const quantity = parseQuantity(String(text));
  return quantity.unscaled > 0n ? [] : [invalidValue(field, formatQuantity(quantity), POSITIVE)];
}

const classErrors = (name: string | undefined): FieldError[] =>
  name ? byRule('spec.storageClassName', name, dns1123Subdomain(name)) : [];

const modeErrors = (mode: string | undefined): FieldError[] =>
  mode === undefined ? [] : oneOf('spec.volumeMode', mode, VOLUME_MODES);

export function validateVolume({ spec = {} }: PersistentVolume): FieldError[] {
  const { accessModes = [], persistentVolumeReclaimPolicy: policy, hostPath } = spec;
  const errors = accessModes.length === 0 ? [required('spec.accessModes')] : [];
  errors.push(...validateModes(accessModes, 'spec.accessModes'), ...validateVolumeCapacity(spec.capacity));
  if (policy) errors.push(...oneOf('spec.persistentVolumeReclaimPolicy', policy, RECLAIM_POLICIES));
  errors.push(...validateNodeAffinity(spec.nodeAffinity));
  const present = SOURCES.filter(source => spec[source] !== undefined);
  for (const [index, source] of present.entries()) {
    if (index === 0) errors.push(...validateSource(spec, source, `spec.${source}`));
    else errors.push(forbiddenField(`spec.${source}`, 'may not specify more than 1 volume type'));
  }
  if (present.length === 0) errors.push(required('spec', 'must specify a volume type'));
  if (hostPath && /^\/*(?:\.\/*)*$/.test(hostPath.path) && policy === 'Recycle') {
    const why = "may not be 'recycle' for a hostPath mount of '/'";
    errors.push(forbiddenField('spec.persistentVolumeReclaimPolicy', why));
  }
  return [...errors, ...classErrors(spec.storageClassName), ...modeErrors(spec.volumeMode)];
}

function validateVolumeCapacity(capacity: PersistentVolumeSpec['capacity']): FieldError[] {
  const entries = Object.entries(capacity ?? {});
  const errors = entries.length === 0 ? [required('spec.capacity')] : [];
  if (entries.length !== 1 || entries[0]?.[0] !== 'storage') {
    const shown = capacity
      ? `core.ResourceList{${entries
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, text]) => `"${name}":${goQuantity(parseQuantity(String(text)))}`)
          .join(', ')}}`
      : GO_NO_RESOURCES;
    errors.push({
      type: 'FieldValueNotSupported',
      field: 'spec.capacity',
      message: `Unsupported value: ${shown}: supported values: "storage"`,
    });
  }
  return [...errors, ...entries.flatMap(([name, text]) => validatePositive(text, `spec.capacity[${name}]`))];
}
const GO_NO_RESOURCES = 'core.ResourceList(nil)';

function validateNodeAffinity(affinity: VolumeNodeAffinity | undefined): FieldError[] {
  const field = 'spec.nodeAffinity.required';
  if (!affinity) return [];
  if (!affinity.required) return [required(field, 'must specify required node constraints')];
  const terms = affinity.required.nodeSelectorTerms ?? [];
  if (terms.length === 0) {
    return [required(`${field}.nodeSelectorTerms`, 'must have at least one node selector term')];
  }
  return terms.flatMap((term, index) => validateNodeTerm(term, `${field}.nodeSelectorTerms[${index}]`));
}

function validateSource(spec: PersistentVolumeSpec, source: (typeof SOURCES)[number], path: string): FieldError[] {
  switch (source) {
    case 'hostPath':
      return validateHostPath(spec.hostPath, path);
    case 'nfs':
      return validateNfs(spec.nfs, path);
    case 'local':
      return [
        ...validateLocal(spec.local, path),
        ...(spec.nodeAffinity ? [] : [required('spec.nodeAffinity', 'Local volume requires node affinity')]),
      ];
    case 'csi':
      return [
        ...validateDriverName(`${path}.driver`, spec.csi?.driver ?? ''),
        ...(spec.csi?.volumeHandle ? [] : [required(`${path}.volumeHandle`)]),
      ];
    case 'iscsi':
      return [
        ...(spec.iscsi?.targetPortal ? [] : [required(`${path}.targetPortal`)]),
        ...(spec.iscsi?.iqn ? [] : [required(`${path}.iqn`)]),
      ];
    case 'rbd':
      return [
        ...((spec.rbd?.monitors ?? []).length > 0 ? [] : [required(`${path}.monitors`)]),
        ...(spec.rbd?.image ? [] : [required(`${path}.image`)]),
      ];
    default:
      // Volumes that no node here mounts: stored as they are.
      return [];
  }
}

function validateLocal(local: LocalVolumeSource | undefined, path: string): FieldError[] {
  const where = local?.path ?? '';
  if (where === '') return [required(`${path}.path`)];
  return hasDotDot(where) ? [invalidValue(`${path}.path`, where, `must not contain '..'`)] : [];
}

/** Where the data are stays. */
export function validateVolumeUpdate(
  { spec = {} }: PersistentVolume,
  { spec: old = {} }: PersistentVolume,
): FieldError[] {
  const errors: FieldError[] = [];
  const changed = SOURCES.filter(source => !isEqual(spec[source], old[source]));
  if (changed.length > 0) {
    const lines = changed.map(source => `  spec.${source}`).join('\n');
    const why = `spec.persistentvolumesource is immutable after creation\n${lines}`;
    errors.push(forbiddenField('spec.persistentvolumesource', why));
  }
  if (spec.volumeMode !== old.volumeMode) errors.push(invalidValue('volumeMode', spec.volumeMode ?? null, IMMUTABLE));
  if (old.nodeAffinity && !isEqual(spec.nodeAffinity, old.nodeAffinity)) {
    const why = `${IMMUTABLE}, except for updating from beta label to GA`;
    errors.push(invalidValue('spec.nodeAffinity', spec.nodeAffinity ?? null, why));
  }
  return errors;
}

const DEPRECATED_SOURCES: readonly (readonly [(typeof SOURCES)[number], string])[] = [
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
];

const annotationWarnings = ({ metadata }: PersistentVolume): string[] =>
  metadata?.annotations?.[CLASS_ANNOTATION] === undefined
    ? []
    : [`metadata.annotations[${CLASS_ANNOTATION}]: deprecated since v1.8; use "storageClassName" attribute instead`];

export function volumeWarnings(object: PersistentVolume): string[] {
  const { spec = {} } = object;
  const warnings = annotationWarnings(object);
  if (spec.persistentVolumeReclaimPolicy === 'Recycle') {
    warnings.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    );
  }
  for (const [source, why] of DEPRECATED_SOURCES) {
    if (spec[source] !== undefined) warnings.push(`spec.${source}: ${why}`);
  }
  return warnings;
}

export const validateClaim = ({ spec = {} }: PersistentVolumeClaim): FieldError[] => validateClaimSpec(spec);

function validateClaimSpec(spec: PersistentVolumeClaimSpec): FieldError[] {
  const { accessModes = [], selector, resources, dataSource, dataSourceRef } = spec;
  const errors = accessModes.length === 0 ? [required('spec.accessModes', 'at least 1 access mode is required')] : [];
  errors.push(...validateLabelSelector(selector, 'spec.selector'), ...validateModes(accessModes, 'spec.accessModes'));
  const size = resources?.requests?.storage;
  if (size === undefined) errors.push(required('spec.resources[storage]'));
  else errors.push(...validatePositive(size, 'spec.resources[storage]'));
  errors.push(
    ...classErrors(spec.storageClassName),
    ...modeErrors(spec.volumeMode),
    ...validateTypedReference(dataSource, 'spec.dataSource'),
    ...validateTypedReference(dataSourceRef, 'spec.dataSourceRef'),
  );
  if (dataSource && dataSourceRef && !dataSourceRef.namespace && !isEqual(dataSource, dataSourceRef)) {
    errors.push(invalidText('spec', 'spec.dataSource', 'must match dataSourceRef'));
  }
  return errors;
}

const CLAIM_IMMUTABLE =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** A claim is a promise: a bound one may ask for more, and be given its volume once. */
export function validateClaimUpdate(object: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const { spec = {} } = object;
  const before = old.spec ?? {};
  const errors: FieldError[] = [];
  const annotation = object.metadata?.annotations?.[CLASS_ANNOTATION];
  if ((annotation ?? '') !== (old.metadata?.annotations?.[CLASS_ANNOTATION] ?? '')) {
    errors.push(invalidValue(`metadata.annotations[${CLASS_ANNOTATION}]`, annotation ?? '', IMMUTABLE));
  }
  const expected = mutableParts(object, old);
  const changed = (Object.keys({ ...expected, ...before }) as (keyof PersistentVolumeClaimSpec)[]).filter(
    key => !isEqual(expected[key], before[key]),
  );
  if (changed.length > 0) {
    errors.push(forbiddenField('spec', `${CLAIM_IMMUTABLE}\n${changed.map(key => `  spec.${key}`).join('\n')}`));
  }
  errors.push(...validateSizeUpdate(object, old));
  if (spec.volumeMode !== before.volumeMode) {
    errors.push(invalidValue('volumeMode', spec.volumeMode ?? null, IMMUTABLE));
  }
  return errors;
}

/** The spec with all that may change put back: what still differs may not. */
function mutableParts(object: PersistentVolumeClaim, old: PersistentVolumeClaim): PersistentVolumeClaimSpec {
  const before = old.spec ?? {};
  const { volumeName, storageClassName, resources, ...rest } = object.spec ?? {};
  const isFirstVolume = !before.volumeName;
  // A claim made without a class, and before there was a default one, may be given its class later.
  const isFirstClass =
    before.storageClassName === undefined && old.metadata?.annotations?.[CLASS_ANNOTATION] === undefined;
  const keptVolume = isFirstVolume ? before.volumeName : volumeName;
  const keptClass = isFirstClass ? before.storageClassName : storageClassName;
  const isBound = object.status?.phase === 'Bound';
  const size = before.resources?.requests?.storage;
  const requests = resources?.requests &&
    isBound && { ...resources.requests, ...(size !== undefined && { storage: size }) };
  return {
    ...rest,
    ...(keptVolume !== undefined && { volumeName: keptVolume }),
    ...(keptClass !== undefined && { storageClassName: keptClass }),
    ...(resources && { resources: { ...resources, ...(requests && { requests }) } }),
  };
}

/** A request that turned out too large may be taken back, though never below what there is. */
function validateSizeUpdate(object: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const size = object.spec?.resources?.requests?.storage;
  const before = old.spec?.resources?.requests?.storage;
  const has = old.status?.capacity?.storage;
  if (size === undefined || before === undefined || has === undefined) return [];
  const quantity = parseQuantity(String(size));
  const isLess = compareQuantities(quantity, parseQuantity(String(before))) < 0;
  if (!isLess || compareQuantities(quantity, parseQuantity(String(has))) > 0) return [];
  return [forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity')];
}

export function claimWarnings(object: PersistentVolumeClaim): string[] {
  const warnings = annotationWarnings(object);
  const size = object.spec?.resources?.requests?.storage;
  if (size !== undefined && !isWhole(parseQuantity(String(size)))) {
    const why = `fractional byte value ${JSON.stringify(String(size))} is invalid, must be an integer`;
    warnings.push(`spec.resources.requests[storage]: ${why}`);
  }
  return warnings;
}
