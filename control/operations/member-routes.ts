/** The masters' answers about the membership of the store, for administrators. */
import { z } from 'zod';
import type { Membership, StoreClient, StoreMember, StoreMembership } from '../../store/index.ts';
import { ApiError } from '../api/status.ts';
import { administratorRoute, type JoinRoute } from '../join/handlers.ts';
import {
  type AddMemberRequest,
  type MembersAnswer,
  memberRequestSchema,
  PATHS,
  replaceMemberRequestSchema,
  transferRequestSchema,
  updateMemberRequestSchema,
} from '../join/protocol.ts';
import { codeOf } from './errors.ts';

/** A change may wait for a member to catch up, but answers before whoever asked gives up; it can be asked for again. */
const CHANGE_TIMEOUT_MS = 45_000;
const nothing = z.unknown();

export interface MemberRouteDependencies {
  readonly store: StoreClient;
  /** As this master has it, without asking anybody. */
  readonly membership: () => Pick<Membership, 'clusterId'>;
}

export function memberRoutes({ store, membership }: MemberRouteDependencies): readonly JoinRoute[] {
  const what = 'see or change the members of the store';
  const find = async (reference: string) => resolveMember((await store.members()).members, reference);
  const id = async (reference: string) => (await find(reference)).id;
  const change = <S extends z.ZodType>(path: string, body: S, handle: (body: z.infer<S>) => Promise<StoreMembership>) =>
    administratorRoute({
      method: 'POST',
      path,
      what,
      body,
      handle: async value => answerOf(await orApiError(() => handle(value))),
    });
  const options = (force: boolean | undefined) => ({
    timeoutMs: CHANGE_TIMEOUT_MS,
    ...(force !== undefined && { force }),
  });
  return [
    administratorRoute({
      method: 'GET',
      path: PATHS.identity,
      what,
      body: nothing,
      handle: async () => ({ clusterId: membership().clusterId }),
    }),
    administratorRoute({
      method: 'GET',
      path: PATHS.members,
      what,
      body: nothing,
      handle: async () => answerOf(await orApiError(() => store.members())),
    }),
    change(PATHS.removeMember, memberRequestSchema, async ({ member, force }) =>
      store.removeMember(await id(member), options(force)),
    ),
    change(PATHS.promoteMember, memberRequestSchema, async ({ member, force }) =>
      store.promoteMember(await id(member), options(force)),
    ),
    change(PATHS.replaceMember, replaceMemberRequestSchema, async ({ member, by, force }) => {
      const { role: _, ...learner } = await find(by);
      return store.replaceMember(await id(member), learner, options(force));
    }),
    change(PATHS.updateMember, updateMemberRequestSchema, async ({ member, peerAddress, clientUrl }) =>
      store.updateMember(
        await id(member),
        { ...(peerAddress !== undefined && { peerAddress }), ...(clientUrl !== undefined && { clientUrl }) },
        options(undefined),
      ),
    ),
    change(PATHS.transferLeadership, transferRequestSchema, async ({ to }) => {
      await store.transferLeadership(to === undefined ? undefined : await id(to));
      return store.members();
    }),
  ];
}

/** Takes a new master in, in the way in which it wants to come. */
export async function takeIn(
  { store, membership }: { readonly store: StoreClient; readonly membership: () => Membership },
  request: AddMemberRequest,
): Promise<Membership> {
  const { learner, replaces, ...member } = request;
  const { members } = await orApiError(() => store.members());
  const options = { timeoutMs: CHANGE_TIMEOUT_MS };
  const isVoter = members.some(({ id, role }) => id === member.id && role === 'voter');
  await orApiError(() => {
    if (replaces !== undefined && !isVoter) {
      // It may bear the name of the one that it replaces, and be there as a learner already.
      const others = members.filter(({ id }) => id !== member.id);
      return store.replaceMember(resolveMember(others, replaces).id, member, options);
    }
    return learner === true && !isVoter ? store.addLearner(member, options) : store.addMember(member, options);
  });
  return membership();
}

/** Finds a member by its id or its name. @throws {ApiError} */
function resolveMember<M extends Pick<StoreMember, 'id' | 'name'>>(members: readonly M[], reference: string): M {
  const found = members.find(({ id }) => id === reference) ?? members.find(({ name }) => name === reference);
  if (found !== undefined) return found;
  const names = members.map(({ name }) => name).join(', ');
  throw new ApiError('NotFound', `there is no member ${reference}: the members are ${names}`);
}

function answerOf({ clusterId, leaderId, members }: StoreMembership): MembersAnswer {
  return { clusterId, leader: leaderId ?? null, members: [...members] };
}

/** Tells what the store refused in the words of the API. */
export async function orApiError<Value>(run: () => Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    switch (codeOf(error)) {
      case 'STORE_MEMBERSHIP_REFUSED':
      case 'STORE_TRANSFER_FAILED':
        throw new ApiError('Conflict', message, { cause: error });
      case 'STORE_UNAVAILABLE':
        throw new ApiError('ServiceUnavailable', message, { cause: error });
      case 'STORE_UNKNOWN_OUTCOME':
        throw new ApiError('Timeout', `${message}; asking again goes on where it stopped`, { cause: error });
      default:
        throw error;
    }
  }
}
