/**
 * The thread in which scheduler and controllers run while this master leads. Beside the API server on one thread they would
 * take turns with every request; here a second core does their work, and a long turn of theirs delays nobody's answer.
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { ApiServer } from '../apiserver/server.ts';
import type { Clock } from '../client/clock.ts';
import { leaderUser } from '../leader/accounts.ts';
import { STOP_MS_MAX } from '../leader/limits.ts';
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
  const { order, apiServer, ready, signal, clock, defer } = options;
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
  try {
    await ended;
  } finally {
    cancelEnd();
    signal.removeEventListener('abort', stop);
    stopServing();
  }
}
