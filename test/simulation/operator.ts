/** Who looks after a simulated cluster: restarts what died, replaces what lost its disk, changes who belongs to it. */
import type { MemberId, Membership, MembershipEntry, NewMember } from '../../raft/index.ts';
import type { Coverage, EventName } from './coverage.ts';
import type { SimulatedMember } from './member.ts';
import { pick, type Random, shuffled } from './random.ts';
import type { Reference } from './reference.ts';
import type { VirtualClock } from './virtual-clock.ts';
import type { SimulatedNode } from './workload.ts';

export interface OperatorContext {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly members: readonly SimulatedMember[];
  readonly reference: Reference;
  readonly coverage: Coverage;
  readonly addMember: (entry: NewMember, bootstrap: Membership) => SimulatedMember;
  readonly trace: ((line: string) => void) | undefined;
}

/** A new member that is not let in by then is stopped. */
const ADMISSION_MS_MAX = 5_000;
const REPLACEMENT_MS_MAX = 4_000;
const PATIENCE_MS = 6_000;
/** How often somebody looks for members whose disk is lost. */
const ROUND_MS = 700;
/** Members that a run ever has, but for those that take the place of lost ones. */
const MEMBERS_MAX = 12;
/** Members that a cluster is let grow to. */
const CLUSTER_MAX = 6;
/** A removed member is let run for so long: it may disturb. */
const REMOVED_RUNS_MS_MAX = 3_000;

export class Operator {
  readonly #context: OperatorContext;
  /** Who takes the place of a member that is lost. */
  readonly #replacements = new Map<MemberId, SimulatedMember>();
  /** New members, and until when they may wait for being let in. */
  readonly #waiting = new Map<SimulatedMember, number>();
  /** Those that waited in vain. Should they be members after all, they are needed. */
  readonly #dismissed = new Set<SimulatedMember>();
  #isReplacing = false;
  #removing = 0;

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  begin(): void {
    this.#context.clock.setTimeout(() => {
      this.#round();
      this.begin();
    }, ROUND_MS);
  }

  revive(member: SimulatedMember): void {
    if (!member.isAlive && !member.isRemoved && !member.isLost && !this.#dismissed.has(member)) member.start();
  }

  reviveAll(): void {
    for (const member of this.#context.members) this.revive(member);
  }

  /** Nobody is left in the cluster whose disk is lost. */
  get isAtEase(): boolean {
    return this.#context.members.every(
      ({ isLost, isDamaged, isRebuilding, isDiverged, isRemoved }) =>
        isRemoved || !(isLost || isDamaged || isRebuilding || isDiverged),
    );
  }

  /** A member is being taken out: nothing is known for certain of who counts. */
  get isRemoving(): boolean {
    return this.#removing > 0;
  }

  transfer(): undefined {
    const { random, members, coverage } = this.#context;
    const through = this.#sponsor();
    const target = random() < 0.5 ? undefined : pick(random, members)?.id;
    through?.transferLeadership(target).then(
      () => coverage.note('leadership transferred'),
      () => coverage.note('transfer failed'),
    );
  }

  changeMembership(): undefined {
    const through = this.#sponsor();
    if (through === undefined) return;
    const { members } = through.status().membership;
    // Who lost a member does not play with the others; and of two, nobody could tell which of them is wrong.
    if (!this.isAtEase || this.#context.members.some(({ mayDiverge }) => mayDiverge)) return;
    const kinds: readonly (() => void)[] = [
      () => this.#join(through, members.length),
      () => this.#addLearner(through, members.length),
      () => this.#promote(through, members),
      () => this.#remove(through, members),
      () => this.#remove(through, members),
      () => this.#replaceAny(through, members),
      () => this.#update(through, members),
    ];
    pick(this.#context.random, kinds)?.();
  }

  #round(): void {
    const { members, reference } = this.#context;
    this.#dismiss();
    // It was given up before it was let in, and its admission was under way.
    for (const member of members) if (member.isLost && reference.isMember(member.id)) member.isRemoved = false;
    for (const member of members) if (member.wasSentAway) this.revive(member);
    const lost = members.find(({ isLost, isRemoved }) => isLost && !isRemoved);
    const through = this.#sponsor();
    if (lost === undefined || through === undefined || this.#isReplacing) return;
    this.#isReplacing = true;
    const done = () => {
      this.#isReplacing = false;
    };
    this.#patiently(this.#replace(through, lost)).then(done, done);
  }

  #dismiss(): void {
    const { clock, reference } = this.#context;
    for (const [member, untilMs] of this.#waiting) {
      if (reference.isMember(member.id)) this.#waiting.delete(member);
      else if (clock.now() > untilMs) {
        this.#waiting.delete(member);
        this.#dismissed.add(member);
        member.crash();
      }
    }
    for (const member of this.#dismissed) {
      if (!reference.isMember(member.id)) continue;
      this.#dismissed.delete(member);
      this.revive(member);
    }
  }

  /** A member with a lost disk is replaced by a new one: what it promised is not known any more, so it never comes back. */
  async #replace(through: SimulatedNode, lost: SimulatedMember): Promise<void> {
    const { coverage, trace } = this.#context;
    if (!this.#context.reference.isMember(lost.id)) {
      lost.isRemoved = true;
      return;
    }
    let by = this.#replacements.get(lost.id);
    if (by === undefined || by.isLost || by.isRemoved) {
      by = this.#add(through);
      this.#replacements.set(lost.id, by);
    }
    this.#dismissed.delete(by);
    this.revive(by);
    trace?.(`${lost.name} is replaced by ${by.name}`);
    await through.replaceMember(lost.id, entryOf(by), { timeoutMs: REPLACEMENT_MS_MAX });
    lost.isRemoved = true;
    coverage.note('member replaced');
  }

  /** Who died does not answer any more. */
  #patiently(work: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#context.clock.setTimeout(() => reject(new Error('no answer')), PATIENCE_MS);
      work.finally(cancel).then(() => resolve(), reject);
    });
  }

  #join(through: SimulatedNode, size: number): void {
    if (size >= CLUSTER_MAX) return;
    const member = this.#create(through);
    if (member === undefined) return;
    this.#count(through.addMember(entryOf(member)), 'member joined');
  }

  /** Asks one member for two removals at once, of which it may take up one. False if there are not two to remove. */
  removeTwoOthers(leader: SimulatedMember): boolean {
    const { node } = leader;
    if (node === undefined || !this.isAtEase || this.#context.members.some(({ mayDiverge }) => mayDiverge))
      return false;
    const voters = node.status().membership.members.filter(({ id, role }) => role === 'voter' && id !== leader.id);
    const victims = shuffled(this.#context.random, this.#present(voters)).slice(0, 2);
    if (victims.length < 2) return false;
    for (const victim of victims) {
      this.#context.reference.removalAsked(victim.id);
      this.#takeOut(victim, node.removeMember(victim.id), 'member removed');
    }
    return true;
  }

  #remove(through: SimulatedNode, members: readonly MembershipEntry[]): void {
    const victim = pick(this.#context.random, this.#present(members));
    if (victim !== undefined && members.length > 1) {
      this.#context.reference.removalAsked(victim.id);
      this.#takeOut(victim, through.removeMember(victim.id), 'member removed');
    }
  }

  /** Also a member that is well may be replaced by another. */
  #replaceAny(through: SimulatedNode, members: readonly MembershipEntry[]): void {
    const old = pick(this.#context.random, this.#present(members.filter(({ role }) => role === 'voter')));
    const by = old === undefined ? undefined : this.#create(through);
    if (old === undefined || by === undefined) return;
    this.#takeOut(old, through.replaceMember(old.id, entryOf(by)), 'member replaced');
  }

  #addLearner(through: SimulatedNode, size: number): void {
    const member = size >= CLUSTER_MAX ? undefined : this.#create(through);
    if (member !== undefined) this.#count(through.addLearner(entryOf(member)), 'learner added');
  }

  #promote(through: SimulatedNode, members: readonly MembershipEntry[]): void {
    const learner = members.find(({ role }) => role === 'learner');
    if (learner !== undefined) this.#count(through.promoteMember(learner.id), 'learner promoted');
  }

  #update(through: SimulatedNode, members: readonly MembershipEntry[]): void {
    const { random } = this.#context;
    const member = pick(random, members);
    if (member === undefined) return;
    const clientUrl = `https://${member.name}/${Math.floor(random() * 1_000)}`;
    this.#count(through.updateMember(member.id, { clientUrl }), 'member updated');
  }

  /** A member leaves the cluster by a change that is under way. It is let run for a while after: it may disturb. */
  #takeOut(victim: SimulatedMember, change: Promise<unknown>, name: EventName): void {
    const { clock, random, coverage } = this.#context;
    const isLeader = victim.isLeading;
    this.#removing++;
    const done = () => {
      this.#removing--;
    };
    const work = this.#patiently(change);
    work.then(done, done);
    this.#count(
      work.then(() => {
        if (isLeader) coverage.note('leader removed');
        victim.isRemoved = true;
        clock.setTimeout(() => victim.crash(), random() * REMOVED_RUNS_MS_MAX);
      }),
      name,
    );
  }

  #count(work: Promise<unknown>, name: EventName): void {
    const { coverage } = this.#context;
    work.then(
      () => coverage.note(name),
      (error: unknown) => {
        const isRefused = error instanceof Error && 'code' in error && error.code === 'RAFT_MEMBERSHIP_REFUSED';
        if (isRefused) coverage.note('membership refused');
      },
    );
  }

  #present(entries: readonly MembershipEntry[]): SimulatedMember[] {
    const ids = new Set(entries.map(({ id }) => id));
    return this.#context.members.filter(({ id, isRemoved }) => ids.has(id) && !isRemoved);
  }

  #create(through: SimulatedNode): SimulatedMember | undefined {
    return this.#context.members.length >= MEMBERS_MAX ? undefined : this.#add(through);
  }

  #add(through: SimulatedNode): SimulatedMember {
    const { clock, members, addMember } = this.#context;
    const member = addMember(newMember(members.length), through.status().membership);
    this.#waiting.set(member, clock.now() + ADMISSION_MS_MAX);
    member.start();
    return member;
  }

  /** Who is not let in yet knows no leader to hand anything to. */
  #sponsor(): SimulatedNode | undefined {
    const { random, members, reference } = this.#context;
    return pick(
      random,
      members.filter(({ id, node, isRemoved }) => node !== undefined && !isRemoved && reference.isMember(id)),
    )?.node;
  }
}

export function newMember(number: number): NewMember {
  const id = number.toString(16).padStart(16, '0');
  return { id, name: `m${number}`, peerAddress: `m${number}:1`, clientUrl: `https://m${number}` };
}

function entryOf({ id, name }: SimulatedMember): NewMember {
  return { id, name, peerAddress: `${name}:1`, clientUrl: `https://${name}` };
}
