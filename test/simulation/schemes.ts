/**
 * Misfortunes of several strokes, each of which waits for the one before to take effect. They lead a cluster to where a rule of
 * Raft makes a difference that it seldom makes: chance alone would need thousands of runs for the same. They know the members'
 * roles and what they say, not how they work, and break nothing that the other misfortunes do not break too.
 */
import type { Message } from '../../raft/core/messages.ts';
import type { MemberId } from '../../raft/index.ts';
import type { SimulatedMember } from './member.ts';
import { type DiskFaults, GOOD_DISK } from './member-disk.ts';
import type { Stage } from './misfortunes.ts';
import { pick } from './random.ts';

/** One that is under way. */
export interface Scheme {
  /** A message leaves a member. */
  said(message: Message): void;
  /** It is over. */
  pass(): void;
}

/** Crashes a member now, and has it back soon. */
export type Crash = (member: SimulatedMember, downMs: number) => void;

const QUICK_RESTART_MS_MAX = 20;
/** How long a write may take while votes are cast, in election timeouts. */
const SLOW_WRITE_TIMEOUTS = 0.8;

/**
 * A leader is parted from all others and goes on writing; another is elected, and parted before its first word gets out; the
 * first one comes back, and finds entries of its own that nobody has beside one of a later term (thesis figure 3.7).
 */
export function seesaw(stage: Stage): Scheme | undefined {
  const { members, coverage, trace } = stage;
  const first = members.find(({ isLeading }) => isLeading);
  if (first === undefined) return undefined;
  const term = first.node?.status().term ?? 0;
  trace?.(`${first.name} is parted from all`);
  const parting = new Parting(stage);
  parting.part([first], members);
  let isDeposed = false;
  return {
    said({ type, from, term: saidIn }) {
      if (isDeposed || type !== 'appendRequest' || from === first.id || saidIn <= term) return;
      isDeposed = true;
      coverage.note('leader parted before its first word');
      trace?.(`${from} is parted from all, ${first.name} comes back`);
      parting.end();
      parting.part(
        members.filter(({ id }) => id === from),
        members,
      );
    },
    pass: () => parting.end(),
  };
}

/**
 * The leader dies and is back at once. Some disks take their time, so that of two candidates one asks long after the other;
 * whoever told its vote dies at that moment, and may be asked again in the same term.
 */
export function duel(stage: Stage, crash: Crash): Scheme | undefined {
  const { members, random, shape, clock, coverage } = stage;
  const leader = members.find(({ isLeading }) => isLeading);
  if (leader === undefined) return undefined;
  const slow = members.filter(() => random() < 0.5);
  const writeMsMax = random() * SLOW_WRITE_TIMEOUTS * shape.electionTimeoutMs;
  for (const member of slow) member.disk.faults = { ...member.disk.faults, writeMsMax };
  crash(leader, random() * QUICK_RESTART_MS_MAX);
  let newestTerm = 0;
  return {
    said(message) {
      const isVote = message.type === 'voteResponse' && message.granted;
      const isBeginning = message.type === 'appendRequest' && message.term > newestTerm;
      if (isBeginning) newestTerm = message.term;
      if (!(isVote || isBeginning) || random() < 0.5) return;
      const member = members.find(({ id }) => id === message.from);
      if (member === undefined) return;
      if (isVote) coverage.note('crash of a voter between two candidates');
      clock.setTimeout(
        () => crash(member, random() * QUICK_RESTART_MS_MAX),
        isVote ? 0 : random() * shape.electionTimeoutMs,
      );
    },
    pass() {
      for (const member of slow) member.disk.faults = { ...member.disk.faults, writeMsMax: GOOD_DISK.writeMsMax };
    },
  };
}

/**
 * A leader, and of five or more members one of its followers with it, is parted from the others, and the disk of one of the two
 * stands still with the next entry, which the others never see. They elect another; who waits for its disk hears that one, is
 * made to cut what it is still writing, and only then its disk goes on.
 */
export function deposed(stage: Stage): Scheme | undefined {
  const { members, random, shape, clock, coverage, network, reference, trace } = stage;
  const leader = members.find(({ isLeading }) => isLeading);
  if (leader === undefined) return undefined;
  const canSpareTwo = reference.voters.length >= 5;
  const followers = members.filter(member => member.isAlive && !member.isRemoved && member !== leader);
  const victim = canSpareTwo && random() < 0.7 ? pick(random, followers) : leader;
  if (victim === undefined) return undefined;
  const others = members.filter(member => member !== leader && member !== victim);
  const term = leader.node?.status().term ?? 0;
  const { promise: stall, resolve: goOn } = Promise.withResolvers<void>();
  trace?.(`${leader.name} and ${victim.name} are parted from the others`);
  const parting = new Parting(stage);
  parting.part([leader, victim], others);
  let isWriting = false;
  let isHeard = false;
  let isDeposed = false;
  const release = () => {
    goOn();
    victim.disk.faults = withoutStalls(victim.disk.faults);
  };
  return {
    said(message) {
      if (message.from === leader.id) {
        // It sends before it writes itself, so the write that stands still is the one of this entry.
        if (isWriting || !bringsEntries(message) || (victim !== leader && message.to !== victim.id)) return;
        isWriting = true;
        trace?.(`the disk of ${victim.name} stands still`);
        victim.disk.faults = { ...victim.disk.faults, stall };
      } else if (isWriting && !isHeard && message.type === 'voteResponse' && message.granted && message.term > term) {
        // The next leader is heard from its first word on; of a leader and a follower, the one before hears of nothing.
        isHeard = true;
        parting.end();
        if (victim !== leader) parting.part([leader], others);
      } else if (isHeard && !isDeposed && message.to === victim.id && message.type === 'appendRequest') {
        isDeposed = true;
        coverage.note('unwritten entries of a deposed leader');
        clock.setTimeout(release, network.faults.delayMsMax + random() * shape.electionTimeoutMs);
      }
    },
    pass() {
      parting.end();
      release();
    },
  };
}

/**
 * A leader is asked for two removals at once, and parted from all others the moment it takes one up. Should it take up both, it
 * could be left with itself for a majority, while the others, who know of nothing, elect another.
 */
export function rush(stage: Stage): Scheme | undefined {
  const { members, operator, coverage, trace } = stage;
  const leader = members.find(({ isLeading }) => isLeading);
  if (leader === undefined || !operator.removeTwoOthers(leader)) return undefined;
  trace?.(`${leader.name} is asked for two removals at once`);
  const parting = new Parting(stage);
  let isParted = false;
  return {
    said(message) {
      if (isParted || message.from !== leader.id || message.type !== 'appendRequest') return;
      if (!message.entries.some(({ kind }) => kind === 'membership')) return;
      isParted = true;
      coverage.note('leader parted with a membership of its own');
      parting.part([leader], members);
    },
    pass: () => parting.end(),
  };
}

/**
 * A follower has lost its state, and is sent a snapshot, while its log takes entries that its disk does not take: the snapshot
 * reaches further than the log on disk. Soon after the state has it, the follower dies.
 */
export function overtaken({ operator, clock, trace }: Stage, follower: SimulatedMember): Scheme {
  const { promise: logStall, resolve: goOn } = Promise.withResolvers<void>();
  follower.crash();
  follower.damage('state');
  trace?.(`${follower.name} has lost its state; the disk of its log stands still`);
  follower.disk.faults = { ...follower.disk.faults, logStall };
  follower.ambush = { point: 'crash at afterRestore', chance: 1 };
  clock.setTimeout(() => operator.revive(follower), QUICK_RESTART_MS_MAX);
  return {
    said() {},
    pass() {
      goOn();
      follower.disk.faults = withoutStalls(follower.disk.faults);
      follower.ambush = undefined;
      operator.revive(follower);
    },
  };
}

function bringsEntries(message: Message): boolean {
  return message.type === 'appendRequest' && message.entries.length > 0;
}

function withoutStalls({ stall: _, logStall: __, ...faults }: DiskFaults): DiskFaults {
  return faults;
}

/** Ways that one scheme has cut. */
class Parting {
  readonly #network: Stage['network'];
  readonly #ways: [MemberId, MemberId][] = [];

  constructor({ network }: Stage) {
    this.#network = network;
  }

  /** Nothing passes between these and those any more. */
  part(these: readonly SimulatedMember[], those: readonly SimulatedMember[]): void {
    for (const one of these) {
      for (const other of those) if (one !== other) this.#ways.push([one.id, other.id], [other.id, one.id]);
    }
    for (const [from, to] of this.#ways) this.#network.cut(from, to);
  }

  end(): void {
    for (const [from, to] of this.#ways.splice(0)) this.#network.mend(from, to);
  }
}
