/** A member that runs the real store: replica, local client, the leader's duties, on a disk that forgets what is not flushed. */
import {
  type CommittedCommand,
  createRaftNode,
  type Logger,
  type MemberId,
  type RaftDriver,
  type SnapshotMetadata,
  type StateMachine,
  type StateMachineSnapshot,
  silentLogger,
} from '../../raft/index.ts';
import { decodeCommand, encodeCommand } from '../../store/codec/command.ts';
import { beginCare } from '../../store/duties/care.ts';
import {
  type ApplyResult,
  followLeadership,
  LocalClient,
  MemoryBackend,
  MemoryStateDisk,
  Replica,
  resolveLimits,
  type StoreLimits,
} from '../../store/index.ts';
import { PeerMethods } from '../../store/member/peer-methods.ts';
import { integerBetween, pick, type Random } from './random.ts';
import type { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';
import type { StoreJudge } from './store-judge.ts';
import type { LifeClock } from './virtual-clock.ts';
import type { Life, Place, SimulatedNode, WorkloadContext } from './workload.ts';

/** Small, so that checkpoints are made all the time. */
const CHECKPOINT_BYTES_MIN = 400;
/** Of the batches that were not flushed, at most so many survive a crash. */
const BATCHES_KEPT_MAX = 6;
const CLIENT_TIMEOUT_MS = 1_500;
/** Members compare, and look at their disks, so often that it happens in a minute. */
const HASH_CHECK_MS = 1_500;
const DISK_CHECK_MS = 700;
const DISK_BYTES = 1_000_000;
const DISK_RESERVE_BYTES = 10_000;

/** A life of the store that clients can use. */
export interface StoreLife {
  readonly client: LocalClient;
  readonly node: RaftDriver<ApplyResult>;
  readonly replica: Replica;
  /** Resolves at the crash: then nothing is answered any more, as on a broken connection. */
  readonly ended: Promise<typeof ENDED>;
  /** It holds what the others hold. Nobody can tell from its answers, so they are not judged where it does not. */
  readonly isTrusted: () => boolean;
  readonly coverage: StorePlaceContext['coverage'];
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
  #life: (StoreLife & { readonly methods: PeerMethods; readonly logger: Logger }) | undefined;
  #isStarted = false;
  #isFull = false;
  #divergence: Divergence = { state: 'none', hasBeen: false };
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
    if (this.life === undefined || this.isDiverged) return false;
    return reference.countThrough(this.life.replica.appliedIndex) === reference.length;
  }

  get isDiverged(): boolean {
    const { judge, coverage } = this.#context;
    if (this.#divergence.state === 'diverged' && this.life !== undefined && judge.isRight(this.life.replica)) {
      coverage.note('state right again');
      this.#divergence.state = 'none';
    }
    return this.#divergence.state === 'diverged';
  }

  get hasDiverged(): boolean {
    return this.#divergence.hasBeen;
  }

  get mayDiverge(): boolean {
    return this.isDiverged || this.#divergence.state === 'wanted';
  }

  get #limits(): StoreLimits {
    return resolveLimits({
      quotaBytes: this.#context.shape.quotaBytes,
      hashCheckMs: HASH_CHECK_MS,
      diskCheckMs: DISK_CHECK_MS,
      diskReserveBytes: DISK_RESERVE_BYTES,
    });
  }

  begin({ clock, dependencies, onFatal, writeFault, die }: Life): SimulatedNode {
    const { random, reference, judge, coverage, isRemoving } = this.#context;
    this.#disk.setFault(writeFault);
    if (this.#disk.contents.checkpoint !== undefined) coverage.note('restart from a checkpoint');
    const replica = new Replica({
      backend: new MemoryBackend(this.#disk),
      clock,
      onFatal,
      checkpointBytesMin: CHECKPOINT_BYTES_MIN,
      limits: this.#limits,
      memberId: this.id,
    });
    const stateMachine = new JudgedReplica({
      member: this.id,
      replica,
      reference,
      judge,
      coverage,
      divergence: this.#divergence,
      die,
      isRemoving,
      beforeChunk: () => writeFault('checkpoint'),
    });
    const methods = new PeerMethods();
    const node = createRaftNode<ApplyResult>({
      ...dependencies,
      stateMachine,
      onRequest: (from, method, body) => methods.answer(from, method, body),
    });
    const limits = this.#limits;
    const client = new LocalClient({ raft: node, replica, clock, random, limits, timeoutMs: CLIENT_TIMEOUT_MS });
    const { promise: ended, resolve } = Promise.withResolvers<typeof ENDED>();
    this.#end = () => resolve(ENDED);
    this.#clock = clock;
    const isTrusted = () => !this.isDiverged;
    this.#life = {
      client,
      node,
      replica,
      ended,
      isTrusted,
      coverage,
      methods,
      logger: dependencies.logger ?? silentLogger,
    };
    return node;
  }

  started(): void {
    if (this.#life === undefined || this.#clock === undefined) return;
    this.#isStarted = true;
    const { historyKeepMs } = this.#context.shape;
    const { node, replica, client, methods, logger } = this.#life;
    const parts = { raft: node, replica, client, clock: this.#clock, limits: this.#limits };
    const space = async () => ({ freeBytes: this.#isFull ? 0 : DISK_BYTES, totalBytes: DISK_BYTES });
    const { hashCheck } = beginCare({ ...parts, methods, logger, memberId: this.id, space });
    followLeadership({ ...parts, hashCheck, historyKeepMs });
  }

  crash(): void {
    const { random, coverage } = this.#context;
    this.#isStarted = false;
    this.#end();
    const before = this.#disk.contents.batches.length;
    this.#disk.crash({ batchesKept: integerBetween(random, 0, BATCHES_KEPT_MAX) });
    if (this.#disk.contents.batches.length < before) coverage.note('state lost by a crash');
  }

  setAside(): void {
    this.#disk.wipe();
    if (this.#divergence.state === 'diverged') this.#divergence.state = 'none';
  }

  copy(): () => void {
    const putBack = this.#disk.copy();
    const wasDiverged = this.isDiverged;
    return () => {
      putBack();
      if (!wasDiverged) return;
      this.#divergence.state = 'diverged';
      this.#divergence.hasBeen = true;
    };
  }

  diverge(): boolean {
    if (this.life === undefined || this.#divergence.state !== 'none') return false;
    this.#divergence.state = 'wanted';
    return true;
  }

  fill(isFull: boolean): boolean {
    this.#isFull = isFull;
    return true;
  }

  damage(random: Random): boolean {
    return this.#disk.flipBit({ fromEnd: integerBetween(random, 0, 5), bit: integerBetween(random, 0, 10_000) });
  }
}

/** Whether a member is to come to hold something else than the others, or does. */
interface Divergence {
  state: 'none' | 'wanted' | 'diverged';
  /** The state was wrong at some time. Late news of that may accuse what a crash, or building it anew, has made right. */
  hasBeen: boolean;
}

interface JudgedReplicaOptions {
  readonly member: MemberId;
  readonly replica: Replica;
  readonly reference: Reference;
  readonly judge: StoreJudge;
  readonly coverage: StorePlaceContext['coverage'];
  readonly divergence: Divergence;
  readonly die: () => void;
  readonly isRemoving: () => boolean;
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
    const { member, replica, reference } = this.#options;
    const opened = await replica.open();
    reference.opened(member, opened.appliedIndex);
    this.#judgeLoaded();
    return opened;
  }

  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly ApplyResult[] {
    const { member, replica, reference, judge } = this.#options;
    reference.committed(member, throughIndex);
    const position = reference.countThrough(replica.appliedIndex);
    for (const [offset, command] of commands.entries()) judge.applies(position + offset, command);
    const { divergence } = this.#options;
    const results = replica.apply(
      divergence.state === 'wanted' ? commands.map(command => this.#altered(command)) : commands,
      throughIndex,
    );
    if (divergence.state !== 'diverged') judge.applied(member, position, replica, results);
    return results;
  }

  flush(): Promise<number> {
    return this.#options.replica.flush();
  }

  snapshot(): StateMachineSnapshot {
    const { divergence, coverage, die } = this.#options;
    if (divergence.state === 'diverged') {
      // What it sends would be wrong everywhere: of a wrong majority nobody could tell.
      coverage.note('diverged leader died before its snapshot');
      die();
    }
    return this.#options.replica.snapshot();
  }

  async restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#options.replica.restore(metadata, this.#slowed(chunks));
    this.#judgeLoaded();
  }

  close(): Promise<void> {
    return this.#options.replica.close();
  }

  /** A crash may have lost what was wrong, and a snapshot replaces it. */
  #judgeLoaded(): void {
    const { member, replica, judge, divergence, coverage } = this.#options;
    if (divergence.state === 'diverged') {
      if (!judge.isRight(replica)) return;
      coverage.note('state right again');
      divergence.state = 'none';
    }
    judge.loaded(member, replica);
  }

  /** The first put becomes another: as if a bit had flipped on its way into the state. */
  #altered(command: CommittedCommand): CommittedCommand {
    const { divergence, coverage, judge, member, isRemoving } = this.#options;
    // Of those who stay, most have to be right.
    if (isRemoving()) return command;
    const decoded = decodeCommand(command.data);
    if (divergence.state !== 'wanted' || decoded.type !== 'transaction') return command;
    const { transaction } = decoded;
    const isCertain = (transaction.compare ?? []).length <= 1 && transaction.fenceTerm === undefined;
    const put = transaction.then[0];
    // Its tag never exists, so such a transaction takes the branch that puts.
    if (!isCertain || put?.type !== 'put' || (put.lease ?? 0) !== 0 || judge.model.alarms.length > 0) return command;
    divergence.state = 'diverged';
    divergence.hasBeen = true;
    judge.diverged(member);
    coverage.note('state diverged');
    const then = [{ ...put, value: Buffer.from(`not ${put.value}`) }, ...transaction.then.slice(1)];
    return { ...command, data: encodeCommand({ ...decoded, transaction: { ...transaction, then } }) };
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

/**
 * The answer, the error, or undefined if the member died before it answered, or holds something that makes its answers
 * worthless and does not know it yet.
 */
export async function outcomeOf<Value>(
  life: StoreLife,
  call: Promise<Value>,
  options: { readonly mayAnswerUnderAlarm?: boolean } = {},
): Promise<Value | Error | undefined> {
  // Nothing has happened since the call began.
  const isAccused = life.replica.servingProblem !== undefined && options.mayAnswerUnderAlarm !== true;
  const outcome = await Promise.race([call.catch((error: Error) => error), life.ended]);
  if (outcome === ENDED) return undefined;
  if (isAccused && !(outcome instanceof Error)) {
    throw new SafetyViolation('a member answered under an alarm that says it holds something else than the others');
  }
  if (isAccused) life.coverage.note('answer refused under a CORRUPT alarm');
  return life.isTrusted() ? outcome : undefined;
}
