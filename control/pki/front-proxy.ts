/**
 * The authority whose certificates say "believe this server when it tells who asks". It must be one of its own, apart from
 * that of clients, and the same on all masters. Its key follows from the cluster's authority, which every master has, so
 * that there is nothing more to hand over, to save and to restore (HKDF, RFC 5869; the key as in FIPS 186-5 A.2.1).
 */
import { createECDH, createPrivateKey, hkdfSync } from 'node:crypto';
import { authorityOfKey, base64ToDer, type IssueOptions, issueCertificate, type KeyPair } from './authority.ts';

const FRONT_PROXY_CLIENT = 'front-proxy-client';
const COMMON_NAME = 'front-proxy-ca';
const PURPOSE = 'raftsman front-proxy-ca v1';
/** 64 bits more than the order has, so that no key is likelier than another. */
const SEED_BYTES = 40;
const SCALAR_BYTES = 32;
/** The order of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

export interface FrontProxy {
  /** For servers behind the masters, PEM. */
  readonly authority: string;
  /** With which a master shows itself to them. */
  readonly client: KeyPair;
}

/** Makes the authority and a certificate for this master. */
export async function createFrontProxy(clusterAuthority: KeyPair, options: IssueOptions): Promise<FrontProxy> {
  const authority = await authorityOfKey(COMMON_NAME, derivedKey(clusterAuthority), options);
  const client = await issueCertificate(authority, { commonName: FRONT_PROXY_CLIENT, usages: ['client'] }, options);
  return { authority: authority.certificate, client };
}

/** The key in PKCS#8 PEM; always the same for one authority. */
function derivedKey({ key }: KeyPair): string {
  const seed = Buffer.from(hkdfSync('sha256', base64ToDer(key), Buffer.alloc(0), PURPOSE, SEED_BYTES));
  const scalar = (BigInt(`0x${seed.toString('hex')}`) % (ORDER - 1n)) + 1n;
  const d = Buffer.from(scalar.toString(16).padStart(SCALAR_BYTES * 2, '0'), 'hex');
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(d);
  // Uncompressed: a byte 4, then both coordinates.
  const point = curve.getPublicKey();
  const text = (bytes: Buffer) => bytes.toString('base64url');
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: text(d),
    x: text(point.subarray(1, 1 + SCALAR_BYTES)),
    y: text(point.subarray(1 + SCALAR_BYTES)),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }).toString();
}
