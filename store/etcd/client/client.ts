/**
 * The store's client interface over a real etcd (v3 API, 3.4 or later). etcd's meaning is ours but for one thing that it
 * does not have, the fencing of writes by a leadership term: there is no Raft of ours behind it. Here the term is the create
 * revision of the key of an election among masters (`election.ts`), which only ever rises, and a fenced write carries a
 * compare on that key.
 */
import {
  type Alarm,
  type AlarmFilter,
  CompactedError,
  FencedError,
  InvalidRequestError,
  LeaseExistsError,
  type LeaseTimeToLive,
  MembershipRefusedError,
  type RangeRequest,
  type RangeResult,
  type StoreClient,
  type StoreHash,
  type StoreMembership,
  type StoreStatus,
  type Transaction,
  type TransactionResult,
  TransferFailedError,
  type WatchBatch,
  type WatchRequest,
} from '../../client/client.ts';
import { systemWallClock } from '../../clock.ts';
import { boundProblem, keyProblem } from '../../mvcc/keys.ts';
import { commandProblem, rangeProblem, transactionProblem } from '../../mvcc/validate.ts';
import { ALARM_CORRUPT, ALARM_DEACTIVATE, ALARM_GET, ALARM_NO_SPACE, type AlarmMember } from '../proto/maintenance.ts';
import type { Read } from '../proto/message.ts';
import { KV, Lease, Maintenance } from '../proto/services.ts';
import { RevisionCompactedError } from './errors.ts';
import type { KeySpace } from './keys.ts';
import { keepAlive } from './leases.ts';
import { LEASE_ID_DRAWS_MAX, LEASE_ID_MAX, READ_ATTEMPT_MS } from './limits.ts';
import { onlyReads, rangeMessage, rangeResult, transactionMessage, transactionOutcome } from './messages.ts';
import { type EtcdOptions, EtcdSession, hex } from './session.ts';
import { saveSnapshot } from './snapshot.ts';

/** A store in etcd. */
export interface EtcdStore {
  readonly client: EtcdClient;
  /** What masters keep beside the store: who leads, who is there. */
  readonly own: EtcdClient;
  /** The highest revision that etcd has told of so far. */
  readonly revision: () => number;
  close(): Promise<void>;
}
/** Of the client's own keys: who leads. Its create revision is the term. */
export const LEADER_KEY = '/leader';

/**
 * Makes the clients; connects with the first call.
 * @throws {InvalidRequestError} for an endpoint or a prefix that is none
 */
export function openEtcd(options: EtcdOptions): EtcdStore {
  const session = new EtcdSession(options);
  return {
    client: new EtcdClient(session, session.data, options),
    own: new EtcdClient(session, session.own, options),
    revision: () => session.revision,
    close: async () => session.close(),
  };
}

export class EtcdClient implements StoreClient {
  readonly #session: EtcdSession;
  readonly #keys: KeySpace;
  readonly #options: Pick<EtcdOptions, 'members' | 'snapshotAttachments'>;

  constructor(session: EtcdSession, keys: KeySpace, options: Pick<EtcdOptions, 'members' | 'snapshotAttachments'>) {
    this.#session = session;
    this.#keys = keys;
    this.#options = options;
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    refuse(rangeProblem(request));
    const answer = await this.#tellingCompaction(() =>
      this.#session.call(KV.range, rangeMessage(this.#keys, request), 'read'),
    );
    return rangeResult(this.#keys, answer);
  }

  put(
    key: string,
    value: Uint8Array,
    options: { readonly lease?: number; readonly fenceTerm?: number } = {},
  ): Promise<TransactionResult> {
    const { lease = 0, ...fence } = options;
    return this.transaction({ then: [{ type: 'put', key, value, lease }], ...fence });
  }

  delete(
    key: string,
    options: { readonly end?: string; readonly fenceTerm?: number } = {},
  ): Promise<TransactionResult> {
    const { end, ...fence } = options;
    return this.transaction({ then: [{ type: 'delete', key, ...(end === undefined ? {} : { end }) }], ...fence });
  }

  /** As everywhere; but a fenced one may hold at most 127 compares and operations, for etcd counts the fence with them. */
  async transaction(transaction: Transaction): Promise<TransactionResult> {
    refuse(transactionProblem(transaction));
    const { fenceTerm } = transaction;
    const fence =
      fenceTerm === undefined ? undefined : { key: this.#session.own.key(LEADER_KEY), createRevision: fenceTerm };
    const message = transactionMessage(this.#keys, transaction, fence);
    const answer = await this.#tellingCompaction(() =>
      this.#session.call(KV.txn, message, onlyReads(transaction) ? 'read' : 'write'),
    );
    const outcome = transactionOutcome(this.#keys, answer, fence !== undefined);
    if (outcome === undefined) throw new FencedError(`the leadership of term ${fenceTerm} has passed`);
    return { revision: answer.header?.revision ?? 0, ...outcome };
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    const { key, end } = request;
    refuse(end === undefined ? keyProblem(key) : (boundProblem(key) ?? boundProblem(end)));
    return this.#session.watch(this.#keys, request);
  }

  /** etcd may give a lease a longer life than was asked for: never less than one and a half of its election timeouts. */
  async grantLease(
    ttlSeconds: number,
    options: { readonly id?: number } = {},
  ): Promise<{ readonly id: number; readonly ttlSeconds: number }> {
    for (let draw = 1; ; draw++) {
      const { id = 1 + Math.floor(this.#session.random() * LEASE_ID_MAX) } = options;
      refuse(commandProblem({ type: 'leaseGrant', ttlSeconds, id }));
      try {
        const { ttl } = await this.#session.call(Lease.leaseGrant, { id, ttl: ttlSeconds }, 'write');
        return { id, ttlSeconds: ttl };
      } catch (error) {
        const isDrawnAgain = error instanceof LeaseExistsError && options.id === undefined;
        if (!isDrawnAgain || draw >= LEASE_ID_DRAWS_MAX) throw error;
      }
    }
  }

  async keepLeaseAlive(id: number): Promise<{ readonly ttlSeconds: number }> {
    refuse(commandProblem({ type: 'leaseKeepAlive', id }));
    this.#session.refuseIfClosed();
    const { clock, endpoints } = this.#session;
    return endpoints.use((endpoint, leftMs) =>
      keepAlive(endpoint, id, { clock, timeoutMs: Math.min(leftMs, READ_ATTEMPT_MS) }),
    );
  }

  /** How long a lease still has, and the keys of this store that hang on it; undefined if there is none. */
  async leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined> {
    refuse(commandProblem({ type: 'leaseKeepAlive', id }));
    const { ttl, grantedTtl, keys } = await this.#session.call(Lease.leaseTimeToLive, { id, keys: true }, 'read');
    if (ttl < 0) return undefined;
    const held = keys.filter(key => this.#keys.holds(key)).sort(Buffer.compare);
    const names = held.map(key => this.#keys.name(key));
    return { grantedSeconds: grantedTtl, remainingSeconds: ttl, keys: names };
  }

  /** All leases in this etcd but those of other users whose ids a number cannot hold. */
  async leases(): Promise<readonly number[]> {
    const { leases } = await this.#session.call(Lease.leaseLeases, {}, 'read');
    return leases
      .map(({ id }) => id)
      .filter(id => Number.isSafeInteger(id) && id > 0)
      .sort((one, other) => one - other);
  }

  async revokeLease(id: number): Promise<void> {
    refuse(commandProblem({ type: 'leaseRevoke', id }));
    await this.#session.call(Lease.leaseRevoke, { id }, 'write');
  }

  /** For all users of this etcd: it has one history. */
  async compact(revision: number): Promise<void> {
    refuse(commandProblem({ type: 'compact', revision }));
    try {
      // Twice is as good as once, so a lost answer is no harm.
      await this.#session.call(KV.compact, { revision }, 'read');
    } catch (error) {
      if (!(error instanceof RevisionCompactedError)) throw error;
      const oldest = await this.#session.compaction.find();
      if (revision !== oldest) throw new CompactedError(oldest);
    }
  }

  /** Members, leader, index are etcd's; the term is that of the masters' election, 0 while there is no leader. */
  async status(): Promise<StoreStatus> {
    const session = this.#session;
    const [status, compactedRevision, members, leader] = await Promise.all([
      session.call(Maintenance.status, {}, 'read'),
      session.compaction.find(),
      session.members(),
      session.call(KV.range, { key: session.own.key(LEADER_KEY) }, 'read'),
    ]);
    const { header, leader: leaderId, raftAppliedIndex, raftIndex } = status;
    return {
      memberId: hex(header?.memberId ?? 0n),
      clusterId: hex(header?.clusterId ?? 0n),
      leaderId: leaderId === 0n ? undefined : hex(leaderId),
      term: leader.kvs[0]?.createRevision ?? 0,
      revision: header?.revision ?? 0,
      compactedRevision,
      appliedIndex: raftAppliedIndex || raftIndex,
      members,
    };
  }

  async members(): Promise<StoreMembership> {
    const { clusterId, leaderId, members } = await this.status();
    return { clusterId, leaderId, members, ...(await this.#options.members?.()) };
  }

  addLearner(): Promise<never> {
    return refuseChange('add');
  }

  addMember(): Promise<never> {
    return refuseChange('add');
  }

  promoteMember(): Promise<never> {
    return refuseChange('promote');
  }

  removeMember(): Promise<never> {
    return refuseChange('remove');
  }

  replaceMember(): Promise<never> {
    return refuseChange('remove');
  }

  updateMember(): Promise<never> {
    return refuseChange('update');
  }

  async transferLeadership(): Promise<never> {
    throw new TransferFailedError(
      'the store is an external etcd, in which the masters elect their leader: stop the master that leads, and another one does',
    );
  }

  async alarms(): Promise<readonly Alarm[]> {
    const { alarms } = await this.#session.call(Maintenance.alarm, { action: ALARM_GET }, 'read');
    return alarms.map(alarmOf);
  }

  async disarmAlarm(filter: AlarmFilter = {}): Promise<readonly Alarm[]> {
    const { type, memberId, cause } = filter;
    const meant = (await this.alarms()).filter(
      alarm =>
        (type ?? alarm.type) === alarm.type &&
        (memberId ?? alarm.memberId) === alarm.memberId &&
        (cause ?? alarm.cause) === alarm.cause,
    );
    for (const alarm of meant) {
      const kind = alarm.type === 'CORRUPT' ? ALARM_CORRUPT : ALARM_NO_SPACE;
      const which = { memberId: BigInt(`0x${alarm.memberId}`), alarm: kind };
      await this.#session.call(Maintenance.alarm, { action: ALARM_DEACTIVATE, ...which }, 'write');
    }
    return meant;
  }

  /** Over all that is in the etcd of the server that answers, other users' keys too. */
  async hash(revision = 0): Promise<StoreHash> {
    const answer = await this.#tellingCompaction(() => this.#session.call(Maintenance.hashKv, { revision }, 'read'));
    const { hash, compactRevision, header } = answer;
    return { hash, revision: revision || (header?.revision ?? 0), compactedRevision: Math.max(0, compactRevision) };
  }

  /** In raftsman's format, of this store's keys alone; for all of the etcd there is `etcdctl snapshot save`. */
  async *saveSnapshot(): AsyncGenerator<Uint8Array> {
    const { clock } = this.#session;
    yield* saveSnapshot({
      store: this,
      status: await this.status(),
      attachments: this.#options.snapshotAttachments?.(),
      leaseSeconds: async id => (await this.leaseTimeToLive(id))?.grantedSeconds,
      takenAt: systemWallClock().toISOString(),
      pause: () => new Promise(resolve => clock.setTimeout(resolve, 0)),
    });
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  /** etcd refuses a compacted revision without saying which one is the oldest. */
  async #tellingCompaction<Value>(call: () => Promise<Value>): Promise<Value> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof RevisionCompactedError)) throw error;
      throw new CompactedError(await this.#session.compaction.find());
    }
  }
}

function alarmOf({ memberId, alarm }: Read<typeof AlarmMember>): Alarm {
  const isCorrupt = alarm === ALARM_CORRUPT;
  return {
    type: isCorrupt ? 'CORRUPT' : 'NOSPACE',
    memberId: hex(memberId),
    cause: isCorrupt ? 'divergence' : 'quota',
  };
}

async function refuseChange(command: string): Promise<never> {
  throw new MembershipRefusedError(
    `the store is an external etcd: its servers are changed with \`etcdctl member ${command}\`, and a master is added by starting it and removed by stopping it`,
  );
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new InvalidRequestError(problem);
}
