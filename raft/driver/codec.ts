/** How the driver's own messages and the log's memberships become bytes. Parsed strictly, because both come from outside. */
import { Packr } from 'msgpackr';
import { z } from 'zod';
import type { MembershipCodec } from '../core/membership.ts';
import type { Membership, MembershipEntry } from '../core/types.ts';
import { memberIdSchema, membershipSchema, newMemberSchema } from '../schemas.ts';

// Plain maps: memberships stay readable for later versions. Byte strings are copied out of the frame they came in.
const packr = new Packr({ useRecords: false, copyBuffers: true });

const bytes = z.instanceof(Uint8Array);
const addMemberSchema = z.object({ member: newMemberSchema, timeoutMs: z.number().nonnegative() });
const proposeAnswerSchema = z.array(
  z.union([z.tuple([z.number().int(), z.number().int()]), z.tuple([z.enum(['notLeader', 'overloaded'])])]),
);

/** The leader's answer for one forwarded proposal: its place in the log, or why it was certainly not accepted. */
export type ProposeAnswer = readonly [index: number, term: number] | readonly [refusal: 'notLeader' | 'overloaded'];

export function encode(value: unknown): Uint8Array {
  // msgpackr answers with a view into its pool; what leaves here must own its bytes.
  return Uint8Array.prototype.slice.call(packr.pack(value));
}

export const membershipCodec: MembershipCodec = {
  encode,
  decode: data => membershipSchema.parse(packr.unpack(data)),
};

export const decodeMembership = (data: Uint8Array): Membership => membershipSchema.parse(packr.unpack(data));
export const decodeProposals = (data: Uint8Array): Uint8Array[] => z.array(bytes).parse(packr.unpack(data));
export const decodeProposeAnswers = (data: Uint8Array): ProposeAnswer[] =>
  proposeAnswerSchema.parse(packr.unpack(data));
export const decodeIndex = (data: Uint8Array): number => z.number().int().nonnegative().parse(packr.unpack(data));
export const decodeAddMember = (data: Uint8Array): { member: Omit<MembershipEntry, 'role'>; timeoutMs: number } =>
  addMemberSchema.parse(packr.unpack(data));
export const decodeMemberId = (data: Uint8Array): string => memberIdSchema.parse(packr.unpack(data));
export const decodeTransfer = (data: Uint8Array): string | undefined =>
  memberIdSchema.nullable().parse(packr.unpack(data)) ?? undefined;
