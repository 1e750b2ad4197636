/**
 * The log as the core sees it: everything after the last compaction, in memory. Entries up to `stableIndex` are known to
 * be on disk; those after it are still on their way.
 *
 * Invariants: startIndex <= appliedIndex normally (a state machine behind the log's start waits for a snapshot);
 * commitIndex <= lastIndex; stableIndex <= lastIndex; what is committed is never cut.
 */
import assert from 'node:assert';
import { ENTRY_OVERHEAD_BYTES } from './limits.ts';
import type { Entry } from './types.ts';

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

export interface LogStart {
  /** The last index that is not in the log any more. */
  readonly index: number;
  readonly term: number;
}

export class RaftLog {
  #start: LogStart;
  #entries: Entry[];
  #stableIndex: number;
  #commitIndex: number;
  #appliedIndex: number;
  #bytes = 0;

  constructor(options: { start: LogStart; entries: readonly Entry[]; commitIndex: number; appliedIndex: number }) {
    this.#start = options.start;
    this.#entries = [...options.entries];
    options.entries.forEach((entry, offset) => {
      assert.equal(entry.index, options.start.index + 1 + offset, 'the recovered log has a hole');
      this.#bytes += entryBytes(entry);
    });
    this.#stableIndex = this.lastIndex;
    assert(options.appliedIndex <= this.lastIndex, 'the state machine is ahead of the log: the log lost entries');
    this.#appliedIndex = options.appliedIndex;
    // What is applied was committed; the stored commit index is only a hint and may be older.
    this.#commitIndex = Math.max(
      options.start.index,
      options.appliedIndex,
      Math.min(options.commitIndex, this.lastIndex),
    );
  }

  get start(): LogStart {
    return this.#start;
  }
  get lastIndex(): number {
    return this.#start.index + this.#entries.length;
  }
  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#start.term;
  }
  get stableIndex(): number {
    return this.#stableIndex;
  }
  get commitIndex(): number {
    return this.#commitIndex;
  }
  get appliedIndex(): number {
    return this.#appliedIndex;
  }
  /** Size of all entries held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The term of the entry at `index`; undefined if it is compacted away or not there yet. */
  termAt(index: number): number | undefined {
    if (index === this.#start.index) return this.#start.term;
    return this.#entries[index - this.#start.index - 1]?.term;
  }

  /** True if the log holds exactly this entry, or started from it. */
  matches(index: number, term: number): boolean {
    return this.termAt(index) === term;
  }

  entryAt(index: number): Entry | undefined {
    return this.#entries[index - this.#start.index - 1];
  }

  /** Entries from `from` through `to`, cut to `bytesMax` but never to none. */
  slice(from: number, to: number, bytesMax: number): Entry[] {
    assert(from > this.#start.index, 'entries were asked for that are compacted away');
    const result: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= Math.min(to, this.lastIndex); index++) {
      const entry = this.#entries[index - this.#start.index - 1];
      assert(entry !== undefined);
      bytes += entryBytes(entry);
      if (result.length > 0 && bytes > bytesMax) break;
      result.push(entry);
    }
    return result;
  }

  /** Whether a candidate's log is at least as complete as this one (thesis 3.6.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** The last index at or below `index` whose term is at most `term`; skips whole terms of a conflict (thesis 3.5). */
  lastIndexAtMostTerm(index: number, term: number): number {
    let candidate = Math.min(index, this.lastIndex);
    while (candidate > this.#start.index && (this.termAt(candidate) ?? 0) > term) candidate--;
    return candidate;
  }

  append(entry: Entry): void {
    assert.equal(entry.index, this.lastIndex + 1, 'the log has no holes');
    assert(entry.term >= this.lastTerm, 'terms never fall along the log');
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
  }

  /** Drops the entries from `index` on, because the leader has others there. */
  truncateFrom(index: number): void {
    assert(index > this.#commitIndex, 'a committed entry conflicts with the leader');
    for (const entry of this.#entries.splice(index - this.#start.index - 1)) this.#bytes -= entryBytes(entry);
    this.#stableIndex = Math.min(this.#stableIndex, index - 1);
  }

  /** Not on disk yet. */
  unstable(): Entry[] {
    return this.#entries.slice(this.#stableIndex - this.#start.index);
  }

  /**
   * A write that ended with this entry is durable. If the entry was replaced meanwhile, nothing is concluded: what is
   * above `stableIndex` is written again.
   */
  stableTo(index: number, term: number): void {
    if (index > this.#stableIndex && this.matches(index, term)) this.#stableIndex = index;
  }

  commitTo(index: number): void {
    assert(index <= this.lastIndex, 'the commit index cannot pass the end of the log');
    if (index > this.#commitIndex) this.#commitIndex = index;
  }

  /**
   * Committed, durable here, and not applied. Waiting for the own disk keeps the state machine from getting ahead of a
   * log that a crash shortened.
   */
  nextToApply(limits: { entriesMax: number; bytesMax: number }): Entry[] {
    const to = Math.min(this.#commitIndex, this.#stableIndex, this.#appliedIndex + limits.entriesMax);
    if (this.#appliedIndex < this.#start.index || to <= this.#appliedIndex) return [];
    return this.slice(this.#appliedIndex + 1, to, limits.bytesMax);
  }

  appliedTo(index: number): void {
    assert(index <= this.#commitIndex, 'only committed entries are applied');
    assert(index >= this.#appliedIndex, 'the applied index never falls');
    this.#appliedIndex = index;
  }

  /** The lowest start that leaves at most `bytesMax` of entries. */
  indexLeaving(bytesMax: number): number {
    let bytes = this.#bytes;
    let index = this.#start.index;
    for (const entry of this.#entries) {
      if (bytes <= bytesMax) break;
      bytes -= entryBytes(entry);
      index = entry.index;
    }
    return index;
  }

  /** Forgets entries up to and including `index`. */
  compactTo(index: number): void {
    assert(index <= this.#appliedIndex, 'only applied entries can be forgotten');
    assert(index <= this.#stableIndex, 'only durable entries can be forgotten');
    if (index <= this.#start.index) return;
    const term = this.termAt(index);
    assert(term !== undefined);
    for (const entry of this.#entries.splice(0, index - this.#start.index)) this.#bytes -= entryBytes(entry);
    this.#start = { index, term };
  }

  /** Replaces everything by a snapshot's end. The state machine follows later: `appliedIndex` stays behind till then. */
  reset(start: LogStart): void {
    assert(start.index >= this.#commitIndex, 'a snapshot cannot take back what is committed');
    this.#start = start;
    this.#entries = [];
    this.#bytes = 0;
    this.#stableIndex = start.index;
    this.#commitIndex = start.index;
  }
}
