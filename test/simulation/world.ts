/**
 * A simulated cluster, its clients and its misfortunes, all from one seed. First a time of chaos, in which members crash,
 * disks stall and fail, the network loses, doubles, delays and parts; then everything heals, and the cluster has to come
 * back to life, agree, and show every acknowledged command.
 */
import type { MemberId, Membership } from '../../raft/index.ts';
import { MemoryNetwork, NO_FAULTS } from '../../raft/transport/memory.ts';
import { type Counts, Coverage } from './coverage.ts';
import { ListWorkload } from './list-workload.ts';
import { SimulatedMember } from './member.ts';
import { GOOD_DISK } from './member-disk.ts';
import { Misfortunes } from './misfortunes.ts';
import { newMember, Operator } from './operator.ts';
import { type Random, seededRandom } from './random.ts';
import { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';
import { drawShape, type Shape } from './shape.ts';
import { StoreWorkload } from './store-workload.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Workload, WorkloadContext } from './workload.ts';

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
  readonly healedAfterMs: number;
  readonly simulatedMs: number;
  readonly coverage: Counts;
}

/** The cluster did not come back to life after everything was healed. */
export class LivenessViolation extends Error {
  override readonly name = 'LivenessViolation';
}

const CLUSTER_ID = 'c'.repeat(16);
/** With what the healing takes, about a minute. */
const CHAOS_MS = 55_000;
/** After the healing, the cluster must be in agreement within this. */
const HEALING_MS_MAX = 30_000;
const AGREEMENT_CHECK_MS = 50;
const REVIVAL_MS = 500;

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
  readonly #clock = new VirtualClock();
  readonly #coverage = new Coverage();
  readonly #reference = new Reference({ coverage: this.#coverage, now: () => this.#clock.now() });
  readonly #members: SimulatedMember[] = [];
  readonly #random: Random;
  readonly #seed: number;
  readonly #shape: Shape;
  readonly #workload: Workload;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #network: MemoryNetwork;
  readonly #operator: Operator;
  readonly #misfortunes: Misfortunes;
  #failure: Error | undefined;
  #isChaos = true;
  #isAgreed = false;

  constructor({ seed, workload, trace }: SimulationOptions) {
    this.#seed = seed;
    this.#trace =
      trace === undefined ? undefined : line => trace(`${this.#clock.now().toFixed(1).padStart(8)} ms  ${line}`);
    this.#random = seededRandom(seed);
    this.#shape = drawShape(this.#random, workload);
    this.#network = this.#newNetwork();
    const world = {
      clock: this.#clock,
      random: this.#random,
      members: this.#members,
      network: this.#network,
      reference: this.#reference,
      coverage: this.#coverage,
      shape: this.#shape,
      trace: this.#trace,
    };
    this.#operator = new Operator({
      ...world,
      addMember: (entry, bootstrap) => this.#addMember(entry.id, entry.name, bootstrap),
    });
    this.#misfortunes = new Misfortunes({ ...world, operator: this.#operator });
    const context: WorkloadContext = {
      ...world,
      isChaos: () => this.#isChaos,
      isRemoving: () => this.#operator.isRemoving,
      stoodStill: (id, between) => this.#members.find(member => member.id === id)?.stoodStill(between) ?? 0,
      fail: error => this.#fail(error instanceof Error ? error : new Error(String(error))),
    };
    this.#workload = this.#shape.workload === 'list' ? new ListWorkload(context) : new StoreWorkload(context);
    this.#trace?.(`seed ${seed}: ${describe(this.#shape)}`);
    const entries = Array.from({ length: this.#shape.size }, (_, number) => newMember(number));
    const bootstrap = { clusterId: CLUSTER_ID, members: entries.map(entry => ({ ...entry, role: 'voter' as const })) };
    for (const { id, name } of entries) this.#addMember(id, name, bootstrap);
  }

  async run(chaosMs: number): Promise<SimulationReport> {
    for (const member of this.#members) member.start();
    this.#workload.startClients();
    this.#operator.begin();
    this.#misfortunes.begin();
    await this.#clock.run(chaosMs, () => this.#failure !== undefined);
    const healingMs = this.#clock.now();
    this.#heal();
    await this.#clock.run(healingMs + HEALING_MS_MAX, () => this.#failure !== undefined || this.#isAgreed);
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isAgreed) throw new LivenessViolation(`no agreement after healing: ${this.#describe()}`);
    this.#workload.check();
    this.#checkRemovals();
    return {
      seed: this.#seed,
      workload: this.#shape.workload,
      members: this.#members.length,
      commands: this.#reference.length,
      answered: this.#workload.answered,
      healedAfterMs: this.#clock.now() - healingMs,
      simulatedMs: this.#clock.now(),
      coverage: this.#coverage.counts,
    };
  }

  #fail(error: Error): void {
    this.#trace?.(`FAILED: ${error.message}`);
    this.#failure ??= error;
  }

  #newNetwork(): MemoryNetwork {
    const network = new MemoryNetwork({ clock: this.#clock, random: this.#random });
    network.faults = { ...NO_FAULTS, delayMsMax: this.#shape.delayMsMax };
    network.observe = message => {
      this.#reference.said(message);
      this.#misfortunes.said(message);
    };
    network.onFate = fate => {
      if (fate !== 'cut') this.#coverage.note(`message ${fate}`);
    };
    return network;
  }

  #addMember(id: MemberId, name: string, bootstrap: Membership): SimulatedMember {
    const { heartbeatMs, electionTimeoutMs, tickMs, compactEntries, tailEntries, drift } = this.#shape;
    const member = new SimulatedMember(
      { id, name, bootstrap, place: this.#workload.addMember(id) },
      {
        clock: this.#clock,
        network: this.#network,
        random: this.#random,
        reference: this.#reference,
        coverage: this.#coverage,
        drift,
        options: {
          heartbeatMs,
          electionTimeoutMs,
          tickMs,
          requestTimeoutMs: 2_000,
          addMemberTimeoutMs: 4_000,
          compactEntries,
          tailEntries,
          limits: { appendBytesMax: 200, inflightEntriesMax: 32 },
        },
        diesAt: (dying, point) => this.#isChaos && this.#misfortunes.strikesAt(dying, point),
        onFailure: error => this.#fail(error),
        trace: this.#trace,
      },
    );
    this.#members.push(member);
    return member;
  }

  #heal(): void {
    this.#isChaos = false;
    this.#trace?.('everything heals');
    this.#misfortunes.end();
    this.#network.faults = { ...NO_FAULTS, delayMsMax: 2 };
    for (const member of this.#members) {
      member.disk.faults = GOOD_DISK;
      member.fill(false);
      member.ambush = undefined;
    }
    this.#keepReviving();
    this.#awaitAgreement();
  }

  /** A write that was under way before the healing may still fail. */
  #keepReviving(): void {
    this.#operator.reviveAll();
    this.#clock.setTimeout(() => this.#keepReviving(), REVIVAL_MS);
  }

  #awaitAgreement(): void {
    this.#isAgreed = this.#isInAgreement();
    this.#clock.setTimeout(() => this.#awaitAgreement(), AGREEMENT_CHECK_MS);
  }

  /** Every client got its last command through, and every member of the cluster has applied everything. */
  #isInAgreement(): boolean {
    if (!this.#workload.isDone || !this.#operator.isAtEase) return false;
    const leader = this.#members.find(({ isLeading }) => isLeading);
    const membership = leader?.node?.status().membership;
    if (membership === undefined || membership.outgoing !== undefined) return false;
    const present = new Set(membership.members.map(member => member.id));
    const all = this.#members.filter(member => present.has(member.id));
    return all.length > 0 && all.every(member => member.isCurrent);
  }

  /** Who was told that it is out must be. Ids never come back, so the end of the run tells. */
  #checkRemovals(): void {
    for (const { id, name, wasToldSo } of this.#members) {
      if (wasToldSo && this.#reference.isMember(id)) {
        throw new SafetyViolation(`${name} was told that it is removed, and it is not`);
      }
    }
  }

  #describe(): string {
    const those = this.#members.filter(({ isRemoved, isAlive }) => isAlive || !isRemoved);
    const each = those.map(member => {
      const status = member.node?.status();
      const marks = `${member.isCurrent ? ' current' : ''}${member.isRemoved ? ' removed' : ''}${member.isLost ? ' lost' : ''}`;
      return `${member.name} ${status?.role ?? 'down'} term ${status?.term} applied ${status?.appliedIndex}/${status?.commitIndex}/${status?.lastIndex}${marks} knows ${status?.membership.members.map(other => `${other.name}:${other.role}`)}`;
    });
    return `clients ${this.#workload.isDone ? '' : 'not '}done, ${this.#reference.length} commands; ${each.join('; ')}`;
  }
}

function describe(shape: Shape): string {
  return Object.entries(shape)
    .map(([name, value]) => `${name} ${value instanceof Set ? [...value].join('+') : String(value)}`)
    .join(', ');
}
