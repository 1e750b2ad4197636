/** What the supervisor tells of containers that changed, and the care that there is one. */
import type { ChangeHub } from '../change-hub.ts';
import { type Clock, delay } from '../clock.ts';
import { newsRetryMs } from './limits.ts';
import type { SupervisorClient } from './supervisor-client.ts';

export interface NewsOptions {
  readonly supervisor: SupervisorClient;
  readonly hub: ChangeHub;
  readonly clock: Clock;
}

/** Passes the news on until the signal aborts, and starts the supervisor again should it be lost. Never rejects. */
export async function followNews({ supervisor, hub, clock }: NewsOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await supervisor.ensure();
      await hear({ supervisor, hub }, signal);
    } catch {
      // The next round tries again; what is asked of the runtime meanwhile tells its callers what is wrong.
    }
    if (!signal.aborted) await delay(clock, newsRetryMs, signal);
  }
}

/** Resolves when the supervisor is gone or the signal aborts. */
async function hear({ supervisor, hub }: Pick<NewsOptions, 'supervisor' | 'hub'>, signal: AbortSignal): Promise<void> {
  const { socket } = await supervisor.open({ ask: 'news' });
  const end = () => socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  // Half open as it is, the connection to one that died does not close by itself.
  socket.once('end', end);
  // Whatever has changed before was told to nobody.
  hub.publish(undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split('\n');
    text = lines.pop() ?? '';
    for (const podUid of lines) hub.publish(podUid);
  });
  socket.resume();
  if (signal.aborted) end();
  await new Promise<void>(resolve => socket.once('close', () => resolve()));
  signal.removeEventListener('abort', end);
}
