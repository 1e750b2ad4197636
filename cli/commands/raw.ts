/** `--raw PATH`: one request to a path of the server, its answer printed as it is. */
import { readFileSync } from 'node:fs';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';

/** Sends the one file of `-f` (or nothing) and prints what the server answers. */
export async function sendRaw(
  session: Session,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  files: readonly string[] = [],
): Promise<void> {
  const [file, ...more] = files;
  if (more.length > 0 || (file === undefined && method !== 'DELETE')) {
    throw failure('--raw can only use a single local file or stdin');
  }
  if (!URL.canParse(path, 'http://server')) throw failure(`--raw must be a valid URL path: ${path}`);
  const body = file === undefined ? undefined : file === '-' ? await inputText(session) : readFileSync(file, 'utf8');
  session.context.stdout.write(await session.api.text(method, path, { ...(body !== undefined && { body }) }));
}

async function inputText(session: Session): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of session.context.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
