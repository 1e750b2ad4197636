/** How long leases still live. Only the leader's lease keeper knows, so other members ask theirs. */
import { ByteReader, ByteWriter } from '../codec/bytes.ts';

/** What members ask each other with. */
export const LEASE_TIME_METHOD = 'store.leaseTime';

/** Knows when leases end, while it leads. */
export interface LeaseDeadlines {
  remainingMs(id: number): number | undefined;
}

export class LeaseTimes {
  #deadlines: LeaseDeadlines | undefined;

  /** From now on these are asked. */
  follow(deadlines: LeaseDeadlines): void {
    this.#deadlines = deadlines;
  }

  /** What this member knows: nothing, unless it leads. */
  remainingMs(id: number): number | undefined {
    return this.#deadlines?.remainingMs(id);
  }

  /** Answers another member's {@link leaseTimeQuestion}. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const remainingMs = this.remainingMs(new ByteReader(body).count());
    const writer = new ByteWriter();
    writer.byte(remainingMs === undefined ? 0 : 1);
    if (remainingMs !== undefined) writer.count(Math.max(0, Math.round(remainingMs)));
    return writer.take();
  }
}

export function leaseTimeQuestion(id: number): Uint8Array {
  const writer = new ByteWriter();
  writer.count(id);
  return writer.take();
}

/** Reads {@link LeaseTimes.answer}. */
export function leaseTimeAnswer(body: Uint8Array): number | undefined {
  const reader = new ByteReader(body);
  return reader.byte() === 0 ? undefined : reader.count();
}
