/**
 * What befalls a cluster. Each misfortune strikes, lasts for a while and passes; a seed knows some kinds and not others
 * (`shape.ts`). Damage to disks is dealt out so that of each committed entry a good copy stays (`Reference.canSpare`), as in
 * TigerBeetle's fault atlas: without one nobody could do anything.
 */
import type { Message } from '../../raft/core/messages.ts';
import type { MemoryNetwork } from '../../raft/transport/memory.ts';
import { type Coverage, EVENT_NAMES } from './coverage.ts';
import { failDisk, fillDisk, hangDisk, slowDisk } from './disk-misfortunes.ts';
import type { DeathPoint, SimulatedMember } from './member.ts';
import { clog, cutOneWay, disturb, partition } from './network-misfortunes.ts';
import type { Operator } from './operator.ts';
import { pick, type Random, shuffled } from './random.ts';
import type { Reference } from './reference.ts';
import { deposed, duel, overtaken, rush, type Scheme, seesaw } from './schemes.ts';
import type { Misfortune, Shape } from './shape.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface Stage {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly network: MemoryNetwork;
  readonly members: readonly SimulatedMember[];
  readonly reference: Reference;
  readonly coverage: Coverage;
  readonly shape: Shape;
  readonly operator: Operator;
  readonly trace: ((line: string) => void) | undefined;
}

/** How often each kind strikes, compared to the others. */
const WEIGHTS: Readonly<Record<Misfortune, number>> = {
  crash: 3,
  crashAll: 0.5,
  strike: 2,
  crashPoint: 1.5,
  pause: 2,
  partition: 2,
  oneWay: 1.5,
  clog: 1.5,
  loss: 1,
  duplication: 1,
  late: 1,
  slowDisk: 1,
  hangingDisk: 0.5,
  failingDisk: 0.5,
  damage: 0.7,
  transfer: 1.5,
  membership: 2,
  seesaw: 1,
  duel: 1,
  deposed: 1,
  overtaken: 1,
  rush: 1,
  rollback: 1,
  divergence: 0.7,
  fullDisk: 0.5,
};
/** What comes in several strokes gets so many election timeouts, whatever the shape says. */
const SCHEME_TIMEOUTS = 10;
/** How old the copy is at most that a disk is rolled back to, and how long nothing else happens then. */
const ROLLBACK_TIMEOUTS = 6;
const TRUCE_TIMEOUTS = 2;
/** A process that died is back after this at the latest. */
const DOWN_MS_MAX = 1_500;
const QUICK_RESTART_MS_MAX = 60;
/** Delays while votes and new leaders are struck at, as a part of an election timeout. */
const STRIKE_DELAY_PART = 0.4;
/** Once there have been so many members, no more disks are damaged. */
const MEMBERS_MAX = 14;
const CRASH_POINT_CHANCE_MAX = 0.15;
/** On the way of a snapshot into a member. */
const SELDOM_POINTS: ReadonlySet<DeathPoint> = new Set([
  'crash at beforeRestore',
  'crash at beforeReset',
  'crash at afterReset',
  'crash at afterRestore',
]);
const SELDOM_POINT_CHANCE = 0.03;
const DEATH_POINTS = EVENT_NAMES.filter((name): name is DeathPoint => name.startsWith('crash at '));

export class Misfortunes {
  readonly #stage: Stage;
  readonly #known: readonly Misfortune[];
  readonly #under = new Set<() => void>();
  #isOver = false;
  /** Nothing else befalls anybody for the moment. */
  #isTruce = false;
  readonly #schemes = new Set<Scheme>();
  #newestTerm = 0;
  /** Votes and beginnings of leaders are struck at while this is above zero. */
  #strikes = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#known = [...stage.shape.misfortunes];
  }

  begin(): void {
    if (this.#known.length === 0) return;
    const { clock, random, shape } = this.#stage;
    clock.setTimeout(() => {
      if (this.#isOver) return;
      if (!this.#isTruce) this.#strike(this.#draw());
      this.begin();
    }, random() * shape.betweenMsMax);
  }

  /** Everything heals. */
  end(): void {
    this.#isOver = true;
    for (const pass of [...this.#under]) pass();
    this.#stage.network.heal();
  }

  /** Says whether a member dies at a place that is reached too seldom for an ambush to wait there at the right time. */
  strikesAt(member: SimulatedMember, point: DeathPoint): boolean {
    const { random, clock, operator } = this.#stage;
    if (this.#isTruce || !SELDOM_POINTS.has(point) || random() >= SELDOM_POINT_CHANCE) return false;
    clock.setTimeout(() => operator.revive(member), random() * DOWN_MS_MAX);
    return true;
  }

  /** A message leaves a member: strikes where it hurts most, at who has just voted, or has just begun to lead. */
  said(message: Message): void {
    const isBeginning = message.type === 'appendRequest' && message.term > this.#newestTerm;
    if (isBeginning) this.#newestTerm = message.term;
    for (const scheme of this.#schemes) scheme.said(message);
    if (this.#strikes === 0) return;
    const { random, coverage, clock } = this.#stage;
    const isVote = message.type === 'voteResponse' && message.granted;
    if (!(isVote && random() < 0.3) && !(isBeginning && random() < 0.4)) return;
    const member = this.#stage.members.find(({ id }) => id === message.from);
    if (member === undefined) return;
    // A vote is told, and forgotten a moment later; a leader gets some of its entries out.
    clock.setTimeout(
      () => {
        if (this.#isOver || !member.isAlive) return;
        coverage.note(isVote ? 'crash after a vote' : 'crash of a new leader');
        this.#crash(member, random() * QUICK_RESTART_MS_MAX);
      },
      isVote ? 0 : random() * this.#stage.shape.electionTimeoutMs,
    );
  }

  #draw(): Misfortune {
    const { random } = this.#stage;
    let left = random() * this.#known.reduce((sum, name) => sum + WEIGHTS[name], 0);
    for (const name of this.#known) {
      left -= WEIGHTS[name];
      if (left < 0) return name;
    }
    return this.#known[0] ?? 'crash';
  }

  #strike(name: Misfortune): void {
    const pass = this.#kinds[name]();
    if (pass === undefined) return;
    const { random, shape } = this.#stage;
    this.#passesAfter(random() * shape.lastingMsMax, pass);
  }

  #passesAfter(lastingMs: number, pass: () => void): void {
    let isPassed = false;
    const once = () => {
      if (isPassed) return;
      isPassed = true;
      this.#under.delete(once);
      pass();
    };
    this.#under.add(once);
    this.#stage.clock.setTimeout(once, lastingMs);
  }

  /** One at a time: two would cut through each other. */
  #begin(plan: () => Scheme | undefined): undefined {
    const scheme = this.#schemes.size > 0 ? undefined : plan();
    if (scheme === undefined) return;
    this.#schemes.add(scheme);
    this.#passesAfter(SCHEME_TIMEOUTS * this.#stage.shape.electionTimeoutMs, () => {
      this.#schemes.delete(scheme);
      scheme.pass();
    });
  }

  /** Each strikes, and answers how it passes, if it lasts. */
  readonly #kinds: Readonly<Record<Misfortune, () => (() => void) | undefined>> = {
    crash: () => this.#crashOne(),
    crashAll: () => this.#crashAll(),
    strike: () => this.#strikeForAWhile(),
    crashPoint: () => this.#armCrashPoint(),
    pause: () => this.#pause(),
    partition: () => partition(this.#stage),
    oneWay: () => cutOneWay(this.#stage),
    clog: () => clog(this.#stage),
    loss: () => disturb(this.#stage, { loss: this.#stage.random() * 0.3 }),
    duplication: () => disturb(this.#stage, { duplication: this.#stage.random() * 0.4 }),
    late: () =>
      disturb(this.#stage, { late: this.#stage.random() * 0.1, lateMsMax: 5 * this.#stage.shape.electionTimeoutMs }),
    slowDisk: () => this.#toSome(member => slowDisk(this.#stage, member)),
    hangingDisk: () =>
      this.#toSome(
        member => hangDisk(member, () => this.#crash(member, QUICK_RESTART_MS_MAX)),
        ({ isAlive }) => isAlive,
      ),
    failingDisk: () => this.#toSome(member => failDisk(this.#stage, member)),
    damage: () => this.#damage(),
    transfer: () => this.#stage.operator.transfer(),
    membership: () => this.#stage.operator.changeMembership(),
    seesaw: () => this.#begin(() => seesaw(this.#stage)),
    duel: () => this.#begin(() => duel(this.#stage, (member, downMs) => this.#crashIfChaos(member, downMs))),
    deposed: () => this.#begin(() => deposed(this.#stage)),
    rush: () => this.#begin(() => rush(this.#stage)),
    overtaken: () => this.#begin(() => this.#overtake()),
    rollback: () => this.#begin(() => this.#rollback()),
    divergence: () => this.#diverge(),
    fullDisk: () => this.#toSome(fillDisk),
  };

  #pickMember(isFit: (member: SimulatedMember) => boolean = () => true): SimulatedMember | undefined {
    return pick(
      this.#stage.random,
      this.#stage.members.filter(member => !member.isRemoved && !member.isLost && isFit(member)),
    );
  }

  /** Strikes one member, if there is one. */
  #toSome(
    strike: (member: SimulatedMember) => (() => void) | undefined,
    isFit?: (member: SimulatedMember) => boolean,
  ): (() => void) | undefined {
    const member = this.#pickMember(isFit);
    return member === undefined ? undefined : strike(member);
  }

  #crash(member: SimulatedMember, downMs: number): void {
    if (!member.isAlive) return;
    member.crash();
    this.#stage.clock.setTimeout(() => this.#stage.operator.revive(member), downMs);
  }

  #crashIfChaos(member: SimulatedMember, downMs: number): void {
    if (!this.#isOver) this.#crash(member, downMs);
  }

  #crashOne(): undefined {
    const { random } = this.#stage;
    const isLeader = random() < 0.3;
    const member = this.#pickMember(({ isAlive, isLeading }) => isAlive && (!isLeader || isLeading));
    if (member !== undefined) this.#crash(member, random() * (random() < 0.5 ? QUICK_RESTART_MS_MAX : DOWN_MS_MAX));
  }

  #crashAll(): undefined {
    const { random, members, coverage } = this.#stage;
    coverage.note('crash of all');
    for (const member of shuffled(random, members)) this.#crash(member, random() * QUICK_RESTART_MS_MAX);
  }

  /** Slow links beside it make candidates meet, and leaders die with half of their entries told. */
  #strikeForAWhile(): () => void {
    const { random, network, shape } = this.#stage;
    this.#strikes++;
    network.faults = { ...network.faults, delayMsMax: random() * STRIKE_DELAY_PART * shape.electionTimeoutMs };
    return () => {
      this.#strikes--;
      network.faults = { ...network.faults, delayMsMax: shape.delayMsMax };
    };
  }

  #armCrashPoint(): (() => void) | undefined {
    const member = this.#pickMember();
    if (member === undefined) return undefined;
    const { random } = this.#stage;
    const point = random() < 0.7 ? pick(random, DEATH_POINTS) : undefined;
    member.ambush = point === undefined ? { chance: random() * CRASH_POINT_CHANCE_MAX } : { point, chance: random() };
    return () => {
      member.ambush = undefined;
      this.#stage.operator.revive(member);
    };
  }

  #pause(): undefined {
    const { random, shape, coverage } = this.#stage;
    const isLeader = random() < 0.4;
    const member = this.#pickMember(({ isAlive, isLeading }) => isAlive && (!isLeader || isLeading));
    if (member === undefined) return;
    const durationMs = random() * Math.max(shape.lastingMsMax, 2 * shape.electionTimeoutMs);
    if (!member.isLeading) coverage.note('pause of a follower');
    else if (durationMs > 2 * shape.electionTimeoutMs) coverage.note('pause of a leader');
    member.pause(durationMs);
  }

  #overtake(): Scheme | undefined {
    const victim = this.#pickMember(({ id, isAlive, isLeading }) => {
      return isAlive && !isLeading && this.#stage.reference.voters.includes(id);
    });
    if (victim === undefined || this.#stage.operator.isRemoving || this.#stage.members.length >= MEMBERS_MAX)
      return undefined;
    return this.#canSpare(victim) ? overtaken(this.#stage, victim) : undefined;
  }

  /** A member dies, and its disk is not what it was; only if enough good ones stay. */
  #damage(): undefined {
    const { random, members, reference } = this.#stage;
    const victim = this.#pickMember(({ id }) => reference.voters.includes(id));
    if (victim === undefined || this.#stage.operator.isRemoving || members.length >= MEMBERS_MAX) return;
    if (!this.#canSpare(victim)) return;
    victim.crash();
    victim.damage(pick(random, ['wipe', 'flip', 'lose', 'misdirect', 'tail', 'state', 'state'] as const) ?? 'wipe');
    this.#stage.clock.setTimeout(() => this.#stage.operator.revive(victim), random() * DOWN_MS_MAX);
  }

  /** Whether enough good copies stay without a member. */
  #canSpare(victim: SimulatedMember): boolean {
    const { members, reference } = this.#stage;
    const bad = members.filter(
      ({ isLost, isDamaged, isRebuilding, mayDiverge }) => isLost || isDamaged || isRebuilding || mayDiverge,
    );
    return reference.canSpare(new Set([...bad.map(({ id }) => id), victim.id]));
  }

  /** Who holds something else has to be found out by the others, of whom most are right. */
  #diverge(): undefined {
    const { reference, operator, members } = this.#stage;
    const victim = this.#pickMember(({ id, isLeading }) => !isLeading && reference.voters.includes(id));
    if (victim === undefined || operator.isRemoving || members.some(member => member.mayDiverge || member.isRebuilding))
      return;
    if (this.#canSpare(victim)) victim.diverge();
  }

  /**
   * A member is started on an older copy of its disk. The others have been there all the while, and are: so they can say what
   * it has promised. What a leader promised itself nobody has heard, so it is spared (`raft/driver/witness.ts`).
   */
  #rollback(): Scheme | undefined {
    const { random, reference, operator, clock, shape, members, network } = this.#stage;
    const victim = this.#pickMember(({ id, isLeading, node }) => {
      return node !== undefined && !isLeading && reference.voters.includes(id);
    });
    if (victim === undefined || operator.isRemoving || members.length >= MEMBERS_MAX) return undefined;
    const others = members.filter(member => member !== victim && !member.isRemoved);
    const livesOf = () => others.map(({ lives, node }) => (node === undefined ? 0 : lives)).join();
    const lives = livesOf();
    const restore = victim.copy();
    let isSpared = others.some(({ node }) => node === undefined);
    const strike = () => {
      const isPlain =
        !this.#isOver && victim.isAlive && others.every(({ isFrozen }) => !isFrozen) && livesOf() === lives;
      if (isSpared || !isPlain || operator.isRemoving || !this.#canSpare(victim)) return;
      for (const pass of [...this.#under]) pass();
      network.heal();
      // Where a disk hung, somebody has just pulled the plug.
      if (livesOf() !== lives) return;
      this.#isTruce = true;
      for (const member of members) member.ambush = undefined;
      victim.crash();
      restore();
      operator.revive(victim);
      clock.setTimeout(() => {
        this.#isTruce = false;
      }, TRUCE_TIMEOUTS * shape.electionTimeoutMs);
    };
    clock.setTimeout(strike, random() * ROLLBACK_TIMEOUTS * shape.electionTimeoutMs);
    return {
      said: ({ type, from }) => {
        isSpared ||= type === 'appendRequest' && from === victim.id;
      },
      pass: () => {
        isSpared = true;
      },
    };
  }
}
