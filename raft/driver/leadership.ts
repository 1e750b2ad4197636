/** Tells the rest of the process who leads. */
import type { CoreStatus } from '../core/raft.ts';
import type { MemberId } from '../core/types.ts';
import type { Leadership } from './node.ts';

export class LeadershipAnnouncer {
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  #leadership: Leadership = { isLeader: false, term: 0, leader: undefined };

  add(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#leadership);
    return () => this.#listeners.delete(listener);
  }

  /** A member acts as leader only once it has applied what its predecessors left: up to its own term's first entry. */
  note(status: CoreStatus): void {
    const isLeader = status.termStartIndex !== undefined && status.appliedIndex >= status.termStartIndex;
    this.#announce({ isLeader, term: status.term, leader: status.leader });
  }

  /** The member stops: it leads no more. */
  end(): void {
    const leader: MemberId | undefined = undefined;
    this.#announce({ ...this.#leadership, isLeader: false, leader });
  }

  #announce(next: Leadership): void {
    const { isLeader, term, leader } = this.#leadership;
    if (next.isLeader === isLeader && next.term === term && next.leader === leader) return;
    this.#leadership = next;
    for (const listener of [...this.#listeners]) listener(next);
  }
}
