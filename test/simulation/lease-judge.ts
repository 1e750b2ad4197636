/**
 * The promise of a lease, held against true time, which no member knows: a lease that is renewed lives on for its whole
 * time from the last renewal, as long as clocks are about right; the leader that ends it has watched it for that long, awake.
 */
import { LEASE_CHECK_LATE_MS, LEASE_CHECK_MS } from '../../store/limits.ts';
import type { ApplyResult, Command } from '../../store/mvcc/command.ts';
import { SafetyViolation } from './safety-violation.ts';
import type { WorkloadContext } from './workload.ts';

interface Watched {
  readonly ttlMs: number;
  renewals: number;
  /** When its last renewal was first applied anywhere. */
  renewedAtMs: number;
  isExtended: boolean;
}

/** Beyond its time, a lease still alive was given more of it. */
const EXTENSION_MS = LEASE_CHECK_MS * 4;

export class LeaseJudge {
  readonly #context: WorkloadContext;
  readonly #leases = new Map<number, Watched>();

  constructor(context: WorkloadContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#leases.size;
  }

  /** A command is applied for the first time anywhere, with this result. @throws {SafetyViolation} */
  applied(command: Command, result: ApplyResult, term: number): void {
    const { coverage, clock } = this.#context;
    switch (command.type) {
      case 'leaseGrant':
        if (!result.ok || result.value.type !== 'lease') return;
        coverage.note('lease granted');
        this.#leases.set(result.value.id, {
          ttlMs: command.ttlSeconds * 1000,
          renewals: 0,
          renewedAtMs: clock.now(),
          isExtended: false,
        });
        return;
      case 'leaseKeepAlive':
        this.#renewed(command.id);
        return;
      case 'leaseRevoke':
        if (this.#leases.delete(command.id)) coverage.note('lease revoked');
        return;
      case 'leaseExpire':
        if (command.fenceTerm !== term) coverage.note('expiry of a deposed leader');
        else for (const { id, renewals } of command.leases) this.#ended(id, renewals, term);
        return;
      default:
        this.#noteExtensions();
    }
  }

  #renewed(id: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.renewals++;
    lease.renewedAtMs = this.#context.clock.now();
    lease.isExtended = false;
    this.#context.coverage.note('lease renewed');
  }

  #ended(id: number, renewals: number, term: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    const { coverage, clock } = this.#context;
    if (lease.renewals !== renewals) {
      coverage.note('expiry overtaken by a renewal');
      return;
    }
    this.#leases.delete(id);
    coverage.note('lease expired');
    const livedMs = clock.now() - lease.renewedAtMs;
    const neededMs = this.#neededMs(lease, term);
    if (livedMs >= neededMs) return;
    throw new SafetyViolation(
      `lease ${id} of ${lease.ttlMs} ms was ended ${Math.round(livedMs)} ms after its last renewal; ` +
        `its leader had to wait for ${Math.round(neededMs)} ms`,
    );
  }

  #neededMs({ ttlMs, renewedAtMs }: Watched, term: number): number {
    const { clock, reference, shape, stoodStill } = this.#context;
    const slack = 1 + shape.drift;
    const leader = reference.leaderOf(term);
    // Renewals may lie unread while a leader stands still, so a long sleep is given back, less what cannot be told from work.
    const sleptMs =
      leader === undefined
        ? 0
        : stoodStill(leader.id, {
            fromMs: Math.max(renewedAtMs, leader.sinceMs),
            toMs: clock.now(),
            pauseMsMin: (LEASE_CHECK_LATE_MS + LEASE_CHECK_MS) * 2 * slack,
            graceMs: LEASE_CHECK_MS * 2 * slack,
          });
    return ttlMs / slack + sleptMs - 1;
  }

  #noteExtensions(): void {
    const now = this.#context.clock.now();
    for (const lease of this.#leases.values()) {
      if (lease.isExtended || now < lease.renewedAtMs + lease.ttlMs * (1 + this.#context.shape.drift) + EXTENSION_MS)
        continue;
      lease.isExtended = true;
      this.#context.coverage.note('lease extended by a new leader');
    }
  }
}
