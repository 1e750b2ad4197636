/** Elections: one leader a term, one vote a member and term, also across crashes (thesis figure 3.2). */
import type { VoteRequest, VoteResponse } from '../../raft/core/messages.ts';
import type { MemberId } from '../../raft/index.ts';
import type { Coverage } from './coverage.ts';
import { type DurableLogs, lastIndexOf } from './durable-logs.ts';
import { SafetyViolation } from './safety-violation.ts';

export class ElectionJudge {
  readonly #coverage: Coverage;
  readonly #now: () => number;
  readonly #logs: DurableLogs;
  readonly #leaders = new Map<number, { readonly id: MemberId; readonly sinceMs: number }>();
  readonly #candidates = new Map<number, VoteRequest>();
  readonly #votes = new Map<MemberId, Map<number, MemberId>>();

  constructor(context: { readonly coverage: Coverage; readonly now: () => number; readonly logs: DurableLogs }) {
    this.#coverage = context.coverage;
    this.#now = context.now;
    this.#logs = context.logs;
  }

  /** Who led in a term, and since when it was heard to; undefined if nobody was. */
  leaderOf(term: number): { readonly id: MemberId; readonly sinceMs: number } | undefined {
    return this.#leaders.get(term);
  }

  /** A member speaks as a leader does. @throws {SafetyViolation} */
  leads(from: MemberId, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, { id: from, sinceMs: this.#now() });
      this.#coverage.note('leader elected');
    } else if (known.id !== from) throw new SafetyViolation(`${known.id} and ${from} both lead in term ${term}`);
  }

  /** A member asks for votes. */
  asked(request: VoteRequest): void {
    const known = this.#candidates.get(request.term);
    if (known === undefined || known.from === request.from) this.#candidates.set(request.term, request);
    else this.#coverage.note('candidates met');
  }

  /** A member gives its vote, or refuses it. @throws {SafetyViolation} */
  answered(response: VoteResponse): void {
    if (response.granted) this.#checkVote(response);
    else this.#noteRefusal(response);
  }

  #checkVote({ from, to, term }: VoteResponse): void {
    let votes = this.#votes.get(from);
    if (votes === undefined) {
      votes = new Map();
      this.#votes.set(from, votes);
    }
    const known = votes.get(term);
    if (known !== undefined && known !== to) {
      throw new SafetyViolation(`${from} voted for ${known} and for ${to} in term ${term}`);
    }
    votes.set(term, to);
  }

  #noteRefusal({ from, to, term }: VoteResponse): void {
    this.#coverage.note('vote refused');
    const request = this.#candidates.get(term);
    const log = this.#logs.get(from);
    if (request?.from !== to || log === undefined) return;
    const lastTerm = log.terms.at(-1) ?? 0;
    const isOlder =
      request.lastLogTerm < lastTerm || (request.lastLogTerm === lastTerm && request.lastLogIndex < lastIndexOf(log));
    if (isOlder) this.#coverage.note('vote refused for an older log');
  }
}
