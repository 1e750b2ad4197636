/**
 * Who may have certificates signed (k/k plugin/pkg/admission/certificates): to approve a request, or to sign it, one needs
 * the verb `approve` or `sign` on its signer; and nobody gets an administrator's certificate that way.
 */
import { createPublicKey, verify } from 'node:crypto';
import { type CertificateRequest, readCertificateRequest } from '../../api/certificates/request.ts';
import type { CertificateSigningRequest } from '../../api/generated/types.ts';
import { isEqual } from '../../api/schema/equal.ts';
import { forbidden, invalid } from '../../api/status.ts';
import { goBytes } from '../../api/validation/certificates.ts';
import { invalidText } from '../../api/validation/errors.ts';
import { resourceAttributes } from '../auth/attributes.ts';
import { ADMINISTRATORS, type Authorizer } from '../auth/authorizer.ts';
import { resourceName } from '../keys.ts';
import type { Identity } from '../types.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const GROUP = 'certificates.k8s.io';
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

export function certificateApproval(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    conclude(request, { object, old }) {
      const { kind, operation, info } = request;
      if (kind.group !== GROUP || kind.kind !== 'CertificateSigningRequest' || !object) return {};
      const wanted = object as CertificateSigningRequest;
      if (operation === 'CREATE') {
        checkRequest(request, wanted);
        return {};
      }
      const { signerName } = (old as CertificateSigningRequest).spec;
      const verb = info.subresource === 'approval' ? 'approve' : 'sign';
      if (info.subresource === '' || (verb === 'sign' && !isSigned(wanted, old as CertificateSigningRequest)))
        return {};
      return maySign(authorizer, request.identity, { verb, signerName }).then(may => {
        if (may) return {};
        const why = `user not permitted to ${verb} requests with signerName "${signerName}"`;
        throw forbidden(resourceName(kind), info.name, why);
      });
    },
  };
}

/** True if a write through `status` does what a signer does. */
const isSigned = ({ status }: CertificateSigningRequest, { status: old }: CertificateSigningRequest): boolean =>
  (status?.certificate ?? '') !== (old?.certificate ?? '') || !isEqual(status?.conditions ?? [], old?.conditions ?? []);

/** The verb is needed on the signer itself or on all of its domain. */
async function maySign(
  authorizer: Authorizer,
  identity: Identity,
  { verb, signerName }: { readonly verb: string; readonly signerName: string },
): Promise<boolean> {
  const [domain = ''] = signerName.split('/');
  for (const name of [signerName, `${domain}/*`]) {
    const asked = resourceAttributes(identity, { verb, group: GROUP, resource: 'signers', name });
    if ((await authorizer.authorize(asked)).allowed) return true;
  }
  return false;
}

/** What validation, which is pure, cannot look at. Throws 403, 422. */
function checkRequest({ kind }: AdmissionRequest, { metadata, spec }: CertificateSigningRequest): void {
  const pem = Buffer.from(spec.request, 'base64');
  const parsed = readCertificateRequest(pem.toString());
  const name = metadata?.name ?? '';
  if (!isSignedByItself(parsed)) {
    throw invalid({ group: GROUP, kind: kind.kind }, name, [
      invalidText('spec.request', goBytes(pem), 'x509: the signature of the request does not hold'),
    ]);
  }
  if (spec.signerName === CLIENT_SIGNER && parsed.organizations.includes(ADMINISTRATORS)) {
    const why = `use of ${CLIENT_SIGNER} signer with ${ADMINISTRATORS} group is not allowed`;
    throw forbidden(resourceName(kind), name, why);
  }
}

const DIGESTS: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};
const ED25519 = '1.3.101.112';

/** A request proves that its sender has the key. */
function isSignedByItself({ publicKey, signed, signature, signatureAlgorithm }: CertificateRequest): boolean {
  const digest = DIGESTS[signatureAlgorithm];
  if (digest === undefined && signatureAlgorithm !== ED25519) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    return verify(digest ?? null, signed, key, signature);
  } catch {
    return false;
  }
}
