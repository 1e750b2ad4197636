/** The body of an answer, and what is thrown where it did not come whole. */
import type { Readable } from 'node:stream';

/** The connection broke with the request under way: the server may have acted on it. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  readonly code = 'CONNECTION_LOST';
}

/** Of whatever broke the connection to `host`. */
export const lost = (host: string, cause: unknown) =>
  cause instanceof ConnectionLostError
    ? cause
    : new ConnectionLostError(`the connection to ${host} broke${cause ? `: ${messageOf(cause)}` : ''}`, { cause });

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** What carries a body: the answer over HTTP/1.1, or a stream of HTTP/2, which knows how it was closed. */
type BodyStream = Readable & { readonly rstCode?: number };

const CHANGES = ['readable', 'end', 'error', 'close'] as const;

/**
 * The chunks of a body, which end only if all of it came. A stream's own iterator would not do: one of HTTP/2 takes an
 * answer for broken off that came whole before its reader began, and ends without an error where the connection broke.
 */
export function wholeBody(
  stream: BodyStream,
  { host, signal }: { readonly host: string; readonly signal: AbortSignal | undefined },
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      let change = Promise.withResolvers<void>();
      const onChange = () => change.resolve();
      for (const event of CHANGES) stream.on(event, onChange);
      return {
        async next() {
          for (;;) {
            change = Promise.withResolvers();
            const chunk: Uint8Array | null = stream.read();
            if (chunk !== null) return { done: false, value: chunk };
            if (stream.readableEnded || stream.destroyed) break;
            await change.promise;
          }
          if (stream.readableEnded && !stream.rstCode) return { done: true, value: undefined };
          throw signal?.aborted ? signal.reason : lost(host, stream.errored);
        },
        async return() {
          stream.destroy();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
