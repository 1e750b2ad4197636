/** Elections: pre-vote, vote, leader stickiness, and campaigns on behalf of a leadership transfer. */
import type { VoteRequest, VoteResponse } from './messages.ts';
import { voteResult } from './quorum.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts';
import { type CoreState, hasLiveLeader, isPromotable, sendDurably } from './state.ts';

/** The election timeout passed, or a leader asked to be replaced. Does nothing if this member must not lead. */
export function campaign(state: CoreState, kind: 'preVote' | 'vote' | 'transfer'): void {
  if (!isPromotable(state)) return;
  if (kind === 'preVote') becomePreCandidate(state);
  else becomeCandidate(state);
  const { log, memberships, settings } = state;
  const isPreVote = kind === 'preVote';
  const term = isPreVote ? state.term + 1 : state.term;
  for (const to of memberships.current.voters) {
    if (to === settings.id) continue;
    const request: VoteRequest = {
      type: isPreVote ? 'preVoteRequest' : 'voteRequest',
      from: settings.id,
      to,
      term,
      lastLogIndex: log.lastIndex,
      lastLogTerm: log.lastTerm,
      transfer: kind === 'transfer',
    };
    // A pre-vote promises nothing. A vote request says that this member voted for itself: that must be on disk.
    if (isPreVote) state.outbox.push(request);
    else sendDurably(state, request);
  }
  if (isPreVote) noteVote(state, settings.id, true);
  else sendDurably(state, { type: 'voteResponse', from: settings.id, to: settings.id, term, granted: true });
}

/** A request in this member's own or (a pre-vote only) a higher term. */
export function handleVoteRequest(state: CoreState, request: VoteRequest): void {
  const { log } = state;
  const isUpToDate = log.isUpToDate(request.lastLogIndex, request.lastLogTerm);
  if (request.type === 'preVoteRequest') {
    const granted = request.term > state.term && isUpToDate && (request.transfer || !hasLiveLeader(state));
    answerPreVote(state, request, granted);
    return;
  }
  const isFree = state.votedFor === undefined ? state.leader === undefined : state.votedFor === request.from;
  const granted = isFree && isUpToDate;
  if (granted) {
    state.votedFor = request.from;
    // Only a real vote puts off the own campaign; a pre-vote must not (hashicorp/raft #609).
    state.electionElapsed = 0;
  }
  sendDurably(state, {
    type: 'voteResponse',
    from: state.settings.id,
    to: request.from,
    term: state.term,
    granted,
  });
}

/** A request of an older term: the answer's term tells the sender to catch up. */
export function refuseStaleVoteRequest(state: CoreState, request: VoteRequest): void {
  if (request.type === 'preVoteRequest') {
    answerPreVote(state, request, false);
    return;
  }
  sendDurably(state, {
    type: 'voteResponse',
    from: state.settings.id,
    to: request.from,
    term: state.term,
    granted: false,
  });
}

export function handleVoteResponse(state: CoreState, response: VoteResponse): void {
  const isPreVote = response.type === 'preVoteResponse';
  if (isPreVote && (state.role !== 'preCandidate' || (response.granted && response.term !== state.term + 1))) return;
  if (!isPreVote && state.role !== 'candidate') return;
  noteVote(state, response.from, response.granted);
}

function noteVote(state: CoreState, from: string, granted: boolean): void {
  if (!state.votes.has(from)) state.votes.set(from, granted);
  const result = voteResult(state.memberships.current.voterSets, state.votes);
  if (result === 'lost') becomeFollower(state, state.term, undefined);
  if (result !== 'won') return;
  if (state.role === 'preCandidate') campaign(state, 'vote');
  else becomeLeader(state);
}

function answerPreVote(state: CoreState, request: VoteRequest, granted: boolean): void {
  // Promises nothing, so it waits for no disk.
  state.outbox.push({
    type: 'preVoteResponse',
    from: state.settings.id,
    to: request.from,
    // A grant speaks of the term asked for; a refusal tells the own one, so that the asker can catch up.
    term: granted ? request.term : state.term,
    granted,
  });
}
