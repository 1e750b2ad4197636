/** Validation of ConfigMap, Secret, Namespace and Endpoints. */
import type { ConfigMap, EndpointAddress, EndpointSubset, Endpoints, Namespace, Secret } from '../generated/types.ts';
import { base64Length, base64ToText } from '../schema/base64.ts';
import { isEqual } from '../schema/equal.ts';
import { JsonSyntaxError, parseJson } from '../schema/json.ts';
import type { FieldError } from '../status.ts';
import { validateIp, validateOrdinaryIp } from './addresses.ts';
import { byRule, forbiddenField, IMMUTABLE, invalidValue, oneOf, required, tooLongValue } from './errors.ts';
import { configMapKey, dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from './names.ts';

/** What a ConfigMap or Secret may hold, together. */
const DATA_BYTES_MAX = 1_048_576;

const IMMUTABLE_WHEN_SET = 'field is immutable when `immutable` is set';

const encoder = new TextEncoder();
const byteLength = (text: string): number => encoder.encode(text).length;

export function validateConfigMap({ data, binaryData }: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(data ?? {})) {
    errors.push(...byRule(`data[${key}]`, key, configMapKey(key)));
    if (binaryData && key in binaryData) {
      errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    sizeBytes += byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData ?? {})) {
    errors.push(...byRule(`binaryData[${key}]`, key, configMapKey(key)));
    sizeBytes += base64Length(value);
  }
  // Kubernetes gives this one no field: an empty path reads as [].
  if (sizeBytes > DATA_BYTES_MAX) errors.push(tooLongValue('[]', DATA_BYTES_MAX));
  return errors;
}

export function validateConfigMapUpdate(object: ConfigMap, old: ConfigMap): FieldError[] {
  return validateImmutable(object, old, ['data', 'binaryData']);
}

function validateImmutable<T extends { immutable?: boolean }>(
  object: T,
  old: T,
  fields: readonly (keyof T & string)[],
): FieldError[] {
  if (!old.immutable) return [];
  return [
    ...(object.immutable ? [] : [forbiddenField('immutable', IMMUTABLE_WHEN_SET)]),
    ...fields
      .filter(field => !isEqual(object[field], old[field]))
      .map(field => forbiddenField(field, IMMUTABLE_WHEN_SET)),
  ];
}

const ACCOUNT_NAME = 'kubernetes.io/service-account.name';

/** Keys that a secret of a type must have; of basic-auth one of two is enough. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

export function validateSecret(secret: Secret): FieldError[] {
  const { data = {}, type = '' } = secret;
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...byRule(`data[${key}]`, key, configMapKey(key)));
    sizeBytes += base64Length(value);
  }
  if (sizeBytes > DATA_BYTES_MAX) errors.push(tooLongValue('data', DATA_BYTES_MAX));
  if (type === 'kubernetes.io/service-account-token' && !secret.metadata?.annotations?.[ACCOUNT_NAME]) {
    errors.push(required(`metadata.annotations[${ACCOUNT_NAME}]`));
  }
  if (type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data)) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  for (const key of REQUIRED_KEYS[type] ?? []) {
    const value = data[key];
    if (value === undefined) errors.push(required(`data[${key}]`));
    else if (key.startsWith('.docker')) errors.push(...validateJsonContent(key, value));
  }
  return errors;
}

function validateJsonContent(key: string, base64: string): FieldError[] {
  try {
    parseJson(base64ToText(base64));
    return [];
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    // The contents are never repeated.
    return [invalidValue(`data[${key}]`, '<secret contents redacted>', error.message)];
  }
}

export function validateSecretUpdate(object: Secret, old: Secret): FieldError[] {
  return [
    ...(object.type === old.type ? [] : [invalidValue('type', object.type ?? '', IMMUTABLE)]),
    ...validateImmutable(object, old, ['data']),
  ];
}

/** A certificate and key that cannot be a pair. Only their form is looked at. */
export function secretWarnings({ type, data }: Secret): string[] {
  if (type !== 'kubernetes.io/tls') return [];
  const certificate = data?.['tls.crt'];
  const key = data?.['tls.key'];
  if (certificate === undefined || key === undefined) return [];
  if (!base64ToText(certificate).includes('-----BEGIN')) {
    return ['tls: failed to find any PEM data in certificate input'];
  }
  return base64ToText(key).includes('-----BEGIN') ? [] : ['tls: failed to find any PEM data in key input'];
}

export function validateNamespace({ spec }: Namespace): FieldError[] {
  return (spec?.finalizers ?? []).flatMap(name => {
    const errors = byRule('spec.finalizers', name, qualifiedName(name));
    if (!name.includes('/') && name !== 'kubernetes') {
      errors.push(
        invalidValue('spec.finalizers', name, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
    }
    return errors;
  });
}

export function validateEndpoints({ subsets }: Endpoints): FieldError[] {
  return (subsets ?? []).flatMap((subset, index) => validateSubset(subset, `subsets[${index}]`));
}

function validateSubset(subset: EndpointSubset, path: string): FieldError[] {
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
  const errors: FieldError[] = [];
  if (addresses.length === 0 && notReadyAddresses.length === 0) {
    errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'));
  }
  for (const [index, address] of addresses.entries()) {
    errors.push(...validateAddress(address, `${path}.addresses[${index}]`));
  }
  for (const [index, address] of notReadyAddresses.entries()) {
    errors.push(...validateAddress(address, `${path}.notReadyAddresses[${index}]`));
  }
  for (const [index, port] of ports.entries()) {
    const field = `${path}.ports[${index}]`;
    if (ports.length > 1 && !port.name) errors.push(required(`${field}.name`));
    else if (port.name) errors.push(...byRule(`${field}.name`, port.name, dns1123Label(port.name)));
    for (const sentence of portNumber(port.port)) errors.push(invalidValue(`${field}.port`, port.port, sentence));
    if (!port.protocol) errors.push(required(`${field}.protocol`));
    else errors.push(...oneOf(`${field}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']));
  }
  return errors;
}

function validateAddress({ ip, hostname, nodeName }: EndpointAddress, path: string): FieldError[] {
  return [
    ...validateIp(`${path}.ip`, ip),
    ...(hostname ? byRule(`${path}.hostname`, hostname, dns1123Label(hostname)) : []),
    ...(nodeName ? byRule(`${path}.nodeName`, nodeName, dns1123Subdomain(nodeName)) : []),
    ...validateOrdinaryIp(`${path}.ip`, ip),
  ];
}
