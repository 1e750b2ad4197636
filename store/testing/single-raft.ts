/** A Raft group of one without a log: commits what is proposed in the next turn. For tests of what stands on Raft. */
import type { Membership, StateMachine } from '../../raft/index.ts';
import {
  type Leadership,
  MembershipRefusedError,
  NotLeaderError,
  OutcomeUnknownError,
  type RaftNode,
  type RaftStatus,
} from '../../raft/index.ts';

/** What happens to the next proposals or barriers, first come first served. */
export type Mishap = 'dropped' | 'lost' | 'doneButLost';

const MEMBER = { id: '00000000000000aa', name: 'single', peerAddress: '', clientUrl: '', role: 'voter' } as const;
const MEMBERSHIP: Membership = { clusterId: '00000000000000cc', members: [MEMBER] };

const staysAlone = (): Promise<never> => Promise.reject(new MembershipRefusedError('a group of one stays alone'));

export class SingleRaft<Result> implements RaftNode<Result> {
  readonly #stateMachine: StateMachine<Result>;
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  #index = 0;
  #term = 1;
  #queue: { data: Uint8Array; resolve: (result: Result) => void }[] = [];
  /** Barriers that were asked for. */
  barriers = 0;
  readonly mishaps: Mishap[] = [];
  /** How many committed entries the status says are not applied. */
  lag = 0;
  /** Sees each command that is committed. */
  observe: (data: Uint8Array) => void = () => {};
  #isHeld = false;

  constructor(stateMachine: StateMachine<Result>) {
    this.#stateMachine = stateMachine;
  }

  async start(): Promise<void> {
    this.#index = (await this.#stateMachine.open()).appliedIndex;
    this.#announce();
  }

  /** A new leadership begins. */
  setTerm(term: number): void {
    this.#term = term;
    this.#announce();
  }

  /** Commits nothing until it is released. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#commit();
  }

  async propose(data: Uint8Array): Promise<Result> {
    const mishap = this.mishaps.shift();
    if (mishap === 'dropped') throw new NotLeaderError('nobody leads');
    if (mishap === 'lost') throw new OutcomeUnknownError('the answer was lost');
    const result = await new Promise<Result>(resolve => {
      this.#queue.push({ data, resolve });
      if (this.#queue.length === 1) queueMicrotask(() => this.#commit());
    });
    if (mishap === 'doneButLost') throw new OutcomeUnknownError('the answer was lost');
    return result;
  }

  async readBarrier(): Promise<number> {
    this.barriers++;
    if (this.mishaps.shift() !== undefined) throw new NotLeaderError('nobody leads');
    return this.#index;
  }

  status(): RaftStatus {
    return {
      id: MEMBER.id,
      clusterId: MEMBERSHIP.clusterId,
      role: 'leader',
      term: this.#term,
      leader: MEMBER.id,
      commitIndex: this.#index + this.lag,
      appliedIndex: this.#index,
      lastIndex: this.#index,
      membership: MEMBERSHIP,
      pendingProposals: this.#queue.length,
      logBytes: 0,
      appendingMs: 0,
    };
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#leadership());
    return () => this.#listeners.delete(listener);
  }

  addLearner = staysAlone;
  promoteMember = staysAlone;
  addMember = staysAlone;
  removeMember = staysAlone;
  replaceMember = staysAlone;
  updateMember = staysAlone;
  transferLeadership = staysAlone;
  request = staysAlone;

  async close(): Promise<void> {
    await this.#stateMachine.close();
  }

  #commit(): void {
    if (this.#isHeld) return;
    const proposals = this.#queue;
    this.#queue = [];
    for (const { data } of proposals) this.observe(data);
    const commands = proposals.map(({ data }) => ({ index: ++this.#index, term: this.#term, data }));
    const results = this.#stateMachine.apply(commands, this.#index);
    for (const [position, result] of results.entries()) proposals[position]?.resolve(result);
  }

  #leadership(): Leadership {
    return { isLeader: true, term: this.#term, leader: MEMBER.id };
  }

  #announce(): void {
    for (const listener of this.#listeners) listener(this.#leadership());
  }
}
