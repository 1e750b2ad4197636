/** An RSA key to sign service accounts' tokens with, for tests; made once a process. */
import { generateKeyPairSync } from 'node:crypto';

let made: string | undefined;

/** PKCS#8 PEM. */
export function serviceAccountKey(): string {
  made ??= generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
  return made;
}
