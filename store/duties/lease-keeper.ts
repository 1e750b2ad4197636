/**
 * Ends leases whose time is over; runs on the leader. When a lease ends is the leader's own knowledge, counted on its
 * monotonic clock from the last renewal that it applied; that it has ended is an entry in the log. A new leader gives each
 * lease its whole life again. Two guards keep a leader that slept from ending leases that it had no right to judge: the
 * entry carries its term and the renewals it knew of, and time that it slept is given back.
 */
import type { Clock } from '../clock.ts';
import { LEASE_CHECK_LATE_MS, LEASE_CHECK_MS } from '../limits.ts';
import type { Command, Lease } from '../mvcc/command.ts';
import { LEASES_EXPIRED_PER_COMMAND_MAX } from '../mvcc/limits.ts';
import type { LeaseListener } from '../replica.ts';
import type { LeaseDeadlines } from './lease-times.ts';

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  /** The leases that there are. */
  readonly leases: () => readonly Lease[];
  readonly onLease: (listener: LeaseListener) => () => void;
  readonly propose: (command: Command) => Promise<unknown>;
}

interface Held {
  readonly renewals: number;
  deadlineMs: number;
}

export class LeaseKeeper implements LeaseDeadlines {
  readonly #options: LeaseKeeperOptions;
  readonly #held = new Map<number, Held>();
  #term = 0;
  #stopListening: (() => void) | undefined;
  #cancelCheck: (() => void) | undefined;
  #lastCheckMs = 0;
  #isProposing = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** Takes over all leases, under the leadership of `term`. */
  start(term: number): void {
    this.stop();
    this.#term = term;
    for (const lease of this.#options.leases()) this.#hold(lease);
    this.#stopListening = this.#options.onLease(change => {
      if (change.type === 'lease') this.#hold(change.lease);
      else this.#held.delete(change.id);
    });
    this.#lastCheckMs = this.#options.clock.now();
    this.#armCheck();
  }

  /** How long a lease still lives; undefined if it is not known here, as on a member that does not lead. */
  remainingMs(id: number): number | undefined {
    const held = this.#held.get(id);
    return held === undefined ? undefined : held.deadlineMs - this.#options.clock.now();
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
    this.#held.clear();
  }

  #hold(lease: Lease): void {
    const deadlineMs = this.#options.clock.now() + lease.ttlSeconds * 1000;
    this.#held.set(lease.id, { renewals: lease.renewals, deadlineMs });
  }

  #armCheck(): void {
    this.#cancelCheck = this.#options.clock.setTimeout(() => {
      this.#check();
      this.#armCheck();
    }, LEASE_CHECK_MS);
  }

  #check(): void {
    const nowMs = this.#options.clock.now();
    const lateMs = nowMs - this.#lastCheckMs - LEASE_CHECK_MS;
    this.#lastCheckMs = nowMs;
    if (lateMs > LEASE_CHECK_LATE_MS) {
      // Renewals may be waiting unread in this process, so its sleep must not count.
      for (const held of this.#held.values()) held.deadlineMs += lateMs;
    }
    if (this.#isProposing) return;
    const leases = planExpiry(this.#held, nowMs);
    if (leases.length > 0) this.#expire(leases);
  }

  #expire(leases: readonly { readonly id: number; readonly renewals: number }[]): void {
    this.#isProposing = true;
    const done = () => {
      this.#isProposing = false;
    };
    // If it fails, the next look tries again, or another leader will.
    this.#options.propose({ type: 'leaseExpire', fenceTerm: this.#term, leases }).then(done, done);
  }
}

/** Which leases are over, as many as one command may end. */
function planExpiry(held: ReadonlyMap<number, Held>, nowMs: number) {
  const over: { readonly id: number; readonly renewals: number }[] = [];
  for (const [id, { renewals, deadlineMs }] of held) {
    if (deadlineMs > nowMs) continue;
    over.push({ id, renewals });
    if (over.length === LEASES_EXPIRED_PER_COMMAND_MAX) break;
  }
  return over;
}
