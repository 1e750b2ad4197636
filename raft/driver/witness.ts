/**
 * What this member has heard others promise. A member whose data directory was put back to an earlier day (a restored copy,
 * a disk that lost its last writes) does not know of promises that it made since: it could vote twice in one term, or help
 * to elect a leader that lacks what it once acknowledged. Nothing in the directory itself can show that. But whoever heard
 * the promises can: so a member that starts on data that it has asks the others what they heard of it, before it says a word,
 * and does not take part if they know of more than its disk does. It does not wait for ever: who is away when it starts is
 * asked again for a while, and may still end it.
 *
 * What was heard is kept in memory only, so this finds out a member as long as one that heard it has been running since.
 * A cluster that is stopped as a whole, and of which an older copy of one member is put back, is not helped by it. Neither
 * is a leader that is put back within its own term: that it counted itself for an entry, nobody else has heard.
 */
import type { Message } from '../core/messages.ts';
import type { MemberId } from '../core/types.ts';
import { LogCorruptError } from '../storage/storage.ts';
import { PeerError } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import type { DriverLimits } from './limits.ts';

/** What one member has promised, as far as it was heard. */
export interface Heard {
  /** It has been in this term: it may have voted in it. */
  readonly term: number;
  /** In the term `ackTerm` it acknowledged to have everything up to `ackIndex`. */
  readonly ackTerm: number;
  readonly ackIndex: number;
}

export const NOTHING_HEARD: Heard = { term: 0, ackTerm: 0, ackIndex: 0 };

export class Witness {
  readonly #heard = new Map<MemberId, { term: number; ackTerm: number; ackIndex: number }>();

  readonly #limits: Pick<DriverLimits, 'witnessedMax'>;

  constructor(limits: Pick<DriverLimits, 'witnessedMax'>) {
    this.#limits = limits;
  }

  /** Listens to a message. Those that leave before what they say is durable prove nothing. */
  note(message: Message): void {
    const { type, from, term } = message;
    if (type === 'preVoteRequest' || type === 'preVoteResponse' || type === 'snapshotStatus') return;
    let heard = this.#heard.get(from);
    if (heard === undefined) {
      if (this.#heard.size >= this.#limits.witnessedMax) return;
      heard = { ...NOTHING_HEARD };
      this.#heard.set(from, heard);
    }
    if (term > heard.term) heard.term = term;
    if (type !== 'appendResponse' || !message.success || term < heard.ackTerm) return;
    if (term > heard.ackTerm || message.matchIndex > heard.ackIndex) {
      heard.ackTerm = term;
      heard.ackIndex = message.matchIndex;
    }
  }

  of(id: MemberId): Heard {
    return this.#heard.get(id) ?? NOTHING_HEARD;
  }
}

/** Says which promise of its own a member does not know; undefined if it knows all that was heard. */
export function forgottenPromise(
  own: { readonly term: number; readonly lastIndex: number },
  heard: Heard,
): string | undefined {
  if (heard.term > own.term) return `it has been in term ${heard.term}, but its disk knows of term ${own.term} only`;
  // In a later term a new leader may have cut what an earlier one had it write.
  if (heard.ackTerm === own.term && heard.ackIndex > own.lastIndex) {
    return `it has acknowledged entry ${heard.ackIndex}, but its log ends at ${own.lastIndex}`;
  }
  return undefined;
}

/** A shorter pause than this may be lost in rounding, and then the clock stands still for whoever waits for it. */
const PAUSE_MS_MIN = 1;

export interface WitnessQuestion {
  readonly peers: readonly MemberId[];
  readonly ask: (peer: MemberId, timeoutMs: number) => Promise<Heard>;
  /** What this member knows of itself, at the time of an answer. */
  readonly own: () => { readonly term: number; readonly lastIndex: number };
  readonly clock: Clock;
  /** Whoever has not answered by then is not waited for. */
  readonly timeoutMs: number;
  /** Pause before one that could not be reached is asked again. */
  readonly retryMs: number;
  readonly isOver: () => boolean;
}

/**
 * Asks all peers what they heard of this member.
 * @returns those that did not answer in time
 * @throws {LogCorruptError} one of them knows more than this member does
 */
export async function checkPromises(question: WitnessQuestion): Promise<readonly MemberId[]> {
  const { peers, clock, timeoutMs, own } = question;
  const deadlineMs = clock.now() + timeoutMs;
  const silent: MemberId[] = [];
  const check = async (peer: MemberId) => {
    const heard = await askWitness(peer, deadlineMs, question);
    if (heard === undefined) silent.push(peer);
    const forgotten = heard === undefined ? undefined : forgottenPromise(own(), heard);
    if (forgotten === undefined) return;
    throw new LogCorruptError(
      `the data of this member are older than what others heard from it: ${forgotten}. It must not vote: remove its data directory and join it again as a new member`,
    );
  };
  await Promise.all(peers.map(check));
  return silent;
}

async function askWitness(
  peer: MemberId,
  deadlineMs: number,
  { ask, clock, retryMs, isOver }: WitnessQuestion,
): Promise<Heard | undefined> {
  for (;;) {
    const leftMs = deadlineMs - clock.now();
    if (leftMs <= 0 || isOver()) return undefined;
    try {
      return await ask(peer, leftMs);
    } catch (error) {
      // It is of a version that does not know the question.
      if (error instanceof PeerError) return NOTHING_HEARD;
      // Away, or not up yet: what matters is only whether somebody answers in time.
      const pauseMs = Math.max(PAUSE_MS_MIN, Math.min(retryMs, leftMs));
      await new Promise<void>(resolve => clock.setTimeout(resolve, pauseMs));
    }
  }
}
