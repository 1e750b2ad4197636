/**
 * The calls that are too rare to deserve a notation of their own: by name, with arguments as plain values. To add one:
 * a line in {@link CALLS}, and a method of the remote client that names it.
 */
import { z } from 'zod';
import type { CommandClient } from '../client/base.ts';
import {
  type Alarm,
  InvalidRequestError,
  type LeaseTimeToLive,
  type StoreHash,
  type StoreMembership,
} from '../client/client.ts';

import { packKey, unpackKey } from './protocol.ts';

const id = z.string().min(1);
const options = z
  .object({ timeoutMs: z.number().nonnegative().optional(), force: z.boolean().optional() })
  .nullish()
  .transform(value => ({
    ...(value?.timeoutMs !== undefined && { timeoutMs: value.timeoutMs }),
    ...(value?.force !== undefined && { force: value.force }),
  }));
const newMember = z.object({ id, name: z.string(), peerAddress: z.string().min(1), clientUrl: z.string() });
const update = newMember
  .omit({ id: true })
  .partial()
  .transform(value => ({
    ...(value.name !== undefined && { name: value.name }),
    ...(value.peerAddress !== undefined && { peerAddress: value.peerAddress }),
    ...(value.clientUrl !== undefined && { clientUrl: value.clientUrl }),
  }));

const membership = z.object({
  clusterId: z.string(),
  leaderId: z.string().nullish(),
  members: z.array(newMember.extend({ name: z.string(), peerAddress: z.string(), role: z.enum(['voter', 'learner']) })),
});

/** Reads an answer that is a membership. */
export function parseMembership(value: unknown): StoreMembership {
  const { leaderId, ...rest } = membership.parse(value);
  return { ...rest, leaderId: leaderId ?? undefined };
}

const alarms = z.array(
  z.object({
    type: z.enum(['NOSPACE', 'CORRUPT']),
    memberId: z.string(),
    cause: z.enum(['quota', 'disk', 'divergence']),
  }),
);
const hash = z.object({ hash: z.number(), revision: z.number(), compactedRevision: z.number() });

export const parseAlarms = (value: unknown): readonly Alarm[] => alarms.parse(value);
export const parseHash = (value: unknown): StoreHash => hash.parse(value);

const packedKey = z.union([z.string(), z.instanceof(Uint8Array)]).transform(unpackKey);
const leaseTime = z.object({ grantedSeconds: z.number(), remainingSeconds: z.number(), keys: z.array(packedKey) });

function packTime(time: LeaseTimeToLive | undefined) {
  return time === undefined ? null : { ...time, keys: time.keys.map(packKey) };
}

export const parseLeaseTime = (value: unknown): LeaseTimeToLive | undefined =>
  leaseTime.nullable().parse(value) ?? undefined;
export const parseLeases = (value: unknown): readonly number[] => z.array(z.number()).parse(value);

type Call = (client: CommandClient, args: unknown) => Promise<unknown>;

/** Checks the arguments, then calls. */
function call<Args extends z.ZodType>(
  schema: Args,
  run: (client: CommandClient, args: z.output<Args>) => Promise<unknown>,
): Call {
  return (client, args) => {
    const parsed = schema.safeParse(args);
    if (!parsed.success) throw new InvalidRequestError(`the call makes no sense: ${parsed.error.message}`);
    return run(client, parsed.data);
  };
}

const CALLS = {
  members: call(z.tuple([]), client => client.members()),
  addLearner: call(z.tuple([newMember, options]), (client, args) => client.addLearner(...args)),
  addMember: call(z.tuple([newMember, options]), (client, args) => client.addMember(...args)),
  promoteMember: call(z.tuple([id, options]), (client, args) => client.promoteMember(...args)),
  removeMember: call(z.tuple([id, options]), (client, args) => client.removeMember(...args)),
  replaceMember: call(z.tuple([id, newMember, options]), (client, args) => client.replaceMember(...args)),
  updateMember: call(z.tuple([id, update, options]), (client, args) => client.updateMember(...args)),
  leaseTimeToLive: call(z.tuple([z.number()]), async (client, [lease]) =>
    packTime(await client.leaseTimeToLive(lease)),
  ),
  leases: call(z.tuple([]), client => client.leases()),
  alarms: call(z.tuple([]), client => client.alarms()),
  hash: call(z.tuple([z.number().nullish()]), (client, [revision]) => client.hash(revision ?? undefined)),
  transferLeadership: call(z.tuple([id.nullish()]), (client, [to]) => client.transferLeadership(to ?? undefined)),
} as const satisfies Readonly<Record<string, Call>>;

export type CallName = keyof typeof CALLS;

/** Carries out a call that came over the wire. @throws {InvalidRequestError} it is not known, or makes no sense */
export async function answerCall(client: CommandClient, name: string, args: unknown): Promise<unknown> {
  if (!Object.hasOwn(CALLS, name)) {
    throw new InvalidRequestError(`this member does not know the call ${name}: it may be of an older version`);
  }
  return CALLS[name as CallName](client, args);
}
