/** Answers, on the API server's thread, what the leader's thread asks through a message port. */

import { messageOf } from '../client/body.ts';
import type { ApiRequest, ApiResponse } from '../client/client.ts';
import { BODY_WINDOW_BYTES } from './limits.ts';
import { type Answer, Outbox, onItems, type Question } from './messages.ts';
import type { PortOptions } from './port-transport.ts';

export interface PortServerOptions extends PortOptions {
  /** The API server; `account` says who asks. */
  readonly handle: (account: string, request: ApiRequest) => Promise<ApiResponse>;
}

/** A request that is being answered. */
interface Served {
  readonly stop: AbortController;
  /** Bytes that were sent and not yet read. */
  unreadBytes: number;
  /** Called when that becomes less. */
  onRoom: (() => void) | undefined;
}

/** Serves until the port closes, or what is returned is called; then what is under way is aborted. */
export function servePort({ port, defer, handle }: PortServerOptions): () => void {
  const outbox = new Outbox<Answer>(port, defer);
  const served = new Map<number, Served>();

  async function answer(request: Question & { readonly type: 'request' }, body: Uint8Array | undefined): Promise<void> {
    const { id, account, method, path, headers } = request;
    const entry: Served = { stop: new AbortController(), unreadBytes: 0, onRoom: undefined };
    served.set(id, entry);
    try {
      const response = await handle(account, {
        method: method as ApiRequest['method'],
        path,
        headers,
        signal: entry.stop.signal,
        ...(body && { body }),
      });
      const head = { id, status: response.status, headers: response.headers };
      if (response.whole) {
        outbox.add({ type: 'answer', ...head, bytes: response.whole.byteLength }, response.whole);
        return;
      }
      outbox.add({ type: 'head', ...head });
      for await (const chunk of response.body) {
        outbox.add({ type: 'chunk', id, bytes: chunk.byteLength }, chunk);
        entry.unreadBytes += chunk.byteLength;
        if (entry.unreadBytes > BODY_WINDOW_BYTES) await room(entry);
        if (entry.stop.signal.aborted) return;
      }
      outbox.add({ type: 'end', id });
    } catch (error) {
      if (!entry.stop.signal.aborted) outbox.add({ type: 'failed', id, message: messageOf(error) });
    } finally {
      served.delete(id);
    }
  }

  onItems<Question>(port, (question, bytes) => {
    if (question.type === 'request') {
      void answer(question, bytes);
      return;
    }
    const entry = served.get(question.id);
    if (!entry) return;
    if (question.type === 'credit') entry.unreadBytes -= question.read;
    else entry.stop.abort();
    entry.onRoom?.();
  });
  const stop = () => {
    for (const entry of served.values()) {
      entry.stop.abort();
      entry.onRoom?.();
    }
    port.close();
  };
  port.on('close', stop);
  return stop;
}

/** Resolves when there is room again, or nobody reads any more. */
async function room(entry: Served): Promise<void> {
  while (entry.unreadBytes > BODY_WINDOW_BYTES && !entry.stop.signal.aborted) {
    await new Promise<void>(resolve => {
      entry.onRoom = resolve;
    });
  }
  entry.onRoom = undefined;
}
