/** Requests that wait for their answers, by correlation id. */
import type { Clock } from '../driver/clock.ts';
import type { TransportLimits } from './limits.ts';
import type { Link } from './link.ts';
import { PeerError, PeerUnreachableError } from './transport.ts';

interface Pending {
  readonly link: Link;
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimeout: () => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  readonly #limits: Pick<TransportLimits, 'pendingRequestsMax'>;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(clock: Clock, limits: Pick<TransportLimits, 'pendingRequestsMax'>) {
    this.#clock = clock;
    this.#limits = limits;
  }

  send(link: Link, call: { method: string; body: Uint8Array; timeoutMs: number }): Promise<Uint8Array> {
    const id = ++this.#lastId;
    if (
      this.#pending.size >= this.#limits.pendingRequestsMax ||
      !link.push({ type: 'request', id, method: call.method, body: call.body })
    ) {
      return Promise.reject(new PeerUnreachableError('the queue to the peer is full', { isUnsent: true }));
    }
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#clock.setTimeout(() => {
        this.#pending.delete(id);
        reject(new PeerUnreachableError(`no answer to ${call.method} within ${call.timeoutMs} ms`));
      }, call.timeoutMs);
      this.#pending.set(id, { link, resolve, reject, cancelTimeout });
    });
  }

  answered(id: number, body: Uint8Array): void {
    this.#take(id)?.resolve(body);
  }

  failed(id: number, code: string, message: string): void {
    this.#take(id)?.reject(new PeerError(code, message));
  }

  /** The connection is gone, and with it whatever answer was on its way. */
  linkClosed(link: Link): void {
    for (const [id, pending] of this.#pending) {
      if (pending.link === link) this.#take(id)?.reject(new PeerUnreachableError('the connection broke'));
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.cancelTimeout();
    return pending;
  }
}
