/**
 * The simplest thing to replicate, a list: clients append to it and read its length, through any member, one thing after
 * the other. Cheap, so that many seeds of it look for mistakes of Raft itself.
 */
import {
  createRaftNode,
  type MemberId,
  NotLeaderError,
  OutcomeUnknownError,
  OverloadedError,
  ProposalDroppedError,
  type RaftDriver,
} from '../../raft/index.ts';
import { ListHistory } from './list-history.ts';
import { ListDisk, ListMachine } from './list-machine.ts';
import { integerBetween, pick, type Random } from './random.ts';
import {
  type Life,
  Pace,
  type Place,
  pause,
  type SimulatedNode,
  type Workload,
  type WorkloadContext,
} from './workload.ts';

const CLIENTS = 4;
/** A member that died answers nothing: the client goes on after this. */
const PATIENCE_MS = 3_000;
/** A client that was refused does not come back at once. */
const REFUSED_PAUSE_MS = 10;

export class ListWorkload implements Workload {
  readonly #context: WorkloadContext;
  readonly #history = new ListHistory();
  readonly #places: ListPlace[] = [];
  #clientsDone = 0;

  constructor(context: WorkloadContext) {
    this.#context = context;
  }

  addMember(id: MemberId): Place {
    const place = new ListPlace(id, this.#context);
    this.#places.push(place);
    return place;
  }

  startClients(): void {
    for (let client = 0; client < CLIENTS; client++) this.#operate(client).catch(this.#context.fail);
  }

  get isDone(): boolean {
    return this.#clientsDone === CLIENTS;
  }

  get answered(): number {
    return this.#history.answered;
  }

  check(): void {
    this.#history.check(this.#context.reference);
  }

  async #operate(client: number): Promise<void> {
    const { random, isChaos, shape } = this.#context;
    const pace = new Pace(random, shape.pauseMsMax);
    for (let count = 0; isChaos(); count++) {
      await pause(this.#context, pace.next());
      const place = this.#anyPlace();
      if (place === undefined) continue;
      const name = `${client}.${count}`;
      const isDone = random() < 0.5 ? await this.#append(place, name) : await this.#read(place, name);
      if (!isDone) await pause(this.#context, REFUSED_PAUSE_MS);
    }
    // The cluster is healed: a command has to get through in the end.
    for (let attempt = 0; ; attempt++) {
      const place = this.#anyPlace();
      if (place !== undefined && (await this.#append(place, `${client}.last.${attempt}`))) break;
      await pause(this.#context, 50);
    }
    this.#clientsDone++;
  }

  #anyPlace(): ListPlace | undefined {
    return pick(
      this.#context.random,
      this.#places.filter(({ node }) => node !== undefined),
    );
  }

  async #append(place: ListPlace, command: string): Promise<boolean> {
    const { clock, coverage, trace } = this.#context;
    const { node } = place;
    if (node === undefined) return false;
    const isLeading = node.status().role === 'leader';
    const operation = this.#history.begin('append', command, clock.now());
    const outcome = await this.#patiently(node.propose(Buffer.from(command)));
    trace?.(`append ${command} on ${place.id}: ${outcome}`);
    if (outcome === undefined || outcome instanceof OutcomeUnknownError) {
      coverage.note('outcome unknown');
      return false;
    }
    if (outcome instanceof Error) {
      const isDropped = outcome instanceof ProposalDroppedError;
      operation.isRefused = isDropped || outcome instanceof NotLeaderError || outcome instanceof OverloadedError;
      if (!operation.isRefused) throw outcome;
      coverage.note(isDropped ? 'command dropped for certain' : 'command refused');
      return false;
    }
    if (!isLeading) coverage.note('command forwarded');
    operation.result = outcome;
    operation.returnedMs = clock.now();
    return true;
  }

  async #read(place: ListPlace, name: string): Promise<boolean> {
    const { clock, random, coverage, trace } = this.#context;
    const { node, machine } = place;
    if (node === undefined || machine === undefined) return false;
    const isLeading = node.status().role === 'leader';
    const operation = this.#history.begin('read', name, clock.now());
    const barrier = node.readBarrier({ timeoutMs: integerBetween(random, 200, 2_000) });
    const outcome = await this.#patiently(barrier.then(() => machine.length));
    trace?.(`read ${name} on ${place.id}: ${outcome}`);
    if (outcome instanceof Error) coverage.note('read barrier refused');
    if (outcome === undefined || outcome instanceof Error) return false;
    coverage.note(isLeading ? 'read confirmed' : 'read on a follower');
    operation.result = outcome;
    operation.returnedMs = clock.now();
    return true;
  }

  /** The result, the error, or undefined if the member died and will never answer. */
  #patiently(result: Promise<number>): Promise<number | Error | undefined> {
    return new Promise(resolve => {
      const cancel = this.#context.clock.setTimeout(() => resolve(undefined), PATIENCE_MS);
      const settle = (outcome: number | Error) => {
        cancel();
        resolve(outcome);
      };
      result.then(settle, settle);
    });
  }
}

export class ListPlace implements Place {
  readonly id: MemberId;
  readonly #context: WorkloadContext;
  readonly #disk = new ListDisk();
  #node: RaftDriver<number> | undefined;
  #isStarted = false;
  #machine: ListMachine | undefined;

  constructor(id: MemberId, context: WorkloadContext) {
    this.id = id;
    this.#context = context;
  }

  /** The running node, once it has started. */
  get node(): RaftDriver<number> | undefined {
    return this.#isStarted ? this.#node : undefined;
  }

  get machine(): ListMachine | undefined {
    return this.#machine;
  }

  get isCurrent(): boolean {
    return this.#machine?.length === this.#context.reference.length;
  }

  begin({ dependencies, writeFault }: Life): SimulatedNode {
    const { reference } = this.#context;
    this.#machine = new ListMachine({ member: this.id, disk: this.#disk, reference, beforeWrite: writeFault });
    this.#node = createRaftNode<number>({ ...dependencies, stateMachine: this.#machine });
    return this.#node;
  }

  started(): void {
    this.#isStarted = true;
  }

  crash(): void {
    this.#isStarted = false;
    this.#disk.crash(this.#context.random);
  }

  /** The list's disk is only two numbers: there is nothing that could be checked. */
  damage(_random: Random): boolean {
    return false;
  }

  setAside(): void {
    throw new Error('the state of a list is never damaged');
  }

  copy(): () => void {
    const { flushed } = this.#disk;
    return () => {
      this.#disk.flushed = flushed;
      this.#disk.unsynced = [];
    };
  }

  /** Lists are not compared with each other. */
  diverge(): boolean {
    return false;
  }

  readonly mayDiverge = false;
  readonly isDiverged = false;
  readonly hasDiverged = false;

  fill(_isFull: boolean): boolean {
    return false;
  }
}
