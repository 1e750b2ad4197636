/**
 * etcd's Cluster service. A member is always taken in as a learner: one that is asked for as a voter is promoted by this
 * member as soon as it has caught up, because a voter that has nothing yet would only cost quorum (etcd takes it at once).
 */
import { MembershipRefusedError, type StoreMember, type StoreMembership } from '../client/client.ts';
import { unstartedName } from '../member/unstarted.ts';
import { type EtcdContext, idFromHex, idToHex } from './context.ts';
import { etcdError } from './errors.ts';
import { type Route, unary } from './grpc/routes.ts';
import { MEMBER_CATCH_UP_MS, MEMBERSHIP_TIMEOUT_MS } from './limits.ts';
import { Cluster } from './proto/services.ts';

const options = { timeoutMs: MEMBERSHIP_TIMEOUT_MS };

export function clusterRoutes(context: EtcdContext): Route[] {
  const { access, client } = context;
  const answer = ({ members }: StoreMembership) => ({ header: context.header(), members: members.map(memberOf) });
  return [
    unary(Cluster.memberList, async ({ linearizable }) => {
      if (linearizable) return answer(await client.members());
      const { members } = context.status().membership;
      return { header: context.header(), members: members.map(memberOf) };
    }),
    unary(Cluster.memberAdd, async (request, call) => {
      await access.require(call, 'admin');
      const peerAddress = addressOf(request.peerUrls);
      const { members } = await client.members();
      if (members.some(member => member.peerAddress === peerAddress)) throw etcdError('peerUrlExists');
      const id = drawId(context.random, members);
      // Who it is becomes known when it starts.
      const member = { id, name: unstartedName(id), peerAddress, clientUrl: '' };
      const membership = await client.addLearner(member, options);
      if (!request.isLearner) promoteLater(context, member);
      const added = membership.members.find(one => one.id === id);
      return { ...answer(membership), ...(added !== undefined && { member: memberOf(added) }) };
    }),
    unary(Cluster.memberRemove, async (request, call) => {
      await access.require(call, 'admin');
      const { id } = await known(context, request.id);
      try {
        return answer(await client.removeMember(id, options));
      } catch (error) {
        throw refusal(error, 'notEnoughStarted');
      }
    }),
    unary(Cluster.memberUpdate, async (request, call) => {
      await access.require(call, 'admin');
      const peerAddress = addressOf(request.peerUrls);
      const { id } = await known(context, request.id);
      return answer(await client.updateMember(id, { peerAddress }, options));
    }),
    unary(Cluster.memberPromote, async (request, call) => {
      await access.require(call, 'admin');
      const { id, role } = await known(context, request.id);
      if (role !== 'learner') throw etcdError('memberNotLearner');
      try {
        return answer(await client.promoteMember(id, options));
      } catch (error) {
        throw refusal(error, 'learnerNotReady');
      }
    }),
  ];
}

/** If it fails, or this member stops before, an operator promotes it. */
function promoteLater({ client }: EtcdContext, member: Parameters<EtcdContext['client']['addMember']>[0]): void {
  client.addMember(member, { timeoutMs: MEMBER_CATCH_UP_MS }).catch(() => {});
}

async function known({ client }: EtcdContext, id: bigint): Promise<StoreMember> {
  const { members } = await client.members();
  const member = members.find(one => one.id === idToHex(id));
  if (member === undefined) throw etcdError('memberNotFound');
  return member;
}

function refusal(error: unknown, name: 'notEnoughStarted' | 'learnerNotReady'): unknown {
  return error instanceof MembershipRefusedError ? etcdError(name, error.message, { cause: error }) : error;
}

function memberOf(member: Pick<StoreMember, 'id' | 'name' | 'peerAddress' | 'clientUrl' | 'role'>) {
  return {
    id: idFromHex(member.id),
    name: member.name === unstartedName(member.id) ? '' : member.name,
    peerUrls: [`https://${member.peerAddress}`],
    clientUrls: member.clientUrl === '' ? [] : [member.clientUrl],
    isLearner: member.role === 'learner',
  };
}

/** Our members have one peer address, `host:port`. @throws {GrpcError} */
function addressOf(peerUrls: readonly string[]): string {
  const [first] = peerUrls;
  if (first === undefined || peerUrls.length > 1 || !URL.canParse(first)) throw etcdError('memberUrls');
  const { protocol, hostname, port } = new URL(first);
  if (protocol !== 'https:' && protocol !== 'http:') throw etcdError('memberUrls');
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

function drawId(random: () => number, members: readonly StoreMember[]): string {
  for (;;) {
    const digits = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join('');
    if (!members.some(({ id }) => id === digits) && digits !== '0'.repeat(16)) return digits;
  }
}
