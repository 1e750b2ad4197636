/**
 * What the clients did and what they heard, and the log of changes as watches told it. Every write carries a value of its
 * own, so that a change in the log names the write that made it, also where no answer came.
 */

/** What became of an operation. */
export type Outcome =
  /** `revision` is the store's when the answer was made. */
  | { readonly type: 'done'; readonly revision: number }
  /** A read: what it saw. */
  | {
      readonly type: 'seen';
      readonly revision: number;
      readonly value: string | undefined;
      readonly modRevision: number;
    }
  /** A compare-and-set whose comparison did not hold. */
  | { readonly type: 'different'; readonly revision: number }
  /** It may have happened at any time since the call, or never. */
  | { readonly type: 'unknown' }
  /** It certainly never happened. */
  | { readonly type: 'notDone' };

export type Intent =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'compareAndSet'; readonly key: string; readonly expectedRevision: number; readonly value: string }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'get'; readonly key: string };

/** One operation. Times are milliseconds of one clock, with fractions. */
export interface RecordedCall {
  readonly intent: Intent;
  readonly calledAtMs: number;
  readonly returnedAtMs: number;
  readonly outcome: Outcome;
}

/** One change of one key; `value` is undefined for a deletion. */
export interface LoggedChange {
  readonly key: string;
  readonly value: string | undefined;
}

/** The changes of each revision, as seen by any number of watchers, who must agree. */
export class ChangeLog {
  readonly #revisions = new Map<number, readonly LoggedChange[]>();
  #lastRevision = 0;

  get lastRevision(): number {
    return this.#lastRevision;
  }

  /** @returns what is wrong, if this is not what another watcher saw at that revision. */
  note(revision: number, changes: readonly LoggedChange[]): string | undefined {
    const known = this.#revisions.get(revision);
    if (known === undefined) {
      this.#revisions.set(revision, changes);
      this.#lastRevision = Math.max(this.#lastRevision, revision);
      return undefined;
    }
    const isSame =
      known.length === changes.length &&
      known.every(({ key, value }, position) => changes[position]?.key === key && changes[position]?.value === value);
    return isSame ? undefined : `two watchers saw different changes at revision ${revision}`;
  }

  at(revision: number): readonly LoggedChange[] {
    return this.#revisions.get(revision) ?? [];
  }

  /** In order of revision. */
  get entries(): readonly (readonly [revision: number, changes: readonly LoggedChange[]])[] {
    return [...this.#revisions].sort(([one], [other]) => one - other);
  }
}

/** One watcher's own view: checks order as it goes, and adds to the common log. */
export class WatcherView {
  readonly name: string;
  readonly violations: string[] = [];
  readonly #log: ChangeLog;
  #seenRevision: number;

  constructor(name: string, log: ChangeLog, seenRevision: number) {
    this.name = name;
    this.#log = log;
    this.#seenRevision = seenRevision;
  }

  /** Everything up to this revision was seen. */
  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** One batch as the store gave it: whole revisions, in order. */
  batch(
    revision: number,
    events: readonly { readonly revision: number; readonly key: string; readonly value: string | undefined }[],
  ): void {
    const revisions = Map.groupBy(events, event => event.revision);
    let last = this.#seenRevision;
    for (const event of events) {
      if (event.revision < last) this.#complain(`revision ${event.revision} came after ${last}`);
      last = event.revision;
    }
    for (const [at, changes] of revisions) {
      if (at <= this.#seenRevision) this.#complain(`revision ${at} came again after ${this.#seenRevision}`);
      if (at > revision) this.#complain(`revision ${at} came in a batch that ends at ${revision}`);
      const problem = this.#log.note(
        at,
        changes.map(({ key, value }) => ({ key, value })),
      );
      if (problem !== undefined) this.#complain(problem);
    }
    if (revision < this.#seenRevision) this.#complain(`a batch of ${revision} came after ${this.#seenRevision}`);
    this.#seenRevision = Math.max(this.#seenRevision, revision);
  }

  #complain(what: string): void {
    this.violations.push(`watcher ${this.name}: ${what}`);
  }
}
