/**
 * Forgets old history; runs on the leader. It notes the revision from time to time and, once a note is older than what is
 * to be kept, compacts to it.
 */
import type { Clock } from '../clock.ts';
import { HISTORY_REVISIONS_MAX } from '../limits.ts';

export interface CompactorOptions {
  readonly clock: Clock;
  readonly keepMs: number;
  /** History is cut to this many revisions, however young. */
  readonly revisionsMax?: number;
  readonly revisions: () => { readonly revision: number; readonly compactedRevision: number };
  readonly compact: (revision: number) => Promise<unknown>;
}

interface Note {
  readonly atMs: number;
  readonly revision: number;
}

/** Notes taken within the time that is kept. */
const NOTES_PER_KEEP = 10;

export class Compactor {
  readonly #options: CompactorOptions;
  #notes: Note[] = [];
  #cancel: (() => void) | undefined;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  start(): void {
    this.stop();
    this.#arm();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#notes = [];
  }

  #arm(): void {
    const { clock, keepMs } = this.#options;
    this.#cancel = clock.setTimeout(() => {
      this.#step();
      this.#arm();
    }, keepMs / NOTES_PER_KEEP);
  }

  #step(): void {
    const { clock, keepMs, revisionsMax = HISTORY_REVISIONS_MAX, revisions, compact } = this.#options;
    const { revision, compactedRevision } = revisions();
    const nowMs = clock.now();
    this.#notes.push({ atMs: nowMs, revision });
    const target = planCompaction({ notes: this.#notes, nowMs, keepMs, revisionsMax, revision });
    this.#notes = this.#notes.filter(note => note.atMs > nowMs - keepMs);
    if (target <= compactedRevision) return;
    // If it fails, the next step compacts further.
    compact(target).catch(() => {});
  }
}

/** The revision to compact to; 0 for none. */
export function planCompaction(facts: {
  readonly notes: readonly Note[];
  readonly nowMs: number;
  readonly keepMs: number;
  readonly revisionsMax?: number;
  readonly revision: number;
}): number {
  const old = facts.notes.findLast(note => note.atMs <= facts.nowMs - facts.keepMs);
  return Math.max(old?.revision ?? 0, facts.revision - (facts.revisionsMax ?? HISTORY_REVISIONS_MAX), 0);
}
