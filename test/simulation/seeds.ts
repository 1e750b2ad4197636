/**
 * Seeds that once found a bug. A change of the simulation can make another run of a seed, so each bug also has a test of its
 * own; the seeds are replayed all the same, because what was hard to find once is worth looking at again.
 */

export interface NamedSeed {
  readonly seed: number;
  readonly workload?: 'list' | 'store';
  /** What it found, and where a test keeps it. */
  readonly found: string;
}

export const NAMED_SEEDS: readonly NamedSeed[] = [
  {
    seed: 30,
    found:
      'a watch lost events without a word where a member that caught up applied writes and a compaction past them in one ' +
      'batch (store/watch/hub.test.ts)',
  },
  { seed: 2, found: 'the same, seen by a watch of all keys' },
  {
    seed: 90,
    found:
      'the loss of the last record of a log went unnoticed if a crash had left it without a witness before ' +
      '(raft/storage/memory.test.ts, level.test.ts)',
  },
  {
    seed: 204,
    found:
      'a member that asked at its start what it had promised asked for ever, because what was left of its patience was too ' +
      'short to be added to the time (raft/driver/witness.test.ts)',
  },
  {
    seed: 506,
    found:
      'two members stood still for ever: the one that was going alone had the entry that took it out, so the other was not ' +
      'elected, and it did not campaign itself (raft/core/thesis.test.ts)',
  },
  {
    seed: 496,
    found:
      'a state restored from a snapshot became durable while the log had the last entry in memory only; after a crash the ' +
      'state was ahead of the log, and the member could not start (raft/driver/snapshots.test.ts)',
  },
  {
    seed: 3331,
    found:
      'a member that joined was told of a removal that was never committed, believed it, and told the leader that it was ' +
      'removed; the leader stopped for good (raft/driver/membership.test.ts)',
  },
  {
    seed: 1903,
    found:
      'a member with a rolled-back disk was let in again while what it had acknowledged before was still on its old connection; ' +
      'the harness heard old connections beside new ones, and so did the product, for what its socket had read ' +
      '(raft/transport/link.test.ts)',
  },
];
