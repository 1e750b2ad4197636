/**
 * What the store ought to do, in the plainest way: one map, one command after the other, and every past state kept. It
 * shares nothing with the store but the types of its commands, so that the two can be held against each other.
 */
import assert from 'node:assert';
import type {
  Alarm,
  Compare,
  KeyValue,
  Operation,
  OperationResult,
  Transaction,
  WatchEvent,
} from '../../store/index.ts';
import type { ApplyResult, Command } from '../../store/mvcc/command.ts';
import { eventText, itemsText, resultText } from './store-text.ts';

/** All keys of the simulation lie in this range, so that every revision shows in it. */
export const ALL_KEYS = { key: 'k/', end: 'k0' };

/** One revision, or the beginning. */
interface Past {
  /** How many commands had been applied when it came, itself among them. */
  readonly position: number;
  readonly state: string;
  readonly events: readonly WatchEvent[];
}

const FIRST_REVISION = 1;

export class StoreModel {
  readonly #items = new Map<string, KeyValue>();
  readonly #leases = new Map<number, { ttlSeconds: number; renewals: number }>();
  /** The result of each command, and the revision after it. */
  readonly #results: { readonly text: string; readonly revision: number; readonly compactedRevision: number }[] = [];
  readonly #past: Past[] = [{ position: 0, state: '', events: [] }];
  #alarms: readonly Alarm[] = [];
  #leaseCounter = 0;
  #events: WatchEvent[] = [];
  #compactedRevision = 0;

  get revision(): number {
    return this.#past.length;
  }

  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  get alarms(): readonly Alarm[] {
    return this.#alarms;
  }

  get length(): number {
    return this.#results.length;
  }

  /** The result that the command at a position has, as text. */
  resultAt(position: number): string | undefined {
    return this.#results[position]?.text;
  }

  /** The counters once so many commands were applied. */
  after(count: number): { readonly revision: number; readonly compactedRevision: number } {
    return this.#results[count - 1] ?? { revision: FIRST_REVISION, compactedRevision: 0 };
  }

  /** All keys as of a revision, as text; undefined if it has not come. */
  stateAt(revision: number): string | undefined {
    return this.#past[revision - FIRST_REVISION]?.state;
  }

  eventsAt(revision: number): readonly WatchEvent[] {
    return this.#past[revision - FIRST_REVISION]?.events ?? [];
  }

  /** The numbers of applied commands, first and last, with which the store was at a revision. */
  spanOf(revision: number): { readonly first: number; readonly last: number } {
    const first = this.#past[revision - FIRST_REVISION]?.position ?? Number.POSITIVE_INFINITY;
    const next = this.#past[revision + 1 - FIRST_REVISION]?.position ?? Number.POSITIVE_INFINITY;
    return { first, last: next - 1 };
  }

  apply(command: Command, term: number): ApplyResult {
    const result = this.#carryOut(command, term);
    const text = resultText(result);
    this.#results.push({ text, revision: this.revision, compactedRevision: this.#compactedRevision });
    return result;
  }

  #carryOut(command: Command, term: number): ApplyResult {
    switch (command.type) {
      case 'transaction':
        return this.#transact(command.transaction, term);
      case 'leaseGrant': {
        const full = this.#putRefusal();
        if (full !== undefined) return full;
        const { ttlSeconds } = command;
        const id = ++this.#leaseCounter;
        this.#leases.set(id, { ttlSeconds, renewals: 0 });
        return { ok: true, value: { type: 'lease', id, ttlSeconds } };
      }
      case 'leaseKeepAlive': {
        const lease = this.#leases.get(command.id);
        if (lease === undefined) return refusal('STORE_LEASE_NOT_FOUND');
        lease.renewals++;
        return { ok: true, value: { type: 'lease', id: command.id, ttlSeconds: lease.ttlSeconds } };
      }
      case 'leaseRevoke':
        if (!this.#leases.has(command.id)) return refusal('STORE_LEASE_NOT_FOUND');
        return this.#endLeases([command.id]);
      case 'leaseExpire':
        if (command.fenceTerm !== term) return refusal('STORE_FENCED');
        return this.#endLeases(
          command.leases.filter(({ id, renewals }) => this.#leases.get(id)?.renewals === renewals).map(({ id }) => id),
        );
      case 'auth':
        throw new Error('no client of the simulation makes users');
      case 'compact':
        if (command.revision > this.revision) return refusal('STORE_FUTURE_REVISION');
        if (command.revision < this.#compactedRevision) return refusal('STORE_COMPACTED');
        this.#compactedRevision = command.revision;
        return DONE;
      case 'alarm': {
        const { type, memberId, cause } = command.action === 'raise' ? command.alarm : command.filter;
        const isMeant = (alarm: Alarm) =>
          (type ?? alarm.type) === alarm.type &&
          (memberId ?? alarm.memberId) === alarm.memberId &&
          (cause ?? alarm.cause) === alarm.cause;
        const meant = this.#alarms.filter(isMeant);
        this.#alarms = this.#alarms.filter(alarm => !isMeant(alarm));
        if (command.action === 'disarm') return { ok: true, value: { type: 'alarms', alarms: meant } };
        this.#alarms = [...this.#alarms, command.alarm];
        return { ok: true, value: { type: 'alarms', alarms: [command.alarm] } };
      }
    }
  }

  #transact({ fenceTerm, compare = [], then, otherwise = [] }: Transaction, term: number): ApplyResult {
    if (fenceTerm !== undefined && fenceTerm !== term) return refusal('STORE_FENCED');
    const succeeded = compare.every(one => this.#holds(one));
    const operations = succeeded ? then : otherwise;
    const full = this.#putRefusal();
    if (full !== undefined && operations.some(({ type }) => type === 'put')) return full;
    const isLeaseGone = operations.some(one => one.type === 'put' && !!one.lease && !this.#leases.has(one.lease));
    if (isLeaseGone) return refusal('STORE_LEASE_NOT_FOUND');
    const results = operations.map(operation => this.#perform(operation));
    this.#endRevision();
    return { ok: true, value: { type: 'transaction', result: { revision: this.revision, succeeded, results } } };
  }

  #putRefusal(): ApplyResult | undefined {
    const full = this.#alarms.filter(({ type }) => type === 'NOSPACE');
    if (full.some(({ cause }) => cause === 'quota')) return refusal('STORE_QUOTA_EXCEEDED');
    return full.length > 0 ? refusal('STORE_NO_SPACE') : undefined;
  }

  #holds(compare: Compare): boolean {
    assert(compare.target === 'version' || compare.target === 'modRevision', 'the clients compare nothing else');
    assert(compare.op === '=', 'the clients compare nothing else');
    return (this.#items.get(compare.key)?.[compare.target] ?? 0) === compare.value;
  }

  #perform(operation: Operation): OperationResult {
    const modRevision = this.revision + 1;
    switch (operation.type) {
      case 'put': {
        const { key, value, lease = 0 } = operation;
        const previous = this.#items.get(key);
        const createRevision = previous?.createRevision ?? modRevision;
        const item = { key, value, createRevision, modRevision, version: (previous?.version ?? 0) + 1, lease };
        this.#items.set(key, item);
        this.#events.push({ type: 'put', item, previous });
        return { type: 'put', previous };
      }
      case 'delete': {
        const deleted = this.#inRange(operation.key, operation.end);
        for (const item of deleted) this.#delete(item);
        return { type: 'delete', deleted };
      }
      case 'transaction':
        throw new assert.AssertionError({ message: 'the clients nest no transactions' });
      case 'range': {
        const items = this.#inRange(operation.range.key, operation.range.end);
        return { type: 'range', result: { revision: this.revision, items, more: false, count: items.length } };
      }
    }
  }

  #endLeases(ids: readonly number[]): ApplyResult {
    for (const item of this.#inRange(ALL_KEYS.key, ALL_KEYS.end)) if (ids.includes(item.lease)) this.#delete(item);
    for (const id of ids) this.#leases.delete(id);
    this.#endRevision();
    return DONE;
  }

  #inRange(key: string, end: string | undefined): KeyValue[] {
    const found = [...this.#items.values()].filter(item =>
      end === undefined ? item.key === key : item.key >= key && item.key < end,
    );
    return found.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  #delete(previous: KeyValue): void {
    const { key } = previous;
    const item = {
      key,
      value: Buffer.alloc(0),
      createRevision: 0,
      modRevision: this.revision + 1,
      version: 0,
      lease: 0,
    };
    this.#items.delete(key);
    this.#events.push({ type: 'delete', item, previous });
  }

  #endRevision(): void {
    if (this.#events.length === 0) return;
    const events = this.#events.sort((one, other) => (eventText(one) < eventText(other) ? -1 : 1));
    this.#events = [];
    const state = itemsText(this.#inRange(ALL_KEYS.key, ALL_KEYS.end));
    this.#past.push({ position: this.#results.length + 1, state, events });
  }
}

const DONE: ApplyResult = { ok: true, value: { type: 'done' } };

function refusal(code: Extract<ApplyResult, { ok: false }>['refusal']['code']): ApplyResult {
  return { ok: false, refusal: { code, message: '' } };
}
