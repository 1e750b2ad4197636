/**
 * One priority level: its seats, its queues, and who is next. Queues are served by start-time fair queueing (Goyal et al.,
 * 1996): a queue's turn comes the later, the more seats it has had, so each flow gets its part however much others wait for.
 */
import { HANDS_MAX } from './limits.ts';
import { dealHand } from './shuffle.ts';

export interface LevelSettings {
  readonly name: string;
  readonly uid: string;
  readonly isExempt: boolean;
  /** Undefined where requests that find no seat are turned away. */
  readonly queuing:
    | { readonly queues: number; readonly handSize: number; readonly queueLengthLimit: number }
    | undefined;
  readonly shares: number;
  readonly lendablePercent: number;
  /** Undefined for as much as there is. */
  readonly borrowingLimitPercent: number | undefined;
}

export interface Ticket {
  readonly schema: string;
  readonly flow: string;
  readonly seats: number;
  readonly arrivedMs: number;
  readonly queue: number;
  /** Virtual time at which its turn begins; lowest first. */
  startTag: number;
  readonly admit: () => void;
}

export interface Queue {
  readonly waiting: Ticket[];
  /** Virtual time at which the last of it that has been queued ends. */
  finishTag: number;
  executing: number;
  seatsInUse: number;
}

export interface LevelCounts {
  dispatched: number;
  rejected: number;
  timedOut: number;
  cancelled: number;
}

export class Level {
  settings: LevelSettings;
  /** Seats that are its own, and the part of them that it never lends. */
  nominal = 0;
  guaranteed = 0;
  max = 0;
  inUse = 0;
  executing = 0;
  waiting = 0;
  readonly counts: LevelCounts = { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 };
  /** No schema leads here any more, and it is gone once it is empty. */
  isQuiescing = false;
  queues: Queue[] = [];
  #virtualTime = 0;
  #hands = new Map<string, readonly number[]>();

  constructor(settings: LevelSettings) {
    this.settings = settings;
    this.#makeQueues();
  }

  /** Goes by other settings from now on; who waits keeps his place as far as there is one. */
  configure(settings: LevelSettings): void {
    const before = this.settings.queuing;
    this.settings = settings;
    if (before?.queues !== settings.queuing?.queues || before?.handSize !== settings.queuing?.handSize) {
      this.#makeQueues();
    }
  }

  #makeQueues(): void {
    this.#hands.clear();
    const count = this.settings.queuing?.queues ?? 0;
    // Queues that are one too many stay until they are empty.
    while (
      this.queues.length > count &&
      this.queues.at(-1)?.waiting.length === 0 &&
      this.queues.at(-1)?.executing === 0
    ) {
      this.queues.pop();
    }
    while (this.queues.length < count) this.queues.push({ waiting: [], finishTag: 0, executing: 0, seatsInUse: 0 });
  }

  /** The least busy queue of the flow's hand; undefined where there are no queues. */
  queueFor(flow: string): number | undefined {
    const { queuing } = this.settings;
    if (!queuing || queuing.queues === 0) return undefined;
    let hand = this.#hands.get(flow);
    if (!hand) {
      hand = dealHand(flow, queuing);
      if (this.#hands.size >= HANDS_MAX) this.#hands.clear();
      this.#hands.set(flow, hand);
    }
    let best: number | undefined;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const index of hand) {
      const queue = this.queues[index];
      const load = queue ? queue.waiting.length + queue.seatsInUse : Number.POSITIVE_INFINITY;
      if (load < bestLoad) [best, bestLoad] = [index, load];
    }
    return best;
  }

  isFull(index: number): boolean {
    const limit = this.settings.queuing?.queueLengthLimit ?? 0;
    return (this.queues[index]?.waiting.length ?? 0) >= limit;
  }

  enqueue(ticket: Ticket): void {
    const queue = this.queues[ticket.queue];
    if (!queue) throw new Error(`priority level ${this.settings.name} has no queue ${ticket.queue}`);
    ticket.startTag = Math.max(this.#virtualTime, queue.finishTag);
    queue.finishTag = ticket.startTag + ticket.seats;
    queue.waiting.push(ticket);
    this.waiting++;
  }

  /** Who is next; undefined if nobody waits. */
  head(): Ticket | undefined {
    if (this.waiting === 0) return undefined;
    let best: Ticket | undefined;
    for (const { waiting } of this.queues) {
      const [first] = waiting;
      if (first && (!best || first.startTag < best.startTag)) best = first;
    }
    return best;
  }

  /** Takes somebody out of his queue. False if he is not there any more. */
  remove(ticket: Ticket): boolean {
    const waiting = this.queues[ticket.queue]?.waiting;
    const index = waiting?.indexOf(ticket) ?? -1;
    if (!waiting || index < 0) return false;
    waiting.splice(index, 1);
    this.waiting--;
    return true;
  }

  begin(seats: number, queue: number | undefined, startTag = this.#virtualTime): void {
    this.inUse += seats;
    this.executing++;
    this.counts.dispatched++;
    this.#virtualTime = Math.max(this.#virtualTime, startTag);
    const own = queue === undefined ? undefined : this.queues[queue];
    if (!own) return;
    own.executing++;
    own.seatsInUse += seats;
    // One that did not have to wait has had its turn as well.
    own.finishTag = Math.max(own.finishTag, this.#virtualTime + seats);
  }

  end(seats: number, queue: number | undefined): void {
    this.inUse -= seats;
    this.executing--;
    const own = queue === undefined ? undefined : this.queues[queue];
    if (!own) return;
    own.executing--;
    own.seatsInUse -= seats;
  }
}
