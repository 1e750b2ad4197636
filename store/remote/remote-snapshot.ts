/** A snapshot as a remote client reads it: parts wait here, as many as the window allows, until the reader takes them. */
import { UnavailableError } from '../client/client.ts';
import type { Connection } from './connection.ts';

/** Reads a snapshot from this connection. What breaks off ends with an error; nobody can go on with half of one. */
export async function* readRemoteSnapshot(connection: Connection): AsyncGenerator<Uint8Array> {
  // Bounded: at most SNAPSHOT_WINDOW_PARTS wait; the server stops there.
  const parts: Uint8Array[] = [];
  let isEnded = false;
  let failure: Error | undefined;
  let wake = () => {};
  const stream = connection.snapshot({
    onPart(part) {
      parts.push(part);
      wake();
    },
    onEnd() {
      isEnded = true;
      wake();
    },
    onError(error) {
      failure = new UnavailableError(`the snapshot broke off: ${error.message}`, { cause: error });
      wake();
    },
  });
  try {
    for (;;) {
      const part = parts.shift();
      if (part !== undefined) {
        stream.taken();
        yield part;
      } else if (failure !== undefined) throw failure;
      else if (isEnded) return;
      else {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    }
  } finally {
    stream.cancel();
  }
}
