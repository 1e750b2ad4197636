/**
 * The replicated state: keys with their histories, leases, counters. Pure and synchronous: {@link Mvcc.apply} takes a
 * command in log order and gives its result, the events it caused and the changes to persist. The same commands give the
 * same state on every member, so nothing here reads a clock, draws a number or fails half-way: a command is checked as a
 * whole before the first write.
 *
 * The model is etcd's: one revision a writing transaction; the past since the last compaction can be read and watched.
 */
import assert from 'node:assert';
import type {
  Alarm,
  AlarmFilter,
  Branches,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  Transaction,
  WatchEvent,
} from '../client/client.ts';
import { AlarmTable } from './alarms.ts';
import { type AuthAction, type AuthChange, AuthTable, type Caller, leasesPut } from './auth.ts';
import {
  type Applied,
  type ApplyResult,
  authRefused,
  type Change,
  type Command,
  type CommandContext,
  type Counters,
  compacted,
  type Lease,
  type Outcome,
  type Refusal,
  refused,
} from './command.ts';
import { holds } from './compare.ts';
import { type Image, MvccImage } from './image.ts';
import { KeySpace } from './key-space.ts';
import { sortName } from './keys.ts';
import { LeaseTable } from './leases.ts';
import { ALARMS_MAX, COMPACTION_STEP_CHANGES, LEASE_IDS_COUNTED, LEASES_MAX } from './limits.ts';
import { RevisionLog } from './revision-log.ts';
import { commandProblem, rangeProblem } from './validate.ts';
import { NO_BYTES, type Row } from './version-table.ts';

/** The revision of an empty store; the first write makes revision 2 (as in etcd, so that 0 can mean "now"). */
export const FIRST_REVISION = 1;

/** A state to begin with, as {@link MvccImage} gave it out; its items follow by {@link Mvcc.load}. */
export interface LoadedHead {
  readonly counters: Counters;
  readonly leases: readonly Lease[];
  readonly alarms?: readonly Alarm[];
  readonly auth?: readonly AuthChange[];
}

/** An operation that will be performed, once it is decided which branches run. */
type Step = Exclude<Operation, { type: 'transaction' }> | ({ readonly type: 'chosen' } & Chosen);
interface Chosen {
  readonly succeeded: boolean;
  readonly steps: readonly Step[];
}

export class Mvcc {
  readonly #keys = new KeySpace();
  readonly #leases = new LeaseTable();
  readonly #alarms = new AlarmTable();
  readonly #auth = new AuthTable();
  readonly #log: RevisionLog;
  readonly #images = new Set<MvccImage>();
  #revision: number;
  #compactedRevision: number;
  #leaseCounter: number;
  /** What compaction has freed was removed for changes before this revision. Invariant: at most `compactedRevision`. */
  #sweptRevision: number;
  // The writes of the command that is being applied.
  #items: KeyValue[] = [];
  #rows: Row[] = [];

  /** Between the constructor and {@link loaded}, for a state that is loaded. */
  #isLoading = false;

  /** @param options.head begins a state that is then loaded; without it the store is empty and ready */
  constructor(options: { readonly head?: LoadedHead } = {}) {
    const counters = options.head?.counters;
    this.#revision = counters?.revision ?? FIRST_REVISION;
    this.#compactedRevision = counters?.compactedRevision ?? 0;
    this.#leaseCounter = counters?.leaseCounter ?? 0;
    this.#sweptRevision = this.#compactedRevision;
    this.#log = new RevisionLog(Math.max(this.#compactedRevision, FIRST_REVISION + 1));
    if (options.head === undefined) return;
    for (const lease of options.head.leases) this.#leases.set(lease);
    for (const alarm of options.head.alarms ?? []) this.#alarms.set(alarm);
    for (const change of options.head.auth ?? []) this.#auth.replay(change);
    this.#log.reserve(this.#revision);
    this.#isLoading = true;
  }

  /** Takes the next items of a state that is being loaded: ordered by key, and by revision within one key. */
  load(items: readonly KeyValue[]): void {
    assert(this.#isLoading, 'items are loaded before the state is complete');
    for (const item of items) {
      const lease = this.#keys.leaseOf(item.key);
      const row = this.#keys.write(item);
      if (lease !== 0) this.#leases.detach(lease, item.key);
      if (item.lease !== 0 && this.#leases.get(item.lease) !== undefined) this.#leases.attach(item.lease, item.key);
      if (item.modRevision >= this.#log.firstRevision) this.#log.add(item.modRevision, row);
    }
  }

  /** Ends loading. */
  loaded(): void {
    assert(this.#isLoading, 'loading ends once');
    this.#isLoading = false;
  }

  get revision(): number {
    return this.#revision;
  }
  /** The oldest revision that can be read; 0 before the first compaction. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }
  get counters(): Counters {
    return {
      revision: this.#revision,
      compactedRevision: this.#compactedRevision,
      leaseCounter: this.#leaseCounter,
    };
  }
  get liveBytes(): number {
    return this.#keys.liveBytes;
  }
  get liveCount(): number {
    return this.#keys.liveCount;
  }
  get leases(): readonly Lease[] {
    return this.#leases.list();
  }
  lease(id: number): Lease | undefined {
    return this.#leases.get(id);
  }
  /** The keys on a lease, in their order. */
  leaseKeys(id: number): readonly string[] {
    return [...this.#leases.keysOf(id)].sort((one, other) => (sortName(one) < sortName(other) ? -1 : 1));
  }
  get alarms(): readonly Alarm[] {
    return this.#alarms.list();
  }

  /** Users and roles of etcd's API: to look at, {@link apply} alone changes them. */
  get auth(): Pick<
    AuthTable,
    'head' | 'isTouched' | 'user' | 'role' | 'userNames' | 'roleNames' | 'refusal' | 'adminRefusal'
  > {
    return this.#auth;
  }

  /** Why the alarms let nothing be put now; undefined if they do. */
  get putRefusal(): { readonly ok: false; readonly refusal: Refusal } | undefined {
    return this.#alarms.putRefusal();
  }

  /** By how much a transaction could make the live bytes grow, whichever of its branches runs. */
  growthBytes(transaction: Branches): number {
    const { then, otherwise = [] } = transaction;
    return Math.max(0, this.#growthOf(then), this.#growthOf(otherwise));
  }

  /**
   * The changes of one revision, for watches: which keys, and what happened to each where somebody wants to know. None if
   * the revision is compacted or not there yet.
   */
  visitEvents(revision: number, visit: (key: string, event: () => WatchEvent) => void): void {
    if (revision < this.#compactedRevision) return;
    for (const row of this.#log.get(revision) ?? []) visit(this.#keys.key(row), () => this.#keys.event(row));
  }

  /** Reads a range now or as of a revision that is still kept. */
  range(request: RangeRequest): Outcome<RangeResult> {
    const problem = rangeProblem(request);
    if (problem !== undefined) return refused('STORE_INVALID_REQUEST', problem);
    const refusal = this.#revisionRefusal(request.revision, this.#revision);
    if (refusal !== undefined) return refusal;
    const revision = request.revision === undefined || request.revision === 0 ? this.#revision : request.revision;
    return { ok: true, value: this.#keys.range(request, revision, revision === this.#revision) };
  }

  /** Applies one committed command. */
  apply(command: Command, context: CommandContext): Applied {
    const problem = commandProblem(command);
    if (problem !== undefined) return nothing(refused('STORE_INVALID_REQUEST', problem));
    const refusal = context.by === undefined ? undefined : this.#callerRefusal(command, context.by);
    if (refusal !== undefined) return nothing(authRefused(refusal));
    switch (command.type) {
      case 'transaction':
        return this.#applyTransaction(command.transaction, context);
      case 'leaseGrant':
        return this.#applyLeaseGrant(command);
      case 'leaseKeepAlive':
        return this.#applyLeaseKeepAlive(command.id);
      case 'leaseRevoke':
        return this.#applyLeaseRevoke(command.id);
      case 'leaseExpire':
        return this.#applyLeaseExpire(command, context);
      case 'compact':
        return this.#applyCompact(command.revision);
      case 'alarm':
        return command.action === 'raise' ? this.#applyRaise(command.alarm) : this.#applyDisarm(command.filter);
      case 'auth':
        return this.#applyAuth(command.change);
    }
  }

  /** Repeats a change read from disk. */
  replay(change: Change): void {
    switch (change.type) {
      case 'revision':
        assert(change.revision === this.#revision + 1, 'changes are repeated in order');
        for (const item of change.items) this.#write(item);
        this.#finish([]);
        return;
      case 'lease':
        this.#setLease(change.lease);
        return;
      case 'leaseGone':
        this.#leases.remove(change.id);
        return;
      case 'compacted':
        this.#compactedRevision = change.revision;
        return;
      case 'alarm':
        this.#alarms.set(change.alarm);
        return;
      case 'alarmGone':
        this.#alarms.remove(change.alarm);
        return;
      default:
        this.#auth.replay(change);
    }
  }

  /** True if compaction has freed something that {@link sweep} can remove now. */
  get hasToSweep(): boolean {
    return this.#sweptRevision < this.#sweepTarget();
  }

  /**
   * Removes some of what compaction has freed; true if there is more to remove. Readers never notice, so the owner calls
   * it between other work.
   */
  sweep(): boolean {
    const target = this.#sweepTarget();
    if (this.#sweptRevision >= target) return false;
    let changes = 0;
    while (this.#sweptRevision < target && changes < COMPACTION_STEP_CHANGES) {
      changes += this.#sweepRevision(this.#sweptRevision, target);
      this.#forgetRevision(this.#sweptRevision);
      this.#sweptRevision++;
    }
    if (this.#sweptRevision < target) return true;
    // What the changes of the target itself replaced goes too; they themselves stay, a watch may start there.
    this.#sweepRevision(target, target);
    return false;
  }

  /** A consistent picture as of now that stays valid while more is applied, until it is released. */
  image(): Image {
    const image = new MvccImage({
      keys: this.#keys,
      counters: this.counters,
      leases: this.#leases.list(),
      alarms: this.#alarms.list(),
      auth: this.#auth.list(),
      onRelease: () => this.#images.delete(image),
    });
    this.#images.add(image);
    return image;
  }

  /**
   * What a user may do with keys was looked at by the proposer, and still holds if nothing has changed. Which keys hang on a
   * lease is known only here; what touches the lease touches them.
   */
  #callerRefusal(command: Command, by: Caller) {
    const refusal = this.#auth.callerRefusal(by);
    if (refusal !== undefined || !this.#auth.head.isEnabled) return refusal;
    const leases =
      command.type === 'leaseRevoke'
        ? [command.id]
        : command.type === 'transaction'
          ? leasesPut(command.transaction)
          : [];
    const keys = new Set(leases.flatMap(id => this.#leases.keysOf(id)));
    return this.#auth.refusal(
      by.user,
      [...keys].map(key => ({ access: 'write', key })),
    );
  }

  #applyTransaction(transaction: Transaction, context: CommandContext): Applied {
    const { fenceTerm } = transaction;
    if (fenceTerm !== undefined && fenceTerm !== context.term) return nothing(fenced(fenceTerm, context.term));
    // All compares, also those of transactions within, look at what was there before the first write.
    const { succeeded, steps } = this.#choose(transaction);
    const refusal = this.#stepsRefusal(steps);
    if (refusal !== undefined) return nothing(refusal);
    const results = steps.map(step => this.#perform(step));
    return this.#finish([], revision => ({
      ok: true,
      value: { type: 'transaction', result: { revision, succeeded, results } },
    }));
  }

  #choose({ compare = [], then, otherwise = [] }: Branches): Chosen {
    const succeeded = compare.every(one => holds(one, (key, end) => this.#keys.liveIn(key, end)));
    const operations = succeeded ? then : otherwise;
    const steps = operations.map(
      (operation): Step =>
        operation.type === 'transaction' ? { type: 'chosen', ...this.#choose(operation) } : operation,
    );
    return { succeeded, steps };
  }

  /** Everything that could make a step fail is found here, before the first of them writes. */
  #stepsRefusal(steps: readonly Step[]): ReturnType<typeof refused> | undefined {
    const full = this.#alarms.putRefusal();
    for (const step of steps) {
      const refusal =
        step.type === 'put'
          ? (full ?? this.#putRefusal(step))
          : step.type === 'range'
            ? this.#revisionRefusal(step.range.revision, this.#revision)
            : step.type === 'chosen'
              ? this.#stepsRefusal(step.steps)
              : undefined;
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #putRefusal(put: Extract<Step, { type: 'put' }>): ReturnType<typeof refused> | undefined {
    const { key, lease = 0, keepValue = false, keepLease = false } = put;
    if ((keepValue || keepLease) && !this.#keys.has(key)) {
      return refused('STORE_KEY_NOT_FOUND', `there is no key ${key} of which something could be kept`);
    }
    return lease !== 0 && !keepLease && this.#leases.get(lease) === undefined ? leaseNotFound(lease) : undefined;
  }

  #perform(operation: Step): OperationResult {
    switch (operation.type) {
      case 'chosen': {
        const results = operation.steps.map(step => this.#perform(step));
        return { type: 'transaction', succeeded: operation.succeeded, results };
      }
      case 'put': {
        const { key } = operation;
        const present = operation.keepValue === true || operation.keepLease === true ? this.#keys.get(key) : undefined;
        const value = operation.keepValue === true ? (present?.value ?? NO_BYTES) : operation.value;
        const lease = operation.keepLease === true ? (present?.lease ?? 0) : (operation.lease ?? 0);
        const row = this.#write(this.#keys.planPut({ key, value, lease, revision: this.#revision + 1 }));
        return { type: 'put', previous: this.#keys.previous(row) };
      }
      case 'delete': {
        const deleted = this.#keys.liveIn(operation.key, operation.end);
        for (const item of deleted) this.#delete(item.key);
        return { type: 'delete', deleted };
      }
      case 'range': {
        // A range sees what earlier operations of its transaction wrote.
        const present = this.#items.length > 0 ? this.#revision + 1 : this.#revision;
        const asked = operation.range.revision;
        const now = asked === undefined || asked === 0 || asked === present;
        return { type: 'range', result: this.#keys.range(operation.range, now ? present : asked, now) };
      }
    }
  }

  #applyLeaseGrant({ ttlSeconds, id }: Extract<Command, { type: 'leaseGrant' }>): Applied {
    const full = this.#alarms.putRefusal();
    if (full !== undefined) return nothing(full);
    if (this.#leases.size >= LEASES_MAX) {
      return nothing(refused('STORE_QUOTA_EXCEEDED', `there are ${LEASES_MAX} leases already`));
    }
    if (id !== undefined && this.#leases.get(id) !== undefined) {
      return nothing(refused('STORE_LEASE_EXISTS', `there is a lease ${id} already`));
    }
    const lease: Lease = { id: id ?? this.#freeLeaseId(), ttlSeconds, renewals: 0 };
    this.#setLease(lease);
    return {
      result: { ok: true, value: { type: 'lease', id: lease.id, ttlSeconds } },
      writes: [{ type: 'lease', lease }],
    };
  }

  #setLease(lease: Lease): void {
    this.#leases.set(lease);
    if (lease.id < LEASE_IDS_COUNTED) this.#leaseCounter = Math.max(this.#leaseCounter, lease.id);
  }

  /** The next id; from the beginning again once a client has chosen the largest. */
  #freeLeaseId(): number {
    let id = this.#leaseCounter;
    do id = id + 1 < LEASE_IDS_COUNTED ? id + 1 : 1;
    while (this.#leases.get(id) !== undefined);
    return id;
  }

  #applyLeaseKeepAlive(id: number): Applied {
    const known = this.#leases.get(id);
    if (known === undefined) return nothing(leaseNotFound(id));
    const lease: Lease = { ...known, renewals: known.renewals + 1 };
    this.#leases.set(lease);
    return {
      result: { ok: true, value: { type: 'lease', id, ttlSeconds: lease.ttlSeconds } },
      writes: [{ type: 'lease', lease }],
    };
  }

  #applyLeaseRevoke(id: number): Applied {
    if (this.#leases.get(id) === undefined) return nothing(leaseNotFound(id));
    return this.#endLeases([id]);
  }

  #applyLeaseExpire(command: Extract<Command, { type: 'leaseExpire' }>, context: CommandContext): Applied {
    if (command.fenceTerm !== context.term) return nothing(fenced(command.fenceTerm, context.term));
    const over = command.leases.filter(({ id, renewals }) => this.#leases.get(id)?.renewals === renewals);
    return this.#endLeases([...new Set(over.map(({ id }) => id))]);
  }

  #endLeases(ids: readonly number[]): Applied {
    const keys = ids.flatMap(id => this.#leases.keysOf(id));
    // The order in which keys came to a lease is not kept on disk; the order of names is the same everywhere.
    const named = keys.map(key => ({ key, name: sortName(key) }));
    named.sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const { key } of named) this.#delete(key);
    for (const id of ids) this.#leases.remove(id);
    return this.#finish(ids.map(id => ({ type: 'leaseGone', id })));
  }

  #applyCompact(revision: number): Applied {
    if (revision > this.#revision) return nothing(futureRevision(revision, this.#revision));
    if (revision < this.#compactedRevision) return nothing(compacted(this.#compactedRevision));
    if (revision === this.#compactedRevision) return nothing({ ok: true, value: { type: 'done' } });
    this.#compactedRevision = revision;
    return {
      result: { ok: true, value: { type: 'done' } },
      writes: [{ type: 'compacted', revision }],
    };
  }

  #applyRaise(alarm: Alarm): Applied {
    if (this.#alarms.size >= ALARMS_MAX && !this.#alarms.has(alarm)) {
      return nothing(refused('STORE_INVALID_REQUEST', `there are ${ALARMS_MAX} alarms already: disarm some`));
    }
    const isNew = !this.#alarms.has(alarm);
    this.#alarms.set(alarm);
    return {
      result: { ok: true, value: { type: 'alarms', alarms: [alarm] } },
      writes: isNew ? [{ type: 'alarm', alarm }] : [],
    };
  }

  #applyDisarm(filter: AlarmFilter): Applied {
    const alarms = this.#alarms.list(filter);
    for (const alarm of alarms) this.#alarms.remove(alarm);
    return {
      result: { ok: true, value: { type: 'alarms', alarms } },
      writes: alarms.map((alarm): Change => ({ type: 'alarmGone', alarm })),
    };
  }

  #applyAuth(action: AuthAction): Applied {
    const plan = this.#auth.plan(action);
    if (typeof plan === 'string') return nothing(authRefused(plan));
    for (const change of plan) this.#auth.replay(change);
    return { result: { ok: true, value: { type: 'done' } }, writes: plan };
  }

  #growthOf(operations: readonly Operation[]): number {
    let bytes = 0;
    for (const operation of operations) {
      if (operation.type === 'put' && operation.keepValue !== true) bytes += this.#keys.growthBytes(operation);
      else if (operation.type === 'transaction') bytes += this.growthBytes(operation);
    }
    return bytes;
  }

  #write(item: KeyValue): Row {
    const lease = this.#keys.leaseOf(item.key);
    const row = this.#keys.write(item);
    if (lease !== item.lease) {
      if (lease !== 0) this.#leases.detach(lease, item.key);
      if (item.lease !== 0) this.#leases.attach(item.lease, item.key);
    }
    this.#items.push(item);
    this.#rows.push(row);
    return row;
  }

  #delete(key: string): void {
    const modRevision = this.#revision + 1;
    this.#write({ key, value: NO_BYTES, createRevision: 0, modRevision, version: 0, lease: 0 });
  }

  /** Closes a command: what was written becomes a new revision. */
  #finish(
    more: readonly Change[],
    result: (revision: number) => ApplyResult = () => ({ ok: true, value: { type: 'done' } }),
  ): Applied {
    if (this.#items.length === 0) return { result: result(this.#revision), writes: more };
    const revision = ++this.#revision;
    assert(Number.isSafeInteger(revision), 'revisions stay exact');
    const written: Change = { type: 'revision', revision, items: this.#items };
    this.#log.push(revision, this.#rows);
    this.#items = [];
    this.#rows = [];
    return { result: result(revision), writes: more.length === 0 ? [written] : [written, ...more] };
  }

  #revisionRefusal(revision: number | undefined, present: number): ReturnType<typeof refused> | undefined {
    if (revision === undefined || revision === 0) return undefined;
    if (revision > present) return futureRevision(revision, present);
    return revision < this.#compactedRevision ? compacted(this.#compactedRevision) : undefined;
  }

  /** Images still need what was kept when they were made. */
  #sweepTarget(): number {
    let target = this.#compactedRevision;
    for (const image of this.#images) target = Math.min(target, image.counters.compactedRevision);
    return target;
  }

  #sweepRevision(revision: number, target: number): number {
    const rows = this.#log.get(revision) ?? [];
    for (const row of rows) this.#keys.compact(row, target);
    return rows.length + 1;
  }

  /** Nobody can watch from here any more. */
  #forgetRevision(revision: number): void {
    if (revision < this.#log.firstRevision) return;
    for (const row of this.#log.get(revision) ?? []) this.#keys.forget(row);
    this.#log.dropFirst();
  }
}

function nothing(result: ApplyResult): Applied {
  return { result, writes: [] };
}

function fenced(wanted: number, present: number): { readonly ok: false; readonly refusal: Refusal } {
  return refused('STORE_FENCED', `the leadership of term ${wanted} has passed; this is term ${present}`);
}

function leaseNotFound(id: number): { readonly ok: false; readonly refusal: Refusal } {
  return refused('STORE_LEASE_NOT_FOUND', `there is no lease ${id}`);
}

function futureRevision(wanted: number, present: number): { readonly ok: false; readonly refusal: Refusal } {
  return refused('STORE_FUTURE_REVISION', `revision ${wanted} is not there yet; the store is at ${present}`);
}
