/**
 * The keys of what is encrypted in a snapshot. They are not in it: the file says only which it needs, and a restore looks for
 * them before it touches anything.
 */
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readSnapshotHeader, type SnapshotHeader } from '../../store/index.ts';
import {
  type EncryptionKeys,
  encryptionKeysFile,
  loadEncryptionKeys,
  mergeEncryptionKeys,
  NO_KEYS,
} from '../pki/encryption-keys.ts';
import { OperationError } from './errors.ts';

/** The attachment that says which keys are needed. */
export const KEYS_NOTE = 'encryption.json';

const noteSchema = z.object({ source: z.enum(['masters', 'file']), keys: z.array(z.string()) });

/** The ids of the keys that a snapshot needs. */
export function neededKeys({ attachments = {} }: SnapshotHeader): readonly string[] {
  const note = attachments[KEYS_NOTE];
  return note === undefined ? [] : noteSchema.parse(JSON.parse(note)).keys;
}

/** Where `raftsman snapshot save FILE` puts them. */
export function keysBeside(snapshotFile: string): string {
  return `${snapshotFile}.keys`;
}

/**
 * Looks in the file that was named, beside the snapshot, in the data directory whose `snapshots` folder it lies in, and in the
 * one that is restored into.
 * @throws {OperationError} a key is in none of them
 * @throws {SnapshotError} the snapshot cannot be read
 */
export async function findSnapshotKeys(options: {
  readonly file: string;
  readonly dataDir: string;
  readonly given: string | undefined;
}): Promise<EncryptionKeys> {
  const { file, dataDir, given } = options;
  const needed = neededKeys(await readSnapshotHeader(file));
  const places = [keysBeside(file), encryptionKeysFile(dirname(dirname(file))), encryptionKeysFile(dataDir)];
  let found = NO_KEYS;
  if (given !== undefined) {
    const keys = await loadEncryptionKeys(given);
    if (!keys) throw new OperationError(`--encryption-keys: there is no file ${given}`);
    found = keys;
  }
  for (const place of places) found = mergeEncryptionKeys(found, (await loadEncryptionKeys(place)) ?? NO_KEYS);
  const missing = needed.filter(id => !found.keys.some(key => key.id === id));
  if (missing.length === 0) return found;
  throw new OperationError(
    `the Secrets in ${file} are encrypted, and the key ${missing.join(', ')} is neither in ${places.join(' nor in ')}: name the file that has it with --encryption-keys (\`snapshot save\` wrote it as FILE.keys; each master has it as ${join('DIR', 'encryption-keys.json')})`,
  );
}
