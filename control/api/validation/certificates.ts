/** Validation of CertificateSigningRequests (k/k pkg/apis/certificates/validation), in version v1. */
import { DerError } from '../certificates/der.ts';
import { firstPemBlock, readCertificateRequest } from '../certificates/request.ts';
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '../generated/types.ts';
import { base64ToBytes, base64ToText } from '../schema/base64.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import {
  duplicateValue,
  forbiddenField,
  invalidText,
  invalidValue,
  notSupported,
  required,
  tooLongValue,
} from './errors.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';

const EXPIRATION_SECONDS_MIN = 600;
const DOMAIN_LENGTH_MAX = 253;
const PATH_LENGTH_MAX = 253 + 63 + 1;
const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown';
/** Sorted, as the message shows them. */
const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
/** Conditions that once set stay. */
const DECISIONS = ['Approved', 'Denied', 'Failed'];

export function validateCertificateSigningRequest({ spec, status }: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = validateRequest(spec?.request ?? '');
  const usages = spec?.usages ?? [];
  if (usages.length === 0) errors.push(required('spec.usages'));
  for (const [index, usage] of usages.entries()) {
    if (!USAGES.includes(usage)) errors.push(notSupported(`spec.usages[${index}]`, usage, USAGES));
    if (usages.indexOf(usage) < index) errors.push(duplicateValue(`spec.usages[${index}]`, usage));
  }
  const signerName = spec?.signerName ?? '';
  if (signerName === LEGACY_SIGNER) {
    const detail = 'the legacy signerName is not allowed via this API version';
    errors.push(invalidValue('spec.signerName', signerName, detail));
  } else errors.push(...validateSignerName(signerName));
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN) {
    const detail = 'may not specify a duration less than 600 seconds (10 minutes)';
    errors.push(invalidValue('spec.expirationSeconds', seconds, detail));
  }
  return [...errors, ...validateConditions(status?.conditions ?? []), ...validateCertificate(status?.certificate)];
}

function validateRequest(base64: string): FieldError[] {
  try {
    readCertificateRequest(base64ToText(base64));
    return [];
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [invalidText('spec.request', goBytes(base64ToBytes(base64)), error.message)];
  }
}

/** `[]byte{0x61}`. */
export function goBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return '[]byte(nil)';
  return `[]byte{${Array.from(bytes, byte => `0x${byte.toString(16)}`).join(', ')}}`;
}

function validateSignerName(name: string): FieldError[] {
  const field = 'spec.signerName';
  if (name === '') return [required(field)];
  const [domain = '', path, ...more] = name.split('/');
  if (path === undefined || more.length > 0) {
    const detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidValue(field, name, detail)];
  }
  const errors: FieldError[] = [];
  if (domain.length > DOMAIN_LENGTH_MAX) errors.push(tooLongValue(field, DOMAIN_LENGTH_MAX));
  const labels = domain.split('.');
  for (const label of labels) {
    for (const why of dns1123Label(label))
      errors.push(invalidValue(field, domain, `validating label "${label}": ${why}`));
  }
  if (labels.length < 2) {
    errors.push(invalidValue(field, domain, 'should be a domain with at least two segments separated by dots'));
  }
  for (const label of path.split('.')) {
    for (const why of dns1123Subdomain(label)) {
      errors.push(invalidValue(field, path, `validating label "${label}": ${why}`));
    }
  }
  if (path.length > PATH_LENGTH_MAX) errors.push(tooLongValue(field, PATH_LENGTH_MAX));
  return errors;
}

function validateConditions(conditions: readonly CertificateSigningRequestCondition[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { type, status }] of conditions.entries()) {
    const field = `status.conditions[${index}]`;
    const isDecision = DECISIONS.includes(type);
    if (!type) errors.push(required(`${field}.type`));
    if (!status) errors.push(required(`${field}.status`));
    else if (isDecision && status !== 'True') errors.push(notSupported(`${field}.status`, status, ['True']));
    else if (!['True', 'False', 'Unknown'].includes(status)) {
      errors.push(notSupported(`${field}.status`, status, ['True', 'False', 'Unknown']));
    }
    const opposite = type === 'Approved' ? 'Denied' : type === 'Denied' ? 'Approved' : undefined;
    if (opposite && seen.has(opposite)) {
      errors.push(invalidValue(`${field}.type`, type, 'Approved and Denied conditions are mutually exclusive'));
    }
    if (seen.has(type)) errors.push(duplicateValue(`${field}.type`, type));
    seen.add(type);
  }
  return errors;
}

function validateCertificate(base64: string | undefined): FieldError[] {
  if (!base64) return [];
  const refuse = (why: string) => [invalidText('status.certificate', '"<certificate data>"', why)];
  const block = firstPemBlock(base64ToText(base64));
  if (!block) return refuse('must contain at least one CERTIFICATE PEM block');
  if (block.type !== 'CERTIFICATE') return refuse(`only CERTIFICATE PEM blocks are allowed, found "${block.type}"`);
  return [];
}

/** What a change through a subresource, or past them, may not do. */
export function validateCertificateSigningRequestUpdate(
  { status }: CertificateSigningRequest,
  { status: old }: CertificateSigningRequest,
  subresource: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const ofType = (conditions: CertificateSigningRequestCondition[] | undefined, type: string) =>
    (conditions ?? []).filter(condition => condition.type === type);
  const refuse = (what: string) => errors.push(forbiddenField('status.conditions', `updates may not ${what}`));
  for (const type of DECISIONS) {
    if (ofType(status?.conditions, type).length < ofType(old?.conditions, type).length) {
      refuse(`remove a condition of type "${type}"`);
    }
  }
  if (subresource !== 'approval') {
    for (const type of ['Approved', 'Denied']) {
      const [now, before] = [ofType(status?.conditions, type), ofType(old?.conditions, type)];
      if (now.length > before.length) refuse(`add a condition of type "${type}"`);
      else if (now.length === before.length && !isEqual(now, before)) refuse(`modify a condition of type "${type}"`);
    }
  }
  if ((status?.certificate ?? '') !== (old?.certificate ?? '')) {
    const why =
      subresource !== 'status'
        ? 'updates may not set certificate content'
        : old?.certificate
          ? 'updates may not modify existing certificate content'
          : undefined;
    if (why) errors.push(forbiddenField('status.certificate', why));
  }
  return errors;
}
