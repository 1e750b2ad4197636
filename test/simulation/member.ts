/**
 * One member of a simulated cluster: a disk that lives on, and one life after the other of the real driver on it. A life
 * ends by crashing: what it had under way never happens, and only what its disk had acknowledged is sure to be there.
 */
import type { CrashPoint, Logger, MemberId, Membership, RaftOptions, RaftStorage } from '../../raft/index.ts';
import { MemoryDisk, MemoryStorage } from '../../raft/storage/memory.ts';
import type { MemoryNetwork } from '../../raft/transport/memory.ts';
import { integerBetween, type Random } from './random.ts';
import type { Reference } from './reference.ts';
import { LifeClock, type VirtualClock } from './virtual-clock.ts';
import type { Place, SimulatedNode } from './workload.ts';

export interface MemberContext {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly reference: Reference;
  readonly options: Partial<RaftOptions>;
  /** Something happened that no fault explains. */
  readonly onFailure: (error: Error) => void;
  readonly trace: ((line: string) => void) | undefined;
}

/** How a member's disk behaves. */
export interface DiskFaults {
  readonly writeMsMin: number;
  readonly writeMsMax: number;
  /** Chance that a write fails for good, which ends the life. */
  readonly failure: number;
}

/** Thrown to end a life at a crash point. */
class Crashed extends Error {}
/** A write that was made to fail. */
class DiskFailed extends Error {}

interface Life {
  readonly clock: LifeClock;
  readonly node: SimulatedNode;
  isStarted: boolean;
}

export class SimulatedMember {
  readonly id: MemberId;
  readonly name: string;
  readonly #context: MemberContext;
  readonly #bootstrap: Membership;
  readonly #disk = new MemoryDisk();
  readonly #place: Place;
  #life: Life | undefined;
  diskFaults: DiskFaults = { writeMsMin: 0, writeMsMax: 2, failure: 0 };
  /** Chance to crash at each crash point. */
  crashChance = 0;
  /** Taken out of the cluster: not to be started any more. */
  isRemoved = false;

  constructor(identity: { id: MemberId; name: string; bootstrap: Membership; place: Place }, context: MemberContext) {
    this.id = identity.id;
    this.name = identity.name;
    this.#bootstrap = identity.bootstrap;
    this.#place = identity.place;
    this.#context = context;
    this.#disk.setFault(() => this.#writeFault());
  }

  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  /** The running node, once it has started. */
  get node(): SimulatedNode | undefined {
    return this.#life?.isStarted ? this.#life.node : undefined;
  }

  /** True if it runs and has applied everything. */
  get isCurrent(): boolean {
    return this.#life !== undefined && this.#place.isCurrent;
  }

  start(): void {
    const { clock: worldClock, network, random, options, onFailure, trace } = this.#context;
    const clock = new LifeClock(worldClock);
    trace?.(`${this.name} starts`);
    const onFatal = (error: Error) => {
      if (clock.isOver) return;
      if (hasCode(error, 'RAFT_REMOVED')) {
        this.isRemoved = true;
        this.crash();
      } else if (isExpected(error)) this.crash();
      else onFailure(error);
    };
    const dependencies = {
      storage: this.#observed(new MemoryStorage(this.#disk), clock),
      transport: network.join(this.id),
      clock,
      random,
      options,
      bootstrap: {
        identity: { clusterId: this.#bootstrap.clusterId, memberId: this.id, name: this.name },
        membership: this.#bootstrap,
      },
      reach: (point: CrashPoint) => this.#reach(point, clock),
      onFatal,
      ...(trace === undefined ? {} : { logger: tracing(this.name, trace) }),
    };
    const node = this.#place.begin({ clock, dependencies, onFatal, writeFault: () => this.#writeFault() });
    const life: Life = { clock, node, isStarted: false };
    this.#life = life;
    node.start().then(() => {
      if (clock.isOver) return;
      life.isStarted = true;
      this.#place.started();
      if (trace !== undefined)
        node.onLeadership(({ isLeader, term }) => isLeader && trace(`${this.name} leads in term ${term}`));
    }, onFatal);
  }

  /** Ends the present life, in the middle of whatever it does. */
  crash(): void {
    const life = this.#life;
    if (life === undefined) return;
    const { random, network, trace } = this.#context;
    trace?.(`${this.name} crashes`);
    life.clock.end();
    this.#life = undefined;
    network.join(this.id);
    this.#disk.crash({ pendingKept: integerBetween(random, 0, 1) });
    this.#place.crash();
  }

  #reach(point: CrashPoint, clock: LifeClock): void {
    if (clock.isOver) throw new Crashed();
    if (this.crashChance === 0 || this.#context.random() >= this.crashChance) return;
    this.#context.trace?.(`${this.name} reaches the crash point ${point}`);
    this.crash();
    throw new Crashed();
  }

  async #writeFault(): Promise<void> {
    const { clock, random } = this.#context;
    const { writeMsMin, writeMsMax, failure } = this.diskFaults;
    await new Promise<void>(resolve => {
      clock.setTimeout(resolve, writeMsMin + random() * (writeMsMax - writeMsMin));
    });
    if (failure > 0 && random() < failure) throw new DiskFailed('the disk failed');
  }

  /** The storage, with the reference told of everything that became durable. */
  #observed(storage: RaftStorage, clock: LifeClock): RaftStorage {
    const { reference } = this.#context;
    const { id } = this;
    return {
      async open() {
        const recovered = await storage.open();
        if (!clock.isOver) reference.recovered(id, recovered.snapshot.index, recovered.entries);
        return recovered;
      },
      initialize: (identity, membership) => storage.initialize(identity, membership),
      async save(request) {
        await storage.save(request);
        if (!clock.isOver) reference.saved(id, request.entries ?? []);
      },
      async compact(snapshot) {
        await storage.compact(snapshot);
        if (!clock.isOver) reference.logStarts(id, snapshot.index, false);
      },
      async reset(snapshot, hardState) {
        await storage.reset(snapshot, hardState);
        if (!clock.isOver) reference.logStarts(id, snapshot.index, true);
      },
      close: () => storage.close(),
    };
  }
}

function isExpected(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Crashed || cause instanceof DiskFailed) return true;
  }
  return false;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function tracing(name: string, trace: (line: string) => void): Logger {
  const write = (fields: object, message: string) => {
    const details = Object.entries(fields).map(([key, value]) => ` ${key} ${value}`);
    trace(`${name}: ${message}${details.join('')}`);
  };
  return { debug: write, info: write, warn: write, error: write };
}
