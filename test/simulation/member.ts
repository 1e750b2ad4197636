/**
 * One member of a simulated cluster: a disk that lives on, and one life after the other of the real driver on it. A life
 * ends by crashing: what it had under way never happens, and only what its disk had acknowledged is sure to be there.
 */
import type { CrashPoint, MemberId, Membership, RaftOptions } from '../../raft/index.ts';
import type { MemoryNetwork } from '../../raft/transport/memory.ts';
import type { Coverage, EventName } from './coverage.ts';
import { Crashed, damageFound, isDivergence, isExpected, isLogLoss, isRemoval } from './life-ends.ts';
import { type LogDamage, MemberDisk } from './member-disk.ts';
import { memberLogger } from './member-log.ts';
import { observed } from './observed-storage.ts';
import { integerBetween, type Random } from './random.ts';
import type { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';
import { LifeClock, type VirtualClock } from './virtual-clock.ts';
import type { Place, SimulatedNode, WorkloadContext } from './workload.ts';

export interface MemberContext {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly reference: Reference;
  readonly coverage: Coverage;
  readonly options: Partial<RaftOptions>;
  /** How far its clock may differ from true time, as a part of it. */
  readonly drift: number;
  /** Whether the member is to die here, apart from where an ambush waits. */
  readonly diesAt?: (member: SimulatedMember, point: DeathPoint) => boolean;
  /** Something happened that no fault explains. */
  readonly onFailure: (error: Error) => void;
  readonly trace: ((line: string) => void) | undefined;
}

export type DeathPoint = Extract<EventName, `crash at ${string}`>;

/** Where death waits; at any point if none is named. */
export interface Ambush {
  readonly point?: DeathPoint;
  readonly chance: number;
}

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
  /** Of its log; that of its state is the place's. */
  readonly disk: MemberDisk;
  readonly #place: Place;
  #life: Life | undefined;
  /** At which points it dies, and with what chance each time it comes by. */
  ambush: Ambush | undefined;
  /** Taken out of the cluster: not to be started any more. */
  isRemoved = false;
  /** The cluster told it that it was removed. */
  wasToldSo = false;
  readonly #pauses: { readonly fromMs: number; readonly toMs: number }[] = [];
  /** What was done to its disk while it was down, that it has to notice. */
  #damage: 'log' | 'state' | 'rollback' | undefined;
  /** Its state was set aside, and it has not been in agreement with the others since. */
  #isRebuilding = false;
  /** It was started on an older copy of its disk, at some time: what it promised since may come to light later. */
  #wasRolledBack = false;
  /** The others had it stop, to be built again. */
  wasSentAway = false;
  #whenTakingPart: () => void = () => {};
  /** Counts starts. */
  lives = 0;
  /** Its disk is of no use any more: it must never come back under its name. */
  isLost = false;

  constructor(identity: { id: MemberId; name: string; bootstrap: Membership; place: Place }, context: MemberContext) {
    this.id = identity.id;
    this.name = identity.name;
    this.#bootstrap = identity.bootstrap;
    this.#place = identity.place;
    this.#context = context;
    this.disk = new MemberDisk(context);
  }

  /** Its disk was spoiled, and it has not noticed yet. */
  get isDamaged(): boolean {
    return this.#damage !== undefined;
  }

  /** A new state comes in, which one day replaces what was set aside. */
  get isRebuilding(): boolean {
    if (this.#isRebuilding && this.isCurrent) {
      this.#isRebuilding = false;
      this.#context.coverage.note('state built again');
    }
    return this.#isRebuilding;
  }

  /** It holds something else than the others, and nobody has made it stop yet. */
  get isDiverged(): boolean {
    return this.#place.isDiverged;
  }

  /** It holds something else, or will soon. */
  get mayDiverge(): boolean {
    return this.#place.mayDiverge;
  }

  get isFrozen(): boolean {
    return this.#life?.clock.isFrozen === true;
  }

  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  /** The running node, once it has started. */
  get node(): SimulatedNode | undefined {
    return this.#life?.isStarted ? this.#life.node : undefined;
  }

  get isLeading(): boolean {
    return this.node?.status().role === 'leader';
  }

  /** True if it runs and has applied everything. */
  get isCurrent(): boolean {
    return this.#life !== undefined && this.#place.isCurrent;
  }

  start(): void {
    const { network, random, reference, options, onFailure, trace } = this.#context;
    const clock = this.#newClock();
    trace?.(`${this.name} starts`);
    this.lives++;
    this.wasSentAway = false;
    const onFatal = (error: Error) => {
      if (clock.isOver) return;
      if (isExpected(error)) this.crash();
      else if (isRemoval(error)) this.#noteRemoval();
      else if (this.#wasRolledBack && isLogLoss(error)) this.#noteLoss(error);
      else if (isDivergence(error)) this.#noteSentAway();
      else onFailure(error);
    };
    const dependencies = {
      storage: observed(this.disk.storage(), {
        id: this.id,
        reference,
        clock,
        recovered: note => {
          // What others counted on before a disk was rolled back was there when they did; the rest matters if it takes part.
          if (this.#damage === 'rollback') this.#whenTakingPart = note;
          else if (!clock.isOver) note();
        },
      }),
      transport: network.join(this.id, () => clock.thawed()),
      clock,
      random,
      options,
      bootstrap: {
        identity: { clusterId: this.#bootstrap.clusterId, memberId: this.id, name: this.name },
        membership: this.#bootstrap,
      },
      reach: (point: CrashPoint) => this.#reach(`crash at ${point}`, clock),
      onFatal,
      logger: memberLogger(this.name, this.#context),
    };
    const node = this.#place.begin({
      clock,
      dependencies,
      onFatal,
      writeFault: operation => this.#stateWriteFault(operation, clock),
      die: () => {
        if (!clock.isOver) this.#noteSentAway();
      },
    });
    const life: Life = { clock, node, isStarted: false };
    this.#life = life;
    node.start().then(
      () => this.#started(life),
      (error: unknown) => this.#startFailed(life, error),
    );
  }

  /** Ends the present life, in the middle of whatever it does. */
  crash(): void {
    const life = this.#life;
    if (life === undefined) return;
    const { network, coverage, trace } = this.#context;
    trace?.(`${this.name} crashes`);
    coverage.note('crash');
    this.#life = undefined;
    life.clock.end();
    network.join(this.id);
    this.disk.crash();
    this.#place.crash();
  }

  /** Stands still, as a process does whose machine swaps or whose hypervisor sleeps. */
  pause(durationMs: number): void {
    const life = this.#life;
    if (life === undefined || life.clock.isFrozen) return;
    this.#context.trace?.(`${this.name} stands still for ${Math.round(durationMs)} ms`);
    life.clock.freeze();
    const { clock } = this.#context;
    this.#pauses.push({ fromMs: clock.now(), toMs: clock.now() + durationMs });
    clock.setTimeout(() => life.clock.thaw(), durationMs);
  }

  /** How long it has stood still between two moments; see `WorkloadContext`. */
  stoodStill(between: Parameters<WorkloadContext['stoodStill']>[1]): number {
    const { fromMs, toMs, pauseMsMin, graceMs } = between;
    let sumMs = 0;
    for (const pause of this.#pauses) {
      const isWithin = pause.fromMs >= fromMs && pause.toMs <= toMs && pause.toMs - pause.fromMs >= pauseMsMin;
      if (isWithin) sumMs += pause.toMs - pause.fromMs - graceMs;
    }
    return sumMs;
  }

  /** What is on its disks now. The answer puts that back after it died, in place of what came since. */
  copy(): () => void {
    const [log, state] = [this.disk.copy(), this.#place.copy()];
    return () => {
      log();
      state();
      this.#damage = 'rollback';
      this.#wasRolledBack = true;
      this.#context.coverage.note('disk rolled back');
      this.#context.trace?.(`the disk of ${this.name} is rolled back`);
    };
  }

  /** Makes it hold something else than the others; false if that cannot be. */
  diverge(): boolean {
    return this.#place.diverge();
  }

  /** Fills its disk up, or makes room again; false if nobody would notice. */
  fill(isFull: boolean): boolean {
    return this.#place.fill(isFull);
  }

  /** Does something to the disk of a member that is down; false if there is nothing to damage. */
  damage(kind: LogDamage | 'state'): boolean {
    const { random, coverage, trace } = this.#context;
    if (this.isAlive || this.isLost || this.#damage !== undefined) return false;
    const place = this.disk.aim();
    if (place === undefined) return false;
    trace?.(`the disk of ${this.name} is damaged: ${kind}`);
    if (kind === 'state') {
      if (!this.#place.damage(random)) return false;
      coverage.note('state bit flipped');
      this.#damage = 'state';
      return true;
    }
    this.disk.spoil(kind, place);
    // Who finds nothing cannot know what it has promised. An operator knows.
    if (kind === 'wipe') this.isLost = true;
    else this.#damage = 'log';
    return true;
  }

  #newClock(): LifeClock {
    const { clock, random, drift } = this.#context;
    if (drift === 0) return new LifeClock(clock);
    this.#context.coverage.note('clock drift');
    return new LifeClock(clock, {
      rate: 1 + (2 * random() - 1) * drift,
      startMs: integerBetween(random, 0, 1_000_000),
    });
  }

  #started(life: Life): void {
    if (life.clock.isOver) return;
    const { trace, onFailure } = this.#context;
    if (this.#damage === 'rollback') {
      this.#context.coverage.note('rollback harmless');
      this.#whenTakingPart();
      this.#damage = undefined;
    }
    if (this.#damage !== undefined) {
      onFailure(new SafetyViolation(`${this.name} did not notice that its ${this.#damage} is damaged`));
      return;
    }
    life.isStarted = true;
    this.#place.started();
    let ledIn = 0;
    life.node.onLeadership(({ isLeader, term }) => {
      if (isLeader) trace?.(`${this.name} leads in term ${term}`);
      else if (ledIn === term) this.#context.coverage.note('leader stepped down');
      ledIn = isLeader ? term : 0;
    });
  }

  #startFailed(life: Life, error: unknown): void {
    if (life.clock.isOver) return;
    const { coverage, trace, onFailure } = this.#context;
    if (isExpected(error)) {
      this.crash();
      return;
    }
    if (isRemoval(error)) {
      this.#noteRemoval();
      return;
    }
    const found = damageFound(error);
    // What differed was given up for good while it ran, even if it died of something else at that moment.
    if (found === 'state' && (this.#damage === 'state' || this.#place.hasDiverged)) {
      this.#setAside(life);
      return;
    }
    if (found === 'log' && this.#wasRolledBack) {
      this.#noteLoss(error);
      return;
    }
    if (found === undefined || found !== this.#damage) {
      onFailure(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    trace?.(`${this.name} does not start: ${String(error)}`);
    coverage.note('damage of a log found');
    this.isLost = true;
    this.#endLife(life);
  }

  /** As `openStore` does: a state that makes no sense is built again. */
  #setAside(life: Life): void {
    const { coverage, trace } = this.#context;
    trace?.(`the state of ${this.name} is set aside`);
    if (this.#damage === 'state') coverage.note('damage of a state found');
    this.#damage = undefined;
    this.#isRebuilding = true;
    this.#endLife(life);
    this.#place.setAside();
    this.start();
  }

  /** Its log is not what it promised. */
  #noteLoss(error: unknown): void {
    const { coverage, trace } = this.#context;
    trace?.(`${this.name} must not go on: ${String(error)}`);
    coverage.note('rollback found');
    this.#damage = undefined;
    this.isLost = true;
    if (this.#life !== undefined) this.#endLife(this.#life);
  }

  #noteSentAway(): void {
    const { coverage, onFailure } = this.#context;
    if (!this.#place.hasDiverged) {
      onFailure(new SafetyViolation(`${this.name} was sent away, and always held what the others hold`));
      return;
    }
    coverage.note('diverged member sent away');
    this.wasSentAway = true;
    this.crash();
  }

  #noteRemoval(): void {
    const { coverage, trace } = this.#context;
    trace?.(`${this.name} learns that it was removed`);
    coverage.note('removed member told');
    this.isRemoved = true;
    this.wasToldSo = true;
    if (this.#life !== undefined) this.#endLife(this.#life);
  }

  #endLife(life: Life): void {
    this.#life = undefined;
    life.clock.end();
    this.#context.network.join(this.id);
    this.#place.crash();
  }

  #reach(point: DeathPoint, clock: LifeClock): void {
    if (clock.isOver) throw new Crashed();
    if (this.#context.diesAt?.(this, point) !== true && !this.#isAmbushedAt(point)) return;
    this.#context.trace?.(`${this.name} comes to its end: ${point}`);
    this.#context.coverage.note(point);
    this.crash();
    throw new Crashed();
  }

  #isAmbushedAt(point: DeathPoint): boolean {
    const { ambush } = this;
    if (ambush === undefined || (ambush.point !== undefined && ambush.point !== point)) return false;
    return this.#context.random() < ambush.chance;
  }

  async #stateWriteFault(operation: 'append' | 'flush' | 'checkpoint', clock: LifeClock): Promise<void> {
    this.#reach(`crash at state ${operation}`, clock);
    await this.disk.writeFault('failed state write');
    if (operation !== 'append') this.#reach(`crash at state ${operation}`, clock);
  }
}
