/** The clients of the soak: workers that read and write, watchers that follow, and holders of leases. */
import {
  CompactedError,
  InvalidRequestError,
  NoSpaceError,
  QuotaExceededError,
  RemoteClient,
  type StoreClient,
  systemClock,
  UnavailableError,
  UnknownOutcomeError,
  WatchLostError,
} from '../../store/index.ts';
import { ChangeLog, type Intent, type Outcome, type RecordedCall, WatcherView } from './history.ts';
import { LeaseWatch } from './leases.ts';
import type { Tls } from './protocol.ts';

const KEYS = 24;
const DATA_PREFIX = 'data/';
const DATA_END = 'data0';
const WORKERS = 10;
const WATCHERS = 5;
const LEASES = 3;
const LEASE_TTL_SECONDS = 5;
/** A worker rests between two calls, so that thirty minutes of history fit into memory. */
const REST_MS_MAX = 60;
const CALL_TIMEOUT_MS = 3_000;
const RETRY_MS = 100;

export interface ClientsOptions {
  readonly urls: readonly string[];
  readonly tls: Tls;
  readonly random: () => number;
}

export class Clients {
  readonly log = new ChangeLog();
  readonly calls: RecordedCall[] = [];
  readonly watchers: WatcherView[] = [];
  readonly leases = new LeaseWatch();
  readonly #options: ClientsOptions;
  readonly #stop = new AbortController();
  readonly #stopWorkers = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #workers: Promise<void>[] = [];
  #lastAcknowledgedAtMs = 0;
  #written = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** When the last write was acknowledged. */
  get lastAcknowledgedAtMs(): number {
    return this.#lastAcknowledgedAtMs;
  }

  async start(): Promise<void> {
    const client = this.#connect();
    const { revision } = await client.status();
    await client.close();
    for (let number = 0; number < WATCHERS; number++) {
      const view = new WatcherView(`watcher-${number}`, this.log, revision);
      this.watchers.push(view);
      this.#running.push(this.#watch(view));
    }
    for (let number = 0; number < WORKERS; number++) this.#workers.push(this.#work(number));
    for (let number = 0; number < LEASES; number++) this.#running.push(this.#hold(number));
  }

  /** Lets the workers end, and the watchers catch up with all that was acknowledged. */
  async finish(timeoutMs: number): Promise<void> {
    this.#stopWorkers.abort();
    await Promise.all(this.#workers);
    const client = this.#connect();
    const { revision } = await client.put(`${DATA_PREFIX}end`, Buffer.from('end'));
    this.#record({ type: 'put', key: `${DATA_PREFIX}end`, value: 'end' }, now(), { type: 'done', revision });
    await client.close();
    const deadlineMs = now() + timeoutMs;
    while (this.watchers.some(view => view.seenRevision < revision)) {
      if (now() > deadlineMs) throw new Error(`watchers did not reach revision ${revision}: ${this.#positions()}`);
      await rest(RETRY_MS);
    }
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #positions(): string {
    return this.watchers.map(({ name, seenRevision }) => `${name} at ${seenRevision}`).join(', ');
  }

  /** A client that begins with a member drawn by chance. */
  #connect(): RemoteClient {
    const { urls, tls, random } = this.#options;
    const from = Math.floor(random() * urls.length);
    return new RemoteClient({
      urls: [...urls.slice(from), ...urls.slice(0, from)],
      tls,
      clock: systemClock,
      random,
      timeoutMs: CALL_TIMEOUT_MS,
    });
  }

  async #work(number: number): Promise<void> {
    const { random } = this.#options;
    const client = this.#connect();
    /** What this worker believes to be there; often wrong, which is the point. */
    const believed = new Map<string, number>();
    while (!this.#stopWorkers.signal.aborted) {
      const key = `${DATA_PREFIX}${Math.floor(random() * KEYS)}`;
      const intent = this.#draw(key, `${number}-${++this.#written}`, believed.get(key) ?? 0);
      const calledAtMs = now();
      const outcome = await carryOut(client, intent);
      this.#record(intent, calledAtMs, outcome);
      if (outcome.type === 'seen') believed.set(key, outcome.modRevision);
      if (outcome.type === 'done' && intent.type !== 'delete') believed.set(key, outcome.revision);
      await rest(random() * REST_MS_MAX);
    }
    await client.close();
  }

  #draw(key: string, value: string, expectedRevision: number): Intent {
    const chance = this.#options.random();
    if (chance < 0.4) return { type: 'get', key };
    if (chance < 0.75) return { type: 'put', key, value };
    if (chance < 0.92) return { type: 'compareAndSet', key, value, expectedRevision };
    return { type: 'delete', key };
  }

  #record(intent: Intent, calledAtMs: number, outcome: Outcome): void {
    const returnedAtMs = outcome.type === 'unknown' ? Number.POSITIVE_INFINITY : now();
    if (outcome.type === 'done') this.#lastAcknowledgedAtMs = returnedAtMs;
    this.calls.push({ intent, calledAtMs, returnedAtMs, outcome });
  }

  async #watch(view: WatcherView): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // A new client each time: so it comes to another member now and then.
      const client = this.#connect();
      try {
        const request = {
          key: DATA_PREFIX,
          end: DATA_END,
          startRevision: view.seenRevision + 1,
          progressMs: 500,
          signal,
        };
        for await (const { revision, events } of client.watch(request)) {
          const changes = events.map(({ type, item }) => ({
            revision: item.modRevision,
            key: item.key,
            value: type === 'put' ? Buffer.from(item.value).toString() : undefined,
          }));
          view.batch(revision, changes);
        }
      } catch (error) {
        if (error instanceof CompactedError) view.violations.push(`watcher ${view.name}: ${error.message}`);
        else if (!(error instanceof WatchLostError || error instanceof UnavailableError)) throw error;
        await rest(RETRY_MS);
      } finally {
        await client.close();
      }
    }
  }

  /** Takes a lease with a key on it, renews it for a while, lets it end, and takes the next. */
  async #hold(number: number): Promise<void> {
    const { random } = this.#options;
    const { signal } = this.#stop;
    const client = this.#connect();
    for (let round = 0; !signal.aborted; round++) {
      const key = `lease/${number}-${round}`;
      try {
        await this.#holdOne(client, key, 5 + Math.floor(random() * 20));
      } catch (error) {
        if (!isExpected(error)) throw error;
        await rest(RETRY_MS);
      }
    }
    await client.close();
  }

  async #holdOne(client: StoreClient, key: string, renewals: number): Promise<void> {
    const { signal } = this.#stop;
    const calledAtMs = now();
    const { id, ttlSeconds } = await client.grantLease(LEASE_TTL_SECONDS);
    await client.put(key, Buffer.from('held'), { lease: id });
    this.leases.promised(key, calledAtMs + ttlSeconds * 1_000);
    for (let renewal = 0; renewal < renewals && !signal.aborted; renewal++) {
      await rest(LEASE_TTL_SECONDS * 200);
      await this.#look(client, key);
      const renewedAtMs = now();
      const renewed = await client.keepLeaseAlive(id);
      this.leases.promised(key, renewedAtMs + renewed.ttlSeconds * 1_000);
    }
    // Nobody renews it now, so it has to go.
    while (!signal.aborted && !(await this.#look(client, key))) await rest(RETRY_MS * 5);
  }

  /** @returns whether the key is gone. */
  async #look(client: StoreClient, key: string): Promise<boolean> {
    const { items } = await client.range({ key });
    // Only after the answer: the key may have gone at any moment before.
    if (items.length === 0) this.leases.gone(key, now());
    return items.length === 0;
  }
}

async function carryOut(client: StoreClient, intent: Intent): Promise<Outcome> {
  try {
    return await ask(client, intent);
  } catch (error) {
    if (error instanceof UnknownOutcomeError) return { type: 'unknown' };
    if (isExpected(error)) return { type: 'notDone' };
    throw error;
  }
}

async function ask(client: StoreClient, intent: Intent): Promise<Outcome> {
  const { key } = intent;
  switch (intent.type) {
    case 'get': {
      const { revision, items } = await client.range({ key });
      const [item] = items;
      const value = item === undefined ? undefined : Buffer.from(item.value).toString();
      return { type: 'seen', revision, value, modRevision: item?.modRevision ?? 0 };
    }
    case 'put': {
      const { revision } = await client.put(key, Buffer.from(intent.value));
      return { type: 'done', revision };
    }
    case 'delete': {
      const { revision, results } = await client.delete(key);
      const [result] = results;
      const isGone = result?.type === 'delete' && result.deleted.length > 0;
      // Who deletes nothing has seen that nothing is there.
      return isGone ? { type: 'done', revision } : { type: 'seen', revision, value: undefined, modRevision: 0 };
    }
    case 'compareAndSet': {
      const { succeeded, revision } = await client.transaction({
        compare: [{ key, target: 'modRevision', op: '=', value: intent.expectedRevision }],
        then: [{ type: 'put', key, value: Buffer.from(intent.value) }],
      });
      return succeeded ? { type: 'done', revision } : { type: 'different', revision };
    }
  }
}

/** Refusals that say: certainly not done. */
function isExpected(error: unknown): boolean {
  if (error instanceof InvalidRequestError) return false;
  return (
    error instanceof UnavailableError ||
    error instanceof QuotaExceededError ||
    // A disk that is full on purpose may be noticed before a write to it fails.
    error instanceof NoSpaceError ||
    error instanceof UnknownOutcomeError ||
    (error instanceof Error && 'code' in error && error.code === 'STORE_LEASE_NOT_FOUND')
  );
}

const now = () => performance.now();
const rest = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
