/**
 * Certificates: makes authorities, issues leaves, signs requests. Keys are ECDSA P-256: small, fast, and every client
 * speaks it. The X.509 library is loaded at first use, because a process that only serves never issues anything.
 */
import { createHash, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type * as X509 from '@peculiar/x509';

/** A certificate with its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a leaf certificate says. */
export interface CertificateSubject {
  /** The user name in Kubernetes' eyes (WIRE: CN = user). */
  readonly commonName: string;
  /** The groups (O). */
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses under which a server is reached. */
  readonly hosts?: readonly string[];
  readonly usages: readonly ('client' | 'server')[];
}

export interface IssueOptions {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly validDays: number;
}

/** An authority's life: leaves are renewed often, authorities are meant to outlive the cluster's hardware. */
const AUTHORITY_VALID_DAYS = 3650;
/** A leaf's life; renewed at two thirds of it. */
export const LEAF_VALID_DAYS = 365;
/** Certificates start a little in the past, so that a client whose clock is behind accepts them. */
const BACKDATE_MS = 5 * 60_000;
const DAY_MS = 24 * 3_600_000;
const SERIAL_BYTES = 16;
/** How everything is signed. */
export const SIGNING_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

let library: Promise<typeof X509> | undefined;
/** The X.509 library, with Node's cryptography. */
export function loadX509(): Promise<typeof X509> {
  library ??= import('reflect-metadata')
    .then(() => import('@peculiar/x509'))
    .then(module => {
      module.cryptoProvider.set(webcrypto as unknown as Parameters<typeof module.cryptoProvider.set>[0]);
      return module;
    });
  return library;
}

/** Makes a self-signed authority. */
export async function createAuthority(commonName: string, options: { readonly nowMs: number }): Promise<KeyPair> {
  return selfSigned(commonName, await generateKeys(), options);
}

/** The same with a key that is there already: PKCS#8 PEM. */
export async function authorityOfKey(
  commonName: string,
  key: string,
  options: { readonly nowMs: number },
): Promise<KeyPair> {
  const publicDer = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', base64ToDer(key), SIGNING_ALGORITHM, true, ['sign']),
    webcrypto.subtle.importKey('spki', new Uint8Array(publicDer), SIGNING_ALGORITHM, true, ['verify']),
  ]);
  return selfSigned(commonName, { privateKey, publicKey }, options);
}

async function selfSigned(
  commonName: string,
  keys: webcrypto.CryptoKeyPair,
  options: { readonly nowMs: number },
): Promise<KeyPair> {
  const lib = await loadX509();
  const certificate = await lib.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf(lib, commonName, []),
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + AUTHORITY_VALID_DAYS * DAY_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new lib.BasicConstraintsExtension(true, undefined, true),
      new lib.KeyUsagesExtension(
        lib.KeyUsageFlags.keyCertSign | lib.KeyUsageFlags.cRLSign | lib.KeyUsageFlags.digitalSignature,
        true,
      ),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate.toString('pem')), key: await exportKey(keys.privateKey) };
}

/** A self-signed certificate for a server whose clients have been given none: it proves nothing. */
export async function createDefaultCertificate(name: string, options: { readonly nowMs: number }): Promise<KeyPair> {
  const lib = await loadX509();
  const keys = await generateKeys();
  const certificate = await lib.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf(lib, 'raftsman default certificate', []),
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + AUTHORITY_VALID_DAYS * DAY_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new lib.BasicConstraintsExtension(false, undefined, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.digitalSignature, true),
      new lib.ExtendedKeyUsageExtension([SERVER_AUTH]),
      new lib.SubjectAlternativeNameExtension([{ type: 'dns', value: `${name}.ingress.invalid` }]),
    ],
  });
  return { certificate: pem(certificate.toString('pem')), key: await exportKey(keys.privateKey) };
}

/** Makes a key and a certificate for it. */
export async function issueCertificate(
  authority: KeyPair,
  subject: CertificateSubject,
  options: IssueOptions,
): Promise<KeyPair> {
  const keys = await generateKeys();
  const certificate = await sign(authority, subject, keys.publicKey, options);
  return { certificate, key: await exportKey(keys.privateKey) };
}

/**
 * Signs a PKCS#10 request. Only the public key is taken from it: who it is for is the caller's decision.
 * @throws {Error} if the text is no request or its own signature is wrong.
 */
export async function signRequest(
  authority: KeyPair,
  request: { readonly pem: string; readonly subject: CertificateSubject },
  options: IssueOptions,
): Promise<string> {
  const lib = await loadX509();
  const parsed = new lib.Pkcs10CertificateRequest(request.pem);
  if (!(await parsed.verify())) throw new Error('the certificate request is not signed by its own key');
  return sign(authority, request.subject, await parsed.publicKey.export(SIGNING_ALGORITHM, ['verify']), options);
}

/** Makes a key and a PKCS#10 request for it, so that the key never leaves this machine. */
export async function createRequest(commonName: string): Promise<{ readonly request: string; readonly key: string }> {
  const lib = await loadX509();
  const keys = await generateKeys();
  const request = await lib.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(lib, commonName, []),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  return { request: pem(request.toString('pem')), key: await exportKey(keys.privateKey) };
}

/** SHA-256 over the certificate's DER, in hex: what a join token pins. */
export function fingerprint(certificatePem: string): string {
  const body = certificatePem.replaceAll(/-----[^-]+-----|\s/g, '');
  return createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex');
}

async function sign(
  authority: KeyPair,
  subject: CertificateSubject,
  publicKey: webcrypto.CryptoKey,
  options: IssueOptions,
): Promise<string> {
  const lib = await loadX509();
  const issuer = new lib.X509Certificate(authority.certificate);
  const hosts = subject.hosts ?? [];
  const certificate = await lib.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: nameOf(lib, subject.commonName, subject.organizations ?? []),
    issuer: issuer.subjectName,
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + options.validDays * DAY_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new lib.BasicConstraintsExtension(false, undefined, true),
      new lib.KeyUsagesExtension(lib.KeyUsageFlags.digitalSignature, true),
      new lib.ExtendedKeyUsageExtension(subject.usages.map(usage => (usage === 'client' ? CLIENT_AUTH : SERVER_AUTH))),
      await lib.AuthorityKeyIdentifierExtension.create(issuer),
      ...(hosts.length > 0
        ? [
            new lib.SubjectAlternativeNameExtension(
              hosts.map(host => ({ type: isIP(host) ? 'ip' : 'dns', value: host }) as const),
            ),
          ]
        : []),
    ],
  });
  return pem(certificate.toString('pem'));
}

export const serialNumber = () => {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = (bytes[0] ?? 0) & 0x7f; // positive, as RFC 5280 wants it
  return bytes.toString('hex');
};
export const pem = (text: string) => (text.endsWith('\n') ? text : `${text}\n`);
const nameOf = (lib: typeof X509, commonName: string, organizations: readonly string[]) =>
  new lib.Name([...organizations.map(organization => ({ O: [organization] })), { CN: [commonName] }]);
const generateKeys = () => webcrypto.subtle.generateKey(SIGNING_ALGORITHM, true, ['sign', 'verify']);

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join('\n') ?? ''}\n-----END PRIVATE KEY-----\n`;
}
/** The bytes between a PEM text's lines. */
export const base64ToDer = (text: string): Buffer<ArrayBuffer> =>
  Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');

/** An authority's key, ready to sign. */
export const privateKeyOf = ({ key }: Pick<KeyPair, 'key'>): Promise<webcrypto.CryptoKey> => importKey(key);

function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const der = base64ToDer(keyPem);
  return webcrypto.subtle.importKey('pkcs8', der, SIGNING_ALGORITHM, false, ['sign']);
}
