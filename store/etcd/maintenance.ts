/** etcd's Maintenance service, and gRPC's health service beside it. */
import type { Alarm } from '../client/client.ts';
import { type EtcdContext, idFromHex, idToHex } from './context.ts';
import { etcdError } from './errors.ts';
import { type Route, streaming, unary } from './grpc/routes.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { HEALTH_NOT_SERVING, HEALTH_SERVING } from './proto/concurrency.ts';
import {
  ALARM_ACTIVATE,
  ALARM_CORRUPT,
  ALARM_DEACTIVATE,
  ALARM_GET,
  ALARM_NO_SPACE,
  ALARM_NONE,
  type AlarmRequest,
} from './proto/maintenance.ts';
import type { Read } from './proto/message.ts';
import { Health, Maintenance } from './proto/services.ts';
import { sendSnapshot } from './snapshot.ts';
import { API_VERSION } from './version.ts';

export function maintenanceRoutes(context: EtcdContext): Route[] {
  const { access, client } = context;
  return [
    unary(Maintenance.status, async () => statusOf(context)),
    unary(Maintenance.alarm, async (request, call) => {
      // An alarm can stop a member, so unlike etcd not everybody may raise one.
      if (request.action !== ALARM_GET) await access.require(call, 'admin');
      return { header: context.header(), alarms: (await alarmsAfter(context, request)).map(alarmMember) };
    }),
    // LevelDB compacts by itself.
    unary(Maintenance.defragment, async (_request, call) => {
      await access.require(call, 'admin');
      return { header: context.header() };
    }),
    unary(Maintenance.hash, async (_request, call) => {
      await access.require(call, 'admin');
      return { header: context.header(), hash: (await client.hash()).hash };
    }),
    unary(Maintenance.hashKv, async (request, call) => {
      await access.require(call, 'admin');
      const { hash, revision, compactedRevision } = await client.hash(Math.max(0, request.revision));
      return {
        header: context.header(),
        hash,
        // etcd says -1 before the first compaction.
        compactRevision: compactedRevision === 0 ? -1 : compactedRevision,
        hashRevision: revision,
      };
    }),
    streaming(Maintenance.snapshot, async call => {
      await access.require(call, 'admin');
      await sendSnapshot(context, call);
    }),
    unary(Maintenance.moveLeader, async (request, call) => {
      await access.require(call, 'admin');
      const { role, membership } = context.status();
      if (role !== 'leader') throw etcdError('notLeader');
      const target = idToHex(request.targetId);
      if (!membership.members.some(({ id, role }) => id === target && role === 'voter')) throw etcdError('transferee');
      await client.transferLeadership(target);
      return { header: context.header() };
    }),
    unary(Maintenance.downgrade, async () => {
      throw new GrpcError(STATUS.unimplemented, 'raftsman: a cluster is downgraded by restoring a snapshot');
    }),
  ];
}

export function healthRoutes(context: EtcdContext): Route[] {
  const status = () =>
    context.hasLeader && context.replica.servingProblem === undefined ? HEALTH_SERVING : HEALTH_NOT_SERVING;
  const check = (service: string) => {
    if (service !== '') throw new GrpcError(STATUS.notFound, 'unknown service');
    return { status: status() };
  };
  return [
    unary(Health.check, async request => check(request.service)),
    streaming(Health.watch, async call => {
      let told = 0;
      const tell = () => {
        const now = status();
        if (now !== told) call.send({ status: now });
        told = now;
      };
      const unfollow = context.onLeader(tell);
      tell();
      await new Promise<void>(resolve => call.signal.addEventListener('abort', () => resolve(), { once: true }));
      unfollow();
    }),
  ];
}

function statusOf(context: EtcdContext) {
  const { leader, term, commitIndex, appliedIndex, membership, id } = context.status();
  const { alarms, liveBytes } = context.state;
  return {
    header: context.header(),
    version: API_VERSION,
    // What the state takes in memory; LevelDB's files on disk are not one database file.
    dbSize: liveBytes,
    dbSizeInUse: liveBytes,
    dbSizeQuota: context.limits.quotaBytes,
    leader: leader === undefined ? 0n : idFromHex(leader),
    raftIndex: commitIndex,
    raftTerm: term,
    raftAppliedIndex: appliedIndex,
    errors: [...(leader === undefined ? ['etcdserver: no leader'] : []), ...alarms.map(alarmText)],
    isLearner: membership.members.find(member => member.id === id)?.role === 'learner',
  };
}

/** Carries out what is asked about alarms; gives those that it was about. @throws {GrpcError} */
async function alarmsAfter({ client }: EtcdContext, request: Read<typeof AlarmRequest>): Promise<readonly Alarm[]> {
  const type = alarmType(request.alarm);
  const memberId = request.memberId === 0n ? undefined : idToHex(request.memberId);
  const filter = { ...(type !== undefined && { type }), ...(memberId !== undefined && { memberId }) };
  switch (request.action) {
    case ALARM_GET: {
      const alarms = await client.alarms();
      return alarms.filter(
        alarm => (type ?? alarm.type) === alarm.type && (memberId ?? alarm.memberId) === alarm.memberId,
      );
    }
    case ALARM_ACTIVATE: {
      if (type === undefined) throw new GrpcError(STATUS.invalidArgument, 'raftsman: an alarm to raise needs a type');
      const alarm: Alarm = { type, memberId: memberId ?? '', cause: type === 'NOSPACE' ? 'disk' : 'divergence' };
      await client.execute({ type: 'alarm', action: 'raise', alarm });
      return [alarm];
    }
    case ALARM_DEACTIVATE:
      return client.disarmAlarm(filter);
    default:
      throw new GrpcError(STATUS.invalidArgument, `raftsman: nothing is called ${request.action} for alarms`);
  }
}

function alarmType(alarm: number): Alarm['type'] | undefined {
  if (alarm === ALARM_NONE) return undefined;
  if (alarm === ALARM_NO_SPACE) return 'NOSPACE';
  if (alarm === ALARM_CORRUPT) return 'CORRUPT';
  throw new GrpcError(STATUS.invalidArgument, `raftsman: there is no alarm ${alarm}`);
}

function alarmMember({ type, memberId }: Alarm) {
  return {
    memberId: memberId === '' ? 0n : idFromHex(memberId),
    alarm: type === 'NOSPACE' ? ALARM_NO_SPACE : ALARM_CORRUPT,
  };
}

/** As etcd prints its own messages. */
function alarmText({ type, memberId }: Alarm): string {
  return `memberID:${memberId === '' ? 0n : idFromHex(memberId)} alarm:${type} `;
}
