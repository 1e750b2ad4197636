/** A certificate and its key, as `create secret tls` takes them. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { failure } from '../client/errors.ts';

/** @throws CommandError, in the words of Go's crypto/tls, for what is no certificate with its key */
export function checkPair({ certificate, key }: { readonly certificate: Buffer; readonly key: Buffer }): void {
  const kinds = (text: Buffer) =>
    [...text.toString('latin1').matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(match => match[1] ?? '');
  const isKey = (kind: string) => kind.endsWith('PRIVATE KEY');
  const [ofCertificate, ofKey] = [kinds(certificate), kinds(key)];
  if (!ofCertificate.includes('CERTIFICATE')) {
    const why = ofCertificate.some(isKey)
      ? 'failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched'
      : ofCertificate.length === 0
        ? 'failed to find any PEM data in certificate input'
        : `failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${ofCertificate.join(' ')}]`;
    throw failure(`tls: ${why}`);
  }
  if (!ofKey.some(isKey)) {
    const why = ofKey.includes('CERTIFICATE')
      ? 'found a certificate rather than a key in the PEM for the private key'
      : ofKey.length === 0
        ? 'failed to find any PEM data in key input'
        : `failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${ofKey.join(' ')}]`;
    throw failure(`tls: ${why}`);
  }
  try {
    if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return;
  } catch (error) {
    throw failure(`tls: failed to parse private key: ${error instanceof Error ? error.message : error}`, error);
  }
  throw failure('tls: private key does not match public key');
}
