/**
 * Compares what the members hold; the comparing runs on the leader. All members keep a running hash over all changes, so at
 * one revision they must agree. Where they do not, the majority is right: a member that differs is named in a CORRUPT alarm,
 * from which moment it answers nobody, and is told to go and be rebuilt. A leader that differs names itself and hands over.
 * Where no majority agrees nobody can be trusted, and all stop answering until somebody can tell, as in etcd.
 *
 * A member that cannot be asked has not passed: such comparisons are counted apart.
 */
import { type Alarm, UnavailableError } from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { ByteReader, ByteWriter } from '../codec/bytes.ts';
import { HASH_ANSWER_MS, HASH_WAIT_MS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { PeerMethods } from '../member/peer-methods.ts';
import type { Command } from '../mvcc/command.ts';
import type { Replica } from '../replica.ts';

/** Names how the hash is made. Members that make it differently cannot be compared, which is no divergence. */
const HASH_FORMAT = 1;
const HASH_METHOD = 'store.hash';
const DIVERGED_METHOD = 'store.diverged';
/** Pause between two looks whether a revision has been applied. */
const LOOK_AGAIN_MS = 20;

/** This member's data differs from the others': the process has to end, and is rebuilt when it starts again. */
export class StateDivergedError extends Error {
  override readonly name = 'StateDivergedError';
  readonly code = 'STORE_STATE_DIVERGED';
}

/** How comparisons went since the member started, for metrics. */
export interface HashCheckCounts {
  /** A member was found to hold the same. */
  readonly agreed: number;
  /** A member was found to hold something else. */
  readonly differed: number;
  /** A member could not be compared: away, too slow, or of another version. */
  readonly failed: number;
  /** Comparisons in which no majority agreed. */
  readonly undecided: number;
}

export type Verdict =
  | { readonly type: 'agreed' }
  | { readonly type: 'differs'; readonly odd: readonly string[]; readonly right: readonly string[] }
  | { readonly type: 'undecided' };

/** Who is wrong, if the answers differ. A group is right if most of all voters are in it, whether they answered or not. */
export function judgeHashes(hashes: ReadonlyMap<string, number>, voters: readonly string[]): Verdict {
  const groups = new Map<number, string[]>();
  for (const [id, hash] of hashes) groups.set(hash, [...(groups.get(hash) ?? []), id]);
  if (groups.size <= 1) return { type: 'agreed' };
  const right = [...groups.values()].find(
    members => members.filter(id => voters.includes(id)).length * 2 > voters.length,
  );
  if (right === undefined) return { type: 'undecided' };
  return { type: 'differs', right, odd: [...hashes.keys()].filter(id => !right.includes(id)) };
}

/** What the comparing needs of Raft. */
export interface HashCheckPeers {
  status(): {
    readonly id: string;
    readonly membership: { readonly members: readonly { readonly id: string; readonly role: string }[] };
  };
  request(to: string, method: string, body: Uint8Array, options: { readonly timeoutMs: number }): Promise<Uint8Array>;
  transferLeadership(to?: string): Promise<void>;
}

export interface HashCheckOptions {
  readonly peers: HashCheckPeers;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly checkMs: number;
  readonly execute: (command: Command) => Promise<unknown>;
}

export class HashCheck {
  readonly #options: HashCheckOptions;
  readonly #counts = { agreed: 0, differed: 0, failed: 0, undecided: 0 };
  #cancel: (() => void) | undefined;
  /** Counts starts and stops, so that a round of an earlier leadership does nothing more. */
  #era = 0;

  constructor(options: HashCheckOptions) {
    this.#options = options;
  }

  get counts(): HashCheckCounts {
    return { ...this.#counts };
  }

  /** This member leads. */
  start(): void {
    this.stop();
    this.#arm(this.#era);
  }

  stop(): void {
    this.#era++;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Answers what the leader asks. */
  register(methods: PeerMethods): void {
    methods.on(HASH_METHOD, async body => this.#answerHash(new ByteReader(body).count()));
    methods.on(DIVERGED_METHOD, () => this.#heardVerdict());
  }

  /** Compares all members now. Never rejects. */
  async round(): Promise<Verdict | undefined> {
    const { peers, replica, logger } = this.#options;
    try {
      const { id: self, membership } = peers.status();
      const { revision } = replica.state;
      const own = replica.hashAt(revision);
      if (own === undefined) return undefined;
      const hashes = new Map([[self, own]]);
      const others = membership.members.filter(({ id }) => id !== self);
      await Promise.all(
        others.map(async ({ id }) => {
          const hash = await this.#ask(id, revision);
          if (hash === undefined) this.#counts.failed++;
          else {
            hashes.set(id, hash);
            if (hash === own) this.#counts.agreed++;
            else this.#counts.differed++;
          }
        }),
      );
      const voters = membership.members.filter(({ role }) => role === 'voter').map(({ id }) => id);
      const verdict = judgeHashes(hashes, voters);
      await this.#carryOut(verdict, { hashes, revision, isComplete: hashes.size === others.length + 1 });
      return verdict;
    } catch (error) {
      this.#counts.failed++;
      logger.warn({ error }, 'the members could not be compared');
      return undefined;
    }
  }

  #arm(era: number): void {
    const { clock, checkMs } = this.#options;
    this.#cancel = clock.setTimeout(() => {
      this.round().finally(() => {
        if (era === this.#era) this.#arm(era);
      });
    }, checkMs);
  }

  async #ask(id: string, revision: number): Promise<number | undefined> {
    const { peers, logger } = this.#options;
    const writer = new ByteWriter();
    writer.count(revision);
    try {
      const answer = await peers.request(id, HASH_METHOD, writer.take(), { timeoutMs: HASH_ANSWER_MS });
      const reader = new ByteReader(answer);
      return reader.byte() === HASH_FORMAT ? reader.uint32() : undefined;
    } catch (error) {
      logger.info({ member: id, revision, error }, 'a member could not be compared');
      return undefined;
    }
  }

  async #carryOut(
    verdict: Verdict,
    facts: { readonly hashes: ReadonlyMap<string, number>; readonly revision: number; readonly isComplete: boolean },
  ): Promise<void> {
    const { logger } = this.#options;
    const { hashes, revision, isComplete } = facts;
    switch (verdict.type) {
      case 'agreed':
        for (const id of hashes.keys()) await this.#disarm(id);
        if (isComplete) await this.#disarm('');
        return;
      case 'undecided':
        this.#counts.undecided++;
        logger.error(
          { revision, hashes: Object.fromEntries(hashes) },
          'members hold different data, and no majority agrees',
        );
        await this.#raise('');
        return;
      case 'differs':
        logger.error({ revision, odd: verdict.odd }, 'members hold other data than the majority');
        for (const id of verdict.odd) await this.#raise(id);
        await this.#disarm('');
        for (const id of verdict.odd) await this.#sendAway(id, verdict.right);
    }
  }

  async #sendAway(id: string, right: readonly string[]): Promise<void> {
    const { peers, replica } = this.#options;
    if (id !== peers.status().id) {
      // If it does not hear this, the next round tells it again.
      await peers.request(id, DIVERGED_METHOD, new Uint8Array(), { timeoutMs: HASH_ANSWER_MS }).catch(() => {});
      return;
    }
    // Handing over spares the others an election timeout; whether it works or not, this member goes.
    await peers.transferLeadership(right[0]).catch(() => {});
    await replica.condemn(divergedError());
  }

  async #answerHash(revision: number): Promise<Uint8Array> {
    const { replica, clock } = this.#options;
    const deadlineMs = clock.now() + HASH_WAIT_MS;
    while (replica.state.revision < revision && clock.now() < deadlineMs) {
      await new Promise<void>(resolve => clock.setTimeout(resolve, LOOK_AGAIN_MS));
    }
    const hash = replica.hashAt(revision);
    if (hash === undefined) throw new UnavailableError(`the hash at revision ${revision} is not known here`);
    const writer = new ByteWriter();
    writer.byte(HASH_FORMAT);
    writer.uint32(hash);
    return writer.take();
  }

  /** Believed only together with the alarm, which a majority has committed. */
  async #heardVerdict(): Promise<Uint8Array> {
    const { replica, peers } = this.#options;
    const { id } = peers.status();
    if (!replica.state.alarms.some(({ type, memberId }) => type === 'CORRUPT' && memberId === id)) {
      throw new UnavailableError('the alarm has not been applied here yet');
    }
    await replica.condemn(divergedError());
    return new Uint8Array();
  }

  async #raise(memberId: string): Promise<void> {
    const alarm: Alarm = { type: 'CORRUPT', memberId, cause: 'divergence' };
    if (!this.#isRaised(memberId)) await this.#options.execute({ type: 'alarm', action: 'raise', alarm });
  }

  async #disarm(memberId: string): Promise<void> {
    const filter: Alarm = { type: 'CORRUPT', memberId, cause: 'divergence' };
    if (this.#isRaised(memberId)) await this.#options.execute({ type: 'alarm', action: 'disarm', filter });
  }

  #isRaised(id: string): boolean {
    return this.#options.replica.state.alarms.some(({ type, memberId }) => type === 'CORRUPT' && memberId === id);
  }
}

function divergedError(): StateDivergedError {
  return new StateDivergedError(
    'this member’s data differs from what the majority holds: it is put aside and rebuilt from the others at the next start',
  );
}
