/** What an administrator's etcdctl needs to reach the store through etcd's API. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyPair } from '../pki/authority.ts';

/** Only certificates of this organization may pass; the administrator's has it, nodes' and users' have not. */
export const ADMINISTRATORS = 'system:masters';

/** Writes `etcd/ca.crt`, `etcd/client.crt` and `etcd/client.key` in the data directory, for the owner's eyes only. */
export async function writeEtcdCredentials(options: {
  readonly dataDir: string;
  readonly authority: Pick<KeyPair, 'certificate'>;
  readonly client: KeyPair;
}): Promise<void> {
  const folder = join(options.dataDir, 'etcd');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = {
    'ca.crt': options.authority.certificate,
    'client.crt': options.client.certificate,
    'client.key': options.client.key,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
}
