/**
 * Signs certificate requests as they stand: subject, names and key are the request's, for whoever calls has judged them.
 * Usages and the time that it holds are the signer's.
 */

import type { KeyPair } from './authority.ts';
import { base64ToDer, loadX509, pem, privateKeyOf, SIGNING_ALGORITHM, serialNumber } from './authority.ts';

/** The usages that signers of the cluster's own give. */
export const SIGNED_USAGES = ['digital signature', 'key encipherment', 'client auth', 'server auth'] as const;
export type SignedUsage = (typeof SIGNED_USAGES)[number];

export interface SigningOptions {
  readonly usages: readonly SignedUsage[];
  readonly nowMs: number;
  /** How long the requester wants it to hold; undefined for as long as it may. */
  readonly expirationSeconds: number | undefined;
}

/** The longest that a certificate holds, and the shortest that may be asked for. */
const VALID_SECONDS_MAX = 365 * 24 * 3600;
const VALID_SECONDS_MIN = 600;
/** Clocks that are behind accept it all the same; of a short life nothing is taken away for that. */
const BACKDATE_MS = 5 * 60_000;
const SHORT_SECONDS = 8 * 3600;
const ALTERNATIVE_NAME = '2.5.29.17';
const EXTENDED: Readonly<Partial<Record<SignedUsage, string>>> = {
  'client auth': '1.3.6.1.5.5.7.3.2',
  'server auth': '1.3.6.1.5.5.7.3.1',
};

/** Signs a PKCS#10 request in PEM. Throws if it is none, or is not signed by its own key. */
export async function signAsRequested(authority: KeyPair, request: string, options: SigningOptions): Promise<string> {
  const lib = await loadX509();
  const parsed = new lib.Pkcs10CertificateRequest(base64ToDer(request));
  if (!(await parsed.verify())) throw new Error('the certificate request is not signed by its own key');
  const issuer = new lib.X509Certificate(authority.certificate);
  const names = parsed.getExtension(ALTERNATIVE_NAME);
  const flags =
    (options.usages.includes('digital signature') ? lib.KeyUsageFlags.digitalSignature : 0) |
    (options.usages.includes('key encipherment') ? lib.KeyUsageFlags.keyEncipherment : 0);
  const extended = options.usages.map(usage => EXTENDED[usage]).filter(usage => usage !== undefined);
  const certificate = await lib.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: parsed.subjectName,
    issuer: issuer.subjectName,
    ...validity(options, issuer.notAfter),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: parsed.publicKey,
    signingKey: await privateKeyOf(authority),
    extensions: [
      ...(flags ? [new lib.KeyUsagesExtension(flags, true)] : []),
      ...(extended.length > 0 ? [new lib.ExtendedKeyUsageExtension(extended)] : []),
      new lib.BasicConstraintsExtension(false, undefined, true),
      await lib.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names ? [names] : []),
    ],
  });
  return pem(certificate.toString('pem'));
}

/** Never longer than the authority itself. */
function validity(
  { nowMs, expirationSeconds }: SigningOptions,
  authorityEnd: Date,
): { notBefore: Date; notAfter: Date } {
  const wanted = expirationSeconds ?? VALID_SECONDS_MAX;
  const seconds = Math.min(Math.max(wanted, VALID_SECONDS_MIN), VALID_SECONDS_MAX);
  const startMs = nowMs - BACKDATE_MS;
  const endMs = (seconds < SHORT_SECONDS ? nowMs : startMs) + seconds * 1000;
  return { notBefore: new Date(startMs), notAfter: new Date(Math.min(endMs, authorityEnd.getTime())) };
}
