/**
 * Cores wired together by hand, for tests that tell a story message by message: what is written becomes durable at once
 * unless a test holds a disk up, and messages wait until the test lets them through.
 */
import assert from 'node:assert';
import type { MembershipCodec } from '../membership.ts';
import type { Message } from '../messages.ts';
import { type CoreOptions, RaftCore } from '../raft.ts';
import type { PersistRequest, ReadState } from '../ready.ts';
import type { Entry, HardState, MemberId, Membership, MembershipEntry } from '../types.ts';

export const ELECTION_TICKS = 10;

export const jsonCodec: MembershipCodec = {
  encode: membership => Buffer.from(JSON.stringify(membership)),
  decode: data => JSON.parse(Buffer.from(data).toString()) as Membership,
};

export function member(id: MemberId, role: MembershipEntry['role'] = 'voter'): MembershipEntry {
  return { id, name: `name-${id}`, peerAddress: `${id}:1`, clientUrl: `https://${id}`, role };
}

export function membershipOf(...members: readonly (MemberId | MembershipEntry)[]): Membership {
  return {
    clusterId: 'test',
    members: members.map(entry => (typeof entry === 'string' ? member(entry) : entry)),
  };
}

/** A log as `term` per entry, such as [1, 1, 2]. */
export function entriesOf(...terms: readonly number[]): Entry[] {
  return terms.map((term, offset) => ({
    index: offset + 1,
    term,
    kind: 'command',
    data: Buffer.from(`${offset + 1}@${term}`),
  }));
}

/** One core with its disk and its state machine. */
export class TestMember {
  readonly core: RaftCore;
  readonly #options: Partial<CoreOptions> & { id: MemberId; membership: Membership };
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];
  snapshotsWanted: readonly MemberId[] = [];
  /** While true, nothing becomes durable. */
  isDiskHeld = false;
  hardState: HardState;
  readonly #held: PersistRequest[] = [];

  constructor(options: Partial<CoreOptions> & { id: MemberId; membership: Membership }) {
    this.#options = options;
    this.hardState = options.hardState ?? { term: 0, votedFor: undefined, commit: 0 };
    this.core = new RaftCore({
      hardState: this.hardState,
      snapshot: { index: 0, term: 0, membership: options.membership },
      entries: [],
      appliedIndex: 0,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 1,
      random: () => 0,
      codec: jsonCodec,
      ...options,
    });
  }

  /** Does all that is due; answers what is to be sent. */
  pump(): Message[] {
    const sent: Message[] = [];
    for (;;) {
      const ready = this.core.ready();
      sent.push(...ready.messages);
      this.reads.push(...ready.reads);
      this.snapshotsWanted = ready.snapshotsWanted;
      if (ready.persist !== undefined) {
        this.#held.push(ready.persist);
        if (!this.isDiskHeld) sent.push(...this.#release());
      }
      this.applied.push(...ready.committed);
      const last = ready.committed.at(-1);
      if (last !== undefined) this.core.advance({ applied: last.index });
      if (ready.messages.length === 0 && last === undefined && (ready.persist === undefined || this.isDiskHeld))
        return sent;
    }
  }

  /** A new life with what was on disk: all of the log, since nothing is held up here. */
  restarted(): TestMember {
    assert(!this.isDiskHeld, 'the disk has everything');
    const { startIndex, lastIndex, appliedIndex } = this.core.status();
    const entries = Array.from({ length: lastIndex - startIndex }, (_, offset) => {
      const entry = this.core.entryAt(startIndex + 1 + offset);
      assert(entry !== undefined);
      return entry;
    });
    const snapshot = this.core.snapshotMetadata(startIndex);
    assert(snapshot !== undefined);
    return new TestMember({ ...this.#options, hardState: this.hardState, snapshot, entries, appliedIndex });
  }

  releaseDisk(): Message[] {
    this.isDiskHeld = false;
    return [...this.#release(), ...this.pump()];
  }

  #release(): Message[] {
    return this.#held.splice(0).flatMap(request => {
      this.hardState = request.hardState ?? this.hardState;
      this.core.advance({ persisted: request.sequence });
      return request.messages;
    });
  }

  get terms(): (number | undefined)[] {
    const { startIndex, lastIndex } = this.core.status();
    return Array.from(
      { length: lastIndex - startIndex },
      (_, offset) => this.core.entryAt(startIndex + 1 + offset)?.term,
    );
  }
}

export class TestCluster {
  readonly members = new Map<MemberId, TestMember>();
  readonly #cut = new Set<MemberId>();
  /** Messages that a test filters out. */
  drops: (message: Message) => boolean = () => false;

  constructor(...members: readonly TestMember[]) {
    for (const each of members) this.members.set(each.core.id, each);
  }

  static of(...ids: readonly MemberId[]): TestCluster {
    return new TestCluster(...ids.map(id => new TestMember({ id, membership: membershipOf(...ids) })));
  }

  get(id: MemberId): TestMember {
    const found = this.members.get(id);
    assert(found !== undefined, `there is a member ${id}`);
    return found;
  }

  isolate(...ids: readonly MemberId[]): void {
    for (const id of ids) this.#cut.add(id);
  }

  restart(id: MemberId): TestMember {
    const member = this.get(id).restarted();
    this.members.set(id, member);
    return member;
  }

  heal(): void {
    this.#cut.clear();
  }

  /** Lets messages through until there are none. */
  settle(): void {
    for (let round = 0; round < 1_000; round++) {
      const messages = [...this.members.values()].flatMap(each => each.pump());
      if (messages.length === 0) return;
      for (const message of messages) this.deliver(message);
    }
    assert.fail('the members talk without end');
  }

  deliver(message: Message): void {
    if (this.#cut.has(message.from) || this.#cut.has(message.to) || this.drops(message)) return;
    this.members.get(message.to)?.core.step(message);
  }

  tick(ticks: number, ids: readonly MemberId[] = [...this.members.keys()]): void {
    for (let tick = 0; tick < ticks; tick++) {
      for (const id of ids) this.get(id).core.tick();
      this.settle();
    }
  }

  /** Makes a member the leader, by its election timeout. */
  elect(id: MemberId): TestMember {
    this.settle();
    for (let tick = 0; tick < 5 * ELECTION_TICKS && this.get(id).core.status().role !== 'leader'; tick++) {
      this.get(id).core.tick();
      this.settle();
    }
    assert.equal(this.get(id).core.status().role, 'leader');
    return this.get(id);
  }

  propose(id: MemberId, text: string): void {
    const result = this.get(id).core.propose(Buffer.from(text));
    assert(result.accepted, 'the proposal is accepted');
  }

  get leaders(): MemberId[] {
    return [...this.members].filter(([, each]) => each.core.status().role === 'leader').map(([id]) => id);
  }
}

export function commandsOf(each: TestMember): string[] {
  return each.applied.filter(entry => entry.kind === 'command').map(entry => Buffer.from(entry.data).toString());
}
