/** How members and snapshots look when they come from outside: from the wire, the log or a data directory. */
import { z } from 'zod';

export const memberIdSchema = z.string().regex(/^[0-9a-f]{16}$/, 'an id is 16 lower-case hex digits');

export const newMemberSchema = z.object({
  id: memberIdSchema,
  name: z.string().min(1),
  peerAddress: z.string(),
  clientUrl: z.string(),
});

const memberSchema = newMemberSchema.extend({
  role: z.enum(['voter', 'learner']),
  replaces: memberIdSchema.optional(),
});

export const membershipSchema = z.object({
  clusterId: memberIdSchema,
  members: z.array(memberSchema),
  outgoing: z.array(memberSchema).optional(),
  removed: z.array(memberIdSchema).optional(),
});

const index = z.number().int().nonnegative();

export const snapshotMetadataSchema = z.object({ index, term: index, membership: membershipSchema });
