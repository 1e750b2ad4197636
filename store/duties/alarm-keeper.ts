/**
 * Takes back alarms whose cause has gone; runs on the leader. A store that was full is full no more once its live data has
 * shrunk well below the quota. A member that has been removed, or that nobody has heard of for a while, must not hold up the
 * others with its full disk: it raises the alarm anew when it is back.
 */
import type { RaftStatus } from '../../raft/index.ts';
import type { Alarm } from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { DISK_ALARM_ABSENT_MS, QUOTA_CHECK_MS, QUOTA_CLEAR_SHARE } from '../limits.ts';
import type { Command } from '../mvcc/command.ts';

export interface AlarmKeeperOptions {
  readonly clock: Clock;
  readonly quotaBytes: number;
  readonly state: () => { readonly alarms: readonly Alarm[]; readonly liveBytes: number };
  readonly status: () => Pick<RaftStatus, 'id' | 'membership' | 'progress'>;
  readonly propose: (command: Command) => Promise<unknown>;
}

export class AlarmKeeper {
  readonly #options: AlarmKeeperOptions;
  /** When each member was last known to be there. */
  readonly #heardMs = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #isProposing = false;

  constructor(options: AlarmKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.stop();
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#heardMs.clear();
  }

  #arm(): void {
    this.#cancel = this.#options.clock.setTimeout(() => {
      this.#check();
      this.#arm();
    }, QUOTA_CHECK_MS);
  }

  #check(): void {
    const { clock, quotaBytes, state } = this.#options;
    const nowMs = clock.now();
    this.#noteHeard(nowMs);
    const { alarms, liveBytes } = state();
    const over = planDisarm({ alarms, liveBytes, quotaBytes, heardMs: this.#heardMs, nowMs })[0];
    if (over === undefined || this.#isProposing) return;
    this.#isProposing = true;
    const done = () => {
      this.#isProposing = false;
    };
    // If it fails, the next check tries again.
    this.#options.propose({ type: 'alarm', action: 'disarm', filter: over }).then(done, done);
  }

  /** A member that this leader has never heard of is given the time from now on. */
  #noteHeard(nowMs: number): void {
    const { id: self, membership, progress } = this.#options.status();
    const ids = new Set(membership.members.map(({ id }) => id));
    for (const id of ids) {
      const isHere = id === self || progress?.[id]?.active === true;
      if (isHere || !this.#heardMs.has(id)) this.#heardMs.set(id, nowMs);
    }
    for (const id of this.#heardMs.keys()) if (!ids.has(id)) this.#heardMs.delete(id);
  }
}

/** Which alarms are over. */
export function planDisarm(facts: {
  readonly alarms: readonly Alarm[];
  readonly liveBytes: number;
  readonly quotaBytes: number;
  /** When each present member was last heard of. */
  readonly heardMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}): readonly Alarm[] {
  const { alarms, liveBytes, quotaBytes, heardMs, nowMs } = facts;
  return alarms.filter(({ cause, memberId }) => {
    if (cause === 'quota') return liveBytes < quotaBytes * QUOTA_CLEAR_SHARE;
    // Nobody can tell whom it is about, so nobody's going ends it.
    if (memberId === '') return false;
    const heard = heardMs.get(memberId);
    if (heard === undefined) return true;
    return cause === 'disk' && nowMs - heard >= DISK_ALARM_ABSENT_MS;
  });
}
