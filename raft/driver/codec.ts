/** How the driver's own messages and the log's memberships become bytes. Parsed strictly, because both come from outside. */
import { Packr } from 'msgpackr';
import { z } from 'zod';
import type { MembershipCodec } from '../core/membership.ts';
import type { MemberId, Membership } from '../core/types.ts';
import { memberIdSchema, membershipSchema, newMemberSchema } from '../schemas.ts';
import type { MemberChanges, NewMember } from './node.ts';
import type { Heard } from './witness.ts';

// Plain maps: memberships stay readable for later versions. Byte strings are copied out of the frame they came in.
const packr = new Packr({ useRecords: false, copyBuffers: true });

// Made once: making a schema costs many times what using it does.
const proposalsSchema = z.array(z.instanceof(Uint8Array));
const targetSchema = memberIdSchema.nullable();
const indexSchema = z.number().int().nonnegative();
const heardSchema = z.object({ term: indexSchema, ackTerm: indexSchema, ackIndex: indexSchema });
const membershipRequestSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['addLearner', 'addMember']), member: newMemberSchema }),
  z.object({ type: z.enum(['promoteMember', 'removeMember']), id: memberIdSchema }),
  z.object({ type: z.literal('replaceMember'), id: memberIdSchema, member: newMemberSchema }),
  z.object({
    type: z.literal('updateMember'),
    id: memberIdSchema,
    changes: newMemberSchema.omit({ id: true }).partial(),
  }),
]);
const membershipCallSchema = z.object({
  request: membershipRequestSchema,
  timeoutMs: z.number().nonnegative(),
  force: z.boolean(),
});
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
export const decodeProposals = (data: Uint8Array): Uint8Array[] => proposalsSchema.parse(packr.unpack(data));
export const decodeProposeAnswers = (data: Uint8Array): ProposeAnswer[] =>
  proposeAnswerSchema.parse(packr.unpack(data));
export const decodeHeard = (data: Uint8Array): Heard => heardSchema.parse(packr.unpack(data));
export const decodeIndex = (data: Uint8Array): number => indexSchema.parse(packr.unpack(data));
export const decodeTransfer = (data: Uint8Array): string | undefined =>
  targetSchema.parse(packr.unpack(data)) ?? undefined;

/** A change of the membership on its way to the leader. */
export type MembershipRequest =
  | { readonly type: 'addLearner' | 'addMember'; readonly member: NewMember }
  | { readonly type: 'promoteMember' | 'removeMember'; readonly id: MemberId }
  | { readonly type: 'replaceMember'; readonly id: MemberId; readonly member: NewMember }
  | { readonly type: 'updateMember'; readonly id: MemberId; readonly changes: MemberChanges };

/** Says what is wrong with a request, or undefined. What no member could read back must never get into the log. */
export function membershipRequestProblem(request: MembershipRequest): string | undefined {
  const { error } = membershipRequestSchema.safeParse(request);
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

export interface MembershipCall {
  readonly request: MembershipRequest;
  readonly timeoutMs: number;
  readonly force: boolean;
}

/** What is not changed is not sent at all. */
export const decodeMembershipCall = (data: Uint8Array): MembershipCall => {
  const { request, ...rest } = membershipCallSchema.parse(packr.unpack(data));
  if (request.type !== 'updateMember') return { request, ...rest };
  const { name, peerAddress, clientUrl } = request.changes;
  const changes = {
    ...(name !== undefined && { name }),
    ...(peerAddress !== undefined && { peerAddress }),
    ...(clientUrl !== undefined && { clientUrl }),
  };
  return { request: { ...request, changes }, ...rest };
};
