/** How a core changes its role (thesis figure 3.3). */
import assert from 'node:assert';
import { entryBytes } from './log.ts';
import { Progress } from './progress.ts';
import type { CoreState } from './state.ts';
import type { Entry, EntryKind, MemberId } from './types.ts';

const NO_DATA = new Uint8Array(0);

export function becomeFollower(state: CoreState, term: number, leader: MemberId | undefined): void {
  if (term > state.term) enterTerm(state, term);
  state.role = 'follower';
  state.leader = leader;
  state.leading = undefined;
  restartElectionTimer(state);
}

/** Asks around without touching the term, so that a member that cannot win disturbs nobody (thesis 9.6). */
export function becomePreCandidate(state: CoreState): void {
  assert(state.role !== 'leader', 'a leader does not campaign');
  state.role = 'preCandidate';
  state.leader = undefined;
  state.votes = new Map();
  restartElectionTimer(state);
}

export function becomeCandidate(state: CoreState): void {
  assert(state.role !== 'leader', 'a leader does not campaign');
  enterTerm(state, state.term + 1);
  state.role = 'candidate';
  state.leader = undefined;
  state.votedFor = state.settings.id;
  state.votes = new Map();
  restartElectionTimer(state);
}

export function becomeLeader(state: CoreState): void {
  assert(state.role === 'candidate', 'only a candidate is elected');
  assert(state.durable.term === state.term, 'a leader has its own vote on disk');
  const { log, settings } = state;
  state.role = 'leader';
  state.leader = settings.id;
  state.leading = {
    progress: new Map(),
    termStartIndex: log.lastIndex + 1,
    heartbeatElapsed: 0,
    quorumElapsed: 0,
    transfer: undefined,
    uncommittedBytes: 0,
    readContext: 0,
    pendingReads: [],
  };
  trackMembers(state);
  // What earlier terms left uncommitted still counts against the bound.
  for (let index = log.commitIndex + 1; index <= log.lastIndex; index++) {
    const entry = log.entryAt(index);
    if (entry !== undefined) state.leading.uncommittedBytes += entryBytes(entry);
  }
  // A leader learns what is committed only by committing an entry of its own term (thesis 3.6.2, 6.4).
  appendOwn(state, 'noop', NO_DATA);
}

/** Appends an entry of this leader's term to its own log; replication and the disk follow in `ready`. */
export function appendOwn(state: CoreState, kind: EntryKind, data: Uint8Array): Entry {
  const { log, leading } = state;
  assert(leading !== undefined, 'only a leader appends');
  const entry: Entry = { index: log.lastIndex + 1, term: state.term, kind, data };
  log.append(entry);
  leading.uncommittedBytes += entryBytes(entry);
  if (state.memberships.noteAppended(entry)) trackMembers(state);
  return entry;
}

/** Brings the leader's list of members in line with the membership in force. */
function trackMembers(state: CoreState): void {
  const { leading, log, memberships, settings } = state;
  if (leading === undefined) return;
  const members = memberships.current.members;
  for (const id of leading.progress.keys()) if (!members.has(id)) leading.progress.delete(id);
  for (const id of members.keys()) {
    if (id === settings.id || leading.progress.has(id)) continue;
    const progress = new Progress(log.lastIndex + 1);
    // Until the first quorum check nobody is suspected.
    progress.isActive = true;
    leading.progress.set(id, progress);
  }
}

function enterTerm(state: CoreState, term: number): void {
  assert(term > state.term, 'terms only rise');
  assert(Number.isSafeInteger(term));
  state.term = term;
  state.votedFor = undefined;
  // An acknowledgement of the old term that is not durable yet may never become so: the new leader may cut its entry.
  state.blocked = [];
}

function restartElectionTimer(state: CoreState): void {
  const { electionTicks, random } = state.settings;
  state.electionElapsed = 0;
  state.electionTimeout = electionTicks + Math.floor(random() * electionTicks);
}
