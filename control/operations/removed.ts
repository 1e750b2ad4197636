/** What a master does that was removed from its cluster: puts its data out of the way and never starts again by itself. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { setAside } from '../../store/index.ts';
import { writePrivately } from '../pki/files.ts';
import { EXIT_DO_NOT_RESTART, OperationError } from './errors.ts';
import { IDENTITY, paths } from './layout.ts';

const schema = z.object({ name: z.string(), at: z.string(), data: z.string() });

/** Sets everything aside that makes this a member, and leaves a note. The answer is what the process ends with. */
export async function leaveForGood(
  dataDir: string,
  options: { readonly name: string; readonly at: Date },
): Promise<OperationError> {
  const data = await setAside(dataDir, IDENTITY, { reason: 'removed', at: options.at });
  const note = { name: options.name, at: options.at.toISOString(), data };
  await writePrivately(paths.removed(dataDir), `${JSON.stringify(note, undefined, 2)}\n`);
  return new OperationError(
    `the master ${options.name} was removed from its cluster: it stops, and its data is now in ${data}. To join again as a new member, ${howToJoin(dataDir)}`,
    { exitCode: EXIT_DO_NOT_RESTART },
  );
}

/** @throws {OperationError} the member that lived here was removed: a restart must not make it a cluster of its own */
export async function refuseIfRemoved(dataDir: string): Promise<void> {
  if (!existsSync(paths.removed(dataDir))) return;
  const note = schema.safeParse(JSON.parse(await readFile(paths.removed(dataDir), 'utf8')));
  const who = note.success
    ? `the master ${note.data.name} of ${dataDir} was removed from its cluster at ${note.data.at}`
    : `the master of ${dataDir} was removed from its cluster`;
  throw new OperationError(`${who}. To join again as a new member, ${howToJoin(dataDir)}`, {
    exitCode: EXIT_DO_NOT_RESTART,
  });
}

function howToJoin(dataDir: string): string {
  return `remove ${paths.removed(dataDir)} and start with --join and a new --token (\`raftsman member add NAME\` on the cluster prints the command)`;
}
