/**
 * The real store on the real Raft: clients put, delete, compare and swap, read now and in the past, hang keys on leases and
 * fence their writes, through any member, while watchers follow. `store-judge.ts` says what must come of it.
 */
import type { MemberId } from '../../raft/index.ts';
import {
  CompactedError,
  FencedError,
  FutureRevisionError,
  LeaseNotFoundError,
  NoSpaceError,
  type Operation,
  QuotaExceededError,
  type Transaction,
  UnavailableError,
  UnknownOutcomeError,
} from '../../store/index.ts';
import { QUOTA_CLEAR_SHARE } from '../../store/limits.ts';
import { LeaseHolder } from './lease-holder.ts';
import { integerBetween, pick } from './random.ts';
import { SafetyViolation } from './safety-violation.ts';
import { StoreHistory, type StoreOperation } from './store-history.ts';
import { StoreJudge, TAG_PREFIX } from './store-judge.ts';
import { ALL_KEYS } from './store-model.ts';
import { anyLife, outcomeOf, type StoreLife, StorePlace, type StorePlaceContext } from './store-place.ts';
import { itemsText, transactionText } from './store-text.ts';
import { Wanderer, Watcher } from './store-watcher.ts';
import { Pace, type Place, pause, type Workload, type WorkloadContext } from './workload.ts';

const CLIENTS = 4;
const KEYS = ['k/a', 'k/b', 'k/c', 'k/d', 'k/e'];
/** Of the leases that clients try out; those that are held have times of their own. */
const LEASE_SECONDS = 1;
const LEASES_KNOWN_MAX = 3;

export class StoreWorkload implements Workload {
  readonly #context: StorePlaceContext;
  readonly #history = new StoreHistory();
  readonly #judge: StoreJudge;
  readonly #places: StorePlace[] = [];
  readonly #watchers: readonly Watcher[];
  readonly #wanderer: Wanderer;
  readonly #holder: LeaseHolder;
  /** Leases that were granted, lately. */
  readonly #leases: number[] = [];
  /** What some client last saw of each key. */
  readonly #modRevisions = new Map<string, number>();
  #clientsDone = 0;
  #names = 0;

  constructor(context: WorkloadContext) {
    this.#judge = new StoreJudge(context);
    this.#context = { ...context, judge: this.#judge };
    this.#watchers = [new Watcher('the watcher', this.#context, this.#places)];
    this.#wanderer = new Wanderer('the wanderer', this.#context, this.#places);
    this.#holder = new LeaseHolder(this.#context, this.#places);
  }

  addMember(id: MemberId): Place {
    const place = new StorePlace(id, this.#context);
    this.#places.push(place);
    return place;
  }

  startClients(): void {
    for (let client = 0; client < CLIENTS; client++) this.#operate().catch(this.#context.fail);
    for (const runner of [...this.#watchers, this.#wanderer, this.#holder]) runner.run().catch(this.#context.fail);
  }

  get isDone(): boolean {
    const { model, leases } = this.#judge;
    // Nobody renews a lease any more, so all of them have to end.
    if (this.#clientsDone < CLIENTS || leases.count > 0) return false;
    // And what raised an alarm is over, so it ends by itself, unless the store is full all the same.
    if (model.alarms.some(({ type, cause }) => !(type === 'NOSPACE' && cause === 'quota' && this.#isFull)))
      return false;
    return this.#watchers.every(({ seen }) => seen === model.revision);
  }

  get #isFull(): boolean {
    const { quotaBytes } = this.#context.shape;
    return this.#places.some(({ life }) => (life?.replica.state.liveBytes ?? 0) >= quotaBytes * QUOTA_CLEAR_SHARE);
  }

  get answered(): number {
    return this.#history.answered;
  }

  check(): void {
    this.#history.check(this.#context.reference, this.#judge.model);
    for (const { id, life } of this.#places) if (life !== undefined) this.#judge.loaded(id, life.replica);
  }

  async #operate(): Promise<void> {
    const { random, isChaos, shape } = this.#context;
    const pace = new Pace(random, shape.pauseMsMax);
    while (isChaos()) {
      await pause(this.#context, pace.next());
      const life = anyLife(this.#places, random);
      if (life !== undefined) await this.#anything(life);
    }
    // The cluster is healed: a write has to get through in the end.
    for (;;) {
      const life = anyLife(this.#places, random);
      if (life !== undefined && (await this.#transact(life, { then: [this.#put(this.#key())] }))) break;
      // Where the store is full, deleting makes room.
      if (life !== undefined) await this.#transact(life, { then: [{ type: 'delete', ...ALL_KEYS }] });
      await pause(this.#context, 50);
    }
    this.#clientsDone++;
  }

  #anything(life: StoreLife): Promise<unknown> {
    const { random } = this.#context;
    const kinds: readonly (() => Promise<unknown>)[] = [
      () => this.#transact(life, { then: [this.#put(this.#key())] }),
      () => this.#transact(life, { then: [this.#put(this.#key())] }),
      () => this.#transact(life, { then: [{ type: 'delete', key: this.#key() }] }),
      () => this.#transact(life, { then: [{ type: 'delete', key: 'k/b', end: 'k/d' }, this.#put('k/e')] }),
      () => this.#compareAndSwap(life),
      () => this.#compareAndSwap(life),
      () => this.#transact(life, { then: [this.#put(this.#key())], fenceTerm: this.#someTerm(life) }),
      () => this.#transact(life, { then: [this.#put('k/a'), this.#put('k/d')], fenceTerm: this.#someTerm(life) }),
      () => this.#range(life),
      () => this.#range(life),
      () => this.#range(life),
      () => this.#rangeOfThePast(life),
      () => this.#rangeHere(life),
      () => this.#useLease(life),
      () => this.#clearAndCompact(life),
      () => this.#disarm(life),
    ];
    return (pick(random, kinds) ?? kinds[0])?.() ?? Promise.resolve();
  }

  #key(): string {
    return pick(this.#context.random, KEYS) ?? 'k/a';
  }

  #put(key: string): Operation {
    const { random } = this.#context;
    const lease = random() < 0.2 ? pick(random, this.#leases) : undefined;
    return { type: 'put', key, value: Buffer.from(`v${this.#names}`), ...(lease === undefined ? {} : { lease }) };
  }

  /** The term that the member knows, or the one before. */
  #someTerm(life: StoreLife): number {
    return Math.max(1, life.node.status().term - (this.#context.random() < 0.2 ? 1 : 0));
  }

  #compareAndSwap(life: StoreLife): Promise<boolean> {
    const key = this.#key();
    const value = this.#modRevisions.get(key) ?? 0;
    return this.#transact(life, {
      compare: [{ key, target: 'modRevision', op: '=', value }],
      then: [this.#put(key), this.#put(key === 'k/e' ? 'k/a' : 'k/e')],
      otherwise: [{ type: 'range', range: ALL_KEYS }],
    });
  }

  /** Carries out a write; true if it was answered with success. */
  async #transact(life: StoreLife, transaction: Transaction): Promise<boolean> {
    const name = `${TAG_PREFIX}${++this.#names}`;
    const isLeading = isLeader(life);
    const operation = this.#history.begin('write', name);
    const tag = { key: name, target: 'version', op: '=', value: 0 } as const;
    const call = life.client.transaction({ ...transaction, compare: [tag, ...(transaction.compare ?? [])] });
    const outcome = await outcomeOf(life, call);
    this.#context.trace?.(
      `write ${name} ${describe(transaction)}: ${outcome instanceof Error ? outcome : outcome && transactionText(outcome)}`,
    );
    const { coverage } = this.#context;
    if (outcome === undefined || outcome instanceof UnknownOutcomeError) {
      coverage.note('outcome unknown');
      return false;
    }
    operation.isRefused = outcome instanceof UnavailableError;
    if (operation.isRefused) {
      coverage.note('command refused');
      return false;
    }
    if (!isLeading) coverage.note('command forwarded');
    if (outcome instanceof QuotaExceededError || outcome instanceof NoSpaceError) {
      this.#judgeFull(operation, transaction, outcome);
      return false;
    }
    if (this.#judge.model.alarms.length > 0 && transaction.then.every(({ type }) => type === 'delete'))
      coverage.note('delete passed in a full store');
    if (outcome instanceof FencedError || outcome instanceof LeaseNotFoundError) operation.result = outcome.code;
    else if (outcome instanceof Error) throw outcome;
    else operation.result = transactionText(outcome);
    this.#history.end(operation);
    return !(outcome instanceof Error);
  }

  /** A full store refuses what puts, and nothing else; whether it was refused before it was proposed, nobody can tell. */
  #judgeFull(operation: StoreOperation, { then, otherwise = [] }: Transaction, error: Error): void {
    const { coverage } = this.#context;
    if (![...then, ...otherwise].some(({ type }) => type === 'put')) {
      throw new SafetyViolation(`${operation.name} puts nothing, and was refused with ${String(error)}`);
    }
    const isQuota = error instanceof QuotaExceededError;
    coverage.note(isQuota ? 'put refused by the quota' : 'put refused by a full disk');
    const position = this.#context.reference.positionOf(operation.name);
    const result = isQuota ? 'STORE_QUOTA_EXCEEDED' : 'STORE_NO_SPACE';
    if (position !== undefined && this.#judge.model.resultAt(position) !== result) {
      throw new SafetyViolation(`${operation.name} was refused for want of room, but applied`);
    }
    if (position === undefined) operation.isRefused = true;
    else operation.result = result;
    this.#history.end(operation);
  }

  /** An operator who believes that there is room again. */
  async #disarm(life: StoreLife): Promise<void> {
    const alarm = pick(
      this.#context.random,
      this.#judge.model.alarms.filter(({ type }) => type === 'NOSPACE'),
    );
    if (alarm === undefined) return;
    const outcome = await outcomeOf(life, life.client.disarmAlarm(alarm), { mayAnswerUnderAlarm: true });
    if (outcome === undefined || outcome instanceof UnavailableError || outcome instanceof UnknownOutcomeError) return;
    if (outcome instanceof Error) throw outcome;
    this.#context.coverage.note('alarm disarmed by a client');
  }

  async #range(life: StoreLife): Promise<void> {
    const { coverage } = this.#context;
    const isLeading = isLeader(life);
    const operation = this.#history.begin('read', 'range');
    const outcome = await outcomeOf(life, life.client.range(ALL_KEYS));
    if (outcome instanceof UnavailableError) coverage.note('read barrier refused');
    if (outcome === undefined || outcome instanceof UnavailableError) return;
    if (outcome instanceof Error) throw outcome;
    coverage.note(isLeading ? 'read confirmed' : 'read on a follower');
    this.#context.trace?.(`read revision ${outcome.revision}`);
    this.#judge.checkState('a read', outcome.revision, itemsText(outcome.items));
    operation.revision = outcome.revision;
    this.#history.end(operation);
    for (const key of KEYS) this.#modRevisions.set(key, 0);
    for (const { key, modRevision } of outcome.items) this.#modRevisions.set(key, modRevision);
  }

  /** A read as of a revision that exists must give exactly that, unless it is compacted. */
  async #rangeOfThePast(life: StoreLife): Promise<void> {
    const { model } = this.#judge;
    const revision = integerBetween(this.#context.random, Math.max(1, model.compactedRevision - 3), model.revision);
    const outcome = await outcomeOf(life, life.client.range({ ...ALL_KEYS, revision }));
    if (outcome === undefined || outcome instanceof UnavailableError || outcome instanceof FutureRevisionError) return;
    if (outcome instanceof CompactedError) {
      this.#context.coverage.note('read below the compacted revision');
      if (outcome.compactedRevision > revision && outcome.compactedRevision <= model.compactedRevision) return;
      throw new SafetyViolation(`a read at ${revision} is told that ${outcome.compactedRevision} is compacted`);
    }
    if (outcome instanceof Error) throw outcome;
    this.#context.coverage.note('read of the past');
    if (outcome.revision !== revision) throw new SafetyViolation(`a read at ${revision} saw ${outcome.revision}`);
    this.#judge.checkState('a read of the past', revision, itemsText(outcome.items));
  }

  /** A read without asking the leader may be old, but it is of one moment. */
  async #rangeHere(life: StoreLife): Promise<void> {
    const outcome = await outcomeOf(life, life.client.range({ ...ALL_KEYS, serializable: true }));
    if (outcome === undefined || outcome instanceof UnavailableError) return;
    if (outcome instanceof Error) throw outcome;
    this.#judge.checkState('a read here', outcome.revision, itemsText(outcome.items));
  }

  /** Afterwards few keys are left, and none tells of the newest revision any more: it has to be remembered by itself. */
  async #clearAndCompact(life: StoreLife): Promise<void> {
    await this.#transact(life, { then: [{ type: 'delete', key: 'k/b', end: ALL_KEYS.end }] });
    const outcome = await outcomeOf(life, life.client.compact(this.#judge.model.revision));
    if (outcome instanceof UnknownOutcomeError || outcome instanceof UnavailableError) return;
    if (outcome instanceof Error && !(outcome instanceof CompactedError)) throw outcome;
  }

  async #useLease(life: StoreLife): Promise<void> {
    const { random } = this.#context;
    const id = pick(random, this.#leases);
    const kind = random();
    if (id === undefined || kind < 0.4) {
      const outcome = await outcomeOf(life, life.client.grantLease(LEASE_SECONDS));
      if (outcome !== undefined && !(outcome instanceof Error)) this.#leases.push(outcome.id);
    } else {
      const call: Promise<unknown> = kind < 0.8 ? life.client.keepLeaseAlive(id) : life.client.revokeLease(id);
      await outcomeOf(life, call);
    }
    if (this.#leases.length > LEASES_KNOWN_MAX) this.#leases.shift();
  }
}

function isLeader({ node }: StoreLife): boolean {
  return node.status().role === 'leader';
}

function describe({ then, fenceTerm }: Transaction): string {
  const keyOf = (one: Operation) => (one.type === 'range' ? one.range.key : one.type === 'transaction' ? '' : one.key);
  const operations = then.map(one => `${one.type} ${keyOf(one)}`);
  return `${operations.join(', ')}${fenceTerm === undefined ? '' : ` in term ${fenceTerm}`}`;
}
