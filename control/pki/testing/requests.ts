/** Certificate requests as clients make them: for tests. */
import { webcrypto } from 'node:crypto';
import { loadX509 } from '../authority.ts';

export interface RequestNames {
  readonly CN: string;
  readonly O?: readonly string[];
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly email?: readonly string[];
  readonly key?: 'ec' | 'rsa';
}

const ALGORITHMS = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

/** A PKCS#10 request in PEM. */
export async function makeRequest({
  CN,
  O = [],
  dns = [],
  ip = [],
  email = [],
  key = 'ec',
}: RequestNames): Promise<string> {
  const lib = await loadX509();
  const algorithm = ALGORITHMS[key];
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = [
    ...dns.map(value => ({ type: 'dns' as const, value })),
    ...ip.map(value => ({ type: 'ip' as const, value })),
    ...email.map(value => ({ type: 'email' as const, value })),
  ];
  const request = await lib.Pkcs10CertificateRequestGenerator.create({
    name: new lib.Name([...O.map(value => ({ O: [value] })), { CN: [CN] }]),
    keys,
    signingAlgorithm: algorithm,
    extensions: names.length > 0 ? [new lib.SubjectAlternativeNameExtension(names)] : [],
  });
  return `${request.toString('pem')}\n`;
}
