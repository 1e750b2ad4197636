/**
 * Members talking inside one process, for tests and the simulator. Faults are decided by functions that the owner of the
 * network sets, drawing from the random source it was given, so that one seed gives one run.
 *
 * Messages may be lost, delayed, doubled and so reordered. Requests and snapshots behave as on a connection: they may
 * break off, but they are never doubled.
 */
import type { Message } from '../core/messages.ts';
import type { MemberId } from '../core/types.ts';
import type { Clock } from '../driver/clock.ts';
import { SnapshotStream } from './memory-snapshot.ts';
import {
  type IncomingSnapshot,
  type OutgoingSnapshot,
  type Peer,
  PeerError,
  PeerUnreachableError,
  type Transport,
  type TransportHandlers,
} from './transport.ts';

export interface NetworkFaults {
  /** Chance that a message is lost. */
  readonly loss: number;
  /** Chance that a message arrives twice. */
  readonly duplication: number;
  /** Each thing takes between these, drawn evenly; so a wide range reorders. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Chance that a message takes up to `lateMsMax` instead: then it comes long after those sent behind it. */
  readonly late?: number;
  readonly lateMsMax?: number;
}

/** A process that stands still takes nothing in: resolves once it goes on; undefined if it is going on. */
export type Gate = () => Promise<void> | undefined;

/** What became of something that was sent. */
export type Fate = 'lost' | 'doubled' | 'late' | 'clogged' | 'cut';

export const NO_FAULTS: NetworkFaults = { loss: 0, duplication: 0, delayMsMin: 0, delayMsMax: 0 };

/** What happens to pass; for checks of what is said. */
export type MessageObserver = (message: Message) => void;

/** The wires between all members. */
export class MemoryNetwork {
  readonly clock: Clock;
  readonly #random: () => number;
  readonly #members = new Map<MemberId, MemoryTransport>();
  #lives = 0;
  /** Directed pairs between which nothing gets through. */
  readonly #cut = new Set<string>();
  /** Directed pairs in which everything waits until a moment, and then comes at once. */
  readonly #clogged = new Map<string, number>();
  faults: NetworkFaults = NO_FAULTS;
  /** Sees each message as it is sent, whether it will arrive or not. */
  observe: MessageObserver = () => {};
  /** Hears of each misfortune. */
  onFate: (fate: Fate) => void = () => {};

  constructor(options: { readonly clock: Clock; readonly random: () => number }) {
    this.clock = options.clock;
    this.#random = options.random;
  }

  /** The transport of a member. A second one for the same id takes the first one's place, as after a restart. */
  join(id: MemberId, gate: Gate = () => undefined): MemoryTransport {
    this.#members.get(id)?.vanish();
    this.#lives++;
    const transport = new MemoryTransport({ id, network: this, gate, life: this.#lives });
    this.#members.set(id, transport);
    return transport;
  }

  /** Cuts what `from` sends to `to`, in this direction only. */
  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Opens a way that was cut. */
  mend(from: MemberId, to: MemberId): void {
    this.#cut.delete(`${from}>${to}`);
    this.#members.get(from)?.refuseWhoCalls([to]);
  }

  /** Whatever `from` sends to `to` arrives in `durationMs` at the earliest. */
  clog(from: MemberId, to: MemberId, durationMs: number): void {
    this.#clogged.set(`${from}>${to}`, this.clock.now() + durationMs);
  }

  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
    for (const member of this.#members.values()) member.refuseWhoCalls(this.#members.keys());
  }

  /** A member dials others, as each does from its start on: who refuses it says so. */
  dial(from: MemberId, others: Iterable<MemberId>): void {
    for (const id of others) this.#members.get(id)?.refuseWhoCalls([from]);
  }

  /** Whom something sent now reaches; undefined if the way is cut or nobody is there. */
  reach(from: MemberId, to: MemberId): MemoryTransport | undefined {
    if (this.isCut(from, to)) return undefined;
    const transport = this.#members.get(to);
    return transport?.isListening ? transport : undefined;
  }

  isCut(from: MemberId, to: MemberId): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`);
  }

  isLost(): boolean {
    return this.#happens(this.faults.loss, 'lost');
  }

  isDoubled(): boolean {
    return this.#happens(this.faults.duplication, 'doubled');
  }

  delayMs(from: MemberId, to: MemberId): number {
    const { delayMsMin, delayMsMax, late = 0, lateMsMax = 0 } = this.faults;
    const clogMs = this.#clogMs(from, to);
    if (this.#happens(late, 'late')) return clogMs + this.#random() * lateMsMax;
    return clogMs + delayMsMin + this.#random() * (delayMsMax - delayMsMin);
  }

  #clogMs(from: MemberId, to: MemberId): number {
    if (this.#clogged.size === 0) return 0;
    const waitMs = (this.#clogged.get(`${from}>${to}`) ?? 0) - this.clock.now();
    if (waitMs <= 0) return 0;
    this.onFate('clogged');
    return waitMs;
  }

  #happens(chance: number, fate: Fate): boolean {
    const isSo = chance > 0 && this.#random() < chance;
    if (isSo) this.onFate(fate);
    return isSo;
  }

  /** Resolves after a delay; both ends must still be there then, and the way open. */
  async travel(from: MemoryTransport, to: MemberId): Promise<MemoryTransport | undefined> {
    const target = this.reach(from.id, to);
    await new Promise<void>(resolve => {
      this.clock.setTimeout(resolve, this.delayMs(from.id, to));
    });
    await target?.gate();
    if (!from.isListening || target === undefined || this.reach(from.id, to) !== target) return undefined;
    return target;
  }
}

class MemoryTransport implements Transport {
  readonly id: MemberId;
  readonly gate: Gate;
  readonly #network: MemoryNetwork;
  #handlers: TransportHandlers | undefined;
  #known: ReadonlySet<MemberId> = new Set();
  #refused: ReadonlySet<MemberId> = new Set();
  /** Members that called this one can be answered, also if their address is not known yet. */
  readonly #callers = new Set<MemberId>();
  /** The latest life of each member that was heard: its connections took the place of those of the lives before. */
  readonly #latest = new Map<MemberId, number>();
  /** Counts the lives of all members: a later one of the same member has a higher number. */
  readonly life: number;
  /** Snapshots on their way here. */
  readonly #streams = new Set<SnapshotStream>();

  constructor(of: {
    readonly id: MemberId;
    readonly network: MemoryNetwork;
    readonly gate: Gate;
    readonly life: number;
  }) {
    this.id = of.id;
    this.gate = of.gate;
    this.life = of.life;
    this.#network = of.network;
  }

  get isListening(): boolean {
    return this.#handlers !== undefined;
  }

  async start(handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers;
  }

  setPeers(peers: readonly Peer[], refused: readonly MemberId[] = []): void {
    const before = this.#known;
    this.#known = new Set(peers.map(peer => peer.id));
    this.#refused = new Set(refused);
    // Connections are there whether anything is said on them or not; those of refused members end, and they dial anew.
    this.refuseWhoCalls(refused);
    this.#network.dial(
      this.id,
      [...this.#known].filter(id => !before.has(id)),
    );
  }

  /** These call, as far as they can: who was removed is told so. */
  refuseWhoCalls(callers: Iterable<MemberId>): void {
    if (!this.isListening || this.#refused.size === 0) return;
    for (const id of callers) this.#refuses(id);
  }

  send(message: Message): void {
    if (!this.isListening) return;
    this.#network.observe(message);
    if (!this.#canReach(message.to) || this.#network.isLost()) return;
    this.#sendOnce(message);
    if (this.#network.isDoubled()) this.#sendOnce(message);
  }

  async sendSnapshot(to: MemberId, snapshot: OutgoingSnapshot): Promise<void> {
    const target = this.#canReach(to) ? await this.#network.travel(this, to) : undefined;
    if (target === undefined) throw new PeerUnreachableError('the member cannot be reached', { isUnsent: true });
    const stream = new SnapshotStream(snapshot.chunks, async () => {
      // Each chunk needs the way in both directions: the next one waits for the one before to be taken.
      const reached = await this.#network.travel(this, to);
      if (reached !== target || this.#network.reach(to, this.id) !== this || this.#network.isLost()) {
        throw new PeerUnreachableError('the snapshot broke off');
      }
      await this.gate();
    });
    await target.receiveSnapshot({ from: this.id, term: snapshot.term, metadata: snapshot.metadata, chunks: stream });
  }

  async request(
    to: MemberId,
    method: string,
    body: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    if (!this.#canReach(to)) throw new PeerUnreachableError('the member cannot be reached', { isUnsent: true });
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#network.clock.setTimeout(
        () => reject(new PeerUnreachableError(`no answer to ${method} in time`)),
        options.timeoutMs,
      );
      this.#call(to, method, body).finally(cancelTimeout).then(resolve, reject);
    });
  }

  async close(): Promise<void> {
    this.vanish();
  }

  /** Is gone at once, as a process that dies. */
  vanish(): void {
    this.#handlers = undefined;
    for (const stream of this.#streams) stream.breakOff();
  }

  /** Something of another member arrives. Nobody who was removed is heard; it is told so. */
  receive(message: Message, life: number): void {
    if (this.#refuses(message.from) || !this.#isLatest(message.from, life)) return;
    this.#callers.add(message.from);
    this.#handlers?.onMessage(message);
  }

  /** Resolves when the receiver has taken all of it. */
  async receiveSnapshot(snapshot: IncomingSnapshot & { readonly chunks: SnapshotStream }): Promise<void> {
    this.#streams.add(snapshot.chunks);
    try {
      this.#handlers?.onSnapshot(snapshot);
      await snapshot.chunks.done;
    } finally {
      this.#streams.delete(snapshot.chunks);
    }
  }

  async answer(from: MemberId, method: string, body: Uint8Array, life: number): Promise<Uint8Array> {
    if (this.#handlers === undefined || this.#refuses(from) || !this.#isLatest(from, life)) {
      throw new PeerUnreachableError('refused');
    }
    this.#callers.add(from);
    return this.#handlers.onRequest(from, method, body);
  }

  /** A member of the cluster refuses this one. */
  toldRemoved(by: MemberId): void {
    if (this.#known.has(by)) this.#handlers?.onRemoved?.(by);
  }

  /** Whoever is heard again after a restart calls anew, which ends the connection before and what was still on it. */
  #isLatest(from: MemberId, life: number): boolean {
    if (life < (this.#latest.get(from) ?? 0)) return false;
    this.#latest.set(from, life);
    return true;
  }

  #refuses(from: MemberId): boolean {
    if (!this.#refused.has(from)) return false;
    this.#deliver(from, target => target.toldRemoved(this.id));
    return true;
  }

  #canReach(to: MemberId): boolean {
    if (!this.isListening || !(this.#known.has(to) || this.#callers.has(to))) return false;
    return this.#network.reach(this.id, to) !== undefined;
  }

  #sendOnce(message: Message): void {
    this.#deliver(message.to, target => target.receive(message, this.life));
  }

  #deliver(to: MemberId, receive: (target: MemoryTransport) => void): void {
    const target = this.#network.reach(this.id, to);
    if (target === undefined) return;
    // A restarted member has new connections: what was on the old ones is gone.
    const arrive = () => {
      if (this.#network.reach(this.id, to) === target) receive(target);
    };
    this.#network.clock.setTimeout(
      () => {
        const opening = target.gate();
        if (opening === undefined) arrive();
        else void opening.then(arrive);
      },
      this.#network.delayMs(this.id, to),
    );
  }

  async #call(to: MemberId, method: string, body: Uint8Array): Promise<Uint8Array> {
    const isLost = this.#network.isLost();
    const target = await this.#network.travel(this, to);
    if (target === undefined || isLost) throw new PeerUnreachableError('the connection broke');
    let answer: Uint8Array;
    try {
      answer = await target.answer(this.id, method, body, this.life);
    } catch (error) {
      if (!(await this.#isBack(target))) throw new PeerUnreachableError('the connection broke', { cause: error });
      throw asPeerError(error);
    }
    if (!(await this.#isBack(target))) throw new PeerUnreachableError('the connection broke');
    return answer;
  }

  async #isBack(target: MemoryTransport): Promise<boolean> {
    const isLost = this.#network.isLost();
    return (await this.#network.travel(target, this.id)) === this && !isLost;
  }
}

function asPeerError(error: unknown): Error {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return new PeerError(error.code, error.message);
  }
  return new PeerError('RAFT_INTERNAL', String(error));
}
