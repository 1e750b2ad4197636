/**
 * A picture of the state at one revision, read in pieces while the state moves on. Nothing is copied: histories only grow
 * at their end, and what compaction frees stays until the picture is released.
 */
import type { Alarm } from '../client/client.ts';
import type { AuthChange } from './auth.ts';
import type { Counters, Lease } from './command.ts';
import type { KeyPage, KeySpace } from './key-space.ts';

export interface Image {
  readonly counters: Counters;
  readonly leases: readonly Lease[];
  readonly alarms: readonly Alarm[];
  /** Users and roles, as changes that make them out of nothing. */
  readonly auth: readonly AuthChange[];
  /** The next items by key, about `budgetBytes` of them. */
  read(after: string | undefined, budgetBytes: number): KeyPage;
  release(): void;
}

export class MvccImage implements Image {
  readonly counters: Counters;
  readonly leases: readonly Lease[];
  readonly alarms: readonly Alarm[];
  readonly auth: readonly AuthChange[];
  readonly #keys: KeySpace;
  readonly #onRelease: () => void;

  constructor(options: {
    keys: KeySpace;
    counters: Counters;
    leases: readonly Lease[];
    alarms: readonly Alarm[];
    auth: readonly AuthChange[];
    onRelease: () => void;
  }) {
    this.#keys = options.keys;
    this.counters = options.counters;
    this.leases = options.leases;
    this.alarms = options.alarms;
    this.auth = options.auth;
    this.#onRelease = options.onRelease;
  }

  read(after: string | undefined, budgetBytes: number): KeyPage {
    return this.#keys.page(after, this.counters, budgetBytes);
  }

  release(): void {
    this.#onRelease();
  }
}
