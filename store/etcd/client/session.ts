/** What all clients of one etcd in this process share: the servers, what is known of the revision, the watches. */
import {
  InvalidRequestError,
  type StoreMember,
  type StoreMembership,
  UnavailableError,
  type WatchRequest,
} from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import { WATCHES_MAX } from '../../limits.ts';
import type { ResponseHeader } from '../proto/kv.ts';
import type { Read } from '../proto/message.ts';
import { Cluster, KV, type Method } from '../proto/services.ts';
import { CompactionFinder } from './compaction.ts';
import type { EtcdTls } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { type CallKind, RevisionCompactedError } from './errors.ts';
import { KeySpace, prefixProblem } from './keys.ts';
import { EtcdWatch } from './watch.ts';

export interface EtcdOptions {
  /** `http://` or `https://` of each etcd server that is known; at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  /** What all keys begin with in etcd; undefined for {@link DEFAULT_PREFIX}. Users with different prefixes do not meet. */
  readonly prefix?: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a call tries to get an answer. */
  readonly timeoutMs?: number;
  /** Whom `members` names in place of etcd's own servers: those who share the etcd, say. */
  readonly members?: () => Promise<Pick<StoreMembership, 'leaderId' | 'members'>>;
  /** What snapshots carry along, such as a cluster's keys. */
  readonly snapshotAttachments?: () => Readonly<Record<string, string>>;
}
export const DEFAULT_PREFIX = '/raftsman';

/** Every answer of etcd begins with one. */
interface Answer {
  readonly header: Read<typeof ResponseHeader> | undefined;
}
/** Of the client's own keys: written only so that watches see it. */
const PROGRESS_KEY = '/progress';

export class EtcdSession {
  readonly clock: Clock;
  readonly random: () => number;
  readonly endpoints: Endpoints;
  /** What the store holds. */
  readonly data: KeySpace;
  /** What the client keeps for itself. */
  readonly own: KeySpace;
  readonly compaction: CompactionFinder;
  readonly #everything: KeySpace;
  readonly #watches = new Set<EtcdWatch>();
  #revision = 0;
  #reading: Promise<number> | undefined;
  #barrier: Promise<unknown> | undefined;
  #isClosed = false;

  /** @throws {InvalidRequestError} for an endpoint or a prefix that is none */
  constructor(options: EtcdOptions) {
    const { endpoints: urls, prefix = DEFAULT_PREFIX, clock, random, tls, timeoutMs } = options;
    const problem = prefixProblem(prefix);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    this.clock = clock;
    this.random = random;
    this.data = new KeySpace(`${prefix}/data`);
    this.own = new KeySpace(`${prefix}/own`);
    this.#everything = new KeySpace(`${prefix}/`);
    this.endpoints = new Endpoints({
      urls,
      clock,
      random,
      ...(tls === undefined ? {} : { tls }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    this.compaction = new CompactionFinder({
      canRead: revision => this.#canRead(revision),
      present: () => this.readRevision(),
    });
  }

  /** The highest revision that any answer told of. */
  get revision(): number {
    return this.#revision;
  }

  /** One call, repeated where that is safe. @throws the errors of `client.ts`, {RevisionCompactedError}, {LeaseExistsError} */
  async call<Req, Res extends Answer>(
    method: Method<Req, unknown, never, Res>,
    request: Req,
    kind: CallKind,
  ): Promise<Res> {
    const answer = await this.endpoints.call(method, request, kind);
    this.#note(answer.header?.revision ?? 0);
    return answer;
  }

  /** The store's revision at some moment after this call... or after that of a caller who waits for the same answer. */
  readRevision(): Promise<number> {
    this.#reading ??= this.call(KV.range, { key: this.own.key(PROGRESS_KEY), countOnly: true }, 'read')
      .then(({ header }) => header?.revision ?? 0)
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async members(): Promise<readonly StoreMember[]> {
    const { members } = await this.call(Cluster.memberList, {}, 'read');
    return members.map(({ id, name, peerUrls, clientUrls, isLearner }) => ({
      id: hex(id),
      name,
      peerAddress: peerUrls[0] ?? '',
      // One that has never started has none yet.
      clientUrl: clientUrls[0] ?? peerUrls[0] ?? '',
      role: isLearner ? 'learner' : 'voter',
    }));
  }

  watch(keys: KeySpace, request: WatchRequest): EtcdWatch {
    this.refuseIfClosed();
    if (this.#watches.size >= WATCHES_MAX) throw new UnavailableError(`there are ${WATCHES_MAX} watches already`);
    const watch = new EtcdWatch({
      request,
      clock: this.clock,
      keys,
      everything: this.#everything,
      choose: () => this.endpoints.anyChosen(),
      leave: endpoint => this.endpoints.leave(endpoint),
      readRevision: () => this.readRevision(),
      writeBarrier: () => this.#writeBarrier(),
      onEnd: () => this.#watches.delete(watch),
    });
    if (!request.signal.aborted) this.#watches.add(watch);
    return watch;
  }

  close(): void {
    this.#isClosed = true;
    for (const watch of [...this.#watches]) watch.storeClosed();
    this.endpoints.close();
  }

  refuseIfClosed(): void {
    if (this.#isClosed) throw new UnavailableError('the store client is closed');
  }

  #note(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (const watch of this.#watches) watch.noticed(revision);
  }

  /** One write serves all watches that wait for one. */
  #writeBarrier(): Promise<unknown> {
    this.#barrier ??= this.call(KV.put, { key: this.own.key(PROGRESS_KEY) }, 'write').finally(() => {
      this.#barrier = undefined;
    });
    return this.#barrier;
  }

  async #canRead(revision: number): Promise<boolean> {
    try {
      await this.call(KV.range, { key: this.own.key(PROGRESS_KEY), countOnly: true, revision }, 'read');
      return true;
    } catch (error) {
      if (error instanceof RevisionCompactedError) return false;
      throw error;
    }
  }
}

/** Ids of members as raftsman writes them; etcd leaves out zeros at the beginning. */
export function hex(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}
