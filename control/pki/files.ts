/** A master's key material on disk: `DIR/pki`, readable by its owner only. Written whole or not at all. */
import { generateKeyPair } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createAuthority, type KeyPair } from './authority.ts';

/**
 * What makes a cluster's identity: every master holds it, and hands it to a master that joins.
 * The peers have an authority of their own, so that no client or node certificate opens the store's door.
 */
export interface ClusterSecrets {
  /** Signs API servers, clients and nodes. */
  readonly authority: KeyPair;
  /** Signs members of the store. */
  readonly peerAuthority: KeyPair;
  /** Signs ServiceAccount tokens: an RSA key, as WIRE demands RS256. PKCS#8 PEM. */
  readonly serviceAccountKey: string;
}

const keyPair = z.object({
  certificate: z.string().startsWith('-----BEGIN CERTIFICATE'),
  key: z.string().startsWith('-----BEGIN PRIVATE KEY'),
});
/** Checks secrets that came over the wire. */
export const clusterSecretsSchema = z.object({
  authority: keyPair,
  peerAuthority: keyPair,
  serviceAccountKey: z.string().startsWith('-----BEGIN PRIVATE KEY'),
});

const PRIVATE_FOLDER_MODE = 0o700;
const PRIVATE_FILE_MODE = 0o600;
const RSA_BITS = 2048;

/** Makes the secrets of a new cluster. */
export async function createClusterSecrets(options: { readonly nowMs: number }): Promise<ClusterSecrets> {
  const [authority, peerAuthority, { privateKey }] = await Promise.all([
    createAuthority('raftsman-ca', options),
    createAuthority('raftsman-peer-ca', options),
    promisify(generateKeyPair)('rsa', {
      modulusLength: RSA_BITS,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    }),
  ]);
  return { authority, peerAuthority, serviceAccountKey: privateKey };
}

/** Reads the secrets; undefined where none were written yet. */
export async function loadClusterSecrets(folder: string): Promise<ClusterSecrets | undefined> {
  const authority = await loadKeyPair(folder, 'ca');
  if (!authority) return undefined;
  const peerAuthority = await loadKeyPair(folder, 'peer-ca');
  const serviceAccountKey = await readIfThere(join(folder, 'service-account.key'));
  if (!peerAuthority || !serviceAccountKey) {
    throw new Error(
      `${folder} is incomplete: peer-ca.* or service-account.key is missing; restore it from another master`,
    );
  }
  return { authority, peerAuthority, serviceAccountKey };
}

/** Writes the secrets; the authority last, because its presence means that all is there. */
export async function saveClusterSecrets(folder: string, secrets: ClusterSecrets): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  await chmod(folder, PRIVATE_FOLDER_MODE);
  await writePrivately(join(folder, 'service-account.key'), secrets.serviceAccountKey);
  await saveKeyPair(folder, 'peer-ca', secrets.peerAuthority);
  await saveKeyPair(folder, 'ca', secrets.authority);
}

/** Reads `NAME.crt` and `NAME.key`; undefined where they are not there. */
export async function loadKeyPair(folder: string, name: string): Promise<KeyPair | undefined> {
  const [certificate, key] = await Promise.all([
    readIfThere(join(folder, `${name}.crt`)),
    readIfThere(join(folder, `${name}.key`)),
  ]);
  return certificate !== undefined && key !== undefined ? { certificate, key } : undefined;
}

/** Writes `NAME.key`, then `NAME.crt`. */
export async function saveKeyPair(folder: string, name: string, pair: KeyPair): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  await writePrivately(join(folder, `${name}.key`), pair.key);
  await writePrivately(join(folder, `${name}.crt`), pair.certificate);
}

/** Writes a file that only its owner may read, so that a crash leaves the old or the new one. */
export async function writePrivately(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, text, { mode: PRIVATE_FILE_MODE, flush: true });
  await rename(draft, path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
