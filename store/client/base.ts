/** What all clients share: the simple calls in terms of one command call. */
import type { Command, CommandValue } from '../mvcc/command.ts';
import type {
  Alarm,
  AlarmFilter,
  LeaseTimeToLive,
  MembershipClient,
  MembershipOptions,
  MemberUpdate,
  NewStoreMember,
  RangeRequest,
  RangeResult,
  StoreClient,
  StoreHash,
  StoreMembership,
  StoreStatus,
  Transaction,
  TransactionResult,
  WatchBatch,
  WatchRequest,
} from './client.ts';
import { alarmsValue, leaseValue, transactionValue } from './values.ts';

export abstract class CommandClient implements StoreClient {
  abstract range(request: RangeRequest): Promise<RangeResult>;
  abstract watch(request: WatchRequest): AsyncIterable<WatchBatch>;
  abstract status(): Promise<StoreStatus>;
  abstract saveSnapshot(): AsyncIterable<Uint8Array>;
  /** Who answers for the membership. */
  protected abstract readonly membership: MembershipClient;
  abstract alarms(): Promise<readonly Alarm[]>;
  abstract hash(revision?: number): Promise<StoreHash>;
  abstract leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined>;
  abstract leases(): Promise<readonly number[]>;
  abstract close(): Promise<void>;
  /** Carries out one command. @throws the errors of `client.ts` */
  abstract execute(command: Command): Promise<CommandValue>;

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

  async transaction(transaction: Transaction): Promise<TransactionResult> {
    return transactionValue(await this.execute({ type: 'transaction', transaction }));
  }

  async grantLease(
    ttlSeconds: number,
    options: { readonly id?: number } = {},
  ): Promise<{ readonly id: number; readonly ttlSeconds: number }> {
    return leaseValue(await this.execute({ type: 'leaseGrant', ttlSeconds, ...options }));
  }

  async keepLeaseAlive(id: number): Promise<{ readonly ttlSeconds: number }> {
    const { ttlSeconds } = leaseValue(await this.execute({ type: 'leaseKeepAlive', id }));
    return { ttlSeconds };
  }

  async revokeLease(id: number): Promise<void> {
    await this.execute({ type: 'leaseRevoke', id });
  }

  async compact(revision: number): Promise<void> {
    await this.execute({ type: 'compact', revision });
  }

  members(): Promise<StoreMembership> {
    return this.membership.members();
  }

  addLearner(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.addLearner(member, options);
  }

  addMember(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.addMember(member, options);
  }

  promoteMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.promoteMember(id, options);
  }

  removeMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.removeMember(id, options);
  }

  replaceMember(id: string, by: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.replaceMember(id, by, options);
  }

  updateMember(id: string, update: MemberUpdate, options?: MembershipOptions): Promise<StoreMembership> {
    return this.membership.updateMember(id, update, options);
  }

  transferLeadership(to?: string): Promise<void> {
    return this.membership.transferLeadership(to);
  }

  async disarmAlarm(filter: AlarmFilter = {}): Promise<readonly Alarm[]> {
    return alarmsValue(await this.execute({ type: 'alarm', action: 'disarm', filter }));
  }
}
