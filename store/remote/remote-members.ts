/** Membership over a connection: each call goes to whichever member the client talks to, which has the leader do it. */
import type {
  MembershipClient,
  MembershipOptions,
  MemberUpdate,
  NewStoreMember,
  StoreMembership,
} from '../client/client.ts';
import { MEMBERSHIP_TIMEOUT_MS } from '../limits.ts';
import { type CallName, parseMembership } from './calls.ts';

/** Makes one call; with `isRepeatable` also again after a connection broke. */
export type MakeCall = (
  name: CallName,
  args: readonly unknown[],
  options: { readonly isRepeatable: boolean; readonly timeoutMs?: number },
) => Promise<unknown>;

export class RemoteMembers implements MembershipClient {
  readonly #call: MakeCall;

  constructor(call: MakeCall) {
    this.#call = call;
  }

  async members(): Promise<StoreMembership> {
    return parseMembership(await this.#call('members', [], { isRepeatable: true }));
  }

  addLearner(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('addLearner', [member], options);
  }

  addMember(member: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('addMember', [member], options);
  }

  promoteMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('promoteMember', [id], options);
  }

  removeMember(id: string, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('removeMember', [id], options);
  }

  replaceMember(id: string, by: NewStoreMember, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('replaceMember', [id, by], options);
  }

  updateMember(id: string, update: MemberUpdate, options?: MembershipOptions): Promise<StoreMembership> {
    return this.#change('updateMember', [id, update], options);
  }

  async transferLeadership(to?: string): Promise<void> {
    await this.#call('transferLeadership', [to ?? null], { isRepeatable: false });
  }

  async #change(
    name: CallName,
    args: readonly unknown[],
    options: MembershipOptions | undefined,
  ): Promise<StoreMembership> {
    // The member gives up first, and says why.
    const timeoutMs = (options?.timeoutMs ?? MEMBERSHIP_TIMEOUT_MS) * 1.1;
    return parseMembership(await this.#call(name, [...args, options ?? null], { isRepeatable: false, timeoutMs }));
  }
}
