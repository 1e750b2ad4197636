/** A cluster whose faults are chosen by a test, step by step, with the same members and the same reference as the seeds. */
import assert from 'node:assert';
import type { Message } from '../../raft/core/messages.ts';
import type { MembershipEntry, RaftOptions } from '../../raft/index.ts';
import { MemoryNetwork } from '../../raft/transport/memory.ts';
import { Coverage } from './coverage.ts';
import { ListPlace } from './list-workload.ts';
import { SimulatedMember } from './member.ts';
import { seededRandom } from './random.ts';
import { Reference } from './reference.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Whatever a step waits for comes within this simulated time. */
const STEP_MS_MAX = 20_000;

export interface DirectedMember {
  readonly member: SimulatedMember;
  readonly place: ListPlace;
}

export class DirectedCluster {
  readonly clock = new VirtualClock();
  readonly reference: Reference;
  readonly network: MemoryNetwork;
  readonly all: readonly DirectedMember[];
  /** Sees each message before it is sent; may cut its way. */
  onMessage: (message: Message) => void = () => {};
  #failure: Error | undefined;

  /** @param optionsOf what each member is set to, by its number */
  constructor(size: number, optionsOf: (number: number) => Partial<RaftOptions>) {
    const random = seededRandom(1);
    const coverage = new Coverage();
    this.network = new MemoryNetwork({ clock: this.clock, random });
    this.network.faults = { loss: 0, duplication: 0, delayMsMin: 1, delayMsMax: 2 };
    this.network.observe = message => {
      this.reference.said(message);
      this.onMessage(message);
    };
    const entries = Array.from({ length: size }, (_, number): MembershipEntry => {
      const id = number.toString().padStart(16, '0');
      return { id, name: `m${number}`, peerAddress: `m${number}:1`, clientUrl: `https://m${number}`, role: 'voter' };
    });
    this.reference = new Reference({ coverage });
    const fail = (error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    };
    const { clock, network, reference } = this;
    const common = {
      clock,
      network,
      random,
      reference,
      coverage,
      shape: { pauseMsMax: 0, historyKeepMs: 60_000, drift: 0, quotaBytes: 1_000_000 },
      drift: 0,
      isChaos: () => true,
      isRemoving: () => false,
      stoodStill: () => 0,
      fail,
      onFailure: fail,
      trace: undefined,
    };
    const bootstrap = { clusterId: 'd'.repeat(16), members: entries };
    this.all = entries.map(({ id, name }, number) => {
      const place = new ListPlace(id, common);
      const times = { heartbeatMs: 50, electionTimeoutMs: 300, tickMs: 25, ...optionsOf(number) };
      return { place, member: new SimulatedMember({ id, name, bootstrap, place }, { ...common, options: times }) };
    });
    for (const { member } of this.all) member.start();
  }

  at(number: number): DirectedMember {
    const found = this.all[number];
    assert(found !== undefined, `there is a member ${number}`);
    return found;
  }

  idOf(number: number): string {
    return this.at(number).member.id;
  }

  /** Lets time pass until something is so. @throws what a member failed with, or if it does not come */
  async until(what: string, isSo: () => boolean): Promise<void> {
    await this.clock.run(this.clock.now() + STEP_MS_MAX, () => this.#failure !== undefined || isSo());
    if (this.#failure !== undefined) throw this.#failure;
    assert(isSo(), `it never came to this: ${what}`);
  }

  async pass(durationMs: number): Promise<void> {
    await this.clock.run(this.clock.now() + durationMs, () => this.#failure !== undefined);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Only these hear of the centre and it of them; nobody else hears anybody. So only the centre can win an election. */
  onlyAround(centre: number, others: readonly number[]): void {
    this.network.heal();
    for (const from of this.all.keys()) {
      for (const to of this.all.keys()) {
        const isOpen = (from === centre && others.includes(to)) || (to === centre && others.includes(from));
        if (!isOpen && from !== to) this.network.cut(this.idOf(from), this.idOf(to));
      }
    }
  }

  silence(from: number): void {
    for (const to of this.all.keys()) if (to !== from) this.network.cut(this.idOf(from), this.idOf(to));
  }

  leads(number: number): boolean {
    return this.at(number).place.node?.status().role === 'leader';
  }

  /** True if all members run and have applied the same. */
  get isInAgreement(): boolean {
    return this.all.every(({ member }) => member.isCurrent);
  }

  /** Proposes a command of which nobody waits to hear. */
  propose(number: number, command: string): void {
    this.at(number)
      .place.node?.propose(Buffer.from(command))
      .catch(() => {});
  }
}
