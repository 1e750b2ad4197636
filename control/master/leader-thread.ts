/**
 * The thread in which scheduler and controllers run while this master leads. Beside the API server on one thread they would
 * take turns with every request; here a second core does their work, and a long turn of theirs delays nobody's answer.
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { ApiServer } from '../apiserver/server.ts';
import { type Clock, sleep } from '../client/clock.ts';
import { leaderUser } from '../leader/accounts.ts';
import { METRICS_MS_MAX, STOP_MS_MAX } from '../leader/limits.ts';
import type { LeaderOrder, LeaderWord } from '../leader/order.ts';
import { servePort } from '../leader/port-server.ts';
import { inProcessTransport } from './leadership.ts';

export interface LeaderThreadOptions {
  readonly order: Omit<LeaderOrder, 'port'>;
  readonly apiServer: ApiServer;
  /** Resolves when the cluster has its roles, before which controllers may nothing. */
  readonly ready: Promise<void>;
  /** Aborts when the leadership is over. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Calls once the present turn of the event loop is over. */
  readonly defer: (call: () => void) => void;
  /** Where the thread's figures may be asked for while it runs. */
  readonly figures: LeaderFigures;
}

/** The figures of scheduler and controllers, wherever a master is in its life. */
export class LeaderFigures {
  readonly #clock: Clock;
  #worker: Worker | undefined;
  /** All scrapes of one moment share an answer. */
  #asked: Promise<string> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on those of this thread; undefined when it has ended. */
  follow(worker: Worker | undefined): void {
    this.#worker = worker;
  }

  /** In Prometheus' text form; empty on a master that does not lead, and when the thread is too busy to answer in time. */
  text(): Promise<string> {
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }

  async #ask(): Promise<string> {
    const worker = this.#worker;
    if (!worker) return '';
    const inTime = new AbortController();
    const answer = new Promise<string>(resolve => worker.once('message', resolve));
    worker.postMessage('metrics' satisfies LeaderWord);
    const late = sleep(this.#clock, METRICS_MS_MAX, inTime.signal).then(() => '');
    try {
      return await Promise.race([answer, late]);
    } finally {
      inTime.abort();
      worker.removeAllListeners('message');
    }
  }
}

/** The thread ended though the leadership went on. */
export class LeaderThreadError extends Error {
  override readonly name = 'LeaderThreadError';
  readonly code = 'LEADER_THREAD';
}

/** Sources run as they are, and compiled. */
const ENTRY = new URL(`../leader/main.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/**
 * Runs until the signal aborts and the thread has put down its work, or was ended because it took too long. Rejects with
 * {@link LeaderThreadError} if the thread ends by itself: for what it did not catch, or for want of memory.
 */
export async function runLeaderThread(options: LeaderThreadOptions): Promise<void> {
  const { order, apiServer, ready, signal, clock, defer, figures } = options;
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(ENTRY, {
    name: 'leader',
    workerData: { ...order, port: port2 } satisfies LeaderOrder,
    transferList: [port2],
  });
  const stopServing = servePort({
    port: port1,
    defer,
    handle: (account, request) => inProcessTransport(apiServer, leaderUser(account), order.term).request(request),
  });
  const ended = new Promise<void>((resolve, reject) => {
    // What was thrown there is a copy here, which is no Error to everybody.
    worker.once('error', cause =>
      reject(new LeaderThreadError(`the leader’s thread broke: ${cause.message}`, { cause })),
    );
    worker.once('exit', code => {
      if (signal.aborted) resolve();
      else reject(new LeaderThreadError(`the leader’s thread ended by itself, with code ${code}`));
    });
  });
  const tell = (word: LeaderWord) => worker.postMessage(word);
  let cancelEnd = () => {};
  const stop = () => {
    tell('stop');
    cancelEnd = clock.setTimeout(() => void worker.terminate(), STOP_MS_MAX);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  void ready.then(() => tell('begin'));
  figures.follow(worker);
  try {
    await ended;
  } finally {
    figures.follow(undefined);
    cancelEnd();
    signal.removeEventListener('abort', stop);
    stopServing();
  }
}
