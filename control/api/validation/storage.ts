/** Validation of the group storage.k8s.io: classes, attachments, and what CSI drivers say of themselves and their nodes. */
import type {
  CSIDriver,
  CSINode,
  CSINodeDriver,
  CSIStorageCapacity,
  StorageClass,
  TopologySelectorTerm,
  VolumeAttachment,
} from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import {
  byRule,
  duplicateValue,
  forbiddenField,
  goQuote,
  IMMUTABLE,
  invalidText,
  invalidValue,
  NOT_NEGATIVE,
  notNegative,
  oneOf,
  required,
  tooLongValue,
} from './errors.ts';
import { dns1123Subdomain, qualifiedName } from './names.ts';
import { validateLabelSelector } from './scheduling.ts';

const PARAMETERS_BYTES_MAX = 256 * 1_024;
const PARAMETERS_MAX = 512;
const DRIVER_NAME_LENGTH_MAX = 63;
const NODE_ID_LENGTH_MAX = 256;

export function validateStorageClass(object: StorageClass): FieldError[] {
  const { provisioner, parameters, reclaimPolicy, volumeBindingMode: mode, allowedTopologies } = object;
  const errors =
    provisioner === ''
      ? [required('provisioner')]
      : byRule('provisioner', provisioner, qualifiedName(provisioner.toLowerCase()));
  errors.push(...validateParameters(parameters ?? {}));
  if (reclaimPolicy) errors.push(...oneOf('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']));
  if (mode === undefined) errors.push(required('volumeBindingMode'));
  else errors.push(...oneOf('volumeBindingMode', mode, ['Immediate', 'WaitForFirstConsumer']));
  return [...errors, ...validateTopologies(allowedTopologies ?? [])];
}

function validateParameters(parameters: Readonly<Record<string, string>>): FieldError[] {
  const entries = Object.entries(parameters);
  if (entries.length > PARAMETERS_MAX) return [tooLongValue('parameters', PARAMETERS_MAX)];
  const errors = entries
    .filter(([key]) => key === '')
    .map(([key]) => invalidValue('parameters', key, 'field can not be empty.'));
  const encoder = new TextEncoder();
  const sizeBytes = entries.reduce((sum, [key, value]) => sum + encoder.encode(key + value).length, 0);
  return sizeBytes > PARAMETERS_BYTES_MAX ? [...errors, tooLongValue('parameters', PARAMETERS_BYTES_MAX)] : errors;
}

function validateTopologies(terms: readonly TopologySelectorTerm[]): FieldError[] {
  return terms.flatMap((term, index) => {
    const path = `allowedTopologies[${index}].matchLabelExpressions`;
    const seen = new Set<string>();
    return (term.matchLabelExpressions ?? []).flatMap(({ key, values }, at) => {
      const field = `${path}[${at}]`;
      const errors = byRule(`${field}.key`, key, qualifiedName(key));
      if (seen.has(key)) errors.push(duplicateValue(`${field}.key`, key));
      seen.add(key);
      if (values.length === 0) errors.push(required(`${field}.values`));
      for (const [position, value] of values.entries()) {
        if (values.indexOf(value) < position) errors.push(duplicateValue(`${field}.values[${position}]`, value));
      }
      return errors;
    });
  });
}

export function validateStorageClassUpdate(object: StorageClass, old: StorageClass): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['parameters', 'provisioner', 'reclaimPolicy'] as const) {
    if (!isEqual(object[field] ?? null, old[field] ?? null)) {
      errors.push(forbiddenField(field, `updates to ${field} are forbidden.`));
    }
  }
  if (object.volumeBindingMode !== old.volumeBindingMode) {
    errors.push(invalidValue('volumeBindingMode', object.volumeBindingMode ?? null, IMMUTABLE));
  }
  return errors;
}

/** The name of a CSI driver. */
export function validateDriverName(field: string, name: string): FieldError[] {
  if (name === '') return [required(field)];
  return [
    ...(name.length > DRIVER_NAME_LENGTH_MAX ? [tooLongValue(field, DRIVER_NAME_LENGTH_MAX)] : []),
    ...byRule(field, name, dns1123Subdomain(name.toLowerCase())),
  ];
}

export function validateCsiDriver({ metadata, spec }: CSIDriver): FieldError[] {
  const errors = validateDriverName('metadata.name', metadata?.name ?? '');
  const seen = new Set<string>();
  for (const field of ['attachRequired', 'podInfoOnMount', 'storageCapacity'] as const) {
    if (spec?.[field] === undefined) errors.push(required(`spec.${field}`));
  }
  if (spec?.fsGroupPolicy !== undefined) {
    const policies = ['File', 'None', 'ReadWriteOnceWithFSType'];
    errors.push(...oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, policies));
  }
  for (const [index, { audience }] of (spec?.tokenRequests ?? []).entries()) {
    const field = `spec.tokenRequests[${index}].audience`;
    if (seen.has(audience)) errors.push(duplicateValue(field, audience));
    seen.add(audience);
  }
  for (const [index, mode] of (spec?.volumeLifecycleModes ?? []).entries()) {
    errors.push(...oneOf(`spec.volumeLifecycleModes[${index}]`, mode, ['Ephemeral', 'Persistent']));
  }
  return errors;
}

/** How volumes are attached and for how long they live is decided when the first of them is there. */
export function validateCsiDriverUpdate({ spec: now }: CSIDriver, { spec: old }: CSIDriver): FieldError[] {
  const errors: FieldError[] = [];
  if (now?.attachRequired !== old?.attachRequired) {
    // Kubernetes misspells the field.
    errors.push(invalidValue('spec.attachedRequired', now?.attachRequired ?? null, IMMUTABLE));
  }
  const modes = now?.volumeLifecycleModes ?? [];
  if (!isEqual(modes, old?.volumeLifecycleModes ?? [])) {
    const shown = `[]storage.VolumeLifecycleMode{${modes.map(goQuote).join(', ')}}`;
    errors.push(invalidText('spec.volumeLifecycleModes', shown, IMMUTABLE));
  }
  return errors;
}

export function validateCsiNode({ spec }: CSINode): FieldError[] {
  const names = new Set<string>();
  return (spec?.drivers ?? []).flatMap((driver, index) => {
    const field = `spec.drivers[${index}]`;
    const errors = validateNodeDriver(driver, field);
    if (names.has(driver.name)) errors.push(duplicateValue(`${field}.name`, driver.name));
    names.add(driver.name);
    return errors;
  });
}

function validateNodeDriver({ name, nodeID, topologyKeys, allocatable }: CSINodeDriver, path: string): FieldError[] {
  const errors = validateDriverName(`${path}.name`, name);
  if (nodeID === '') errors.push(required(`${path}.nodeID`));
  else if (nodeID.length > NODE_ID_LENGTH_MAX) {
    const why = `must be ${NODE_ID_LENGTH_MAX} characters or less`;
    errors.push(invalidValue(`${path}.nodeID`, nodeID, why));
  }
  errors.push(...notNegative(`${path}.allocatable.count`, allocatable?.count));
  const keys = topologyKeys ?? [];
  for (const [index, key] of keys.entries()) {
    if (keys.indexOf(key) < index) errors.push(duplicateValue(`${path}.topologyKeys`, key));
    errors.push(...byRule(`${path}.topologyKeys`, key, qualifiedName(key)));
  }
  return errors;
}

/** What a driver said of a node stays until the driver goes. */
export function validateCsiNodeUpdate(object: CSINode, old: CSINode): FieldError[] {
  const now = new Map((object.spec?.drivers ?? []).map(driver => [driver.name, driver]));
  return (old.spec?.drivers ?? []).flatMap(before => {
    const driver = now.get(before.name);
    if (!driver || isEqual(driver, before)) return [];
    return [invalidValue('CSINodeDriver', driver, IMMUTABLE)];
  });
}

export function validateCapacity(object: CSIStorageCapacity): FieldError[] {
  const { storageClassName: name, nodeTopology, capacity, maximumVolumeSize } = object;
  const errors = [
    ...byRule('storageClassName', name, dns1123Subdomain(name)),
    ...validateLabelSelector(nodeTopology, 'nodeTopology'),
  ];
  for (const [field, quantity] of Object.entries({ capacity, maximumVolumeSize })) {
    if (quantity !== undefined && parseQuantity(String(quantity)).unscaled < 0n) {
      errors.push(invalidValue(field, String(quantity), NOT_NEGATIVE));
    }
  }
  return errors;
}

export function validateCapacityUpdate(object: CSIStorageCapacity, old: CSIStorageCapacity): FieldError[] {
  return (['nodeTopology', 'storageClassName'] as const)
    .filter(field => !isEqual(object[field] ?? null, old[field] ?? null))
    .map(field => invalidValue(field, object[field] ?? null, IMMUTABLE));
}

export function validateAttachment({ spec }: VolumeAttachment): FieldError[] {
  const { attacher = '', nodeName = '', source } = spec ?? {};
  const { inlineVolumeSpec, persistentVolumeName: volume } = source ?? {};
  const errors = validateDriverName('spec.attacher', attacher);
  const why = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';
  if (!inlineVolumeSpec && volume === undefined) errors.push(required('spec.source', why));
  if (inlineVolumeSpec && volume !== undefined) errors.push(forbiddenField('spec.source', why));
  if (volume === '') {
    errors.push(required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'));
  } else if (volume) errors.push(...byRule('spec.source.persistentVolumeName', volume, dns1123Subdomain(volume)));
  return [...errors, ...byRule('spec.nodeName', nodeName, dns1123Subdomain(nodeName))];
}

export const validateAttachmentUpdate = (object: VolumeAttachment, old: VolumeAttachment): FieldError[] =>
  isEqual(object.spec, old.spec) ? [] : [invalidValue('spec', object.spec ?? null, IMMUTABLE)];
