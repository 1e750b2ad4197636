/**
 * Which requests the cluster's own signers sign (k/k pkg/controller/certificates/signer, certificates helpers), and which of
 * them are approved without anybody being asked. Pure.
 */
import { X509Certificate } from 'node:crypto';
import type { CertificateRequest } from '../api/certificates/request.ts';
import type { CertificateSigningRequest } from '../api/generated/types.ts';

export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';
export const NODE_CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';
export const NODE_SERVING_SIGNER = 'kubernetes.io/kubelet-serving';

const NODE_GROUP = 'system:nodes';
const NODE_USER = 'system:node:';

/** Why a signer does not sign a request; undefined if it does. `signerName` is one of the three above. */
export function refuseToSign(
  signerName: string,
  request: CertificateRequest,
  usages: readonly string[],
): string | undefined {
  switch (signerName) {
    case CLIENT_SIGNER:
      return refuseUsages(usages, ['client auth'], ['digital signature', 'key encipherment']);
    case NODE_CLIENT_SIGNER:
      return refuseNodeClient(request, usages);
    case NODE_SERVING_SIGNER:
      return refuseNodeServing(request, usages);
    default:
      return `unrecognized signerName: ${signerName}`;
  }
}

function refuseNodeClient(request: CertificateRequest, usages: readonly string[]): string | undefined {
  return (
    refuseNodeSubject(request) ??
    (request.dnsNames.length > 0 ? 'DNS subjectAltNames are not allowed' : undefined) ??
    (request.ipAddresses.length > 0 ? 'IP subjectAltNames are not allowed' : undefined) ??
    refuseOtherNames(request) ??
    refuseUsages(usages, ['digital signature', 'client auth'], ['key encipherment'])
  );
}

function refuseNodeServing(request: CertificateRequest, usages: readonly string[]): string | undefined {
  return (
    refuseNodeSubject(request) ??
    (request.dnsNames.length + request.ipAddresses.length === 0
      ? 'at least one DNS or IP subjectAltName is required'
      : undefined) ??
    refuseOtherNames(request) ??
    refuseUsages(usages, ['digital signature', 'server auth'], ['key encipherment'])
  );
}

function refuseNodeSubject({ commonName, organizations }: CertificateRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== NODE_GROUP) return `subject organization is not ${NODE_GROUP}`;
  return commonName.startsWith(NODE_USER) ? undefined : `subject common name does not begin with ${NODE_USER}`;
}

function refuseOtherNames({ emailAddresses, uris }: CertificateRequest): string | undefined {
  if (emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  return uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined;
}

function refuseUsages(
  usages: readonly string[],
  needed: readonly string[],
  allowed: readonly string[],
): string | undefined {
  const isFit =
    needed.every(usage => usages.includes(usage)) &&
    usages.every(usage => needed.includes(usage) || allowed.includes(usage));
  return isFit ? undefined : `usages did not match [${[...needed, ...allowed].sort().join(' ')}]`;
}

/** What an automatic approval needs the requester to be allowed. */
export interface Approval {
  /** Subresource of certificatesigningrequests that he must be allowed to create. */
  readonly permission: 'selfnodeclient' | 'nodeclient';
  readonly message: string;
}

/** The ways in which a request may be approved by itself, the narrowest first. */
export function approvalsOf({ spec }: CertificateSigningRequest, request: CertificateRequest): Approval[] {
  if (spec.signerName !== NODE_CLIENT_SIGNER || refuseNodeClient(request, spec.usages ?? []) !== undefined) return [];
  const self: Approval = {
    permission: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  };
  const other: Approval = {
    permission: 'nodeclient',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
  };
  return request.commonName === spec.username ? [self, other] : [other];
}

/** True if a condition of this type stands. */
export const hasCondition = ({ status }: CertificateSigningRequest, type: string): boolean =>
  (status?.conditions ?? []).some(condition => condition.type === type);

const HOUR_MS = 3_600_000;
const DECIDED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/**
 * When a request has to go (k/k pkg/controller/certificates/cleaner): an hour after it was denied, failed or was issued, at
 * once when its certificate is over, a day after it was made if nobody decides. One that is approved waits for its signer for
 * as long as that takes. Milliseconds since the epoch; Infinity for never.
 */
export function endOfRequest(request: CertificateSigningRequest): number {
  const { conditions = [], certificate } = request.status ?? {};
  if (conditions.length === 0) return millisecondsOf(request.metadata?.creationTimestamp) + PENDING_MS;
  const ends = conditions
    .filter(({ type }) => type === 'Denied' || type === 'Failed' || (type === 'Approved' && certificate))
    .map(({ lastUpdateTime }) => millisecondsOf(lastUpdateTime) + DECIDED_MS);
  const isIssued = certificate !== undefined && hasCondition(request, 'Approved');
  return Math.min(...ends, isIssued ? endOfCertificate(certificate) : Number.POSITIVE_INFINITY);
}

const millisecondsOf = (time: string | undefined): number => {
  const atMs = Date.parse(time ?? '');
  return Number.isNaN(atMs) ? Number.POSITIVE_INFINITY : atMs;
};

/** Of the first in a PEM text in base64; Infinity for what is none. */
function endOfCertificate(certificate: string): number {
  try {
    return new X509Certificate(Buffer.from(certificate, 'base64')).validToDate.getTime();
  } catch {
    // A signer may have put anything there: it goes when its hour is over.
    return Number.POSITIVE_INFINITY;
  }
}
