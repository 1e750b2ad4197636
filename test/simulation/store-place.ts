/** A member that runs the real store: replica, local client, the leader's duties, on a disk that forgets what is not flushed. */
import {
  type CommittedCommand,
  createRaftNode,
  type MemberId,
  type RaftDriver,
  type SnapshotMetadata,
  type StateMachine,
  type StateMachineSnapshot,
} from '../../raft/index.ts';
import {
  type ApplyResult,
  followLeadership,
  LocalClient,
  MemoryBackend,
  MemoryStateDisk,
  Replica,
} from '../../store/index.ts';
import { integerBetween, pick, type Random } from './random.ts';
import type { Reference } from './reference.ts';
import type { StoreJudge } from './store-judge.ts';
import type { LifeClock } from './virtual-clock.ts';
import type { Life, Place, SimulatedNode, WorkloadContext } from './workload.ts';

/** Small, so that checkpoints are made all the time. */
const CHECKPOINT_BYTES_MIN = 400;
/** Of the batches that were not flushed, at most so many survive a crash. */
const BATCHES_KEPT_MAX = 6;
const CLIENT_TIMEOUT_MS = 1_500;

/** A life of the store that clients can use. */
export interface StoreLife {
  readonly client: LocalClient;
  readonly node: RaftDriver<ApplyResult>;
  readonly replica: Replica;
  /** Resolves at the crash: then nothing is answered any more, as on a broken connection. */
  readonly ended: Promise<typeof ENDED>;
}
export const ENDED: unique symbol = Symbol('ended');

export interface StorePlaceContext extends WorkloadContext {
  readonly judge: StoreJudge;
}

export class StorePlace implements Place {
  readonly id: MemberId;
  readonly #context: StorePlaceContext;
  readonly #disk = new MemoryStateDisk();
  #clock: LifeClock | undefined;
  #life: StoreLife | undefined;
  #isStarted = false;
  #end: () => void = () => {};

  constructor(id: MemberId, context: StorePlaceContext) {
    this.id = id;
    this.#context = context;
  }

  /** The present life, once it has started. */
  get life(): StoreLife | undefined {
    return this.#isStarted ? this.#life : undefined;
  }

  get isCurrent(): boolean {
    const { reference } = this.#context;
    return this.life !== undefined && reference.countThrough(this.life.replica.appliedIndex) === reference.length;
  }

  begin({ clock, dependencies, onFatal, writeFault }: Life): SimulatedNode {
    const { random, reference, judge, coverage } = this.#context;
    this.#disk.setFault(writeFault);
    if (this.#disk.contents.checkpoint !== undefined) coverage.note('restart from a checkpoint');
    const replica = new Replica({
      backend: new MemoryBackend(this.#disk),
      clock,
      onFatal,
      checkpointBytesMin: CHECKPOINT_BYTES_MIN,
    });
    const stateMachine = new JudgedReplica({
      member: this.id,
      replica,
      reference,
      judge,
      beforeChunk: () => writeFault('checkpoint'),
    });
    const node = createRaftNode<ApplyResult>({ ...dependencies, stateMachine });
    const client = new LocalClient({ raft: node, replica, clock, random, timeoutMs: CLIENT_TIMEOUT_MS });
    const { promise: ended, resolve } = Promise.withResolvers<typeof ENDED>();
    this.#end = () => resolve(ENDED);
    this.#clock = clock;
    this.#life = { client, node, replica, ended };
    return node;
  }

  started(): void {
    if (this.#life === undefined || this.#clock === undefined) return;
    this.#isStarted = true;
    const { historyKeepMs } = this.#context.shape;
    const { node, replica, client } = this.#life;
    followLeadership({ raft: node, replica, client, clock: this.#clock, historyKeepMs });
  }

  crash(): void {
    const { random, coverage } = this.#context;
    this.#isStarted = false;
    this.#end();
    const before = this.#disk.contents.batches.length;
    this.#disk.crash({ batchesKept: integerBetween(random, 0, BATCHES_KEPT_MAX) });
    if (this.#disk.contents.batches.length < before) coverage.note('state lost by a crash');
  }

  damage(random: Random): boolean {
    return this.#disk.flipBit({ fromEnd: integerBetween(random, 0, 5), bit: integerBetween(random, 0, 10_000) });
  }
}

interface JudgedReplicaOptions {
  readonly member: MemberId;
  readonly replica: Replica;
  readonly reference: Reference;
  readonly judge: StoreJudge;
  /** Stands before each chunk of a snapshot that is taken over. */
  readonly beforeChunk: () => Promise<void>;
}

/** The replica, with the judge told of all that it does. */
class JudgedReplica implements StateMachine<ApplyResult> {
  readonly #options: JudgedReplicaOptions;

  constructor(options: JudgedReplicaOptions) {
    this.#options = options;
  }

  async open(): Promise<{ readonly appliedIndex: number }> {
    const { member, replica, judge, reference } = this.#options;
    const opened = await replica.open();
    reference.opened(member, opened.appliedIndex);
    judge.loaded(member, replica);
    return opened;
  }

  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly ApplyResult[] {
    const { member, replica, reference, judge } = this.#options;
    reference.committed(member, throughIndex);
    const position = reference.countThrough(replica.appliedIndex);
    for (const [offset, command] of commands.entries()) judge.applies(position + offset, command);
    const results = replica.apply(commands, throughIndex);
    judge.applied(member, position, replica, results);
    return results;
  }

  flush(): Promise<number> {
    return this.#options.replica.flush();
  }

  snapshot(): StateMachineSnapshot {
    return this.#options.replica.snapshot();
  }

  async restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { member, replica, judge } = this.#options;
    await replica.restore(metadata, this.#slowed(chunks));
    judge.loaded(member, replica);
  }

  close(): Promise<void> {
    return this.#options.replica.close();
  }

  async *#slowed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      await this.#options.beforeChunk();
      yield chunk;
    }
  }
}

/** A member that clients can use. */
export function anyLife(places: readonly StorePlace[], random: Random): StoreLife | undefined {
  return pick(
    random,
    places.filter(({ life }) => life !== undefined),
  )?.life;
}

/** The answer, the error, or undefined if the member died before it answered. */
export async function outcomeOf<Value>(life: StoreLife, call: Promise<Value>): Promise<Value | Error | undefined> {
  const outcome = await Promise.race([call.catch((error: Error) => error), life.ended]);
  return outcome === ENDED ? undefined : outcome;
}
