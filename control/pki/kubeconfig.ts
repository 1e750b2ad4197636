/** Writes the administrator's kubeconfig, and reads the credentials back. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { writePrivately } from './files.ts';

/** An administrator's proof, all PEM. */
export interface Credentials {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const schema = z.object({
  clusters: z.array(z.object({ cluster: z.object({ 'certificate-authority-data': z.string() }) })).min(1),
  users: z
    .array(z.object({ user: z.object({ 'client-certificate-data': z.string(), 'client-key-data': z.string() }) }))
    .min(1),
});

/** Writes a kubeconfig with one cluster, one user and one context, readable by its owner only. */
export async function writeKubeconfig(
  path: string,
  { server, credentials, name }: { readonly server: string; readonly credentials: Credentials; readonly name: string },
): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  await mkdir(dirname(path), { recursive: true });
  await writePrivately(
    path,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(credentials.authority) } }],
      users: [
        {
          name: `${name}-admin`,
          user: {
            'client-certificate-data': base64(credentials.certificate),
            'client-key-data': base64(credentials.key),
          },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: `${name}-admin` } }],
      'current-context': name,
    }),
  );
}

/** Reads the credentials of a kubeconfig that {@link writeKubeconfig} wrote. */
export async function readKubeconfigCredentials(path: string): Promise<Credentials> {
  const parsed = schema.parse(parse(await readFile(path, 'utf8')));
  const text = (data: string | undefined) => Buffer.from(data ?? '', 'base64').toString();
  return {
    authority: text(parsed.clusters[0]?.cluster['certificate-authority-data']),
    certificate: text(parsed.users[0]?.user['client-certificate-data']),
    key: text(parsed.users[0]?.user['client-key-data']),
  };
}
