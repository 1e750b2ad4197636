/** What a member finds out about itself while it runs. */

/**
 * The leader remembers more of this member's log than is here: it was rolled back to an older copy, or lost its end. Its
 * promises cannot be relied on, so it must be rebuilt from the others under a new id, just as after a damaged log.
 */
export class LogLostError extends Error {
  override readonly name = 'LogLostError';
  readonly code = 'RAFT_LOG_CORRUPT';
  constructor(acknowledgedIndex: number, lastIndex: number) {
    super(
      `the Raft log is not what it was: this member acknowledged entry ${acknowledgedIndex}, but its log ends at ${lastIndex}. This member must not vote: set its data directory aside and join it again as a new member`,
    );
  }
}
