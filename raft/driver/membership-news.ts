/** Tells transport and state machine who belongs to the cluster, as that changes. */
import type { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership } from '../core/types.ts';
import type { Transport } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import { removedError } from './node.ts';
import type { PeerAddresses } from './peer-addresses.ts';
import type { StateMachine } from './state-machine.ts';

export interface MembershipNewsContext {
  readonly core: RaftCore;
  readonly transport: Transport;
  readonly stateMachine: StateMachine<unknown>;
  readonly addresses: PeerAddresses;
  readonly clock: Clock;
  /** How long a member that was removed is still answered. */
  readonly graceMs: number;
  /** Runs a step of the loop; what it throws stops the member. */
  readonly guard: (action: () => void) => void;
}

export class MembershipNews {
  readonly #context: MembershipNewsContext;
  /** What the transport was told. */
  #peersOf: Membership | undefined;
  /** Whom it was told to refuse. */
  #refused: readonly MemberId[];
  #cancelRefusal: (() => void) | undefined;
  /** What the state machine was told. */
  #committed: Membership | undefined;

  constructor(context: MembershipNewsContext) {
    this.#context = context;
    this.#refused = [...context.core.committedConfiguration.removed];
  }

  /** To be called whenever something may have changed. */
  note(): void {
    const { core, stateMachine } = this.#context;
    const { membership } = core.configuration;
    const committed = core.committedConfiguration.membership;
    if (membership === this.#peersOf && committed === this.#committed) return;
    this.#peersOf = membership;
    this.#setPeers();
    if (committed === this.#committed) return;
    this.#committed = committed;
    this.#refuseRemovedSoon(committed.removed ?? []);
    stateMachine.onMembership?.(committed);
  }

  end(): void {
    this.#cancelRefusal?.();
  }

  #setPeers(): void {
    const { core, transport, addresses } = this.#context;
    transport.setPeers(addresses.peers(core.configuration, core.id), this.#refused);
  }

  /**
   * Who was removed is refused only once that is certain (see the core), and a moment later: it may have asked for its removal
   * itself and wait for the answer. The same holds for this member, which then stops.
   */
  #refuseRemovedSoon(removed: readonly MemberId[]): void {
    if (this.#cancelRefusal !== undefined || removed.every(id => this.#refused.includes(id))) return;
    const { core, clock, graceMs, guard } = this.#context;
    this.#cancelRefusal = clock.setTimeout(() => {
      this.#cancelRefusal = undefined;
      guard(() => {
        const all = core.committedConfiguration.removed;
        if (all.has(core.id)) throw removedError();
        this.#refused = [...all];
        this.#setPeers();
      });
    }, graceMs);
  }
}
