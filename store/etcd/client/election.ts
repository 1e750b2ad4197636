/**
 * Who of several masters on one store leads. A candidate holds a lease and puts its key with it if nobody else's is there;
 * the revision at which the key was made is the term, so a later leader has a higher one. When the lease ends the key goes,
 * and from then on writes fenced by that term are refused: a leader that was asleep cannot do harm.
 *
 * A leader also stops by itself once its lease may have ended, by its own monotonic clock.
 */
import { LeaseNotFoundError, type StoreClient } from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import { type Logger, silentLogger } from '../../logger.ts';
import { ELECTION_RENEWALS, ELECTION_RESIGN_MS, ELECTION_RETRY_MS, ELECTION_TTL_SECONDS } from './limits.ts';

export interface ElectionLeadership {
  readonly isLeader: boolean;
  /** The term in which this candidate leads; 0 while it does not. */
  readonly term: number;
}
export interface ElectionOptions {
  /** Where the keys of the election are: not among what the store holds for others. */
  readonly store: StoreClient;
  readonly key: string;
  /** Whom the key names while this candidate leads. */
  readonly name: string;
  /** A key that is there as long as this candidate lives, leading or not. */
  readonly announcement: { readonly key: string; readonly value: Uint8Array };
  readonly clock: Clock;
  readonly logger?: Logger;
  readonly ttlSeconds?: number;
}

const NEVER = new AbortController().signal;
const NOBODY: ElectionLeadership = { isLeader: false, term: 0 };

export class Election {
  readonly #options: ElectionOptions;
  readonly #logger: Logger;
  readonly #listeners = new Set<(leadership: ElectionLeadership) => void>();
  readonly #stop = new AbortController();
  #leadership = NOBODY;
  #running: Promise<void> | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
  }

  get leadership(): ElectionLeadership {
    return this.#leadership;
  }

  /** Calls the listener now and with every change; the answer ends that. */
  onLeadership(listener: (leadership: ElectionLeadership) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#leadership);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives up leadership, at once for all to see, and takes no further part. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#session();
      } catch (error) {
        if (!signal.aborted) this.#logger.warn({ error: String(error) }, 'the election broke off; trying again');
      }
      await this.#pause(ELECTION_RETRY_MS, signal);
    }
  }

  /** From one lease to its end. */
  async #session(): Promise<void> {
    const { store, clock, announcement, ttlSeconds = ELECTION_TTL_SECONDS } = this.#options;
    const askedAtMs = clock.now();
    const lease = await store.grantLease(ttlSeconds);
    const end = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, end.signal]);
    // Whatever call is under way: from this moment on another may lead.
    signal.addEventListener('abort', () => this.#become(NOBODY), { once: true });
    const renewing = this.#renew({ ...lease, renewedAtMs: askedAtMs }, signal).finally(() => end.abort());
    try {
      await store.put(announcement.key, announcement.value, { lease: lease.id });
      while (!signal.aborted) await this.#takePart(lease.id, signal);
    } finally {
      end.abort();
      await renewing;
      // Whoever waits need not wait for the lease's end; if this fails it ends by itself.
      const resigning = store.revokeLease(lease.id).catch(() => {});
      await Promise.race([resigning, this.#pause(ELECTION_RESIGN_MS)]);
    }
  }

  /** Keeps the lease until it is lost, or may be. Never rejects. */
  async #renew(
    lease: { readonly id: number; readonly ttlSeconds: number; readonly renewedAtMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock } = this.#options;
    const lifeMs = lease.ttlSeconds * 1000;
    let { renewedAtMs } = lease;
    while (!signal.aborted) {
      await this.#pause(lifeMs / ELECTION_RENEWALS, signal);
      if (signal.aborted) return;
      // etcd counts from some moment between asking and answer; the earlier one is the safe one.
      const askedAtMs = clock.now();
      const outcome = await Promise.race([
        store.keepLeaseAlive(lease.id).then(
          () => 'renewed' as const,
          error => (error instanceof LeaseNotFoundError ? ('gone' as const) : ('failed' as const)),
        ),
        this.#pause(Math.max(0, renewedAtMs + lifeMs - askedAtMs), signal).then(() => 'late' as const),
      ]);
      if (outcome === 'renewed') renewedAtMs = askedAtMs;
      if (outcome === 'gone' || clock.now() >= renewedAtMs + lifeMs) {
        if (!signal.aborted)
          this.#logger.warn({ lease: lease.id }, 'the lease on which this master takes part has ended');
        return;
      }
    }
  }

  /**
   * One attempt, and what follows from it: leading until the key is gone, or waiting until another's is. While etcd cannot
   * be asked a leader stays one for as long as its lease lasts.
   */
  async #takePart(lease: number, signal: AbortSignal): Promise<void> {
    try {
      const holder = await this.#campaign(lease);
      if (holder === undefined || signal.aborted) return;
      // It may be ours though this attempt did not win: the answer to an earlier one may have been lost.
      this.#become(holder.lease === lease ? { isLeader: true, term: holder.createRevision } : NOBODY);
      await this.#untilGone(holder.createRevision, holder.seenAt + 1, signal);
      this.#become(NOBODY);
    } catch (error) {
      if (error instanceof LeaseNotFoundError) throw error;
      await this.#pause(ELECTION_RETRY_MS, signal);
    }
  }

  /** Puts the key if there is none, and tells whose there is then. */
  async #campaign(lease: number) {
    const { store, key, name } = this.#options;
    const look = { type: 'range', range: { key } } as const;
    const { results, revision } = await store.transaction({
      compare: [{ key, target: 'createRevision', op: '=', value: 0 }],
      then: [{ type: 'put', key, value: new TextEncoder().encode(name), lease }, look],
      otherwise: [look],
    });
    const found = results.at(-1);
    const item = found?.type === 'range' ? found.result.items[0] : undefined;
    return item === undefined
      ? undefined
      : { lease: item.lease, createRevision: item.createRevision, seenAt: revision };
  }

  async #untilGone(createRevision: number, startRevision: number, signal: AbortSignal): Promise<void> {
    const { store, key } = this.#options;
    for await (const { events } of store.watch({ key, startRevision, signal })) {
      if (events.some(({ type, item }) => type === 'delete' || item.createRevision !== createRevision)) return;
    }
  }

  #become(leadership: ElectionLeadership): void {
    if (leadership.term === this.#leadership.term) return;
    this.#leadership = leadership;
    for (const listener of [...this.#listeners]) listener(leadership);
  }

  #pause(delayMs: number, signal = NEVER): Promise<void> {
    return new Promise(resolve => {
      if (signal.aborted) return resolve();
      const cancel = this.#options.clock.setTimeout(done, delayMs);
      function done() {
        signal.removeEventListener('abort', done);
        cancel();
        resolve();
      }
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
