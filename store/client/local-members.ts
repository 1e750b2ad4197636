/** Membership in the member's own process: Raft forwards each change to the leader. */
import {
  type Membership,
  OutcomeUnknownError,
  type RaftNode,
  MembershipRefusedError as RaftRefusedError,
  TransferFailedError as RaftTransferFailedError,
} from '../../raft/index.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import {
  type MembershipClient,
  type MembershipOptions,
  MembershipRefusedError,
  type MemberUpdate,
  type NewStoreMember,
  type StoreMembership,
  TransferFailedError,
  UnknownOutcomeError,
} from './client.ts';
import { isCertainlyNotDone, unavailable } from './raft-errors.ts';

export class LocalMembers implements MembershipClient {
  readonly #raft: RaftNode<ApplyResult>;
  readonly #passBarrier: () => Promise<unknown>;

  /** @param passBarrier after which this member's own membership is up to date */
  constructor(raft: RaftNode<ApplyResult>, passBarrier: () => Promise<unknown>) {
    this.#raft = raft;
    this.#passBarrier = passBarrier;
  }

  async members(): Promise<StoreMembership> {
    await this.#passBarrier();
    return this.#view(this.#raft.status().membership);
  }

  addLearner(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.addLearner(member, options));
  }

  addMember(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.addMember(member, options));
  }

  promoteMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.promoteMember(id, options));
  }

  removeMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.removeMember(id, options));
  }

  replaceMember(id: string, by: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.replaceMember(id, by, options));
  }

  updateMember(id: string, update: MemberUpdate, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change(() => this.#raft.updateMember(id, update, options));
  }

  async transferLeadership(to?: string): Promise<void> {
    try {
      await this.#raft.transferLeadership(to);
    } catch (error) {
      throw membershipError(error);
    }
  }

  async #change(run: () => Promise<Membership>): Promise<StoreMembership> {
    try {
      return this.#view(await run());
    } catch (error) {
      throw membershipError(error);
    }
  }

  #view({ clusterId, members }: Membership): StoreMembership {
    return {
      clusterId,
      leaderId: this.#raft.status().leader,
      members: members.map(({ id, name, peerAddress, clientUrl, role }) => ({
        id,
        name,
        peerAddress,
        clientUrl,
        role,
      })),
    };
  }
}

function membershipError(error: unknown): unknown {
  if (error instanceof RaftRefusedError) return new MembershipRefusedError(error.message, { cause: error });
  if (error instanceof RaftTransferFailedError) return new TransferFailedError(error.message, { cause: error });
  if (error instanceof OutcomeUnknownError) {
    return new UnknownOutcomeError(`the change may still happen: ${error.message}`, { cause: error });
  }
  return isCertainlyNotDone(error) ? unavailable(error) : error;
}
