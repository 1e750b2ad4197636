/** Runs scheduler and controllers while this master leads, under the term in which it does. */

import type { ApiServer } from '../apiserver/server.ts';
import type { ApiRequest, ApiTransport } from '../client/client.ts';
import type { InternalUser } from '../leader/accounts.ts';

/** A transport that stays in the process; what it writes is refused once `fenceTerm` has passed. */
export function inProcessTransport(
  apiServer: ApiServer,
  { user, groups }: InternalUser,
  fenceTerm?: number,
): ApiTransport {
  const identity = { user, groups, ...(fenceTerm !== undefined && { fenceTerm }) };
  return {
    request: (request: ApiRequest) => apiServer.handle(request, identity),
    close: async () => {},
  };
}

export interface Leadership {
  readonly isLeader: boolean;
  readonly term: number;
}
/** What is run under one leadership; resolves once all of it has stopped. */
export type LeaderWork = (options: { readonly term: number; readonly signal: AbortSignal }) => Promise<void>;

/**
 * Starts the work when leadership begins and stops it when it ends. One leadership at a time: the work of the one before
 * has stopped before that of the next begins, though the store would refuse its writes anyway.
 */
export class LeaderRunner {
  readonly #work: LeaderWork;
  readonly #onError: (error: unknown) => void;
  #current: { readonly term: number; readonly stop: AbortController } | undefined;
  #chain: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(work: LeaderWork, onError: (error: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  /** Takes note of the present leadership. */
  update({ isLeader, term }: Leadership): void {
    if (this.#isClosed || (isLeader && this.#current?.term === term)) return;
    this.#current?.stop.abort();
    this.#current = undefined;
    if (!isLeader) return;
    const stop = new AbortController();
    this.#current = { term, stop };
    this.#chain = this.#chain.then(async () => {
      if (stop.signal.aborted) return;
      try {
        await this.#work({ term, signal: stop.signal });
      } catch (error) {
        if (!stop.signal.aborted) this.#onError(error);
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#current?.stop.abort();
    await this.#chain;
  }
}
