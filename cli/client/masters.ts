/** The masters of a cluster, each asked at its own address with the credentials of the kubeconfig. */
import type { z } from 'zod';
import { HttpsTransport } from '../../control/client/https.ts';
import { readText } from '../../control/client/rest.ts';
import { type MembersAnswer, membersAnswerSchema, PATHS, statusAnswerSchema } from '../../control/join/protocol.ts';
import { Api } from './api.ts';
import { describeError, failure } from './errors.ts';
import type { Session } from './session.ts';

export type Member = MembersAnswer['members'][number];

const PROBE_TIMEOUT_MS = 3_000;

/** Who belongs to the store. Without a quorum, as far as the master that answers knows, and it says so. */
export async function listMembers(session: Session): Promise<MembersAnswer> {
  try {
    return membersAnswerSchema.parse(await session.api.json('GET', PATHS.members));
  } catch (error) {
    const { text } = describeError(error, session.connection.server);
    const status = await session.api.json('GET', PATHS.status).catch(() => undefined);
    const known = statusAnswerSchema.safeParse(status);
    if (!known.success) throw error;
    session.error(`Warning: the store has no quorum, so this is what one master knew last (${text})`);
    return known.data;
  }
}

/** Finds a member by its name or its id. */
export function findMember(members: readonly Member[], reference: string): Member | undefined {
  return members.find(({ id }) => id === reference) ?? members.find(({ name }) => name === reference);
}

export function requireMember(members: readonly Member[], reference: string): Member {
  const found = findMember(members, reference);
  if (found !== undefined) return found;
  throw failure(`there is no member ${reference}: the members are ${members.map(({ name }) => name).join(', ')}`);
}

/** Asks one master. Rejects when it does not answer in time. */
export async function askMember<S extends z.ZodType>(
  session: Session,
  member: Member,
  question: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body?: unknown; readonly answer: S },
): Promise<z.infer<S>> {
  return withTransport(session, member, async api => {
    const { method, path, body, answer } = question;
    return answer.parse(await api.json(method, path, { body, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }));
  });
}

/** How a master is: `ready`, `not ready` (it answers, but has no quorum, say) or `unreachable`. */
export async function probeMember(session: Session, member: Member): Promise<'ready' | 'not ready' | 'unreachable'> {
  const transport = transportTo(session, member);
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await transport.request({ method: 'GET', path: '/readyz', signal });
    await readText(response.body);
    return response.status === 200 ? 'ready' : 'not ready';
  } catch {
    return 'unreachable';
  } finally {
    await transport.close();
  }
}

async function withTransport<T>(session: Session, member: Member, run: (api: Api) => Promise<T>): Promise<T> {
  const transport = transportTo(session, member);
  try {
    return await run(new Api({ transport, headers: {}, onWarning: text => session.error(`Warning: ${text}`) }));
  } finally {
    await transport.close();
  }
}

function transportTo(session: Session, member: Member): HttpsTransport {
  const { tls, token } = session.connection;
  return new HttpsTransport({
    servers: [member.clientUrl],
    tls,
    clock: session.context.clock,
    random: session.context.random,
    responseTimeoutMs: PROBE_TIMEOUT_MS,
    connectTimeoutMs: PROBE_TIMEOUT_MS,
    ...(token && { token }),
  });
}
