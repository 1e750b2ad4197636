/** What an operator may set on a master's store, read from flags. */
import { RAFT_OPTIONS, resolveLimits, STORE_LIMITS, type StoreLimits } from '../../store/index.ts';

/** What Raft demands, too. */
const HEARTBEATS_PER_ELECTION_MIN = 3;

export interface StoreSettings {
  readonly limits: Partial<StoreLimits>;
  /** How often a leader shows that it is there; undefined for the default. */
  readonly heartbeatMs: number | undefined;
  /** Without a leader for this long up to twice as long a master campaigns; undefined for the default. */
  readonly electionTimeoutMs: number | undefined;
}

/**
 * Reads `NAME=VALUE`, each a limit of the store.
 * @throws {RangeError} with what is wrong, and which names there are
 */
export function readLimits(texts: readonly string[]): Partial<StoreLimits> {
  const limits = Object.fromEntries(
    texts.map(text => {
      const [, name = '', value = ''] = /^([A-Za-z]+)=(\d+)$/.exec(text) ?? [];
      if (!(name in STORE_LIMITS)) {
        throw new RangeError(
          `${text} is not NAME=NUMBER with a limit's name; the limits are ${Object.keys(STORE_LIMITS).join(', ')}`,
        );
      }
      return [name, Number(value)];
    }),
  );
  resolveLimits(limits);
  return limits;
}

/** Says why the times do not fit each other, or undefined. */
export function timesProblem(times: Pick<StoreSettings, 'heartbeatMs' | 'electionTimeoutMs'>): string | undefined {
  const { heartbeatMs = RAFT_OPTIONS.heartbeatMs, electionTimeoutMs = RAFT_OPTIONS.electionTimeoutMs } = times;
  if (electionTimeoutMs >= HEARTBEATS_PER_ELECTION_MIN * heartbeatMs) return undefined;
  return `--election-timeout ${electionTimeoutMs} is less than three times --heartbeat-interval ${heartbeatMs}: one lost heartbeat would cost an election`;
}
