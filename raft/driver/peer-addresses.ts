/** Where peers are dialled: at the address in the membership, unless the operator knows better and nothing newer was said. */
import type { Configuration } from '../core/membership.ts';
import type { MemberId, MembershipEntry } from '../core/types.ts';
import type { Peer } from '../transport/transport.ts';

interface Override {
  readonly address: string;
  /** What the membership said when the override was given. Once it says something else, that is newer. */
  readonly insteadOf: string;
}

export class PeerAddresses {
  readonly #overrides = new Map<MemberId, Override>();

  /** `given` maps ids or names to addresses; `present` is the membership at start. */
  constructor(given: ReadonlyMap<string, string>, present: Configuration) {
    for (const member of present.members.values()) {
      const address = given.get(member.id) ?? given.get(member.name);
      if (address !== undefined) this.#overrides.set(member.id, { address, insteadOf: member.peerAddress });
    }
  }

  /** Whom to dial, and where. */
  peers(configuration: Configuration, self: MemberId): Peer[] {
    return [...configuration.members.values()]
      .filter(({ id }) => id !== self)
      .map(member => ({ id: member.id, peerAddress: this.#addressOf(member) }));
  }

  #addressOf({ id, peerAddress }: MembershipEntry): string {
    const override = this.#overrides.get(id);
    return override?.insteadOf === peerAddress ? override.address : peerAddress;
  }
}
