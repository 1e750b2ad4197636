/**
 * What a leader knows of one member, and how much it may have on the way to it (thesis 10.2: batching and pipelining).
 *
 * `probe`: the match is not known; only empty appends go, one a heartbeat. `replicate`: entries stream, `nextIndex` runs
 * ahead of `matchIndex` within the limits. `snapshot`: what the member needs is compacted away; only heartbeats go.
 */
import assert from 'node:assert';
import type { CoreLimits } from './limits.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

interface Inflight {
  readonly lastIndex: number;
  readonly bytes: number;
}

export class Progress {
  state: ProgressState = 'probe';
  /** The last index known to be durable there. Invariant: matchIndex < nextIndex. */
  matchIndex = 0;
  nextIndex: number;
  /** Heard from since the last quorum check. */
  isActive = false;
  /** Ticks since it was last heard; not finite while it never was by this leader. */
  silentTicks = Number.POSITIVE_INFINITY;
  /** The newest read context it has acknowledged. */
  readContext = 0;
  /** The newest read context and commit index it was sent. */
  sentReadContext = 0;
  sentCommit = 0;
  /** A message is due even if there is nothing to say. */
  isHeartbeatDue = true;
  /** The index of the snapshot on its way there; 0 if there is none. */
  snapshotIndex = 0;
  /** Ticks since the snapshot was handed over completely; undefined while it is not. */
  snapshotSentTicks: number | undefined;
  /** The member's state machine is behind its own log: it takes entries, but it also needs a snapshot. */
  needsSnapshot = false;
  #inflight: Inflight[] = [];
  #inflightBytes = 0;

  constructor(nextIndex: number) {
    this.nextIndex = nextIndex;
  }

  get inflightBytes(): number {
    return this.#inflightBytes;
  }

  /** The member answered something. */
  noteHeard(): void {
    this.isActive = true;
    this.silentTicks = 0;
  }

  becomeProbe(): void {
    this.#leave('probe');
    this.nextIndex = this.matchIndex + 1;
    this.isHeartbeatDue = true;
  }

  becomeReplicate(): void {
    this.#leave('replicate');
    this.nextIndex = this.matchIndex + 1;
  }

  becomeSnapshot(): void {
    this.#leave('snapshot');
  }

  /** The snapshot has done its work, or failed to: entries are tried, and if need be another snapshot. */
  endSnapshot(): void {
    this.snapshotIndex = 0;
    this.snapshotSentTicks = undefined;
    if (this.state === 'snapshot') this.becomeProbe();
  }

  canSend(limits: CoreLimits): boolean {
    if (this.state !== 'replicate') return false;
    const inflightEntries = this.nextIndex - 1 - this.matchIndex;
    return inflightEntries < limits.inflightEntriesMax && this.#inflightBytes < limits.inflightBytesMax;
  }

  noteSent(lastIndex: number, bytes: number): void {
    assert(lastIndex >= this.nextIndex);
    this.nextIndex = lastIndex + 1;
    this.#inflight.push({ lastIndex, bytes });
    this.#inflightBytes += bytes;
  }

  /** An acknowledgement through `index`. Answers whether it told anything new. */
  noteMatched(index: number): boolean {
    let done = 0;
    for (const item of this.#inflight) {
      if (item.lastIndex > index) break;
      this.#inflightBytes -= item.bytes;
      done++;
    }
    if (done > 0) this.#inflight.splice(0, done);
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    return true;
  }

  #leave(state: ProgressState): void {
    this.state = state;
    this.#inflight = [];
    // Forgetting the byte count here once stalled followers for ever elsewhere (etcd-io/raft e419ba5).
    this.#inflightBytes = 0;
  }
}
