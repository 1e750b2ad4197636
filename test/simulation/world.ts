/**
 * A simulated cluster, its clients and its misfortunes, all from one seed. First a time of chaos, in which members crash,
 * disks stall and fail, the network loses, doubles, delays and parts; then everything heals, and the cluster has to come
 * back to life, agree, and show every acknowledged command.
 */
import type { Message } from '../../raft/core/messages.ts';
import type { MemberId, Membership, MembershipEntry } from '../../raft/index.ts';
import { MemoryNetwork } from '../../raft/transport/memory.ts';
import { ListWorkload } from './list-workload.ts';
import { SimulatedMember } from './member.ts';
import { integerBetween, pick, type Random, seededRandom, shuffled } from './random.ts';
import { Reference } from './reference.ts';
import { StoreWorkload } from './store-workload.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Workload } from './workload.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** How long the chaos lasts, in simulated time. */
  readonly chaosMs?: number;
  /** What the members run; by default the seed decides, half and half. */
  readonly workload?: 'list' | 'store';
  /** Takes the story of the run, line by line. */
  readonly trace?: (line: string) => void;
}

export interface SimulationReport {
  readonly seed: number;
  readonly workload: 'list' | 'store';
  readonly members: number;
  readonly commands: number;
  readonly answered: number;
  readonly crashes: number;
  readonly simulatedMs: number;
}

/** The cluster did not come back to life after everything was healed. */
export class LivenessViolation extends Error {
  override readonly name = 'LivenessViolation';
}

const CLUSTER_ID = 'c'.repeat(16);
const CHAOS_MS = 6_000;
/** After the healing, the cluster must be in agreement within this. */
const HEALING_MS_MAX = 30_000;

/** Runs one seed. @throws {SafetyViolation} {LivenessViolation} or whatever a member failed with. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const traceDepth = Error.stackTraceLimit;
  // Refusals are daily bread here, and collecting their stacks is the most expensive thing about them.
  if (options.trace === undefined) Error.stackTraceLimit = 0;
  try {
    return await new World(options).run(options.chaosMs ?? CHAOS_MS);
  } finally {
    Error.stackTraceLimit = traceDepth;
  }
}

class World {
  readonly clock = new VirtualClock();
  readonly reference: Reference;
  readonly members: SimulatedMember[] = [];
  readonly random: Random;
  readonly #seed: number;
  readonly #workloadName: 'list' | 'store';
  readonly #workload: Workload;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #network: MemoryNetwork;
  #failure: Error | undefined;
  #isChaos = true;
  /** Half of the seeds keep their members, which allows stricter checks. */
  readonly #isFixed: boolean;
  /** Half of the seeds have elections all the time: timeouts so short and coarse that candidates meet. */
  readonly #isStormy: boolean;
  #crashes = 0;
  #newestTerm = 0;

  constructor({ seed, workload, trace }: SimulationOptions) {
    this.#seed = seed;
    this.#workloadName = workload ?? (seed % 2 === 0 ? 'store' : 'list');
    this.#trace =
      trace === undefined ? undefined : line => trace(`${this.clock.now().toFixed(1).padStart(8)} ms  ${line}`);
    this.random = seededRandom(seed);
    this.#network = new MemoryNetwork({ clock: this.clock, random: this.random });
    this.#network.observe = message => {
      this.reference.said(message);
      if (this.#isChaos && this.#isStormy) this.#strikeAt(message);
    };
    const size = pick(this.random, [3, 3, 4, 5]) ?? 3;
    const entries = Array.from({ length: size }, (_, number) => memberEntry(number, 'voter'));
    this.#isFixed = this.random() < 0.5;
    this.#isStormy = this.random() < 0.5;
    this.reference = new Reference(this.#isFixed ? entries.map(entry => entry.id) : undefined);
    const context = {
      clock: this.clock,
      random: this.random,
      reference: this.reference,
      isChaos: () => this.#isChaos,
      fail: (error: unknown) => this.fail(error instanceof Error ? error : new Error(String(error))),
      trace: this.#trace,
    };
    this.#workload = this.#workloadName === 'list' ? new ListWorkload(context) : new StoreWorkload(context);
    this.#trace?.(
      `seed ${seed}: ${size} members, ${this.#workloadName}, ${this.#isFixed ? 'fixed' : 'changing'} membership, ` +
        `${this.#isStormy ? 'stormy' : 'calm'}`,
    );
    for (const { id, name } of entries) this.#addMember(id, name, { clusterId: CLUSTER_ID, members: entries });
  }

  async run(chaosMs: number): Promise<SimulationReport> {
    for (const member of this.members) member.start();
    this.#workload.startClients();
    this.#scheduleMisfortune();
    await this.clock.run(chaosMs, () => this.#failure !== undefined);
    this.#heal();
    const deadlineMs = this.clock.now() + HEALING_MS_MAX;
    await this.clock.run(deadlineMs, () => this.#failure !== undefined || this.#isInAgreement());
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isInAgreement()) throw new LivenessViolation(`no agreement after healing: ${this.#describe()}`);
    this.#workload.check();
    return {
      seed: this.#seed,
      workload: this.#workloadName,
      members: this.members.length,
      commands: this.reference.length,
      answered: this.#workload.answered,
      crashes: this.#crashes,
      simulatedMs: this.clock.now(),
    };
  }

  fail(error: Error): void {
    this.#trace?.(`FAILED: ${error.message}`);
    this.#failure ??= error;
  }

  #addMember(id: MemberId, name: string, bootstrap: Membership): SimulatedMember {
    const member = new SimulatedMember(
      { id, name, bootstrap, place: this.#workload.addMember(id) },
      {
        clock: this.clock,
        network: this.#network,
        random: this.random,
        reference: this.reference,
        options: {
          heartbeatMs: 50,
          electionTimeoutMs: this.#isStormy ? 150 : 300,
          tickMs: this.#isStormy ? 50 : 25,
          requestTimeoutMs: 2_000,
          addMemberTimeoutMs: 4_000,
          compactEntries: integerBetween(this.random, 5, 60),
          tailEntries: integerBetween(this.random, 0, 20),
          limits: { appendBytesMax: 200, inflightEntriesMax: 32 },
        },
        onFailure: error => this.fail(error),
        trace: this.#trace,
      },
    );
    this.members.push(member);
    return member;
  }

  // ---- misfortunes ----------------------------------------------------------------------------------------------

  #scheduleMisfortune(): void {
    this.clock.setTimeout(
      () => {
        if (!this.#isChaos) return;
        this.#misfortune();
        this.#scheduleMisfortune();
      },
      integerBetween(this.random, 20, this.#isStormy ? 150 : 450),
    );
  }

  #misfortune(): void {
    const misfortunes: readonly (() => void)[] = [
      () => this.#crashSome(),
      () => this.#crashSome(),
      () => this.#restartAll(),
      () => this.#partition(),
      () => this.#partition(),
      () => this.#cutOneWay(),
      () => this.#healNetwork(),
      () => this.#disturbNetwork(),
      () => this.#disturbDisk(),
      () => this.#armCrashPoint(),
      () => this.#transfer(),
      () => this.#join(),
      () => this.#removeOne(),
    ];
    pick(this.random, misfortunes)?.();
  }

  #crash(member: SimulatedMember): void {
    if (!member.isAlive) return;
    this.#crashes++;
    member.crash();
  }

  #revive(member: SimulatedMember): void {
    if (!member.isAlive && !member.isRemoved) member.start();
  }

  #crashSome(): void {
    const count = this.random() < 0.2 ? this.members.length : 1;
    for (const member of shuffled(this.random, this.members).slice(0, count)) {
      this.#crash(member);
      this.clock.setTimeout(
        () => this.#revive(member),
        integerBetween(this.random, 0, this.random() < 0.5 ? 60 : 1_500),
      );
    }
  }

  /** Strikes where it hurts most: a member that has just voted, a leader that has just begun. */
  #strikeAt(message: Message): void {
    const isVote = message.type === 'voteResponse' && message.granted;
    const isBeginning = message.type === 'appendRequest' && message.term > this.#newestTerm;
    if (isBeginning) this.#newestTerm = message.term;
    if (!(isVote && this.random() < 0.2) && !(isBeginning && this.random() < 0.3)) return;
    const member = this.members.find(other => other.id === message.from);
    if (member === undefined) return;
    // A vote is told, and forgotten a moment later; a leader gets some of its entries out.
    this.clock.setTimeout(
      () => {
        if (!this.#isChaos) return;
        this.#crash(member);
        this.clock.setTimeout(() => this.#revive(member), integerBetween(this.random, 0, 40));
      },
      isVote ? 0 : integerBetween(this.random, 0, 60),
    );
  }

  #restartAll(): void {
    for (const member of this.members) this.#revive(member);
  }

  /** Parts the members into two sides; nothing passes between them. */
  #partition(): void {
    this.#network.heal();
    const order = shuffled(this.random, this.members);
    const border = integerBetween(this.random, 1, order.length - 1);
    this.#trace?.(`network: ${names(order.slice(0, border))} | ${names(order.slice(border))}`);
    for (const one of order.slice(0, border)) {
      for (const other of order.slice(border)) {
        this.#network.cut(one.id, other.id);
        this.#network.cut(other.id, one.id);
      }
    }
  }

  #cutOneWay(): void {
    const [from, to] = shuffled(this.random, this.members);
    if (from === undefined || to === undefined) return;
    this.#trace?.(`network: nothing gets from ${from.name} to ${to.name}`);
    this.#network.cut(from.id, to.id);
  }

  #healNetwork(): void {
    this.#trace?.('network: whole again');
    this.#network.heal();
  }

  #disturbNetwork(): void {
    const delayMsMin = integerBetween(this.random, 0, 5);
    this.#network.faults = {
      loss: this.random() < 0.5 ? 0 : this.random() * 0.3,
      duplication: this.random() < 0.5 ? 0 : this.random() * 0.3,
      delayMsMin,
      delayMsMax: delayMsMin + integerBetween(this.random, 0, this.random() < 0.2 ? 400 : 30),
    };
    this.#trace?.(`network: ${JSON.stringify(this.#network.faults)}`);
  }

  #disturbDisk(): void {
    const member = pick(this.random, this.members);
    if (member === undefined) return;
    const writeMsMax = pick(this.random, [0, 2, 20, 100, 1_000]) ?? 0;
    member.diskFaults = { writeMsMin: 0, writeMsMax, failure: this.random() < 0.2 ? 0.02 : 0 };
    this.#trace?.(`disk of ${member.name}: ${JSON.stringify(member.diskFaults)}`);
  }

  #armCrashPoint(): void {
    const member = pick(this.random, this.members);
    if (member !== undefined) member.crashChance = this.random() * 0.1;
  }

  #transfer(): void {
    const member = pick(this.random, this.members);
    member?.node
      ?.transferLeadership(this.random() < 0.5 ? undefined : pick(this.random, this.members)?.id)
      .catch(ignore);
  }

  #join(): void {
    const number = this.members.length;
    const sponsor = pick(this.random, this.members)?.node;
    if (this.#isFixed || sponsor === undefined || number >= 7) return;
    const { id, name, peerAddress, clientUrl } = memberEntry(number, 'learner');
    this.#addMember(id, name, sponsor.status().membership).start();
    sponsor.addMember({ id, name, peerAddress, clientUrl }).catch(ignore);
  }

  #removeOne(): void {
    const member = pick(this.random, this.members);
    const through = pick(this.random, this.members)?.node;
    const { members } = through?.status().membership ?? { members: [] };
    if (this.#isFixed || member === undefined || through === undefined || members.length <= 3) return;
    through.removeMember(member.id).then(() => {
      member.isRemoved = true;
    }, ignore);
  }

  // ---- healing --------------------------------------------------------------------------------------------------

  #heal(): void {
    this.#isChaos = false;
    this.#trace?.('everything heals');
    this.#network.heal();
    this.#network.faults = { loss: 0, duplication: 0, delayMsMin: 0, delayMsMax: 2 };
    for (const member of this.members) {
      member.diskFaults = { writeMsMin: 0, writeMsMax: 2, failure: 0 };
      member.crashChance = 0;
    }
    this.#keepReviving();
  }

  /** A write that was under way before the healing may still fail. */
  #keepReviving(): void {
    this.#restartAll();
    this.clock.setTimeout(() => this.#keepReviving(), 500);
  }

  /** Every client got its last command through, and every member of the cluster has applied everything. */
  #isInAgreement(): boolean {
    if (!this.#workload.isDone) return false;
    const leader = this.members.find(member => member.node?.status().role === 'leader');
    const present = new Set(leader?.node?.status().membership.members.map(member => member.id));
    const all = this.members.filter(member => present.has(member.id));
    return all.length > 0 && all.every(member => member.isCurrent);
  }

  #describe(): string {
    const each = this.members.map(member => {
      const status = member.node?.status();
      return `${member.name} ${status?.role ?? 'down'} term ${status?.term} applied ${status?.appliedIndex}/${status?.commitIndex}/${status?.lastIndex}${member.isCurrent ? ' current' : ''}${member.isRemoved ? ' removed' : ''} knows ${status?.membership.members.map(other => `${other.name}:${other.role}`)}`;
    });
    return `clients ${this.#workload.isDone ? '' : 'not '}done, ${this.reference.length} commands; ${each.join('; ')}`;
  }
}

function memberEntry(number: number, role: MembershipEntry['role']): MembershipEntry {
  const id = number.toString(16).padStart(16, '0');
  return { id, name: `m${number}`, peerAddress: `m${number}:1`, clientUrl: `https://m${number}`, role };
}

function names(members: readonly SimulatedMember[]): string {
  return members.map(member => member.name).join(' ');
}

function ignore(): void {}
