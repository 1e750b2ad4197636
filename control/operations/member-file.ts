/**
 * `DIR/member.json`: which member lives in a data directory, and who the others were when that was last heard. It is what
 * a member has left to go by when its log is damaged or gone: whom to ask, and whose place to take.
 */
import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { writePrivately } from '../pki/files.ts';
import { paths } from './layout.ts';

const schema = z.object({
  version: z.literal(1),
  clusterId: z.string(),
  memberId: z.string(),
  name: z.string(),
  members: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      peerAddress: z.string(),
      clientUrl: z.string(),
      role: z.enum(['voter', 'learner']),
    }),
  ),
});
export type MemberFile = Readonly<z.infer<typeof schema>>;

/** Undefined where there is none, or it cannot be read: it only helps. */
export async function readMemberFile(dataDir: string): Promise<MemberFile | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(paths.member(dataDir), 'utf8')));
  } catch {
    return undefined;
  }
}

export async function writeMemberFile(dataDir: string, file: MemberFile): Promise<void> {
  await writePrivately(paths.member(dataDir), `${JSON.stringify(file, undefined, 2)}\n`);
}

export async function removeMemberFile(dataDir: string): Promise<void> {
  await rm(paths.member(dataDir), { force: true });
}

/** The voters besides the one that lives here. */
export function otherVoters(file: MemberFile | undefined): MemberFile['members'] {
  return (file?.members ?? []).filter(({ id, role }) => role === 'voter' && id !== file?.memberId);
}
